"""Dispatch, cancellation and the order's status at the sandbox, with everything that VTEX leaves open switched."""

from typing import Any

import pytest

from tests.sandbox.calls import KEYS, SC, Caller, code_of, eventually
from tests.support.scripted_server import ScriptedServer, json_answer


async def test_a_dispatch_is_answered_with_a_receipt(caller: Caller) -> None:
    await caller.place()
    response = await caller.dispatch()
    answer = response.json()
    assert response.status_code == 200
    assert (answer["orderId"], answer["marketplaceOrderId"]) == ("MKP-A-1", "A-1")
    assert answer["receipt"] == (await caller.ledger())["dispatchReceipt"]
    assert await caller.status() == "window-to-cancel"


async def test_a_dispatch_can_be_answered_with_the_envelope(caller: Caller) -> None:
    await caller.set(dispatchAnswer="envelope")
    await caller.place()
    response = await caller.dispatch()
    assert response.status_code == 201
    assert response.json()["orderId"] == "A-1"


async def test_a_dispatch_before_the_order_is_not_found(caller: Caller) -> None:
    response = await caller.dispatch()
    assert (response.status_code, code_of(response)) == (404, "CHK0201")


async def test_a_repeated_dispatch_is_refused_or_gets_the_first_receipt(caller: Caller) -> None:
    await caller.place()
    first = (await caller.dispatch()).json()["receipt"]
    response = await caller.dispatch()
    assert (response.status_code, code_of(response)) == (400, "FMT0055")
    await caller.set(dispatchRepeat="receipt")
    assert (await caller.dispatch()).json()["receipt"] == first
    assert (await caller.ledger())["calls"] == {"place": 1, "dispatch": 3, "dispatchRejected": 1}


async def test_a_canceled_order_is_not_dispatched(caller: Caller) -> None:
    await caller.set(dispatchRepeat="receipt")
    await caller.place()
    await caller.cancel()
    response = await caller.dispatch()
    assert (response.status_code, code_of(response)) == (400, "FMT0024")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "FMT015"),
        ({"marketplaceOrderId": "A-2"}, "FMT0071"),
        ([{"marketplaceOrderId": "A-1"}], "CHK00308"),
    ],
)
@pytest.mark.parametrize("action", ["fulfill", "cancel"])
async def test_the_body_must_name_the_order_of_the_path(caller: Caller, action: str, body: Any, code: str) -> None:
    await caller.place()
    response = await caller.client.post(
        f"/api/fulfillment/pvt/orders/MKP-A-1/{action}", params=SC, json=body, headers=KEYS
    )
    assert (response.status_code, code_of(response)) == (400, code)


async def test_the_path_must_be_the_sellers_order_id(caller: Caller) -> None:
    await caller.place()
    response = await caller.client.post(
        "/api/fulfillment/pvt/orders/A-1/fulfill", params=SC, json={"marketplaceOrderId": "A-1"}, headers=KEYS
    )
    assert response.status_code == 404


@pytest.mark.parametrize("dispatched", [False, True])
async def test_canceling_before_dispatch_and_within_the_window_is_confirmed(caller: Caller, dispatched: bool) -> None:
    await caller.set(cancelLate="refuse")
    await caller.place()
    if dispatched:
        await caller.dispatch()
    answer = (await caller.cancel()).json()
    assert answer["isCancelled"] is True
    assert (answer["orderId"], answer["marketplaceOrderId"]) == ("MKP-A-1", "A-1")
    assert answer["receipt"]
    assert await caller.status() == "canceled"


async def test_a_confirmation_can_lack_its_receipt(caller: Caller) -> None:
    await caller.set(cancelReceipt=False)
    await caller.place()
    answer = (await caller.cancel()).json()
    assert (answer["receipt"], answer["isCancelled"]) == (None, True)


async def test_canceling_twice_is_refused_or_confirmed_again(caller: Caller) -> None:
    await caller.place()
    first = (await caller.cancel()).json()["receipt"]
    response = await caller.cancel()
    assert (response.status_code, code_of(response)) == (400, "CHK0202")
    await caller.set(cancelRepeat="confirm")
    assert (await caller.cancel()).json()["receipt"] == first


async def test_after_the_window_the_order_is_ready_and_the_setting_decides(caller: Caller) -> None:
    await caller.set(cancelWindowSeconds=0, cancelLate="refuse")
    await caller.dispatched()
    assert await caller.status() == "ready-for-handling"
    response = await caller.cancel()
    assert (response.status_code, code_of(response)) == (400, "CHK0202")
    assert await caller.status() == "ready-for-handling"


async def handled(caller: Caller, late: str, **settings: Any) -> None:
    """Bring an order into handling, with a setting for what then happens to a cancellation."""
    await caller.set(cancelLate=late, **settings)
    await caller.dispatched()
    assert (await caller.client.post("/sandbox/orders/A-1/handling")).json()["status"] == "handling"


async def test_after_handling_a_cancellation_can_be_agreed(caller: Caller) -> None:
    await handled(caller, "agree")
    assert (await caller.cancel()).json()["isCancelled"] is True
    assert (await caller.sku("2001"))["reserved"] == 0


async def test_after_handling_a_cancellation_can_be_refused(caller: Caller) -> None:
    await handled(caller, "refuse")
    response = await caller.cancel()
    assert (response.status_code, code_of(response)) == (400, "CHK0202")
    assert await caller.status() == "handling"


