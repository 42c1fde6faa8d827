"""Processes told to stop while they have something in hand: it is finished and told, nothing is asked twice."""

import asyncio
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from api.server import ANSWER_TIME
from marketplace.seller.client import DEFAULT_TIMEOUTS
from sandbox.catalog import seed_skus
from tests.catalog.shop import Shop
from tests.cli.processes import ORDER_ENGINE
from tests.conftest import MakeEngine
from tests.support.engine import Engine, new_order
from tests.support.http_server import free_port
from tests.support.processes import STARTUP, EngineProcess
from worker import GRACE

Json = dict[str, Any]

SKUS = seed_skus()
TROUBLE = ("Traceback", "[error", "[warning", " WARN", "never awaited")
"""Words that a clean end leaves in no log."""


async def held(engine: Engine, route: str) -> None:
    """Wait until the Seller keeps a call of this route."""
    found = await engine.sandbox.get("/held", params={"route": route, "wait": 8})
    assert len(found.json()) == 1, found.text


async def release(engine: Engine, route: str) -> None:
    answer = await engine.sandbox.post("/held/release", json={"route": route})
    assert len(answer.json()) == 1, answer.text


async def tries(run: WorkflowHandle[Any, Any], activity: str) -> list[tuple[int, str]]:
    """Each started try of an activity that a run has recorded: its number, and who made it."""
    scheduled: set[int] = set()
    found: list[tuple[int, str]] = []
    async for event in run.fetch_history_events():
        started = event.activity_task_started_event_attributes
        if event.activity_task_scheduled_event_attributes.activity_type.name == activity:
            scheduled.add(event.event_id)
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED and started.scheduled_event_id in scheduled:
            found.append((started.attempt, started.identity.partition("@")[0]))
    return found


def pid_of(process: EngineProcess) -> int:
    assert process._process is not None
    return process._process.pid


@pytest.mark.slow
async def test_a_worker_told_to_stop_finishes_placement_and_page_while_another_takes_the_rest(
    temporal: Client, tmp_path: Path
) -> None:
    async with Shop(temporal, tmp_path, run_worker=False) as shop:
        engine, address = shop.engine, temporal.service_client.config.target_host
        old, new = (EngineProcess(engine, tmp_path / name, address) for name in ("old", "new"))
        async with old, new:
            await old.start_worker()
            unpaid, placing = await engine.placed(), new_order()
            await engine.fault("place", "hold-after", placing)
            posting = asyncio.create_task(engine.post(placing, wait=30))
            await held(engine, "place")
            await shop.fault("sku", "hold", SKUS[1].id)
            assert (await shop.start_import()).status_code == 202
            await held(engine, "sku")
            await new.start_worker()

            told = time.monotonic()
            old.send(signal.SIGTERM)
            await old.until_logged("worker stops")
            # Whoever is impatient ends nothing any sooner.
            for number in (signal.SIGTERM, signal.SIGINT):
                old.send(number)
            # What waits, and what comes, is the other one's.
            assert (await engine.pay(unpaid)).status_code == 200
            await engine.until(unpaid, status="handling")
            later = await engine.placed()
            assert old.running
            await release(engine, "place")
            await release(engine, "sku")
            assert await old.end(signal.SIGTERM) == 0
            assert time.monotonic() - told < GRACE.total_seconds()

            assert (await posting).status_code == 201
            report = await shop.import_ended()
            assert (report["done"], report["failed"]) == (len(SKUS), 0)
            by_old = (1, str(pid_of(old)))
            assert await tries(engine.workflow(placing), "place_order") == [by_old]
            assert by_old in await tries(shop.import_workflow(), "import_page")
            assert {tried for tried, _ in await tries(shop.import_workflow(), "import_page")} == {1}
            # The old one may still have been asking for work when the money came.
            assert [tried for tried, _ in await tries(engine.workflow(unpaid), "authorize_dispatch")] == [1]
            assert await tries(engine.workflow(later), "place_order") == [(1, str(pid_of(new)))]
            for order in (placing, later):
                assert (await engine.ledger(order))["calls"] == {"place": 1}
            assert {sku: calls["sku"] for sku, calls in (await shop.reads()).items()} == {sku.id: 1 for sku in SKUS}
            log = old.log.read_text()
            assert [word for word in TROUBLE if word in log] == [], log


async def refused(url: str) -> None:
    """Wait until nobody takes new connections any more."""
    async with asyncio.timeout(10):
        while True:
            try:
                async with httpx.AsyncClient() as client:
                    await client.get(f"{url}/health/live")
            except httpx.ConnectError:
                return
            except httpx.ReadError:
                pass  # taken by the system just before nobody listened any more
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "numbers",
    [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]],
    ids=lambda numbers: "-".join(number.name for number in numbers),
)
async def test_an_api_told_to_stop_answers_what_it_has_been_asked_and_takes_no_more(
    engine: Engine, tmp_path: Path, numbers: Sequence[signal.Signals]
) -> None:
    async with api_process(engine, tmp_path) as api, httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        await api.start()
        order = new_order()
        await engine.fault("place", "hold-after", order)
        posting = asyncio.create_task(client.post("/orders", json=order, headers={"Prefer": "wait=20"}))
        await held(engine, "place")
        for number in numbers:
            api.send(number)
            await refused(api.url)
        assert api.running
        assert not posting.done()
        await release(engine, "place")
        answer = await posting
        assert (answer.status_code, answer.json()["status"]) == (201, "payment-pending")
        assert await api.ends() == 0
        log = api.log.read_text()
        assert [word for word in TROUBLE if word in log] == [], log


@pytest.mark.parametrize("impatient", [False, True])
@pytest.mark.slow
async def test_an_api_whose_time_is_over_answers_that_the_order_is_durable(
    make_engine: MakeEngine, tmp_path: Path, impatient: bool
) -> None:
    async with (
        make_engine(timeouts=DEFAULT_TIMEOUTS) as engine,
        api_process(engine, tmp_path) as api,
        httpx.AsyncClient(base_url=api.url, timeout=30) as client,
    ):
        await api.start()
        order = new_order()
        # The first try is within a workflow task, and held for two seconds at most.
        await engine.fault("simulate", "server-error")
        await engine.fault("simulate", "hold")
        posting = asyncio.create_task(client.post("/orders", json=order, headers={"Prefer": "wait=20"}))
        await held(engine, "simulate")
        told = time.monotonic()
        api.send(signal.SIGTERM)
        await refused(api.url)
        if impatient:
            api.send(signal.SIGINT)
        answer = await posting
        assert (answer.status_code, answer.json()["status"]) == (202, "simulating")
        assert await api.ends() == 0
        assert (time.monotonic() - told > ANSWER_TIME) is not impatient
        assert "Traceback" not in api.log.read_text()
        await release(engine, "simulate")
        again = await engine.post(order)
        assert (again.status_code, again.json()["status"]) == (200, "payment-pending")
        assert (await engine.ledger(order))["calls"] == {"place": 1}


class ApiProcess(EngineProcess):
    """`order-engine api` beside the API of an engine, on a port of its own."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        address = engine.client.service_client.config.target_host
        super().__init__(engine, directory, address, ORDER_ENGINE_PORT=str(port))

    async def start(self) -> None:
        await self.launch(ORDER_ENGINE, "api", environment=self.environment)
        await self.until_logged("Uvicorn running")

    async def ends(self) -> int:
        async with asyncio.timeout(STARTUP):
            while self.running:
                await asyncio.sleep(0.02)
        return await self.end()


def api_process(engine: Engine, directory: Path) -> ApiProcess:
    return ApiProcess(engine, directory / "api")
