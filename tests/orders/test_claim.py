"""The placement writes the order record before it asks the Seller, when there is nothing else to tell."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import EventType

from marketplace.seller.client import Timeouts
from tests.conftest import MakeEngine
from tests.support.engine import Engine, effective, new_order

Json = dict[str, Any]

PATIENT = Timeouts(read=20, read_change=20, total=20)
"""A held call must not time out."""


@pytest.fixture
async def engine(make_engine: MakeEngine) -> AsyncIterator[Engine]:
    async with make_engine(more_sellers={"other": {}}, timeouts=PATIENT) as running:
        yield running


@asynccontextmanager
async def held_at_placement(engine: Engine, order: Json) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """Post an order that the Seller has taken but not answered for while the block runs."""
    which = {"marketplaceOrderId": order["marketplaceOrderId"]}
    await engine.fault("place", "hold-after", order)
    posting = asyncio.create_task(engine.post(order, wait=15))
    assert (await engine.sandbox.get("/held", params={"route": "place", "wait": 9, **which})).json()
    yield posting
    (await engine.sandbox.post("/held/release", json={"route": "place", **which})).raise_for_status()


async def writes_before_placement(engine: Engine, order: Json) -> list[str]:
    """How the record was written before the placement was begun: by local activities or regular ones."""
    writes: list[str] = []
    async for event in engine.workflow(order).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            name = event.activity_task_scheduled_event_attributes.activity_type.name
            if name == "place_order":
                return writes
            writes += ["regular"] * (name == "save_order")
        elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            local = b"save_order" in event.marker_recorded_event_attributes.details["data"].payloads[0].data
            writes += ["local"] * local
    raise AssertionError("never placed")


async def test_the_record_tells_of_the_placement_before_the_seller_has_answered(engine: Engine) -> None:
    order = new_order()
    async with held_at_placement(engine, order) as posting:
        record = await engine.stores.orders.get(order["marketplaceOrderId"])
        assert record is not None
        assert [line.status for line in record.order.history] == ["simulating", "simulating", "placing"]
        told = await engine.state(order)
        assert record.order.history == told.history
    placed = (await posting).json()
    assert placed["status"] == "payment-pending"
    assert [line["status"] for line in placed["history"][:3]] == ["simulating", "simulating", "placing"]
    assert await writes_before_placement(engine, order) == []


async def paid(engine: Engine, order: Json) -> None:
    assert (await engine.pay(order)).status_code == 200


async def canceled_by_the_seller(engine: Engine, order: Json) -> None:
    path = f"/pvt/orders/{order['marketplaceOrderId']}/cancel"
    assert (await engine.callback(order, path, {"reason": "damaged"})).status_code == 200


@pytest.mark.parametrize(
    ("tell", "ends"), [(paid, "handling"), (canceled_by_the_seller, "canceled")], ids=["paid", "canceled by the Seller"]
)
async def test_what_comes_during_the_placement_is_in_the_record_at_once(
    engine: Engine, tell: Callable[[Engine, Json], Awaitable[None]], ends: str
) -> None:
    order = new_order()
    async with held_at_placement(engine, order) as posting:
        await tell(engine, order)
        told = await engine.until(order, lambda found: len(found["history"]) == 4, seconds=3)
        assert told["status"] == "placing"
    await posting
    ended = await engine.until(order, status=ends)
    assert ended["history"][:4] == told["history"]
    assert effective(await engine.ledger(order), "place") == 1


async def test_a_payment_told_again_while_the_order_is_being_placed_is_answered_at_once(engine: Engine) -> None:
    order = new_order(payment={"status": "approved", "transactionId": "t-1"})
    async with held_at_placement(engine, order) as posting:
        async with asyncio.timeout(3):
            assert (await engine.pay(order)).status_code == 200
    await posting
    await engine.until(order, status="handling")


async def test_what_a_local_simulation_led_to_is_told_once_it_is_durable(make_engine: MakeEngine) -> None:
    """The first workflow task may be lost, and the Seller not answer when it is worked out anew."""
    async with make_engine(run_worker=False) as engine:
        order = new_order()
        assert (await engine.post(order, wait=0)).status_code == 202
        # So there is more to tell than a claim does.
        await engine.workflow(order).signal("payment_reported", {"status": "approved", "transactionId": "t-1"})
        await engine.start_worker()
        await engine.until(order, status="handling")
        assert await writes_before_placement(engine, order) == ["regular"]


async def test_of_two_sellers_orders_with_one_id_that_are_posted_at_once_one_is_placed(engine: Engine) -> None:
    order = new_order()
    answers = await asyncio.gather(engine.post(order), engine.post({**order, "seller": "other"}))
    created = [answer.json() for answer in answers if answer.status_code == 201]
    assert sorted(answer.status_code for answer in answers) in ([201, 409], [201, 201]), answers
    assert [one["status"] for one in created if one["status"] != "rejected"] == ["payment-pending"]
    assert effective(await engine.ledger(order), "place") == 1
    async for event in engine.workflow(order).fetch_history_events():
        assert event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