@pytest.mark.parametrize(("form", "body"), [("empty", ""), ("object", "{}")])
async def test_a_silent_seller_answers_nothing_and_agrees_later_by_callback(
    caller: Caller, marketplace: ScriptedServer, form: str, body: str
) -> None:
    await handled(caller, "silent", emptyAnswer=form)
    response = await caller.cancel()
    assert (response.status_code, response.text) == (200, body)
    assert await caller.status() == "cancellation-requested"
    assert marketplace.requests == []
    assert (await caller.send("cancel"))["status"] == "canceled"


async def test_a_silent_seller_can_deny_by_handling_on(caller: Caller) -> None:
    await handled(caller, "silent")
    await caller.cancel()
    assert (await caller.client.post("/sandbox/orders/A-1/handling")).json()["status"] == "handling"


async def test_a_seller_can_take_note_without_canceling(caller: Caller) -> None:
    await handled(caller, "incomplete")
    answer = (await caller.cancel()).json()
    assert (answer["isCancelled"], answer["receipt"]) == (False, None)
    assert await caller.status() == "cancellation-requested"


async def test_a_seller_can_refuse_by_sending_the_invoice(caller: Caller, marketplace: ScriptedServer) -> None:
    await handled(caller, "invoice", cancelInvoiceSeconds=0.05)
    response = await caller.cancel()
    assert (response.status_code, response.text) == (200, "")

    async def invoiced() -> bool:
        return await caller.status() == "invoiced"

    await eventually(invoiced)
    assert [request.path for request in marketplace.requests] == ["/vtex/pvt/orders/A-1/invoice"]


async def test_after_an_invoice_whole_or_partial_nothing_is_canceled(caller: Caller) -> None:
    await caller.dispatched()
    await caller.send("invoice", items=[{"id": "2001", "quantity": 1, "price": 3990}])
    for status in ("handling", "invoiced"):
        response = await caller.cancel()
        assert (response.status_code, code_of(response)) == (400, "CHK0202")
        order = (await caller.read()).json()
        assert (order["status"], order["allowCancellation"]) == (status, False)
        await caller.send("invoice")


async def test_a_fully_returned_order_can_be_canceled(caller: Caller) -> None:
    await caller.dispatched()
    await caller.send("invoice")
    await caller.send("invoice", type="Input")
    assert (await caller.cancel()).json()["isCancelled"] is True


async def test_the_oms_route_takes_note_and_cancels_once_the_callback_is_acknowledged(
    caller: Caller, marketplace: ScriptedServer
) -> None:
    await caller.set(callbackBackoffSeconds=0.05)
    marketplace.follow(json_answer({}, 503), json_answer({"date": "2026-03-10", "orderId": "MKP-A-1"}))
    marketplace.always = json_answer({"date": "2026-03-10", "orderId": "MKP-A-1", "receipt": "r-9"})
    await caller.place()
    answer = (await caller.cancel_through_oms()).json()
    assert set(answer) == {"date", "orderId", "receipt"}

    async def acknowledged() -> bool:
        return (await caller.ledger())["callbacks"][-1]["acknowledged"] is True

    await eventually(acknowledged)
    # A 200 without a receipt acknowledges nothing that a cancellation could rest on.
    assert await caller.status() == "cancel"
    assert (await caller.send("cancel"))["status"] == "canceled"
    data = (await caller.read()).json()["cancellationData"]
    assert (data["Reason"], data["RequestedByUser"]) == ("Changed their mind", True)


async def test_the_oms_route_follows_the_settings_after_handling(caller: Caller) -> None:
    await handled(caller, "refuse")
    assert code_of(await caller.cancel_through_oms()) == "CHK0202"
    await caller.set(cancelLate="silent")
    assert "receipt" in (await caller.cancel_through_oms()).json()
    assert await caller.status() == "cancellation-requested"


async def test_the_oms_route_needs_a_reason_and_a_known_order(caller: Caller) -> None:
    assert (await caller.cancel_through_oms()).status_code == 404
    await caller.place()
    assert code_of(await caller.cancel_through_oms(requestedByUser=True)) == "CHK00308"


async def test_the_fulfilment_route_can_call_back_too(caller: Caller, marketplace: ScriptedServer) -> None:
    await caller.set(cancelCallback=True)
    await caller.place()
    await caller.cancel()

    async def called() -> bool:
        return bool(marketplace.requests)

    await eventually(called)
    assert marketplace.last.path == "/vtex/pvt/orders/A-1/cancel"


async def test_an_order_is_read_with_its_packages(caller: Caller) -> None:
    await caller.dispatched()
    await caller.send("invoice")
    await caller.send("tracking", trackingNumber="RS1")
    await caller.send("delivery")
    order = (await caller.read()).json()
    assert (order["marketplaceOrderId"], order["value"], order["status"]) == ("A-1", 9470, "invoiced")
    (package,) = order["packageAttachment"]["packages"]
    assert (package["trackingNumber"], package["courierStatus"]["finished"]) == ("RS1", True)


async def test_an_unknown_or_too_young_order_is_not_found(caller: Caller) -> None:
    response = await caller.read()
    assert (response.status_code, code_of(response)) == (404, "OMS007")
    await caller.set(readLagSeconds=60)
    await caller.place()
    assert (await caller.read()).status_code == 404
    await caller.set(readLagSeconds=0)
    assert (await caller.read()).status_code == 200
