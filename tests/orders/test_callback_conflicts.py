"""The Seller's reports that come early, after the end, or say what cannot be: kept, flagged, or refused."""

import asyncio
from typing import Any

from tests.conftest import MakeEngine
from tests.orders.reports import VALUE, delivery, invoice, tracking
from tests.support.engine import Engine, new_order
from workflows.messages import SellerCancelReport


async def test_reports_before_the_placement_has_answered_are_kept(engine: Engine) -> None:
    posted = new_order()
    await engine.fault("place", "slow-after", posted, seconds=0.6)
    posting = asyncio.create_task(engine.post(posted))
    await until_at_seller(engine, posted)
    for report in (invoice, tracking):
        early = await report(engine, posted, "A")
        assert (early.status_code, early.json()["orderId"]) == (200, f"MKP-{posted['marketplaceOrderId']}")
    assert (await engine.get(posted))["status"] == "placing"
    order = (await posting).json()
    assert (order["status"], order["invoicedValue"]) == ("payment-pending", VALUE)
    assert (await engine.pay(order)).status_code == 200
    await engine.until(order, status="shipped")


async def test_the_sellers_cancel_before_the_placement_has_answered_ends_the_order(engine: Engine) -> None:
    posted = new_order()
    await engine.fault("place", "slow-after", posted, seconds=0.6)
    posting = asyncio.create_task(engine.post(posted))
    await until_at_seller(engine, posted)
    [sent] = await engine.seller_sends(posted, "cancel", reason="sold elsewhere")
    assert sent["status"] == 200
    answer = await posting
    assert (answer.status_code, answer.json()["status"]) == (201, "canceled")
    assert answer.json()["reason"] == {"code": "canceled-by-seller", "message": "sold elsewhere"}
    await engine.workflow(posted).result()


async def until_at_seller(engine: Engine, order: dict[str, Any]) -> None:
    """Wait until the Seller has taken the order, whether it has answered or not."""
    async with asyncio.timeout(10):
        while (await engine.sandbox.get(f"/orders/{order['marketplaceOrderId']}")).status_code != 200:
            await asyncio.sleep(0.02)


async def test_more_invoiced_than_ordered_is_flagged_until_an_operator_accepts_it(make_engine: MakeEngine) -> None:
    async with make_engine(return_window="1s") as engine:
        order = await engine.dispatched()
        await invoice(engine, order, "A")
        await invoice(engine, order, "B", 1000)
        flagged = await engine.until(order, needsAttention=True)
        assert (flagged["status"], flagged["invoicedValue"]) == ("invoiced", VALUE + 1000)
        assert flagged["reason"] == {
            "code": "invoiced-above-value",
            "message": "104.70 invoiced for an order of 94.70",
        }
        assert (await engine.resume(order, "retry", "agreed")).json()["needsAttention"] is False
        for report in (tracking, delivery):
            for number in "AB":
                await report(engine, order, number)
        delivered = await engine.until(order, status="delivered")
        assert (delivered["needsAttention"], delivered["reason"]) == (False, None)
        await engine.workflow(order).result()


async def test_one_invoice_number_with_two_contents_is_flagged_and_the_first_counts(engine: Engine) -> None:
    order = await engine.dispatched()
    await invoice(engine, order, "A")
    await engine.until(order, status="invoiced")
    assert (await invoice(engine, order, "A", 5000)).status_code == 200
    flagged = await engine.until(order, needsAttention=True)
    assert (flagged["reason"]["code"], flagged["allowedActions"]) == ("invoice-conflict", ["retry"])
    assert (flagged["status"], flagged["invoicedValue"], len(flagged["invoices"])) == ("invoiced", VALUE, 1)
    assert (await engine.resume(order, "retry")).json()["needsAttention"] is False
    await invoice(engine, order, "A", 5000)
    await tracking(engine, order, "A")
    assert (await engine.until(order, status="shipped"))["needsAttention"] is False


async def test_an_order_that_has_ended_takes_no_new_report_but_knows_the_old_ones(engine: Engine) -> None:
    order = await engine.dispatched()
    sold = await invoice(engine, order, "A")
    await invoice(engine, order, "R", VALUE, "Input")
    returned = await engine.until(order, status="returned")
    await engine.workflow(order).result()
    again = await invoice(engine, order, "A")
    assert (again.status_code, again.json()["receipt"]) == (200, sold.json()["receipt"])
    # Some Sellers date an invoice anew with each try: what it says is known all the same.
    dated = await invoice(engine, order, "R", VALUE, "Input", issuanceDate="2026-03-02T10:00:01")
    assert dated.status_code == 200, dated.text
    assert (await invoice(engine, order, "R", VALUE - 1, "Input")).status_code == 409
    assert (await invoice(engine, order, "A", VALUE, "Input")).status_code == 409
    for late in (invoice, tracking, delivery):
        answer = await late(engine, order, "B")
        assert answer.status_code == 409
        assert "has ended as returned and takes no more reports" in answer.json()["detail"]
    assert (await engine.get(order)) == returned


async def test_an_invoice_that_meets_the_end_of_its_order_is_kept_and_flagged(make_engine: MakeEngine) -> None:
    async with make_engine() as engine:
        order = await engine.dispatched()
        await engine.stop_worker()
        # Both arrive while no worker is there: the order ends and is invoiced in one and the same task.
        report = SellerCancelReport.model_validate({"eventId": "c-1", "receivedAt": "2026-03-02T10:00:00Z"})
        await engine.workflow(order).signal("seller_cancel_reported", report)
        assert (await invoice(engine, order, "A")).status_code == 200
        await engine.start_worker()
        flagged = await engine.until(order, status="canceled", needsAttention=True)
        assert (flagged["reason"]["code"], flagged["allowedActions"]) == ("invoiced-after-end", ["retry"])
        assert [one["invoiceNumber"] for one in flagged["invoices"]] == ["A"]
        assert (await engine.resume(order, "retry")).status_code == 200
        await engine.workflow(order).result()
        assert (await engine.get(order))["reason"]["code"] == "canceled-by-seller"


async def test_the_sellers_cancel_is_refused_while_any_invoice_stands(engine: Engine) -> None:
    order = await engine.dispatched()
    path = f"/pvt/orders/{order['marketplaceOrderId']}/cancel"
    await invoice(engine, order, "A", 4000)
    await engine.until(order, invoicedValue=4000)
    refused = await engine.callback(order, path, {"reason": "no stock"})
    assert refused.status_code == 409
    assert "send a return invoice (type Input) first" in refused.json()["detail"]
    await invoice(engine, order, "R", 4000, "Input")
    await engine.until(order, lambda found: len(found["invoices"]) == 2)
    accepted = await engine.callback(order, path, {"reason": "no stock"})
    assert (accepted.status_code, bool(accepted.json()["receipt"])) == (200, True)
    await engine.until(order, status="canceled", needsAttention=False)
