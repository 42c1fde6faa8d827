"""The sandbox as a caller: URLs, bodies and their variants, retries, and what an acknowledgement changes."""

from typing import Any

import pytest

from sandbox.callbacks import callback_url
from tests.sandbox.calls import Caller, eventually, order
from tests.support.scripted_server import ScriptedServer, json_answer


@pytest.mark.parametrize(
    ("endpoint", "doubled", "url"),
    [
        ("https://h.example/x?t=1", False, "https://h.example/x/pvt/orders/A%2F1/invoice?t=1"),
        ("https://h.example/x/?t=1", False, "https://h.example/x/pvt/orders/A%2F1/invoice?t=1"),
        ("https://h.example/x/?t=1", True, "https://h.example/x//pvt/orders/A%2F1/invoice?t=1"),
        ("http://h.example:81", False, "http://h.example:81/pvt/orders/A%2F1/invoice"),
        ("http://h.example/a/b?t=1&u=%20", False, "http://h.example/a/b/pvt/orders/A%2F1/invoice?t=1&u=%20"),
    ],
)
def test_the_path_is_inserted_before_the_query_string(endpoint: str, doubled: bool, url: str) -> None:
    assert callback_url(endpoint, "pvt", "A/1", "invoice", doubled_slash=doubled) == url


async def test_an_invoice_is_for_all_that_is_open_and_makes_the_order_invoiced(
    caller: Caller, marketplace: ScriptedServer
) -> None:
    await caller.dispatched()
    sent = await caller.send("invoice")
    request = marketplace.last
    assert (request.method, request.path, request.query) == ("POST", "/vtex/pvt/orders/A-1/invoice", "t=token-1")
    assert request.json["invoiceValue"] == 9470
    assert request.json["items"] == [{"id": "2001", "quantity": 2, "price": 3990}]
    assert (request.json["type"], request.json["courier"]) == ("Output", "")
    assert sent["status"] == "invoiced"
    assert (sent["callbacks"][0]["status"], sent["callbacks"][0]["body"]["receipt"]) == (200, "r-1")


