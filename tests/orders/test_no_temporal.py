"""No Temporal: whatever needs it is refused, what is recorded can be read, and all goes on when it is back."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from marketplace.settings import Settings
from marketplace.temporal import connect
from sandbox.server import SandboxServer
from tests.support.engine import Engine, new_order
from tests.support.processes import TemporalServer

Json = dict[str, Any]

INVOICE: Json = {"type": "Output", "invoiceNumber": "N-1", "invoiceValue": 9470, "items": []}


@asynccontextmanager
async def own_temporal(
    seller: SandboxServer, directory: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> AsyncIterator[tuple[TemporalServer, Engine]]:
    """A Temporal server that has not been started, and an engine without worker that looks for it."""
    async with TemporalServer(directory / "temporal") as server:
        monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
        client = await connect(Settings(), lazy=True)
        async with Engine(client, seller.url, directory, run_worker=False, **changes) as engine:
            yield server, engine


def check_away(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert "Temporal" in answer.json()["detail"]


async def check_not_ready(engine: Engine) -> None:
    ready = await engine.http.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["parts"]["temporal"] != "ok"
    assert ready.json()["parts"]["database"] == "ok"
    assert (await engine.http.get("/health/live")).status_code == 200


async def test_an_api_that_starts_before_temporal_refuses_until_it_is_there(
    fresh_seller: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with own_temporal(fresh_seller, tmp_path, monkeypatch) as (server, engine):
        posted = new_order()
        await check_not_ready(engine)
        check_away(await engine.post(posted, wait=1))
        check_away(await engine.pay(posted))
        check_away(await engine.cancel(posted))
        # Nothing is recorded, and whether the order is just being started nobody can say.
        check_away(await engine.http.get(f"/orders/{posted['marketplaceOrderId']}"))
        assert (await engine.http.get("/orders")).json()["orders"] == []

        await server.start()
        assert (await engine.post(posted, wait=1)).status_code == 202
        assert (await engine.http.get("/health/ready")).status_code == 200
        engine.client = await server.client()
        await engine.start_worker()
        assert (await engine.post(posted)).status_code in {200, 201}
        assert (await engine.ledger(posted))["calls"] == {"place": 1}
        await engine.stop_worker()


async def test_temporal_gone_and_back_loses_nothing_that_was_promised(
    fresh_seller: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with own_temporal(fresh_seller, tmp_path, monkeypatch) as (server, engine):
        await server.start()
        engine.client = await server.client()
        await engine.start_worker()
        unpaid, dispatched, new = await engine.placed(), await engine.dispatched(), new_order()
        await server.end(signal.SIGTERM)

        await check_not_ready(engine)
        assert (await engine.get(dispatched))["status"] == "handling"
        assert len((await engine.http.get("/orders")).json()["orders"]) == 2
        # A repeat of what is recorded needs no Temporal; all else does, and says so soon.
        again = new_order(marketplaceOrderId=unpaid["marketplaceOrderId"])
        assert (await engine.post(again)).status_code == 200
        path = f"/pvt/orders/{dispatched['marketplaceOrderId']}"
        started = time.monotonic()
        for answer in await asyncio.gather(
            engine.post(new, wait=1),
            engine.pay(unpaid),
            engine.cancel(unpaid),
            engine.resume(unpaid, "retry"),
            engine.callback(dispatched, f"{path}/invoice", INVOICE),
            engine.callback(dispatched, f"{path}/cancel"),
        ):
            check_away(answer)
        assert time.monotonic() - started < 20

        await server.start()
        assert (await engine.pay(unpaid)).status_code in {200, 202}
        assert (await engine.callback(dispatched, f"{path}/invoice", INVOICE)).status_code == 200
        assert (await engine.post(new)).status_code == 201
        await engine.until(unpaid, seconds=30, status="handling")
        await engine.until(dispatched, seconds=30, status="invoiced")
        for order in (unpaid, dispatched, new):
            assert (await engine.ledger(order))["calls"]["place"] == 1
        assert (await engine.http.get("/health/ready")).status_code == 200
        await engine.stop_worker()
