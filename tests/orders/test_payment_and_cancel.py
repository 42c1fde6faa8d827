"""Payment and cancellation, at every stage of an order at which they can come."""

import asyncio
from datetime import timedelta

import pytest

from tests.conftest import MakeEngine
from tests.support.engine import Engine, new_order


async def test_a_denied_payment_cancels_the_order_at_the_seller(engine: Engine) -> None:
    order = await engine.placed()
    answer = await engine.pay(order, "denied")
    assert (answer.status_code, answer.json()["status"]) == (200, "payment-denied")
    assert answer.json()["reason"]["code"] == "payment-denied"
    await engine.workflow(order).result()
    assert (await engine.ledger(order))["status"] == "canceled"
    assert (await engine.get(order))["status"] == "payment-denied"


async def test_an_unpaid_order_expires_and_is_canceled_at_the_seller(make_engine: MakeEngine) -> None:
    async with make_engine(payment_deadline="300ms") as engine:
        order = await engine.placed()
        expired = await engine.until(order, status="expired")
        assert expired["reason"]["code"] == "payment-timeout"
        await engine.workflow(order).result()
        assert (await engine.ledger(order))["status"] == "canceled"
        late = await engine.pay(order)
        assert late.status_code == 409
        assert "refund" in late.json()["detail"]


async def test_a_payment_approved_with_the_order_dispatches_it_at_once(engine: Engine) -> None:
    answer = await engine.post(new_order(payment={"status": "approved", "transactionId": "t-9"}))
    assert answer.status_code == 201
    order = await engine.until(answer.json(), status="handling")
    assert (await engine.pay(order, "approved", "t-9")).status_code == 200
    assert (await engine.pay(order, "approved", "t-8")).status_code == 409


@pytest.mark.parametrize(
    ("first", "second", "transaction", "status"),
    [
        ("approved", "approved", "t-1", 200),
        ("approved", "denied", "t-1", 409),
        ("approved", "approved", "t-2", 409),
        ("denied", "denied", "t-1", 200),
        ("denied", "approved", "t-1", 409),
        ("denied", "approved", "t-2", 409),
    ],
)
async def test_a_second_payment_report_must_agree_with_the_first(
    engine: Engine, first: str, second: str, transaction: str, status: int
) -> None:
    order = await engine.placed()
    assert (await engine.pay(order, first)).status_code == 200
    again = await engine.pay(order, second, transaction)
    assert again.status_code == status, again.text
    if first == "denied":
        await engine.workflow(order).result()
        closed = await engine.pay(order, second, transaction)
        assert closed.status_code == status, closed.text


async def test_a_payment_reported_while_placing_is_kept(engine: Engine) -> None:
    posted = new_order()
    await engine.fault("place", "slow", posted, seconds=0.6)
    posting = asyncio.create_task(engine.post(posted))
    await engine.until_known(posted)
    assert (await engine.pay(posted)).status_code == 200
    assert (await posting).status_code == 201
    await engine.until(posted, status="handling")


@pytest.mark.parametrize("route", ["simulate", "place"])
async def test_a_cancel_before_or_while_placing_learns_the_outcome_first(engine: Engine, route: str) -> None:
    posted = new_order()
    if route == "place":
        await engine.fault("place", "slow", posted, seconds=0.6)
    else:
        # The first try is within a workflow task, and what is said meanwhile is heard after it.
        await engine.fault("simulate", "server-error")
        await engine.fault("simulate", "slow", seconds=0.6)
    posting = asyncio.create_task(engine.post(posted))
    await engine.until_known(posted)
    await engine.until(posted, status="placing" if route == "place" else "simulating")
    answer = await engine.cancel(posted)
    assert answer.status_code in {200, 202}
    await posting
    canceled = await engine.until(posted, status="canceled")
    assert canceled["reason"]["code"] == "canceled-by-customer"
    await engine.workflow(posted).result()
    if route == "place":
        assert (await engine.ledger(posted))["status"] == "canceled"
    else:
        assert (await engine.sandbox.get(f"/orders/{posted['marketplaceOrderId']}")).status_code == 404


async def test_a_cancel_before_the_payment_is_done_at_once_and_can_be_repeated(engine: Engine) -> None:
    order = await engine.placed()
    first = await engine.cancel(order)
    assert (first.status_code, first.json()["status"]) == (200, "canceled")
    assert (await engine.get(order))["status"] == "canceled"
    await engine.workflow(order).result()
    again = await engine.cancel(order)
    assert (again.status_code, again.json()["status"]) == (200, "canceled")
    assert (await engine.ledger(order))["calls"]["cancel"] == 1
    assert (await engine.pay(order)).status_code == 409


async def test_a_cancel_after_dispatch_that_the_seller_agrees_to(engine: Engine) -> None:
    order = await engine.dispatched()
    answer = await engine.cancel(order)
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")


async def test_a_silent_seller_is_deciding_until_it_cancels(make_engine: MakeEngine) -> None:
    async with make_engine(cancel_check="1h") as engine:
        await engine.switch(cancelLate="silent", cancelWindowSeconds=0)
        order = await engine.dispatched()
        first = await engine.cancel(order)
        assert (first.status_code, first.json()["status"]) == (202, "cancellation-requested")
        again = await engine.cancel(order)
        assert (again.status_code, again.json()["status"]) == (202, "cancellation-requested")
        await engine.seller_sends(order, "cancel")
        canceled = await engine.until(order, status="canceled")
        assert canceled["reason"]["code"] == "canceled-by-customer"


