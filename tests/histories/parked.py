"""The orders that are recorded while they are parked, or flagged, and what brings them on or to an end."""

from typing import Any

import httpx

from tests.histories.kinds import Json, order
from tests.histories.orders import KEYS, closed, posted
from tests.orders.parking import DONE_UNTOLD, DOWN, NO_ENTRY, OTHER_AFFILIATE, REFUSED, parked
from tests.orders.reports import VALUE, delivery, invoice, tracking
from tests.support.engine import Engine, new_order

_ONE_PIECE: Json = {"items": [{"id": "2001", "quantity": 1, "price": 3990}], "marketplacePaymentValue": 5480}


async def _resumed(engine: Engine, step: str, fault: Json, action: str, **fields: Any) -> Json:
    story = await parked(engine, step, fault)
    assert (await engine.resume(story, action, "asked the Seller")).status_code == 200
    return await engine.until(story, needsAttention=False, **fields)


async def _aborted(engine: Engine, step: str, fault: Json) -> Json:
    story = await _resumed(engine, step, fault, "abort")
    return await closed(engine, story, status="canceled")


@order()
async def parked_at_dispatch(engine: Engine) -> Json:
    """Parked at the dispatch; it still waits for an operator."""
    return await parked(engine, "dispatch", REFUSED)


@order()
async def parked_at_simulation_and_retried(engine: Engine) -> Json:
    """The simulation failed after all tries; an operator says retry."""
    return await _resumed(engine, "simulate", DOWN, "retry", status="payment-pending")


@order()
async def parked_at_simulation_and_aborted(engine: Engine) -> Json:
    """The Seller does not know our affiliate; an operator says abort."""
    return await _aborted(engine, "simulate", OTHER_AFFILIATE)


@order()
async def parked_at_placement_and_retried(engine: Engine) -> Json:
    """The Seller refuses our keys; an operator says retry."""
    return await _resumed(engine, "place", NO_ENTRY, "retry", status="payment-pending")


@order()
async def parked_at_placement_and_aborted(engine: Engine) -> Json:
    """The Seller has the order and never said so; an operator says abort, and it is canceled there."""
    return await _aborted(engine, "place", DONE_UNTOLD)


@order()
async def parked_at_dispatch_and_retried(engine: Engine) -> Json:
    """The Seller refuses to dispatch, twice; an operator says retry, twice."""
    story = await parked(engine, "dispatch", {**REFUSED, "times": 2})
    known = len(story["history"])
    await engine.resume(story, "retry")
    await engine.until(story, lambda found: len(found["history"]) >= known + 2, needsAttention=True)
    await engine.resume(story, "retry")
    return await engine.until(story, status="handling")


@order()
async def parked_at_dispatch_and_aborted(engine: Engine) -> Json:
    """The Seller refuses to dispatch; an operator says abort."""
    return await _aborted(engine, "dispatch", REFUSED)


@order()
async def parked_at_cancellation_and_retried(engine: Engine) -> Json:
    """The cancellation failed after all tries; an operator says retry."""
    story = await _resumed(engine, "cancel", DOWN, "retry")
    return await closed(engine, story, status="canceled")


@order()
async def parked_at_cancellation_and_aborted(engine: Engine) -> Json:
    """The Seller cannot be asked to cancel; an operator closes the order without its word."""
    return await _aborted(engine, "cancel", NO_ENTRY)


@order()
async def denied_and_kept_by_the_seller(engine: Engine) -> Json:
    """The payment was denied and the Seller refuses to cancel: parked until an operator says abort."""
    story = await engine.placed()
    await engine.fault("cancel", "error", story, code="CHK0202")
    await engine.pay(story, "denied")
    await engine.until(story, needsAttention=True)
    await engine.resume(story, "abort", "settled by phone")
    return await closed(engine, story, status="payment-denied")


@order()
async def another_order_under_its_id(engine: Engine) -> Json:
    """The Seller has another order under our id: an operator says abort twice, at the placement and at its undoing."""
    story, other = new_order(), await engine.placed(**_ONE_PIECE)
    body = {**(await engine.ledger(other))["received"], "marketplaceOrderId": story["marketplaceOrderId"]}
    async with httpx.AsyncClient(base_url=engine.sandbox_url, headers=KEYS) as seller:
        (await seller.post("/api/fulfillment/pvt/orders?sc=1&affiliateId=MKP", json=[body])).raise_for_status()
    await posted(engine, story)
    first = await engine.until(story, needsAttention=True)
    assert first["reason"]["code"] == "seller-order-mismatch"
    await engine.resume(story, "abort")
    await engine.until(story, status="cancellation-requested", needsAttention=True)
    await engine.resume(story, "abort")
    return await closed(engine, story, status="canceled")


@order()
async def invoiced_while_parked(engine: Engine) -> Json:
    """An invoice shows that the parked dispatch is needless."""
    story = await parked(engine, "dispatch", NO_ENTRY)
    await invoice(engine, story, "A")
    return await engine.until(story, status="invoiced", needsAttention=False)


@order()
async def canceled_while_parked(engine: Engine) -> Json:
    """The customer cancels while the placement is parked."""
    story = await parked(engine, "place", NO_ENTRY)
    await engine.cancel(story)
    return await closed(engine, story, status="canceled")


# --- flags ---


@order(return_window="100ms")
async def invoiced_above_its_value(engine: Engine) -> Json:
    """More was invoiced than ordered, and one invoice came with two contents: an operator accepts both."""
    story = await engine.dispatched()
    await invoice(engine, story, "A")
    await invoice(engine, story, "A", 5000)
    await invoice(engine, story, "B", 1000)
    await engine.until(story, lambda found: len(found["invoices"]) == 2, needsAttention=True)
    await engine.resume(story, "retry", "agreed")
    for number in "AB":
        await tracking(engine, story, number)
        await delivery(engine, story, number)
    return await closed(engine, story, status="delivered")


@order()
async def canceled_after_its_invoice(engine: Engine) -> Json:
    """The Seller canceled while no worker was there, and had invoiced: accepted by an operator, then returned."""
    story = await engine.dispatched()
    await invoice(engine, story, "A")
    await engine.until(story, status="invoiced")
    report = {"eventId": "c-1", "receivedAt": "2026-03-02T10:00:00Z", "reason": "no stock"}
    await engine.workflow(story).signal("seller_cancel_reported", report)
    await engine.until(story, needsAttention=True)
    await engine.resume(story, "retry")
    await invoice(engine, story, "R", VALUE, "Input")
    return await closed(engine, story, status="returned")
