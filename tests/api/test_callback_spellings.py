"""Callbacks are taken in every spelling that VTEX documents (contract B5 and G1), and the same event once."""

import asyncio
from typing import Any

import pytest

from marketplace.orders import Invoice, Order
from tests.api.callback_line import DELIVERY, INVOICE, TRACKING, Line, dispatched_line
from tests.support.engine import Engine


def receipt(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"date", "orderId", "receipt"}
    assert body["date"].endswith("Z")
    return str(body["receipt"])


def invoice_of(order: Order, number: str) -> Invoice | None:
    return next((invoice for invoice in order.invoices if invoice.invoice_number == number), None)


async def invoiced(line: Line, number: str) -> Invoice:
    """Wait until the order has the invoice."""
    await line.engine.until(line.order, lambda found: invoice_of(Order.model_validate(found), number) is not None)
    invoice = invoice_of(await line.found(), number)
    assert invoice is not None
    return invoice


@pytest.mark.parametrize("scope", ["/pvt", "/pub", "//pvt", "//pub", "///pvt/"])
@pytest.mark.parametrize("own_id", [True, False])
async def test_every_form_of_the_path_is_the_same_event(line: Line, scope: str, own_id: bool) -> None:
    first = receipt(await line.send("/invoice", INVOICE))
    path_id = line.id if own_id else f"MKP-{line.id}"
    for tail in ("/invoice", "/invoice/", "//invoice", "//invoice//"):
        answer = await line.send(tail, INVOICE, scope=scope, path_id=path_id)
        assert receipt(answer) == first
        assert answer.json()["orderId"] == f"MKP-{line.id}"
    assert len((await line.found()).invoices) == 1


@pytest.mark.parametrize(
    ("number", "changes", "expected"),
    [
        ("S-1", {"type": "output"}, {"type": "Output"}),
        ("S-2", {"type": " OUTPUT "}, {"type": "Output"}),
        ("S-3", {"invoiceValue": "12"}, {"invoiceValue": 12}),
        ("S-4", {"invoiceValue": 12.0}, {"invoiceValue": 12}),
        ("S-5", {"invoiceValue": " 0012 "}, {"invoiceValue": 12}),
        ("S-6", {"invoiceValue": 0}, {"invoiceValue": 0}),
        ("S-13", {"invoiceValue": ""}, {"invoiceValue": 10}),
        ("S-14", {"invoiceValue": None}, {"invoiceValue": 10}),
        ("117", {"invoiceNumber": 117}, {"invoiceNumber": "117"}),
        ("S-7", {"invoiceNumber": " S-7 "}, {"invoiceNumber": "S-7"}),
        ("S-8", {"items": None}, {"invoiceValue": 10}),
        ("S-9", {"items": [{"id": 2001, "quantity": "1", "price": "10"}]}, {"invoiceValue": 10}),
        ("S-10", {"invoiceUrl": "", "invoiceKey": None}, {"invoiceUrl": None, "invoiceKey": None}),
        ("S-11", {"colour": "blue", "items": [{**INVOICE["items"][0], "colour": {"a": [1]}}]}, {"invoiceValue": 10}),
        ("S-12", {"embeddedInvoice": "<nfe/>", "volumes": 1, "extra": None}, {"invoiceValue": 10}),
        ("Série A/12", {}, {"invoiceNumber": "Série A/12"}),
    ],
)
async def test_an_invoice_is_understood_however_it_is_spelt(
    line: Line, number: str, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    receipt(await line.send("/invoice", {**INVOICE, "invoiceNumber": number, **changes}))
    found = (await invoiced(line, number)).model_dump()
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("number", "sent", "expected"),
    [
        ("D-1", "2026-03-10T12:30:05.0210000Z", "2026-03-10T12:30:05.021000+00:00"),
        ("D-2", "2026-03-10T12:30:05Z", "2026-03-10T12:30:05+00:00"),
        ("D-3", "2026-03-10T09:30:05.1234567-03:00", "2026-03-10T12:30:05.123456+00:00"),
        ("D-4", "2026-03-10T12:30:05", "2026-03-10T12:30:05+00:00"),
        ("D-5", "2026-03-10 12:30:05", "2026-03-10T12:30:05+00:00"),
        ("D-6", "2026-03-10", "2026-03-10T00:00:00+00:00"),
        ("D-7", "", None),
        ("D-8", None, None),
    ],
)
async def test_dates_are_read_in_all_of_vtexs_forms(line: Line, number: str, sent: Any, expected: str | None) -> None:
    receipt(await line.send("/invoice", {**INVOICE, "invoiceNumber": number, "issuanceDate": sent}))
    found = (await invoiced(line, number)).issuance_date
    assert (found.isoformat() if found else None) == expected


