"""When traces are sent, and what is told when they cannot be."""

import subprocess
import sys

import pytest

from marketplace.settings import SettingsError
from marketplace.tracing import open_tracing, seller_span, trace_fields

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "true"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_traced_unless_a_collector_is_named(environment: dict[str, str]) -> None:
    assert open_tracing("worker", environment) is None
    with seller_span("acme", "place") as span:
        span.ended(None)
        assert trace_fields() == {}


@pytest.mark.parametrize(
    ("environment", "cause"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: must be otlp or none"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf"),
    ],
)
def test_what_is_not_spoken_is_refused_at_the_start(environment: dict[str, str], cause: str) -> None:
    with pytest.raises(SettingsError, match=cause):
        open_tracing("worker", {**ENDPOINT, **environment})


def test_without_the_extra_one_line_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from marketplace.tracing import open_tracing\n"
        f"open_tracing('worker', {ENDPOINT!r})"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pip install 'marketplace-order-engine[otel]'" in ran.stderr.splitlines()[-1]
