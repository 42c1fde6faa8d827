"""More orders than the API takes at a time: refused early, nothing lost, and then all is as before."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from temporalio.client import Client

from sandbox.server import SandboxServer
from tests.overload.flood import IN_TIME, Flood, Json, broken, meanwhile, peak_memory, percentile
from tests.support.engine import LIMITS, Engine, new_order
from tests.support.http_server import free_port
from tests.support.processes import EngineProcess

SHOP, OTHER, OPERATOR = "flooding-storefront-key", "another-storefront-key", "operator-key-of-the-flood"
CONNECTIONS = 100
PROMPT = 1.0
"""Seconds within which health and callbacks must be answered in the middle of it."""

GROWTH = 48.0
"""MiB by which API and worker may grow in a flood, once they have seen one."""


def ids(orders: list[Json]) -> set[str]:
    return {order["marketplaceOrderId"] for order in orders}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@dataclass
class Besieged:
    """Worker and API as processes of their own; `engine` names their settings and reaches the Seller."""

    engine: Engine
    url: str
    http: httpx.AsyncClient
    pids: dict[str, int]

    async def recorded(self) -> set[str]:
        """Ids of all orders that have a record."""
        ids: set[str] = set()
        cursor: dict[str, str] = {}
        while True:
            answer = await self.http.get("/orders", params={"limit": "200", **cursor}, headers=bearer(OPERATOR))
            page = answer.json()
            ids |= {one["marketplaceOrderId"] for one in page["orders"]}
            if not page["nextCursor"]:
                return ids
            cursor = {"cursor": page["nextCursor"]}

    async def until_placed(self, orders: set[str]) -> set[str]:
        """Wait until these orders are placed at their Seller; the ids of all that are recorded then."""
        async with asyncio.timeout(30):
            for order in orders:
                while (await self.read(order)).json().get("orderId") is None:
                    await asyncio.sleep(0.1)
        return await self.recorded()

    async def read(self, order: str) -> httpx.Response:
        return await self.http.get(f"/orders/{order}", headers=bearer(OPERATOR))

    async def started(self) -> int:
        """How many workflows of orders there are."""
        queue = self.engine.settings.task_queue
        return (
            await self.engine.client.count_workflows(f'TaskQueue = "{queue}" AND WorkflowType = "OrderWorkflow"')
        ).count

    async def timed(self, key: str = OPERATOR) -> float:
        """Seconds that a single order takes to be placed."""
        begun = time.monotonic()
        answer = await self.http.post("/orders", json=new_order(), headers=bearer(key))
        assert answer.status_code == 201, answer.text
        return time.monotonic() - begun


@pytest.fixture(scope="module")
async def besieged(
    temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Besieged]:
    directory, port = tmp_path_factory.mktemp("besieged"), free_port()
    url, address = f"http://127.0.0.1:{port}", temporal.service_client.config.target_host
    environment = {
        "ORDER_ENGINE_PORT": str(port),
        "ORDER_ENGINE_PUBLIC_URL": url,
        "ORDER_ENGINE_STOREFRONT_KEYS": f"{SHOP},{OTHER}",
        "ORDER_ENGINE_OPERATOR_KEYS": OPERATOR,
        "ORDER_ENGINE_RATE_LIMIT": "100",
        "ORDER_ENGINE_MAX_REQUESTS": "8",
    }
    async with (
        Engine(temporal, seller.url, directory, run_worker=False) as engine,
        EngineProcess(engine, directory / "worker", address, **environment) as worker,
        EngineProcess(engine, directory / "api", address, **environment) as api,
        httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(40, pool=None), limits=_many()) as http,
    ):
        await asyncio.gather(worker.start_worker(), api.start_api(url))
        yield Besieged(
            engine, url, http, {name: _pid(process) for name, process in {"api": api, "worker": worker}.items()}
        )


def _many() -> httpx.Limits:
    return httpx.Limits(max_connections=2 * CONNECTIONS, keepalive_expiry=LIMITS.keepalive_expiry)


def _pid(process: EngineProcess) -> int:
    assert process._process is not None
    return process._process.pid


async def test_a_flood_of_orders_is_shed_in_good_order_and_leaves_nothing_behind(besieged: Besieged) -> None:
    engine, http = besieged.engine, besieged.http
    before = statistics.median([await besieged.timed() for _ in range(3)])
    told = new_order(payment={"status": "approved", "transactionId": "t-1"})
    assert (await http.post("/orders", json=told, headers=bearer(OPERATOR))).status_code == 201
    callbacks_url = f"{(await engine.ledger(told))['endpoint']}/pvt/orders/{told['marketplaceOrderId']}/invoice"
    # The first flood takes the process to the size that serving so many connections needs.
    first, flood, patient = (Flood(besieged.url, CONNECTIONS, SHOP) for _ in range(3))
    await first.post([new_order() for _ in range(200)])
    known = await besieged.recorded()

    async def callback() -> httpx.Response:
        body = {"type": "Output", "invoiceNumber": f"N-{time.monotonic_ns()}", "invoiceValue": 1}
        return await http.post(callbacks_url, json=body)

    async with (
        peak_memory(**besieged.pids) as peaks,
        meanwhile(lambda: http.get("/health/live")) as health,
        meanwhile(callback) as callbacks,
        meanwhile(lambda: http.get("/orders?limit=1", headers=bearer(OTHER))) as others_reads,
    ):
        await asyncio.sleep(0.3)
        quiet = dict(peaks)
        await flood.post([new_order() for _ in range(600)])
        await patient.post(flood.refused[:20], again=True)
    for one in (first, flood, patient):
        one.check()
    assert flood.statuses.keys() >= {201, 429, 503}
    for seconds in (health, callbacks, others_reads):
        # Now and then this crowded machine itself stands still for longer.
        assert percentile(seconds, 0.9) < PROMPT
    seconds_taken = [one.seconds for each in (first, flood, patient) for one in each.answers if one.taken]
    assert broken(seconds_taken, quiet, peaks, GROWTH) == []

    taken = ids(flood.taken) | ids(patient.taken)
    assert ids(patient.taken) == ids(flood.refused[:20])
    assert await besieged.until_placed(taken) - known == taken
    async with asyncio.timeout(20):
        while await besieged.started() != len(known | taken):
            await asyncio.sleep(0.2)
    for refused in flood.refused[20:25]:
        assert (await besieged.read(refused["marketplaceOrderId"])).status_code == 404
    for order in patient.taken:
        assert (await engine.ledger(order))["calls"] == {"place": 1}
    assert statistics.median([await besieged.timed() for _ in range(3)]) < 3 * before + 1


def test_what_a_flood_must_not_do_is_told() -> None:
    quiet = {"api": 140.0, "worker": 140.0}
    assert broken([IN_TIME] * 100, quiet, {"api": 141.0, "worker": 188.0}, GROWTH) == []
    assert broken([0.1] * 98 + [10.5] * 2, quiet, {"api": 141.0, "worker": 189.0}, GROWTH) == [
        "10.5 s to answer an order that was taken, p99: 10 s are the limit",
        "the worker grew from 140 to 189 MiB: 48 MiB are the limit",
    ]
