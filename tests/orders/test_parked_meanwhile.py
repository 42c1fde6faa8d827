"""What happens to an order while it is parked: the world does not wait for the operator."""

from typing import Any

import pytest

from tests.orders.parking import DONE_UNTOLD, DOWN, NO_ENTRY, REFUSED, parked
from tests.support.engine import Engine


async def test_a_payment_is_kept_while_the_placement_is_parked(engine: Engine) -> None:
    order = await parked(engine, "place", DOWN)
    answer = await engine.pay(order)
    assert (answer.status_code, answer.json()["needsAttention"], answer.json()["status"]) == (200, True, "placing")
    assert (await engine.resume(order, "retry")).status_code == 200
    await engine.until(order, status="handling")
    assert (await engine.ledger(order))["status"] == "window-to-cancel"


async def test_a_denied_payment_ends_an_order_that_is_parked(engine: Engine) -> None:
    order = await parked(engine, "place", DONE_UNTOLD)
    assert (await engine.pay(order, "denied")).status_code == 200
    denied = await engine.until(order, status="payment-denied", needsAttention=False)
    assert denied["reason"]["code"] == "payment-denied"
    await engine.workflow(order).result()
    assert (await engine.ledger(order))["status"] == "canceled"


async def test_an_invoice_shows_that_a_parked_dispatch_is_needless(engine: Engine) -> None:
    order = await parked(engine, "dispatch", REFUSED)
    [sent] = await engine.seller_sends(order, "invoice")
    assert sent["status"] == 200
    invoiced = await engine.until(order, status="invoiced", needsAttention=False)
    assert (invoiced["reason"], invoiced["allowedActions"]) == (None, [])
    await engine.seller_sends(order, "tracking")
    await engine.seller_sends(order, "delivery")
    await engine.until(order, status="delivered")


async def test_an_invoice_refuses_a_cancellation_that_is_parked(engine: Engine) -> None:
    order = await engine.dispatched()
    await engine.fault("cancel", order=order, **NO_ENTRY)
    assert (await engine.cancel(order)).status_code == 202
    await engine.until(order, needsAttention=True, status="cancellation-requested")
    await engine.seller_sends(order, "invoice")
    invoiced = await engine.until(order, status="invoiced", needsAttention=False)
    assert invoiced["reason"] is None


@pytest.mark.parametrize(
    ("step", "fault", "code"),
    [
        ("place", DONE_UNTOLD, "canceled-by-seller"),
        ("dispatch", NO_ENTRY, "canceled-by-seller"),
        ("cancel", NO_ENTRY, "canceled-by-customer"),
    ],
)
async def test_the_sellers_cancel_ends_an_order_that_is_parked(
    engine: Engine, step: str, fault: dict[str, Any], code: str
) -> None:
    order = await parked(engine, step, fault)
    [sent] = await engine.seller_sends(order, "cancel", reason="no longer made")
    assert sent["status"] == 200
    canceled = await engine.until(order, status="canceled", needsAttention=False)
    assert canceled["reason"]["code"] == code
    await engine.workflow(order).result()
    ledger = await engine.ledger(order)
    assert (ledger["status"], ledger["calls"].get("cancel", 0)) == ("canceled", 0)


@pytest.mark.parametrize(
    ("step", "fault", "left"),
    [
        ("simulate", NO_ENTRY, None),
        ("place", NO_ENTRY, None),
        ("place", DONE_UNTOLD, "canceled"),
        ("dispatch", REFUSED, "canceled"),
    ],
)
async def test_a_customer_may_cancel_an_order_that_is_parked(
    engine: Engine, step: str, fault: dict[str, Any], left: str | None
) -> None:
    order = await parked(engine, step, fault)
    answer = await engine.cancel(order)
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    canceled = await engine.until(order, status="canceled", needsAttention=False)
    assert canceled["reason"] == {"code": "canceled-by-customer", "message": "changed mind"}
    await engine.workflow(order).result()
    at_seller = await engine.sandbox.get(f"/orders/{order['marketplaceOrderId']}")
    assert (at_seller.json()["status"] if at_seller.status_code == 200 else None) == left


async def test_a_repeated_cancel_of_a_parked_cancellation_waits_like_the_first(engine: Engine) -> None:
    order = await parked(engine, "cancel", NO_ENTRY)
    again = await engine.cancel(order)
    assert (again.status_code, again.json()) == (202, order)
