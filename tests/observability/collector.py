"""A collector of traces: takes what processes send over OTLP/HTTP, on loopback."""

import asyncio
import gzip
from collections.abc import Callable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

SpanKey = tuple[str, str]


class Collector:
    """An ASGI app that keeps all spans, each with the name of the service that sent it."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        self.received = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        assert scope["path"] == "/v1/traces"
        request = Request(scope, receive)
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.received += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scoped in resource.scope_spans:
                self.spans += [(attributes["service.name"], span) for span in scoped.spans]
        await Response(b"", media_type="application/x-protobuf")(scope, receive, send)

    def of(self, trace_id: str) -> dict[SpanKey, Span]:
        """The spans of a trace, by service and name."""
        return {(service, span.name): span for service, span in self.spans if span.trace_id.hex() == trace_id}

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it has what is waited for."""
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.05)


def attributes_of(span: Span) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
