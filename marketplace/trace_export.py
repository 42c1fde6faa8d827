"""The way of traces out of the process, over OTLP/HTTP: nothing is in them but what is listed. Needs `otel`."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status

_EXCEPTION_TYPE = "exception.type"


class _PrivateExporter(SpanExporter):
    """Takes everything out of spans that is not on a list of names, then hands them on."""

    def __init__(self, inner: SpanExporter, allowed: frozenset[str]) -> None:
        self._inner = inner
        self._allowed = allowed

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([self._private(span) for span in spans])

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def _private(self, span: ReadableSpan) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._kept(span.attributes),
            # An exception's text and traceback may quote what a customer or a Seller has sent: its class is enough.
            events=[
                Event(event.name, {_EXCEPTION_TYPE: (event.attributes or {}).get(_EXCEPTION_TYPE, "")}, event.timestamp)
                for event in span.events
            ],
            links=[Link(link.context) for link in span.links],
            kind=span.kind,
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _kept(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        return {name: value for name, value in (attributes or {}).items() if name in self._allowed}


def private_exporter(allowed: frozenset[str]) -> SpanExporter:
    """An exporter by the standard OTEL_EXPORTER_OTLP_ variables that sends no attribute but the allowed ones."""
    return _PrivateExporter(OTLPSpanExporter(), allowed)
