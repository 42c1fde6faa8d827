"""The two addresses at which a process shows its metrics."""

import socket

import pytest

from marketplace.settings import Settings, SettingsError, load_settings
from marketplace.temporal import build_runtime


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        (" [::1]:80 ", ("::1", 80)),
        ("localhost:1", ("localhost", 1)),
        ("", None),
    ],
)
def test_an_address_is_host_and_port(
    monkeypatch: pytest.MonkeyPatch, text: str, address: tuple[str, int] | None
) -> None:
    monkeypatch.setenv("ORDER_ENGINE_METRICS_ADDRESS", text)
    assert load_settings().metrics_address == address


@pytest.mark.parametrize("text", ["x", "127.0.0.1", ":80", "::1:80", "[::1]", "1.2.3.4:0", "1.2.3.4:65536", "h:-1"])
def test_what_is_none_is_refused_without_being_repeated(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ORDER_ENGINE_METRICS_ADDRESS", text)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    cure = "must be host and port to listen on, such as 0.0.0.0:9464"
    assert str(refused.value) == f"ORDER_ENGINE_METRICS_ADDRESS: {cure}"


def test_an_address_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(temporal_metrics_address=("127.0.0.1", taken.getsockname()[1]))
        with pytest.raises(SettingsError, match=r"^ORDER_ENGINE_TEMPORAL_METRICS_ADDRESS: .*in use"):
            build_runtime(settings)
