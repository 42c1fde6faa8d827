"""The orders that are recorded: from the post to each of the ends that an order can have."""

import asyncio
from typing import Any

import httpx
from temporalio.testing import WorkflowEnvironment

from marketplace.orders import OrderStatus
from tests.histories.kinds import Json, of_several_runs, order, waiting_order
from tests.orders.reports import VALUE, delivery, invoice, tracking
from tests.support.engine import Engine, new_order

SOON: Json = {"return_window": "100ms"}
HOURLY: Json = {"cancel_check": "1h"}
KEYS = {"X-VTEX-API-AppKey": "sandbox-key", "X-VTEX-API-AppToken": "sandbox-token"}
CHANGED_MIND = {"reason": "changed mind", "requestedByUser": True}
APPROVED: Json = {"status": "approved", "transactionId": "t-1"}


async def closed(engine: Engine, story: Json, **fields: Any) -> Json:
    """The order once it has ended like this, and its workflow with it."""
    ended = await engine.until(story, seconds=40, **fields)
    await engine.workflow(story).result()
    return ended


async def posted(engine: Engine, story: Json) -> Json:
    """An order that is not waited for."""
    assert (await engine.post(story, wait=0)).status_code == 202
    await engine.until_known(story)
    return story


async def canceled_in_silence(engine: Engine, story: Json) -> None:
    """Cancel at the Seller as its own people would, with a callback that never arrives."""
    async with httpx.AsyncClient(base_url=engine.sandbox_url, headers=KEYS) as seller:
        answer = await seller.post(
            f"/api/fulfillment/pvt/orders/{story['orderId']}/cancel?sc=1&affiliateId=MKP",
            json={"marketplaceOrderId": story["marketplaceOrderId"]},
        )
    answer.raise_for_status()


# --- the main line ---


@order(**SOON)
async def delivered(engine: Engine) -> Json:
    """Placed, paid, dispatched, invoiced, shipped and delivered; the return window is over."""
    story = await engine.dispatched()
    for what in ("invoice", "tracking", "delivery"):
        [sent] = await engine.seller_sends(story, what)
        assert sent["status"] == 200
    return await closed(engine, story, status="delivered")


@order()
async def unpaid(engine: Engine) -> Json:
    """Placed; it still waits for its payment."""
    return await engine.placed()


@order()
async def invoiced_in_parts_and_returned(engine: Engine) -> Json:
    """Approved beforehand, invoiced in two parts, one of them shipped, and all returned in two parts."""
    story = await engine.placed(payment=APPROVED)
    await engine.until(story, status="handling")
    await tracking(engine, story, "B")
    await invoice(engine, story, "A", 4000)
    await invoice(engine, story, "A", 4000)
    await invoice(engine, story, "B", 5470)
    await engine.until(story, status="invoiced")
    await tracking(engine, story, "A")
    await engine.until(story, status="shipped")
    await invoice(engine, story, "R-1", 4000, "Input")
    await invoice(engine, story, "R-2", 5470, "Input")
    return await closed(engine, story, status="returned")


@order()
async def shipped(engine: Engine) -> Json:
    """Everything has tracking; it still waits for the delivery."""
    story = await engine.dispatched()
    await invoice(engine, story, "A")
    await tracking(engine, story, "A")
    await delivery(engine, story, "B")
    return await engine.until(story, status="shipped", seconds=20)


@of_several_runs
@order(return_window="1s")
async def told_of_so_much_that_it_begins_anew(engine: Engine) -> Json:
    """Invoiced, tracked and delivered in four parts, so that it goes on in a new run."""
    story = await engine.dispatched()
    for number, value, sum_of_all in (("A", 3000, 3000), ("B", 3000, 6000), ("C", 3000, 9000), ("D", 470, VALUE)):
        await invoice(engine, story, number, value)
        # One by one: reports that come together share a workflow task.
        await engine.until(story, invoicedValue=sum_of_all)
    for report in (tracking, delivery):
        for number in "ABCD":
            await report(engine, story, number)
    return await closed(engine, story, status="delivered")


@waiting_order
async def found_canceled_by_the_daily_look(engine: Engine, clock: WorkflowEnvironment) -> Json:
    """The Seller's cancellation went unheard: found on the second of the looks that are taken every 24 hours."""
    story = await engine.dispatched()
    await clock.sleep(25 * 3600)
    await canceled_in_silence(engine, story)
    await clock.sleep(24 * 3600)
    return await closed(engine, story, status="canceled")


# --- not placed ---


async def _rejected(engine: Engine, story: Json, code: str) -> Json:
    assert (await engine.post(story)).json()["reason"]["code"] == code
    return await closed(engine, story, status="rejected")


@order()
async def rejected_at_simulation(engine: Engine) -> Json:
    """The Seller has less than was sold."""
    await engine.sku("2001", stock=1)
    return await _rejected(engine, new_order(), "out-of-stock")


@order()
async def rejected_for_its_price(engine: Engine) -> Json:
    """The Seller's price differs from what was sold."""
    await engine.sku("2001", price=4190)
    return await _rejected(engine, new_order(), "price-divergence")


@order()
async def rejected_for_its_shipping(engine: Engine) -> Json:
    """The Seller does not deliver there any more."""
    await engine.sku("2001", availability="cannotBeDelivered")
    return await _rejected(engine, new_order(), "sla-unavailable")


@order()
async def refused_simulation(engine: Engine) -> Json:
    """The Seller refuses to simulate the cart."""
    await engine.fault("simulate", "error", code="CHK0024", message="Invalid item seller")
    return await _rejected(engine, new_order(), "seller-refused")