async def test_partial_invoices_sum_to_the_value(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.dispatched()
    first = await caller.send("invoice", items=[{"id": "2001", "quantity": 1, "price": 3990}])
    assert (first["status"], marketplace.last.json["invoiceValue"]) == ("handling", 3990)
    second = await caller.send("invoice")
    assert (second["status"], marketplace.last.json["invoiceValue"]) == ("invoiced", 5480)
    assert marketplace.last.json["items"] == [{"id": "2001", "quantity": 1, "price": 3990}]
    numbers = [request.json["invoiceNumber"] for request in marketplace.requests]
    assert numbers == ["NF-A-1-1", "NF-A-1-2"]


async def test_a_repeated_invoice_counts_once(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.dispatched()
    sent = await caller.send("invoice", invoiceNumber="NF-7", invoiceValue=5000, times=3, together=True)
    assert len(sent["callbacks"]) == len(marketplace.requests) == 3
    assert sent["status"] == "handling"
    assert [invoice["value"] for invoice in (await caller.ledger())["invoices"]] == [5000]


async def test_a_refused_invoice_changes_nothing(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.dispatched()
    marketplace.always = json_answer({"title": "no"}, 400)
    sent = await caller.send("invoice")
    assert (sent["status"], sent["callbacks"][0]["status"]) == ("window-to-cancel", 400)
    assert (await caller.ledger())["invoices"] == []
    assert (await caller.sku("2001"))["stock"] == 120


async def test_an_invoice_before_the_dispatch_is_sent_but_not_booked(
    caller: Caller, marketplace: ScriptedServer
) -> None:
    await caller.place()
    assert (await caller.send("invoice"))["status"] == "waiting-ffmt-authorization"
    assert len(marketplace.requests) == 1


async def test_a_return_invoice_leaves_the_order_invoiced(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.dispatched()
    await caller.send("invoice")
    assert (await caller.send("invoice", type="Input"))["status"] == "invoiced"
    body = marketplace.last.json
    assert (body["type"], body["invoiceValue"], body["invoiceNumber"]) == ("Input", 9470, "NFR-A-1-1")


async def test_the_bodies_have_their_documented_variants(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.set(
        courierField="carrier", invoiceValue="string", invoiceType="lower", trackingRoute="number", cancelBody="empty"
    )
    await caller.dispatched()
    await caller.send("cancel", prefix="pub")
    assert (marketplace.last.path, marketplace.last.body) == ("/vtex/pub/orders/A-1/cancel", b"")
    await caller.dispatched("A-2")
    await caller.send("invoice", "A-2")
    body = marketplace.last.json
    assert (body["type"], body["invoiceValue"], body["carrier"]) == ("output", "9470", "")
    assert (await caller.ledger("A-2"))["status"] == "invoiced"
    await caller.send("tracking", "A-2", method="PATCH")
    assert (marketplace.last.method, marketplace.last.path) == ("PATCH", "/vtex/pvt/orders/A-2/invoice/NF-A-2-1")
    assert set(marketplace.last.json) == {"carrier", "trackingNumber", "trackingUrl", "dispatchedDate"}


async def test_the_url_has_its_documented_variants(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.set(callbackPrefix="pub", callbackId="orderId", callbackDoubledSlash=True)
    await caller.dispatched()
    await caller.send("invoice")
    assert marketplace.last.path == "/vtex//pub/orders/MKP-A-1/invoice"
    await caller.send("delivery", prefix="pvt", pathId="marketplaceOrderId", doubledSlash=False)
    assert marketplace.last.path == "/vtex/pvt/orders/A-1/invoice/NF-A-1-1/tracking"


async def test_tracking_goes_with_the_whole_invoice_on_the_older_route(
    caller: Caller, marketplace: ScriptedServer
) -> None:
    await caller.dispatched()
    await caller.send("invoice")
    await caller.send("tracking")
    first, second = (request.json for request in marketplace.requests)
    assert (second["invoiceNumber"], second["invoiceValue"]) == (first["invoiceNumber"], first["invoiceValue"])
    assert second["courier"]
    assert second["trackingNumber"] in second["trackingUrl"]
    (invoice,) = (await caller.ledger())["invoices"]
    assert (invoice["tracked"], invoice["trackingNumber"]) == (True, second["trackingNumber"])


async def test_tracking_events_say_when_the_package_is_delivered(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.dispatched()
    await caller.send("invoice")
    await caller.send("delivery", isDelivered=False)
    assert (await caller.ledger())["invoices"][0]["delivered"] is False
    await caller.send("delivery")
    assert marketplace.last.json["isDelivered"] is True
    assert marketplace.last.json["events"][-1]["city"] == "Curitiba"
    assert (await caller.ledger())["invoices"][0]["delivered"] is True


async def test_a_cancel_callback_needs_a_200_with_a_receipt(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.dispatched()
    marketplace.always = json_answer({"date": "2026-03-10", "orderId": "MKP-A-1", "receipt": None})
    assert (await caller.send("cancel"))["status"] == "window-to-cancel"
    marketplace.always = json_answer({"receipt": "r-2"}, 202)
    assert (await caller.send("cancel"))["status"] == "window-to-cancel"
    marketplace.always = json_answer({"receipt": "r-2"})
    assert (await caller.send("cancel", reason="Broken"))["status"] == "canceled"
    assert marketplace.last.json == {"reason": "Broken"}
    cancellation = (await caller.ledger())["cancellation"]
    assert (cancellation["by"], cancellation["reason"]) == ("seller", "Broken")


async def test_a_body_can_be_replaced_by_any_json_or_text(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.dispatched()
    await caller.send("invoice", rawBody="{not json")
    assert marketplace.last.body == b"{not json"
    await caller.send("invoice", body=None)
    assert marketplace.last.body == b""
    await caller.send("invoice", body={"type": "Output", "invoiceNumber": "X", "invoiceValue": 9470})
    assert (await caller.ledger())["status"] == "invoiced"


async def test_a_failed_callback_is_tried_again_with_every_try_on_record(
    caller: Caller, marketplace: ScriptedServer
) -> None:
    await caller.set(callbackBackoffSeconds=0.01)
    await caller.dispatched()
    always = marketplace.always
    marketplace.follow(json_answer({}, 500), json_answer({}, 404))
    marketplace.always = always
    sent = await caller.send("invoice", retry=True)
    assert (sent["status"], sent["callbacks"][0]["attempts"]) == ("invoiced", 3)
    (record,) = (await caller.ledger())["callbacks"]
    assert [attempt["status"] for attempt in record["attempts"]] == [500, 404, 200]
    assert (record["acknowledged"], record["receipt"]) == (True, "r-1")


async def test_tries_are_bounded_and_a_refused_connection_is_one(caller: Caller) -> None:
    await caller.set(callbackBackoffSeconds=0.01, callbackAttempts=3)
    await caller.place(order(marketplaceServicesEndpoint="http://127.0.0.1:1/x"))
    await caller.dispatch()
    sent = await caller.send("invoice", retry=True)
    assert (sent["callbacks"][0]["attempts"], sent["callbacks"][0]["error"]) == (3, "ConnectError")
    assert sent["status"] == "window-to-cancel"


async def test_a_callback_can_be_sent_in_the_background(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.set(callbackBackoffSeconds=0.01)
    await caller.dispatched()
    always = marketplace.always
    marketplace.follow(json_answer({}, 503))
    marketplace.always = always
    response = await caller.client.post("/sandbox/orders/A-1/invoice", json={"background": True})
    assert (response.status_code, response.json()["callbacks"]) == (202, [])

    async def invoiced() -> bool:
        return await caller.status() == "invoiced"

    await eventually(invoiced)


async def test_while_an_invoice_is_on_its_way_nothing_is_canceled(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.set(callbackBackoffSeconds=30)
    await caller.dispatched()
    marketplace.always = json_answer({}, 503)
    await caller.client.post("/sandbox/orders/A-1/invoice", json={"background": True})

    async def tried() -> bool:
        return bool(marketplace.requests)

    await eventually(tried)
    assert await caller.status() == "invoice"
    assert (await caller.cancel()).status_code == 400


@pytest.mark.parametrize("what", ["invoice", "tracking", "delivery", "cancel", "handling", "approve"])
async def test_an_unknown_order_has_no_callbacks(caller: Caller, what: str) -> None:
    report: dict[str, Any] = {}
    assert (await caller.client.post(f"/sandbox/orders/B-1/{what}", json=report)).status_code == 404