async def test_an_invoice_refuses_a_cancellation_and_the_order_goes_on(make_engine: MakeEngine) -> None:
    async with make_engine(cancel_check="1h") as engine:
        await engine.switch(cancelLate="invoice", cancelWindowSeconds=0)
        order = await engine.dispatched()
        assert (await engine.cancel(order)).status_code == 202
        invoiced = await engine.until(order, status="invoiced")
        assert "cancellation-requested" in [entry["status"] for entry in invoiced["history"]]
        answer = await engine.cancel(order)
        assert answer.status_code == 409
        assert "return" in answer.json()["detail"]


async def test_a_refused_cancellation_is_a_409_and_the_order_goes_on(engine: Engine) -> None:
    await engine.switch(cancelLate="refuse", cancelWindowSeconds=0)
    order = await engine.dispatched()
    answer = await engine.cancel(order)
    assert answer.status_code == 409, answer.text
    assert "refuses to cancel" in answer.json()["detail"]
    assert (await engine.get(order))["status"] == "handling"
    await engine.switch(cancelLate="agree")
    assert (await engine.cancel(order)).status_code == 200


async def test_a_cancellation_that_went_unheard_is_found_at_the_seller(engine: Engine) -> None:
    await engine.switch(cancelLate="silent", cancelWindowSeconds=0)
    order = await engine.dispatched()
    assert (await engine.cancel(order)).status_code == 202
    denied = await engine.sandbox.post(f"/orders/{order['marketplaceOrderId']}/handling", json={})
    assert denied.status_code == 200, denied.text
    back = await engine.until(order, status="handling")
    assert "goes on with the order" in back["history"][-1]["detail"]


async def test_the_oms_route_cancels_through_the_sellers_callback(make_engine: MakeEngine) -> None:
    async with make_engine(seller={"cancel_route": "oms"}, cancel_check="1h") as engine:
        order = await engine.placed()
        answer = await engine.cancel(order)
        assert answer.status_code in {200, 202}
        await engine.until(order, status="canceled")
        # The Seller cancels once our answer to its callback is there, which is a moment after the engine has.
        async with asyncio.timeout(10):
            while (await engine.ledger(order))["status"] != "canceled":
                await asyncio.sleep(0.02)


async def test_a_cancel_after_the_invoice_is_refused_with_the_way_out(engine: Engine) -> None:
    order = await engine.dispatched()
    await engine.seller_sends(order, "invoice")
    await engine.until(order, status="invoiced")
    answer = await engine.cancel(order)
    assert answer.status_code == 409
    assert "return invoice" in answer.json()["detail"]


async def test_the_sellers_own_cancel_ends_the_order(engine: Engine) -> None:
    order = await engine.placed()
    [sent] = await engine.seller_sends(order, "cancel", reason="damaged in the warehouse")
    assert sent["status"] == 200
    canceled = await engine.until(order, status="canceled")
    assert canceled["reason"] == {"code": "canceled-by-seller", "message": "damaged in the warehouse"}
    await engine.workflow(order).result()
    closed = await engine.callback(order, f"/pvt/orders/{order['marketplaceOrderId']}/cancel")
    assert closed.status_code == 200


async def test_the_sellers_cancel_after_an_invoice_is_a_409_that_names_the_return(engine: Engine) -> None:
    order = await engine.dispatched()
    await engine.seller_sends(order, "invoice")
    await engine.until(order, status="invoiced")
    path = f"/pvt/orders/{order['marketplaceOrderId']}/cancel"
    answer = await engine.callback(order, path)
    assert answer.status_code == 409
    assert "return invoice" in answer.json()["detail"]
    assert (await engine.get(order))["status"] == "invoiced"


async def test_a_denied_order_that_the_seller_will_not_cancel_is_parked_until_abort(engine: Engine) -> None:
    order = await engine.placed()
    await engine.fault("cancel", "error", order, code="CHK0202", times=2)
    assert (await engine.pay(order, "denied")).status_code == 200
    parked = await engine.until(order, needsAttention=True)
    assert (parked["status"], parked["reason"]["code"]) == ("payment-denied", "cancellation-refused")
    assert parked["allowedActions"] == ["retry", "abort"]
    assert (await engine.resume(order, "retry")).status_code == 200
    await engine.until(order, lambda found: len(found["history"]) > len(parked["history"]) + 1, needsAttention=True)
    ended = await engine.resume(order, "abort", "settled by phone")
    assert (ended.status_code, ended.json()["needsAttention"]) == (200, False)
    await engine.workflow(order).result()
    assert (await engine.get(order))["status"] == "payment-denied"


async def test_cancel_in_temporals_ui_undoes_the_order_at_the_seller(engine: Engine) -> None:
    order = await engine.placed()
    await engine.workflow(order).cancel()
    canceled = await engine.until(order, status="canceled")
    assert canceled["reason"]["code"] == "canceled-by-operator"
    assert (await engine.ledger(order))["status"] == "canceled"


async def test_the_return_window_ends_a_delivered_order(make_engine: MakeEngine) -> None:
    async with make_engine(return_window="200ms") as engine:
        order = await engine.dispatched()
        for what in ("invoice", "tracking", "delivery"):
            await engine.seller_sends(order, what)
        await engine.until(order, status="delivered")
        async with asyncio.timeout(timedelta(seconds=10).total_seconds()):
            await engine.workflow(order).result()
        late = await engine.callback(
            order,
            f"/pvt/orders/{order['marketplaceOrderId']}/invoice",
            {"type": "Input", "invoiceNumber": "R-1", "invoiceValue": 9470, "items": []},
        )
        assert late.status_code == 409
        assert (await engine.cancel(order)).status_code == 409
