"""The Seller's invoices, trackings, deliveries and returns: in every form, order and number."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.orders.reports import TRACKING, VALUE, delivery, invoice, tracking
from tests.support.engine import Engine


async def test_partial_invoices_make_an_order_invoiced_when_they_reach_its_value(engine: Engine) -> None:
    order = await engine.dispatched()
    assert (await invoice(engine, order, "A", 4000)).status_code == 200
    part = await engine.until(order, invoicedValue=4000)
    assert (part["status"], [one["invoiceNumber"] for one in part["invoices"]]) == ("handling", ["A"])
    assert (await invoice(engine, order, "B", 5470)).status_code == 200
    whole = await engine.until(order, status="invoiced", invoicedValue=VALUE)
    assert [(one["invoiceNumber"], one["invoiceValue"]) for one in whole["invoices"]] == [("A", 4000), ("B", 5470)]


def _tells(detail: str) -> Callable[[dict[str, Any]], bool]:
    return lambda found: found["history"][-1]["detail"] == detail


async def test_an_order_is_shipped_and_delivered_when_every_package_is(engine: Engine) -> None:
    order = await engine.dispatched()
    for number, value in (("A", 4000), ("B", 5470)):
        await invoice(engine, order, number, value)
    steps = (
        (tracking, "A", "tracking of invoice A", "invoiced"),
        (tracking, "B", "tracking of invoice B", "shipped"),
        (delivery, "A", "package of invoice A delivered", "shipped"),
        (delivery, "B", "package of invoice B delivered", "delivered"),
    )
    for report, number, detail, status in steps:
        assert (await report(engine, order, number)).status_code == 200
        told = await engine.until(order, _tells(detail))
        assert told["status"] == status
    found = await engine.get(order)
    assert [(one["invoiceNumber"], one["isDelivered"]) for one in found["packages"]] == [("A", True), ("B", True)]


@pytest.mark.parametrize(
    ("route", "method", "delivery_method"),
    [
        ("with the invoice", "POST", "POST"),
        ("invoice", "POST", "PUT"),
        ("invoice/N", "POST", "POST"),
        ("invoice/N", "PATCH", "PUT"),
    ],
)
async def test_each_route_of_tracking_and_of_delivery_counts(
    engine: Engine, route: str, method: str, delivery_method: str
) -> None:
    order = await engine.dispatched()
    if route == "with the invoice":
        await invoice(engine, order, "N/1", **TRACKING)
    else:
        await invoice(engine, order, "N/1", courier="", trackingNumber="", trackingUrl="")
        await engine.until(order, status="invoiced")
        if route == "invoice":
            await invoice(engine, order, "N/1", **TRACKING)
        else:
            assert (await tracking(engine, order, "N/1", method)).status_code == 200
    shipped = await engine.until(order, status="shipped", invoicedValue=VALUE)
    assert {name: shipped["packages"][0][name] for name in ("courier", "trackingNumber", "trackingUrl")} == {
        name: TRACKING[name] for name in ("courier", "trackingNumber", "trackingUrl")
    }
    assert (await delivery(engine, order, "N/1", delivery_method)).status_code == 200
    delivered = await engine.until(order, status="delivered")
    assert delivered["packages"][0]["events"][0]["description"] == "Left the hub"


async def test_the_other_spellings_of_a_seller_are_understood(engine: Engine) -> None:
    await engine.switch(
        callbackPrefix="pub",
        callbackId="orderId",
        callbackDoubledSlash=True,
        courierField="carrier",
        invoiceValue="string",
        invoiceType="lower",
        trackingRoute="number",
        cancelBody="empty",
    )
    order = await engine.dispatched()
    for what in ("invoice", "tracking", "delivery"):
        [sent] = await engine.seller_sends(order, what)
        assert (sent["status"], sent["body"]["orderId"]) == (200, order["orderId"]), sent
    delivered = await engine.until(order, status="delivered")
    assert delivered["packages"][0]["courier"] == "Rota Sul"

    other = await engine.dispatched()
    [sent] = await engine.seller_sends(other, "cancel")
    assert sent["status"] == 200
    await engine.until(other, status="canceled")


@pytest.mark.parametrize("reports", [(), (tracking, delivery)], ids=["before the delivery", "after the delivery"])
async def test_return_invoices_end_an_order_when_all_is_returned(engine: Engine, reports: tuple[Any, ...]) -> None:
    order = await engine.dispatched()
    await invoice(engine, order, "A")
    for report in reports:
        await report(engine, order, "A")
    sold = await engine.until(order, status="delivered" if reports else "invoiced")
    await invoice(engine, order, "R-1", 4000, "Input")
    part = await engine.until(order, lambda found: len(found["invoices"]) == 2)
    assert (part["status"], part["invoicedValue"]) == (sold["status"], VALUE)
    assert (await engine.cancel(order)).status_code == 409
    await invoice(engine, order, "R-2", 5470, "Input")
    returned = await engine.until(order, status="returned")
    assert [one["type"] for one in returned["invoices"]] == ["Output", "Input", "Input"]
    await engine.workflow(order).result()


async def test_tracking_and_delivery_before_their_invoice_wait_for_it(engine: Engine) -> None:
    order = await engine.dispatched()
    assert (await delivery(engine, order, "A")).status_code == 200
    assert (await tracking(engine, order, "A")).status_code == 200
    waiting = await engine.until(order, _tells("tracking of invoice A"))
    assert (waiting["status"], waiting["packages"]) == ("handling", [])
    assert "| Reports waiting for their invoice | A |" in await engine.details(order)
    await invoice(engine, order, "A")
    delivered = await engine.until(order, status="delivered")
    assert delivered["packages"][0]["trackingNumber"] == "RS123"


async def test_a_repeated_report_gets_the_same_receipt_and_changes_nothing(engine: Engine) -> None:
    order = await engine.dispatched()
    reports = (invoice, tracking, delivery)
    first = [(await report(engine, order, "A")).json()["receipt"] for report in reports]
    delivered = await engine.until(order, status="delivered")
    again = [(await report(engine, order, "A")).json()["receipt"] for report in reports]
    assert again == first
    assert len(set(first)) == 3
    # The return comes after the repeats, so when it is there they have been taken too.
    await invoice(engine, order, "R", 100, "Input")
    after = await engine.until(order, lambda found: len(found["invoices"]) == 2)
    assert after["history"][:-1] == delivered["history"]


async def test_one_report_many_times_at_once_counts_once(engine: Engine) -> None:
    order = await engine.dispatched()
    sent = await engine.seller_sends(order, "invoice", times=5, together=True)
    assert {one["status"] for one in sent} == {200}
    assert len({one["body"]["receipt"] for one in sent}) == 1
    invoiced = await engine.until(order, status="invoiced", invoicedValue=VALUE)
    assert [entry["status"] for entry in invoiced["history"]].count("invoiced") == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_shuffled_reports_end_in_the_same_order(engine: Engine, seed: int) -> None:
    order = await engine.dispatched()
    reports: list[Any] = [
        lambda: invoice(engine, order, "A", 4000),
        lambda: invoice(engine, order, "B", 5470),
        *(
            lambda report=report, number=number: report(engine, order, number)
            for report in (tracking, delivery)
            for number in "AB"
        ),
        lambda: invoice(engine, order, "R", 1000, "Input"),
    ]
    random.Random(seed).shuffle(reports)
    for report in reports:
        assert (await report()).status_code == 200
    found = await engine.until(order, lambda found: len(found["invoices"]) == 3, status="delivered")
    assert (found["invoicedValue"], found["needsAttention"]) == (VALUE, False)
    by_number = {one["invoiceNumber"]: (one["type"], one["invoiceValue"]) for one in found["invoices"]}
    assert by_number == {"A": ("Output", 4000), "B": ("Output", 5470), "R": ("Input", 1000)}
    assert {one["invoiceNumber"]: one["trackingNumber"] for one in found["packages"]} == {"A": "RS123", "B": "RS123"}
    statuses = [entry["status"] for entry in found["history"]]
    assert statuses == sorted(statuses, key=list(dict.fromkeys(statuses)).index)
