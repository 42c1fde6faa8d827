"""Health, metrics, and what comes over the wire before any route is reached."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.app import create_app
from marketplace.store.database import Database
from marketplace.store.stores import Stores
from tests.api.answers import problem
from tests.api.callback_line import INVOICE, Line
from tests.support.engine import Engine, new_order
from tests.support.http_server import api_server, free_port


async def test_a_healthy_engine_is_live_and_ready(shared_engine: Engine) -> None:
    live = await shared_engine.http.get("/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    ready = await shared_engine.http.get("/health/ready")
    assert (ready.status_code, ready.json()["parts"]) == (200, {"temporal": "ok", "database": "ok"})


@asynccontextmanager
async def api_beside(
    engine: Engine, client: Client | None = None, database: str = ""
) -> AsyncIterator[httpx.AsyncClient]:
    """An API of the same settings with another Temporal client, or another database."""
    stores = Stores(Database(database or engine.settings.database_url.get_secret_value()))
    app = create_app(engine.settings, engine.sellers, client or engine.client, stores)
    try:
        async with api_server(app, free_port()) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
            yield http
    finally:
        await stores.aclose()


async def test_without_its_database_the_api_lives_and_says_what_is_away(shared_engine: Engine) -> None:
    nowhere = f"postgresql+psycopg://zqx:zqx@127.0.0.1:{free_port()}/zqx"
    async with api_beside(shared_engine, database=nowhere) as http:
        assert (await http.get("/health/live")).status_code == 200
        ready = await http.get("/health/ready")
        body = problem(ready, 503)
        assert body["parts"] == {"temporal": "ok", "database": "cannot be reached"}
        assert body["detail"] == "database cannot be reached"
        answers = [
            ready,
            await http.get("/orders"),
            await http.get("/orders/T-1"),
            await http.post("/orders", json=new_order()),
        ]
        for answer in answers:
            problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        # What is no id is refused without the database, which may not even take the question.
        problem(await http.get("/orders/%00"), 404)
        problem(await http.get("/orders?seller=%00"), 422)
        problem(await http.post("/callbacks/acme/T-1/wrong/pvt/orders/T-1/invoice", json={}), 404)


async def test_without_temporal_the_api_lives_reads_and_says_what_is_away(shared_engine: Engine) -> None:
    order = await shared_engine.placed()
    nowhere = f"127.0.0.1:{free_port()}"
    nobody = await Client.connect(nowhere, lazy=True, data_converter=pydantic_data_converter)
    async with api_beside(shared_engine, client=nobody) as http:
        assert (await http.get("/health/live")).status_code == 200
        assert problem(await http.get("/health/ready"), 503)["parts"] == {
            "temporal": "cannot be reached",
            "database": "ok",
        }
        assert (await http.get(f"/orders/{order['marketplaceOrderId']}")).json() == order
        answer = await http.post("/orders", json=new_order(), headers={"Prefer": "wait=1"})
        problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0


async def test_metrics_count_by_route_and_hold_no_ids_and_no_tokens(engine: Engine) -> None:
    line = Line(engine, await engine.dispatched(), 0)
    await line.send("/invoice", INVOICE)
    await line.send("/invoice/NF-SECRET/tracking", {"isDelivered": False})
    await line.send("/nothing/of/ours", INVOICE)
    await line.send("/invoice", INVOICE, base=f"/callbacks/acme/{line.id}/token-zqx")
    await engine.get(line.order)
    await engine.http.get("/nope-zqx")
    await engine.http.get(f"/orders/{line.id}/")
    await engine.http.get("/orders?seller=zqx")
    answer = await engine.http.get("/metrics")
    assert answer.status_code == 200
    handlers = set(re.findall(r'handler="([^"]*)"', answer.text))
    assert "/orders/{marketplace_order_id}" in handlers
    assert any("/{token}/" in handler for handler in handlers), handlers
    for text in (line.id, line.token(), "SECRET", "zqx", "livia"):
        assert text not in answer.text


async def raw(engine: Engine, sent: bytes) -> bytes:
    """Send bytes as they are and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", engine.port)
    writer.write(sent)
    await writer.drain()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def test_any_host_header_is_answered(shared_engine: Engine) -> None:
    for host in (b"[", b"]:x", b"a b", b"", b"x" * 500):
        answer = await raw(
            shared_engine, b"GET /orders/NONE-1 HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host
        )
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"application/problem+json" in answer


async def test_a_client_that_expects_to_continue_is_told_at_once_that_the_body_is_too_large(
    shared_engine: Engine,
) -> None:
    head = b"POST /orders HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n"
    answer = await raw(shared_engine, head)
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_far_beyond_the_limit_is_not_read(shared_engine: Engine) -> None:
    answer = await raw(shared_engine, b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_goes_away_in_the_middle_is_no_error_of_ours(shared_engine: Engine) -> None:
    async def failures() -> list[str]:
        metrics = (await shared_engine.http.get("/metrics")).text
        return [row for row in metrics.splitlines() if row.startswith("http_requests_total") and 'status="5xx"' in row]

    before = await failures()
    for head in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
        _, writer = await asyncio.open_connection("127.0.0.1", shared_engine.port)
        writer.write(b"POST /orders/T-1/payment HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    problem(await shared_engine.http.post("/orders", content=b"{"), 400)
    assert await failures() == before
