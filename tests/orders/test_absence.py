"""No worker, or no database to write to: what is asked meanwhile is durable, and done when they are back."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import make_url
from temporalio.api.enums.v1 import EventType

from marketplace.store.stores import open_stores
from tests.conftest import MakeEngine
from tests.support.engine import Engine, new_order

Json = dict[str, Any]

INVOICE: Json = {"type": "Output", "invoiceNumber": "N-1", "invoiceValue": 9470, "items": []}


def invoice_path(order: Json) -> str:
    return f"/pvt/orders/{order['marketplaceOrderId']}/invoice"


def cancel_path(order: Json) -> str:
    return f"/pvt/orders/{order['marketplaceOrderId']}/cancel"


# --- no worker ---


async def kept(engine: Engine, order: Json, *names: str) -> None:
    """Check what is durable in Temporal: what was only asked of an absent worker is gone with a server's restart."""
    signals = [
        event.workflow_execution_signaled_event_attributes.signal_name
        async for event in engine.workflow(order).fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    ]
    assert signals == list(names)


async def accepted(engine: Engine, order: Json) -> Json:
    """Post an order that nobody works on: it is there at once, and stays one however often it is posted."""
    answer = await engine.post(order, wait=1)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/orders/{order['marketplaceOrderId']}"
    assert (answer.json()["status"], answer.json()["orderId"]) == ("simulating", None)
    assert await engine.get(order) == answer.json()
    return order


async def posted_often(engine: Engine) -> Json:
    order = await accepted(engine, new_order())
    bodies = [order, order, {**order, "payment": APPROVED}]
    again, once_more, changed = await asyncio.gather(*(engine.post(body, wait=1) for body in bodies))
    assert (again.status_code, once_more.status_code) == (202, 202)
    assert changed.status_code == 409
    return order


async def paid_before_placed(engine: Engine) -> Json:
    order = await accepted(engine, new_order())
    assert (await engine.pay(order)).status_code == 202
    await kept(engine, order, "payment_reported")
    return order


async def canceled_before_placed(engine: Engine) -> Json:
    order = await accepted(engine, new_order())
    assert (await engine.cancel(order)).status_code == 202
    await kept(engine, order, "cancel_requested")
    return order


APPROVED = {"status": "approved", "transactionId": "t-1"}


async def delivered_unseen(engine: Engine, order: Json) -> None:
    assert (await engine.pay(order)).status_code == 202
    # The Seller is faster than our worker.
    tracking = f"{invoice_path(order)}/N-1"
    events = {"isDelivered": True, "events": []}
    for path, body in ((tracking, {"trackingNumber": "BR-1"}), (f"{tracking}/tracking", events)):
        assert (await engine.callback(order, path, body)).status_code == 200
    first, again = [await engine.callback(order, invoice_path(order), INVOICE) for _ in range(2)]
    assert (first.status_code, first.json()["receipt"]) == (200, again.json()["receipt"])
    await kept(engine, order, "payment_reported", "tracking", "delivery", "invoice", "invoice")


async def paid_twice(engine: Engine, order: Json) -> None:
    first, again = await asyncio.gather(engine.pay(order), engine.pay(order))
    assert (first.status_code, again.status_code) == (202, 202)


async def denied(engine: Engine, order: Json) -> None:
    assert (await engine.pay(order, "denied")).status_code == 202
    await kept(engine, order, "payment_reported")


async def canceled(engine: Engine, order: Json) -> None:
    assert (await engine.cancel(order)).status_code == 202


async def paid_then_canceled(engine: Engine, order: Json) -> None:
    paying = asyncio.create_task(engine.pay(order))
    await asyncio.sleep(0.5)
    assert (await engine.cancel(order)).status_code == 202
    assert (await paying).status_code == 202
    await kept(engine, order, "payment_reported", "cancel_requested")


async def canceled_by_the_seller(engine: Engine, order: Json) -> None:
    assert (await engine.callback(order, cancel_path(order), {"reason": "damaged"})).status_code == 200
    await kept(engine, order, "seller_cancel_reported")


async def invoiced_then_canceled_by_the_seller(engine: Engine, order: Json) -> None:
    assert (await engine.callback(order, invoice_path(order), INVOICE)).status_code == 200
    # Nobody is there to refuse it: it is kept, and flagged.
    assert (await engine.callback(order, cancel_path(order))).status_code == 200


