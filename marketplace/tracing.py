"""Traces: from the storefront's request through the order's workflow to the Seller's call, by OpenTelemetry.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) is set; then the extra `otel` must be
installed, and the standard OTEL_ variables count. What leaves the process is listed here by name: paths with tokens,
texts of errors and whatever a later version of a library may add stay inside.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from marketplace.errors import SellerFailure
from marketplace.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from temporalio.client import Interceptor

ALLOWED: Final = frozenset(
    {
        *("http.request.method", "http.response.status_code", "http.route", "url.scheme", "error.type"),
        *("temporalWorkflowID", "temporalRunID", "temporalActivityID"),
        *("order_engine.seller", "order_engine.call", "order_engine.verdict", "order_engine.error_code"),
    }
)
"""Attributes that are sent to the collector."""
_FLUSH_SECONDS = 3.0

_tracer = trace.get_tracer("order-engine")


class SellerSpan:
    """The part of a trace in which a Seller is asked."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def ended(self, failure: SellerFailure | None) -> None:
        """Tell what came of it."""
        if failure is None or not self._span.is_recording():
            return
        self._span.set_attribute("order_engine.verdict", failure.verdict.value)
        if failure.code:
            self._span.set_attribute("order_engine.error_code", failure.code)
        if failure.http_status:
            self._span.set_attribute("http.response.status_code", failure.http_status)
        self._span.set_status(StatusCode.ERROR)


@contextmanager
def seller_span(seller: str, call: str) -> Iterator[SellerSpan]:
    """Trace a call to a Seller, as part of what goes on. The Seller itself is told nothing of it."""
    attributes = {"order_engine.seller": seller, "order_engine.call": call}
    with _tracer.start_as_current_span(f"Seller:{call}", kind=SpanKind.CLIENT, attributes=attributes) as span:
        yield SellerSpan(span)


def trace_fields() -> dict[str, str]:
    """Ids of the trace and span that go on, for log lines; empty when there are none."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


class Tracing:
    """Traces of one process, on their way to a collector. `interceptors` are for its Temporal client."""

    def __init__(self, provider: "TracerProvider", interceptors: Sequence["Interceptor"]) -> None:
        self._provider = provider
        self.interceptors = interceptors

    async def aclose(self) -> None:
        """Send what is left, within some seconds: a collector that is away must not keep a process from ending."""
        flush = partial(self._provider.force_flush, timeout_millis=int(_FLUSH_SECONDS * 1000))
        ending = asyncio.get_running_loop().run_in_executor(None, flush)
        await asyncio.wait([ending], timeout=_FLUSH_SECONDS + 1)


def open_tracing(process: str, environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """Begin to trace this process, named order-engine-{process}; None where no collector is named.

    To be called once. Raises SettingsError.
    """
    if not _is_wanted(environment):
        return None
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in {None, "", "http/protobuf"}:
        raise SettingsError("OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf, or left out")
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
        from temporalio.contrib.opentelemetry import TracingInterceptor  # noqa: PLC0415 - needs the extra

        from marketplace.trace_export import private_exporter  # noqa: PLC0415 - needs the extra
    except ImportError:
        text = "OTEL_EXPORTER_OTLP_ENDPOINT is set: install the extra, pip install 'marketplace-order-engine[otel]'"
        raise SettingsError(text) from None
    named = {} if environment.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: f"order-engine-{process}"}
    provider = TracerProvider(resource=Resource.create({**named}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(private_exporter(ALLOWED)))
    trace.set_tracer_provider(provider)
    # Without the baggage of W3C: whatever a storefront puts into it would be kept in Temporal's headers.
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    return Tracing(provider, [TracingInterceptor()])


def _is_wanted(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in {"", "otlp", "none"}:
        raise SettingsError("OTEL_TRACES_EXPORTER: must be otlp or none, or left out")
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return exporter != "none" and any(environment.get(name, "").strip() for name in endpoints)
