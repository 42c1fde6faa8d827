"""The page of metrics and liveness: what it answers, what it refuses, and what it does when a process hangs."""

import socket
import time

import httpx
import pytest

from marketplace.metrics_server import MetricsServer
from marketplace.settings import SettingsError
from tests.support.http_server import free_port


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/live", 200, "ok\n"),
        ("/metrics", 200, "order_engine_parked_orders"),
        ("/", 404, "here are /metrics and /live\n"),
    ],
)
async def test_it_answers_what_it_is_asked(port: int, path: str, status: int, text: str) -> None:
    async with MetricsServer(("127.0.0.1", port)), httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}{path}")
    assert (answer.status_code, text in answer.text) == (status, True)


async def test_a_process_whose_loop_stands_still_is_told_as_hung(port: int) -> None:
    async with MetricsServer(("127.0.0.1", port), hung_after=0.2):
        time.sleep(0.5)  # noqa: ASYNC251 - that is what hangs
        answer = httpx.get(f"http://127.0.0.1:{port}/live")  # noqa: ASYNC210 - the loop must go on hanging
    assert answer.status_code == 503
    assert "stood still" in answer.text


async def test_it_is_there_after_somebody_sent_what_is_no_request(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    async with MetricsServer(("127.0.0.1", port)), httpx.AsyncClient() as client:
        for noise in (b"\x16\x03\x01\x00\n", b"GET\r\n\r\n", b""):
            with socket.create_connection(("127.0.0.1", port)) as stranger:
                stranger.sendall(noise)
        assert (await client.get(f"http://127.0.0.1:{port}/live")).text == "ok\n"
    assert capfd.readouterr().err == ""


async def test_an_address_that_is_taken_is_told_in_one_line(port: int) -> None:
    async with MetricsServer(("127.0.0.1", port)):
        with pytest.raises(SettingsError, match=r"^ORDER_ENGINE_METRICS_ADDRESS: cannot listen there: Address already"):
            await MetricsServer(("127.0.0.1", port)).__aenter__()


async def test_it_listens_on_ipv6_too(port: int) -> None:
    async with MetricsServer(("::1", port)), httpx.AsyncClient() as client:
        assert (await client.get(f"http://[::1]:{port}/live")).text == "ok\n"