@order()
async def refused_placement(engine: Engine) -> Json:
    """The Seller refuses the order though its simulation agreed."""
    story = new_order()
    await engine.fault("place", "error", story, code="FMT0073")
    return await _rejected(engine, story, "seller-refused")


@order(more_sellers={"bravo": {}})
async def duplicate_id(engine: Engine) -> Json:
    """Another Seller's order has the same marketplaceOrderId and was recorded first."""
    await engine.stop_worker()
    first = new_order()
    other = {**first, "seller": "bravo"}
    for story in (first, other):
        assert (await engine.post(story, wait=0)).status_code == 202
    await engine.start_worker()
    async with asyncio.timeout(20):
        while True:
            for story in (first, other):
                if (await engine.state(story)).status is OrderStatus.REJECTED:
                    await engine.workflow(story).result()
                    return story
            await asyncio.sleep(0.05)


# --- payment and cancellation ---


@order()
async def denied(engine: Engine) -> Json:
    """The payment was denied: canceled at the Seller."""
    story = await engine.placed()
    await engine.pay(story, "denied")
    return await closed(engine, story, status="payment-denied")


@order(payment_deadline="300ms")
async def expired(engine: Engine) -> Json:
    """No payment in time: canceled at the Seller."""
    return await closed(engine, await engine.placed(), status="expired")


@order()
async def canceled_before_placing(engine: Engine) -> Json:
    """The customer cancels while the cart is simulated, for the second time."""
    await engine.fault("simulate", "server-error")
    await engine.fault("simulate", "slow", seconds=0.4)
    story = await posted(engine, new_order())
    await engine.cancel(story)
    return await closed(engine, story, status="canceled")


@order()
async def dispatched_slowly(engine: Engine) -> Json:
    """The Seller wants two seconds before dispatch is authorized, and the storefront is told before that it is paid."""
    story = await engine.placed()
    await engine.fault("dispatch", "rate-limited", story, retryAfter=2)
    assert (await engine.pay(story)).json()["status"] == "authorizing-fulfillment"
    return await engine.until(story, status="handling")


@order()
async def canceled_while_placing(engine: Engine) -> Json:
    """The customer cancels while the Seller holds its answer back."""
    story = new_order()
    await engine.fault("place", "slow-after", story, seconds=0.4)
    await posted(engine, story)
    await engine.until(story, status="placing")
    await engine.cancel(story)
    return await closed(engine, story, status="canceled")


@order()
async def canceled_before_payment(engine: Engine) -> Json:
    """The customer cancels the unpaid order."""
    story = await engine.placed()
    await engine.cancel(story)
    return await closed(engine, story, status="canceled")


@order()
async def canceled_after_payment(engine: Engine) -> Json:
    """The customer cancels after the dispatch was authorized, and the Seller agrees."""
    story = await engine.dispatched()
    await engine.cancel(story)
    return await closed(engine, story, status="canceled")


@order(**HOURLY)
async def cancellation_decided_later(engine: Engine) -> Json:
    """The Seller says nothing at first; its cancel callback agrees."""
    await engine.switch(cancelLate="silent", cancelWindowSeconds=0)
    story = await engine.dispatched()
    await engine.cancel(story)
    await engine.seller_sends(story, "cancel")
    return await closed(engine, story, status="canceled")


@order()
async def cancellation_denied_and_asked_for_again(engine: Engine) -> Json:
    """The Seller goes on with the order, which is found by looking; a second cancellation is agreed to."""
    await engine.switch(cancelLate="silent", cancelWindowSeconds=0)
    story = await engine.dispatched()
    await engine.cancel(story)
    (await engine.sandbox.post(f"/orders/{story['marketplaceOrderId']}/handling", json={})).raise_for_status()
    await engine.until(story, status="handling")
    await engine.switch(cancelLate="refuse")
    assert (await engine.cancel(story)).status_code == 409
    await engine.switch(cancelLate="agree")
    await engine.cancel(story)
    return await closed(engine, story, status="canceled")


@order(**HOURLY)
async def cancellation_refused_by_an_invoice(engine: Engine) -> Json:
    """The Seller invoices instead of canceling, and the order goes on."""
    await engine.switch(cancelLate="invoice", cancelWindowSeconds=0)
    story = await engine.dispatched()
    await engine.cancel(story)
    return await engine.until(story, status="invoiced")


@order()
async def canceled_by_the_seller(engine: Engine) -> Json:
    """The Seller cancels what it has in hand."""
    story = await engine.dispatched()
    [sent] = await engine.seller_sends(story, "cancel", reason="damaged in the warehouse")
    assert sent["status"] == 200
    return await closed(engine, story, status="canceled")


@order()
async def canceled_by_the_seller_before_it_answered(engine: Engine) -> Json:
    """The Seller's cancellation comes before its answer to the placement."""
    story = new_order()
    await engine.fault("place", "slow-after", story, seconds=0.4)
    await posted(engine, story)
    async with asyncio.timeout(10):
        while (await engine.sandbox.get(f"/orders/{story['marketplaceOrderId']}")).status_code != 200:
            await asyncio.sleep(0.02)
    [sent] = await engine.seller_sends(story, "cancel")
    assert sent["status"] == 200
    return await closed(engine, story, status="canceled")


@order()
async def dispatch_refused_as_canceled(engine: Engine) -> Json:
    """The Seller refuses to dispatch: it has canceled the order, which went unheard."""
    story = await engine.placed()
    await canceled_in_silence(engine, story)
    await engine.pay(story)
    return await closed(engine, story, status="canceled")


@order()
async def canceled_in_temporal(engine: Engine) -> Json:
    """An operator pressed Cancel in Temporal's UI."""
    story = await engine.placed()
    await engine.workflow(story).cancel()
    return await closed(engine, story, status="canceled")