@pytest.mark.parametrize(
    ("number", "tail", "method", "spelt"),
    [
        ("T-1", "/invoice/T-1", "POST", {}),
        ("T-2", "/invoice/T-2", "PATCH", {}),
        ("T-3", "/invoice", "POST", {**INVOICE, "invoiceNumber": "T-3"}),
        ("T-4", "/invoice/T-4", "POST", {"courier": "", "carrier": "Rapido Sul"}),
        ("T-5", "/invoice/T-5", "POST", {"courier": None, "carrier": "Rapido Sul", "dispatchedDate": None}),
        ("T-6", "/invoice/T-6/", "POST", {"colour": "blue"}),
        ("T/7", "/invoice/T%2F7", "POST", {}),
    ],
)
async def test_tracking_is_understood_on_both_routes(
    line: Line, number: str, tail: str, method: str, spelt: dict[str, Any]
) -> None:
    receipt(await line.send("/invoice", {**INVOICE, "invoiceNumber": number}))
    receipt(await line.send(tail, {**TRACKING, **spelt}, method))
    found = await line.engine.until(
        line.order,
        lambda order: any(one["invoiceNumber"] == number and one["courier"] for one in order["packages"]),
    )
    [package] = [one for one in found["packages"] if one["invoiceNumber"] == number]
    assert (package["courier"], package["trackingNumber"]) == ("Rapido Sul", "RS-7781")


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_deliveries_are_taken_by_both_methods(line: Line, method: str) -> None:
    number = f"E-{method}"
    receipt(await line.send("/invoice", {**INVOICE, "invoiceNumber": number}))
    receipt(await line.send(f"/invoice/{number}/tracking", {**DELIVERY, "isDelivered": True, "a": 1}, method))
    await line.engine.until(
        line.order,
        lambda order: any(one["invoiceNumber"] == number and one["isDelivered"] for one in order["packages"]),
    )


async def test_the_same_event_gets_the_same_receipt_and_another_one_another(line: Line, other_line: Line) -> None:
    sent = {**INVOICE, "invoiceNumber": "R-1"}
    first = receipt(await line.send("/invoice", sent))
    together = await asyncio.gather(*(line.send("/invoice", sent) for _ in range(5)))
    spelt_otherwise = {**sent, "type": "output", "invoiceValue": "10", "issuanceDate": "2026-03-10 12:28:00", "a": 1}
    assert {receipt(answer) for answer in together} == {first}
    assert receipt(await line.send("/invoice", spelt_otherwise)) == first
    others = [
        await line.send("/invoice", {**sent, "invoiceNumber": "R-2"}),
        await line.send("/invoice", {**sent, "issuanceDate": "2026-03-10T12:29:00Z"}),
        await line.send("/invoice", {**sent, "trackingNumber": "RS-1"}),
        await line.send("/invoice/R-1", TRACKING),
        await line.send("/invoice/R-2", TRACKING),
        await line.send("/invoice/R-1/tracking", DELIVERY),
        await other_line.send("/invoice", sent),
    ]
    receipts = {receipt(answer) for answer in others}
    assert len(receipts) == len(others)
    assert first not in receipts


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"content": b"  "},
        {"content": b"null"},
        {"json": {}},
        {"json": {"reason": None}},
        {"json": {"reason": "", "colour": 1}},
    ],
    ids=str,
)
async def test_a_cancel_may_come_without_a_body(engine: Engine, options: dict[str, Any]) -> None:
    line = await dispatched_line(engine)
    first = receipt(await line.send("/cancel", **options))
    await engine.until(line.order, status="canceled")
    await engine.workflow(line.order).result()
    # The order has ended; what it knows is acknowledged as before.
    assert receipt(await line.send("/cancel", **options)) == first
