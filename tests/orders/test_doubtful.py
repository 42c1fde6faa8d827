"""What may have happened although nothing tells so is found out before it counts: placements, cancellations, ends."""

import asyncio
import sqlite3
from typing import Any

import pytest
from sqlalchemy import make_url
from temporalio.api.enums.v1 import EventType

from marketplace.seller.client import Timeouts
from tests.conftest import MakeEngine
from tests.orders.test_absence import separate_store
from tests.support.engine import Engine, effective, new_order

Json = dict[str, Any]

PATIENT = Timeouts(read=20, read_change=20, total=20)
"""A held call must not time out."""


def steps(ledger: Json) -> list[str]:
    return [entry["status"] for entry in ledger["history"]]


@pytest.mark.parametrize("code", ["FMT005", "FMT007"])
async def test_a_placement_that_worked_is_not_rejected_for_the_refusal_of_its_repeat(engine: Engine, code: str) -> None:
    posted = new_order()
    await engine.fault("place", "answer-lost", posted)
    await engine.fault("place", "error", posted, code=code)
    order = (await engine.post(posted)).json()
    assert (order["status"], order["reason"]) == ("payment-pending", None)
    assert effective(await engine.ledger(posted), "place") == 1


async def test_nor_while_the_seller_s_orders_lag_behind(make_engine: MakeEngine) -> None:
    async with make_engine(seller_backoff="500ms", seller_attempts=5) as engine:
        posted = new_order()
        await engine.switch(readLagSeconds=0.3)
        await engine.fault("place", "answer-lost", posted)
        await engine.fault("place", "error", posted, code="FMT005", times=2)
        order = (await engine.post(posted)).json()
        assert (order["status"], order["reason"]) == ("payment-pending", None)


async def test_a_refusal_after_a_call_that_did_nothing_rejects_the_order(engine: Engine) -> None:
    posted = new_order()
    await engine.fault("place", "server-error", posted)
    await engine.fault("place", "error", posted, code="FMT005", times=2)
    order = (await engine.post(posted)).json()
    assert order["status"] == "rejected", order
    assert order["reason"]["code"] == "out-of-stock"
    assert (await engine.sandbox.get(f"/orders/{posted['marketplaceOrderId']}")).status_code == 404


async def test_cancel_in_temporals_ui_waits_for_the_answer_of_the_placement(make_engine: MakeEngine) -> None:
    async with make_engine(timeouts=PATIENT) as engine:
        posted = new_order()
        which = {"route": "place", "marketplaceOrderId": posted["marketplaceOrderId"]}
        await engine.fault("place", "hold", posted)
        posting = asyncio.create_task(engine.post(posted))
        assert (await engine.sandbox.get("/held", params={**which, "wait": 9})).json()
        await engine.workflow(posted).cancel()
        await engine.until(posted, status="cancellation-requested")
        (await engine.sandbox.post("/held/release", json=which)).raise_for_status()
        await engine.until(posted, status="canceled")
        assert (await posting).json()["status"] in {"cancellation-requested", "canceled"}
        assert steps(await engine.ledger(posted))[-1] == "canceled"


async def test_a_placement_that_the_seller_shows_late_is_canceled_there_too(make_engine: MakeEngine) -> None:
    async with make_engine(seller_attempts=1, seller_backoff="100ms") as engine:
        posted = new_order()
        await engine.switch(readLagSeconds=1)
        await engine.fault("place", "answer-lost", posted)
        posting = asyncio.create_task(engine.post(posted))
        await engine.until_known(posted)
        await engine.until(posted, needsAttention=True)
        assert (await engine.cancel(posted)).status_code in {200, 202}
        await engine.until(posted, status="canceled")
        await posting
        assert steps(await engine.ledger(posted)) == ["waiting-ffmt-authorization", "canceled"]


async def test_a_canceled_order_is_not_dispatched_by_a_later_try(make_engine: MakeEngine) -> None:
    async with make_engine(seller_backoff="2s", seller_attempts=5) as engine:
        order = await engine.placed()
        await engine.fault("dispatch", "server-error", order)
        paying = asyncio.create_task(engine.pay(order))
        async with asyncio.timeout(10):
            while order["marketplaceOrderId"] in (await engine.sandbox.get("/faults")).text:
                await asyncio.sleep(0.02)
        assert (await engine.cancel(order)).status_code in {200, 202}
        await engine.until(order, status="canceled")
        await paying
        assert steps(await engine.ledger(order)) == ["waiting-ffmt-authorization", "canceled"]


async def test_a_dispatch_under_way_comes_to_its_end_before_the_cancellation(make_engine: MakeEngine) -> None:
    async with make_engine(timeouts=PATIENT) as engine:
        order = await engine.placed()
        which = {"route": "dispatch", "marketplaceOrderId": order["marketplaceOrderId"]}
        await engine.fault("dispatch", "hold", order)
        paying = asyncio.create_task(engine.pay(order))
        assert (await engine.sandbox.get("/held", params={**which, "wait": 9})).json()
        canceling = asyncio.create_task(engine.cancel(order))
        await asyncio.sleep(4)  # longer than it takes a heartbeat to tell that the call is not wanted any more
        (await engine.sandbox.post("/held/release", json=which)).raise_for_status()
        await engine.until(order, status="canceled")
        await asyncio.gather(paying, canceling)
        assert steps(await engine.ledger(order)) == ["waiting-ffmt-authorization", "window-to-cancel", "canceled"]


async def test_an_order_that_is_canceled_while_its_id_cannot_be_claimed_is_not_placed(make_engine: MakeEngine) -> None:
    async with make_engine(run_worker=False) as engine, separate_store(engine):
        await engine.placed()
        posted = new_order()
        lock = sqlite3.connect(str(make_url(engine.settings.database_url.get_secret_value()).database))
        try:
            lock.execute("BEGIN IMMEDIATE")
            assert (await engine.post(posted, wait=1)).status_code == 202
            assert (await engine.cancel(posted)).status_code == 202
        finally:
            lock.close()
        await engine.until(posted, seconds=40, status="canceled")
        assert (await engine.sandbox.get(f"/orders/{posted['marketplaceOrderId']}")).status_code == 404


async def test_an_end_without_a_sale_is_told_once_it_is_durable(engine: Engine) -> None:
    """A workflow task that is lost may be worked out to another end: by then nobody must have been told of this one."""
    price = (await engine.sku("2001"))["price"]
    posted = new_order(
        items=[{"id": "2001", "quantity": 2, "price": price - 100}],
        marketplacePaymentValue=2 * (price - 100) + 1490,
    )
    assert (await engine.post(posted)).json()["status"] == "rejected"
    await engine.workflow(posted).result()
    writes = []
    async for event in engine.workflow(posted).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            writes.append(event.activity_task_scheduled_event_attributes.activity_type.name)
        elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            data = event.marker_recorded_event_attributes.details["data"].payloads[0].data
            assert b"save_order" not in data
    assert writes == ["save_order"]