NEW = {posted_often: "payment-pending", paid_before_placed: "handling", canceled_before_placed: "canceled"}
PLACED = {
    delivered_unseen: "delivered",
    paid_twice: "handling",
    denied: "payment-denied",
    canceled: "canceled",
    paid_then_canceled: "canceled",
    canceled_by_the_seller: "canceled",
    invoiced_then_canceled_by_the_seller: "payment-pending",
}
"""What is said to an order that nobody works on, and the status to which it leads."""


async def test_what_is_said_without_a_worker_is_done_when_one_is_back(make_engine: MakeEngine) -> None:
    async with make_engine(cancel_check="1h") as engine:
        placed = [await engine.placed() for _ in PLACED]
        await engine.stop_worker()
        # All at once: each waits some seconds in vain for a worker.
        new, _ = await asyncio.gather(
            asyncio.gather(*(say(engine) for say in NEW)),
            asyncio.gather(*(say(engine, order) for say, order in zip(PLACED, placed, strict=True))),
        )
        ready = await engine.http.get("/health/ready")
        assert ready.status_code == 200, ready.text

        await engine.start_worker()
        for order, status in zip([*new, *placed], [*NEW.values(), *PLACED.values()], strict=True):
            ended = await engine.until(order, seconds=30, status=status)
            details = [entry["detail"] for entry in ended["history"]]
            assert len(details) == len(set(details)), details
            calls = (await engine.ledger(order))["calls"] if ended["orderId"] else {"place": 1}
            assert calls["place"] == 1
            assert calls.get("dispatch", 0) == (status in {"handling", "delivered"})
        flagged = await engine.until(placed[-1], needsAttention=True)
        assert flagged["reason"]["code"] == "canceled-after-invoice"


async def test_a_payment_deadline_runs_out_without_a_worker(make_engine: MakeEngine) -> None:
    async with make_engine(payment_deadline="600ms") as engine:
        order = await engine.placed()
        await engine.stop_worker()
        async with asyncio.timeout(20):
            while not await fired(engine, order):
                await asyncio.sleep(0.05)
        assert (await engine.get(order))["status"] == "payment-pending"
        await engine.start_worker()
        await engine.until(order, status="expired")


async def fired(engine: Engine, order: Json) -> bool:
    """Whether a timer of the order has run out, with or without somebody to see it."""
    events = engine.workflow(order).fetch_history_events()
    return any([event.event_type == EventType.EVENT_TYPE_TIMER_FIRED async for event in events])


# --- no database to write to ---


@asynccontextmanager
async def separate_store(engine: Engine) -> AsyncIterator[None]:
    """Run a worker with connections of its own, as in a process of its own: the API's stay free to read."""
    apis, engine.stores = engine.stores, await open_stores(engine.settings)
    try:
        await engine.start_worker()
        yield
        await engine.stop_worker()
    finally:
        await engine.stores.aclose()
        engine.stores = apis


async def test_an_order_goes_on_while_its_record_cannot_be_written_and_the_record_catches_up(
    make_engine: MakeEngine,
) -> None:
    async with make_engine(run_worker=False) as engine, separate_store(engine):
        order, new = await engine.placed(), new_order()
        file = make_url(engine.settings.database_url.get_secret_value()).database
        lock = sqlite3.connect(str(file), isolation_level=None)
        try:
            lock.execute("BEGIN IMMEDIATE")
            # The payment is taken; only the record of it is late.
            paid, posted = await asyncio.gather(engine.pay(order), engine.post(new, wait=1))
            assert paid.status_code in {200, 202}
            async with asyncio.timeout(20):
                while (await engine.ledger(order))["calls"].get("dispatch") is None:
                    await asyncio.sleep(0.05)
            assert (await engine.callback(order, invoice_path(order), INVOICE)).status_code == 200
            assert (await engine.get(order))["status"] == "payment-pending"
            # A new order is kept, and not placed before its id is surely its own.
            assert posted.status_code == 202
            async with asyncio.timeout(20):
                while len((state := await engine.state(new)).history) == 1:
                    await asyncio.sleep(0.05)
            assert not state.placed
            assert state.history[1].detail == "the Seller's simulation agrees"
            assert (await engine.get(new))["status"] == "simulating"
            assert (await engine.sandbox.get(f"/orders/{new['marketplaceOrderId']}")).status_code == 404
        finally:
            lock.close()
        invoiced = await engine.until(order, seconds=40, status="invoiced")
        assert {"payment-approved", "authorizing-fulfillment"} <= {entry["status"] for entry in invoiced["history"]}
        await engine.until(new, seconds=40, status="payment-pending")
        assert (await engine.ledger(order))["calls"] == {"place": 1, "dispatch": 1}
