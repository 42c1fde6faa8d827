"""A worker killed between any two steps, and one that is told to stop: nothing lost, nothing done twice."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import EventType

from tests.conftest import MakeEngine
from tests.support.engine import Engine, new_order
from tests.support.processes import EngineProcess
from worker import STRICT

Json = dict[str, Any]

TOOK_IT_AND_SILENT: Json = {"kind": "slow-after", "seconds": 6}
LATE: Json = {"kind": "slow", "seconds": 6}
"""The Seller does it in the end, whoever asked having died meanwhile."""


@dataclass
class Life:
    """An order, and what its storefront asks while the worker is killed: who asked must get a good answer."""

    engine: Engine
    order: Json = field(default_factory=new_order)
    asked: list[asyncio.Task[httpx.Response]] = field(default_factory=list)

    async def holds(self, route: str, fault: Json) -> None:
        # A simulation names no order: its fault hits the next one that comes.
        await self.engine.fault(route, order=None if route == "simulate" else self.order, **fault)

    async def held(self) -> None:
        """Wait until the Seller lets the engine wait."""
        async with asyncio.timeout(10):
            while self.order["marketplaceOrderId"] in (await self.engine.sandbox.get("/faults")).text:
                await asyncio.sleep(0.02)

    def ask(self, request: Coroutine[Any, Any, httpx.Response]) -> None:
        self.asked.append(asyncio.create_task(request))

    async def posted(self, route: str, fault: Json) -> None:
        await self.holds(route, fault)
        self.ask(self.engine.post(self.order, wait=30))
        await self.engine.until_known(self.order)
        await self.held()

    async def placed(self, **changes: Any) -> None:
        self.order = await self.engine.placed(**changes)

    async def dispatched(self) -> None:
        self.order = await self.engine.dispatched()


async def anywhere(life: Life) -> None:
    """Just posted and paid: the kill falls where it falls."""
    life.order = new_order(payment={"status": "approved", "transactionId": "t-1"})
    life.ask(life.engine.post(life.order, wait=30))
    await life.engine.until_known(life.order)


async def simulating(life: Life) -> None:
    await life.posted("simulate", LATE)
    async with asyncio.timeout(10):
        while (await life.engine.sandbox.get("/faults")).json():
            await asyncio.sleep(0.02)


async def placing(life: Life) -> None:
    await life.posted("place", LATE)


async def placed_unheard(life: Life) -> None:
    await life.posted("place", TOOK_IT_AND_SILENT)


async def canceled_while_placing(life: Life) -> None:
    await life.posted("place", TOOK_IT_AND_SILENT)
    life.ask(life.engine.cancel(life.order))
    await life.engine.until(life.order, status="cancellation-requested")


async def paid_while_placing(life: Life) -> None:
    await life.posted("place", LATE)
    assert (await life.engine.pay(life.order)).status_code == 200


async def unpaid(life: Life) -> None:
    await life.placed()


async def just_paid(life: Life) -> None:
    """The kill comes with the answer to the payment."""
    await life.placed()
    assert (await life.engine.pay(life.order)).status_code == 200


async def dispatching(life: Life, fault: Json = LATE) -> None:
    await life.placed()
    await life.holds("dispatch", fault)
    assert (await life.engine.pay(life.order)).status_code == 200
    await life.held()


async def dispatched_unheard(life: Life) -> None:
    await dispatching(life, TOOK_IT_AND_SILENT)


async def awaiting_invoices(life: Life) -> None:
    await life.dispatched()


async def partly_invoiced(life: Life) -> None:
    await life.dispatched()
    await life.engine.seller_sends(life.order, "invoice", items=[{"id": "2001", "quantity": 1, "price": 3990}])


async def canceling(life: Life, fault: Json = LATE) -> None:
    await life.dispatched()
    await life.holds("cancel", fault)
    life.ask(life.engine.cancel(life.order))
    await life.held()


async def canceled_unheard(life: Life) -> None:
    await canceling(life, TOOK_IT_AND_SILENT)


async def denied(life: Life) -> None:
    await life.placed()
    await life.holds("cancel", TOOK_IT_AND_SILENT)
    assert (await life.engine.pay(life.order, "denied")).status_code == 200
    await life.held()


STEPS: dict[Callable[[Life], Awaitable[None]], str] = {
    simulating: "delivered",
    anywhere: "delivered",
    placing: "delivered",
    placed_unheard: "delivered",
    canceled_while_placing: "canceled",
    paid_while_placing: "delivered",
    unpaid: "delivered",
    just_paid: "delivered",
    dispatching: "delivered",
    dispatched_unheard: "delivered",
    awaiting_invoices: "delivered",
    partly_invoiced: "delivered",
    canceling: "canceled",
    canceled_unheard: "canceled",
    denied: "payment-denied",
}
"""Where the worker is killed, and how the order ends."""


@asynccontextmanager
async def with_process(make_engine: MakeEngine, directory: Path) -> AsyncIterator[tuple[Engine, EngineProcess]]:
    """An engine whose worker is a process of its own."""
    async with make_engine(run_worker=False, seller_attempts=10) as engine:
        temporal = engine.client.service_client.config.target_host
        async with EngineProcess(engine, directory / "worker", temporal) as worker:
            await worker.start_worker()
            yield engine, worker


def done(seller: Json, route: str) -> int:
    """How many calls of a route had an effect at the Seller."""
    calls: dict[str, int] = seller["calls"]
    return calls.get(route, 0) - calls.get(f"{route}Rejected", 0)


async def go_on(life: Life, end: str) -> Json:
    """Take an order to its end as storefront and Seller would, whatever they did before the crash."""
    engine, order = life.engine, life.order
    if end == "delivered":
        placed = await engine.until(order, lambda found: found["orderId"] is not None, seconds=30)
        if placed["status"] == "payment-pending":
            assert (await engine.pay(order)).status_code == 200
        await engine.until(order, lambda found: found["status"] in {"handling", "invoiced"}, seconds=30)
        sent = await engine.seller_sends(order, "invoice")
        for invoice in (await engine.ledger(order))["invoices"]:
            for what in ("tracking", "delivery"):
                sent += await engine.seller_sends(order, what, invoiceNumber=invoice["invoiceNumber"])
        assert {one["status"] for one in sent} <= {200}
    ended = await engine.until(order, seconds=30, status=end)
    assert {(await request).status_code for request in life.asked} <= {200, 201, 202}
    return ended


@pytest.mark.slow
async def test_workers_killed_in_any_step_are_replaced_and_every_order_goes_on(
    make_engine: MakeEngine, tmp_path: Path
) -> None:
    async with with_process(make_engine, tmp_path) as (engine, worker):
        lives = {step: Life(engine) for step in STEPS}
        # The simulation's fault hits any order's, so that order comes first and alone.
        await simulating(lives[simulating])
        await asyncio.gather(*(step(life) for step, life in lives.items() if step is not simulating))
        await worker.end(signal.SIGKILL)
        before = {step: await engine.get(life.order) for step, life in lives.items()}
        # Nobody is there, and the Seller reports all the same.
        awaiting = lives[awaiting_invoices].order
        [sent] = await engine.seller_sends(awaiting, "invoice", invoiceNumber="N-1")
        assert sent["status"] == 200
        await worker.start_worker()
        # And again, while it picks up what the first one left.
        await asyncio.sleep(0.3)
        await worker.end(signal.SIGKILL)
        await worker.start_worker()
        ended = await asyncio.gather(*(go_on(lives[step], end) for step, end in STEPS.items()))
        for step, order in zip(STEPS, ended, strict=True):
            name, known, seller = step.__name__, before[step]["history"], await engine.ledger(order)
            assert order["history"][: len(known)] == known, name
            assert done(seller, "place") == 1, (name, seller["calls"])
            if order["status"] == "delivered":
                assert done(seller, "dispatch") == 1, (name, seller["calls"])
                assert order["invoicedValue"] == order["marketplacePaymentValue"], name
            else:
                assert (seller["status"], done(seller, "cancel")) == ("canceled", 1), (name, seller["calls"])
        assert "N-1" in [one["invoiceNumber"] for one in (await engine.get(awaiting))["invoices"]]


async def test_a_worker_told_to_stop_finishes_its_seller_call_first(make_engine: MakeEngine, tmp_path: Path) -> None:
    async with with_process(make_engine, tmp_path) as (engine, worker):
        order = new_order()
        await engine.fault("place", "slow-after", order, seconds=1)
        posting = asyncio.create_task(engine.post(order))
        life = Life(engine, order)
        await engine.until_known(order)
        await life.held()
        assert await worker.end(signal.SIGTERM) == 0
        await engine.start_worker()
        assert (await posting).status_code == 201
        # Repeated it would be counted as refused: the Seller has it.
        assert (await engine.ledger(order))["calls"] == {"place": 1}


async def test_an_order_replayed_at_every_step_stays_the_same(make_engine: MakeEngine) -> None:
    """Without a cache each workflow task runs the whole history again: whatever is not deterministic fails it."""
    async with make_engine(run_worker=False, return_window="100ms") as engine:
        await engine.start_worker(max_cached_workflows=0, runner=STRICT)
        await engine.switch(cancelLate="refuse", cancelWindowSeconds=0)
        order = await engine.placed()
        await engine.fault("dispatch", "answer-lost", order)
        assert (await engine.pay(order)).status_code == 200
        await engine.until(order, status="handling")
        assert (await engine.cancel(order)).status_code == 409
        for what in ("invoice", "tracking", "delivery"):
            for sent in await engine.seller_sends(order, what):
                assert sent["status"] == 200
        await engine.until(order, status="delivered")
        await engine.workflow(order).result()
        failed = [
            event
            async for event in engine.workflow(order).fetch_history_events()
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        ]
        assert failed == []
