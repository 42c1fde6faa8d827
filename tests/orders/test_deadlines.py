"""Deadlines of minutes and months, against a server whose clock can be moved on."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from marketplace.temporal import PLAIN
from sandbox.server import SandboxServer
from tests.support.engine import TEST_SERVER, Engine
from workflows.policies import SEARCH_ATTRIBUTES, order_workflow_id

Json = dict[str, Any]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
async def clock() -> AsyncIterator[WorkflowEnvironment]:
    """The server. Its time stands still but for `clock.sleep`, and while an answer is awaited."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=TEST_SERVER, data_converter=PLAIN
    ) as environment:
        # It cannot list what it has, which `ensure_search_attributes` wants to see.
        attributes = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES}
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=attributes)
        )
        yield environment


@pytest.fixture
async def engine(clock: WorkflowEnvironment, fresh_seller: SandboxServer, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine with the deadlines of a person who sets none."""
    deadlines = {"payment_deadline": "30m", "return_window": "30d", "cancel_check": "1h"}
    async with Engine(clock.client, fresh_seller.url, tmp_path, **deadlines) as running:
        yield running
        # A workflow that wakes up and finds no worker stops the clock.
        for order in (await running.stores.orders.list()).orders:
            with suppress(RPCError):
                await clock.client.get_workflow_handle(
                    order_workflow_id("acme", order.marketplace_order_id)
                ).terminate()


async def timers(engine: Engine, order: Json) -> list[timedelta]:
    """How long the timers are that the order has started."""
    return [
        event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        async for event in engine.workflow(order).fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED
    ]


async def is_open(engine: Engine, order: Json) -> bool:
    return (await engine.workflow(order).describe()).status is WorkflowExecutionStatus.RUNNING


async def delivered(engine: Engine) -> Json:
    order = await engine.dispatched()
    for what in ("invoice", "tracking", "delivery"):
        for sent in await engine.seller_sends(order, what):
            assert sent["status"] == 200
    return await engine.until(order, status="delivered")


async def seller_cancels_in_silence(engine: Engine, order: Json) -> None:
    """Cancel at the Seller as its own user would, with a callback that never arrives."""
    async with httpx.AsyncClient(base_url=engine.sandbox_url) as seller:
        answer = await seller.post(
            f"/api/fulfillment/pvt/orders/{order['orderId']}/cancel?sc=1&affiliateId=MKP",
            json={"marketplaceOrderId": order["marketplaceOrderId"]},
            headers={"X-VTEX-API-AppKey": "sandbox-key", "X-VTEX-API-AppToken": "sandbox-token"},
        )
    assert answer.status_code == 200, answer.text
    assert (await engine.ledger(order))["status"] == "canceled"


async def test_an_unpaid_order_expires_after_thirty_minutes(engine: Engine, clock: WorkflowEnvironment) -> None:
    order = await engine.placed()
    placed_at = datetime.fromisoformat(order["history"][-1]["at"])
    assert datetime.fromisoformat(order["expiresAt"]) - placed_at == 30 * MINUTE
    assert await timers(engine, order) == [30 * MINUTE]
    await clock.sleep(29 * MINUTE)
    assert (await engine.get(order))["status"] == "payment-pending"
    await clock.sleep(2 * MINUTE)
    expired = await engine.until(order, status="expired")
    assert (expired["reason"]["code"], expired["expiresAt"]) == ("payment-timeout", None)
    expired_at = next(entry["at"] for entry in expired["history"] if entry["status"] == "expired")
    assert timedelta(0) <= datetime.fromisoformat(expired_at) - placed_at - 30 * MINUTE < MINUTE
    await engine.workflow(order).result()
    assert (await engine.ledger(order))["status"] == "canceled"
    assert (await engine.pay(order)).status_code == 409


async def test_a_payment_in_the_last_minute_ends_the_wait(engine: Engine, clock: WorkflowEnvironment) -> None:
    order = await engine.placed()
    await clock.sleep(29 * MINUTE)
    assert (await engine.pay(order)).status_code == 200
    await engine.until(order, status="handling")
    await clock.sleep(2 * HOUR)
    assert (await engine.get(order))["status"] == "handling"


async def test_a_delivered_order_may_be_returned_for_thirty_days(engine: Engine, clock: WorkflowEnvironment) -> None:
    kept, sent_back = await delivered(engine), await delivered(engine)
    assert (await timers(engine, kept))[-1] == 30 * DAY
    await clock.sleep(29 * DAY)
    assert await is_open(engine, kept)
    [sent] = await engine.seller_sends(sent_back, "invoice", type="Input")
    assert sent["status"] == 200
    await engine.until(sent_back, status="returned")
    await clock.sleep(2 * DAY)
    await engine.workflow(kept).result()
    closed = await engine.until(kept, lambda found: found["history"][-1]["detail"] == "return window over")
    assert closed["status"] == "delivered"
    path = f"/pvt/orders/{kept['marketplaceOrderId']}/invoice"
    late = await engine.callback(kept, path, {"type": "Input", "invoiceNumber": "R", "invoiceValue": 9470})
    assert late.status_code == 409


async def test_a_cancellation_that_went_unheard_is_found_by_the_daily_look(
    engine: Engine, clock: WorkflowEnvironment
) -> None:
    order = await engine.dispatched()
    await clock.sleep(25 * HOUR)
    assert (await engine.get(order))["status"] == "handling"
    assert (await engine.ledger(order))["calls"]["read"] == 1
    await seller_cancels_in_silence(engine, order)
    await clock.sleep(22 * HOUR)
    assert (await engine.get(order))["status"] == "handling"
    await clock.sleep(2 * HOUR)
    canceled = await engine.until(order, status="canceled")
    assert canceled["reason"] == {"code": "canceled-by-seller", "message": "found canceled at the Seller"}


async def test_an_undecided_cancellation_is_looked_at_every_hour(engine: Engine, clock: WorkflowEnvironment) -> None:
    await engine.switch(cancelLate="silent", cancelWindowSeconds=0)
    order = await engine.dispatched()
    assert (await engine.cancel(order)).status_code == 202
    await clock.sleep(3 * HOUR + MINUTE)
    assert (await engine.get(order))["status"] == "cancellation-requested"
    assert (await engine.ledger(order))["calls"]["read"] == 3
    await engine.switch(cancelLate="agree")
    await seller_cancels_in_silence(engine, order)
    await clock.sleep(58 * MINUTE)
    assert (await engine.get(order))["status"] == "cancellation-requested"
    await clock.sleep(2 * MINUTE)
    canceled = await engine.until(order, status="canceled")
    assert canceled["reason"]["code"] == "canceled-by-customer"
