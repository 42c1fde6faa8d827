"""Placing orders at the sandbox: what it takes, what it refuses and with which code, and what happens to the stock."""

import asyncio
from typing import Any

import pytest

from tests.sandbox.calls import KEYS, MISSING, ORDER, SC, Caller, code_of, order


async def test_an_order_is_taken_and_answered_as_an_array_with_masked_e_mails(caller: Caller) -> None:
    response = await caller.place()
    assert response.status_code == 200
    (placed,) = response.json()
    assert placed["orderId"] == "MKP-A-1"
    assert placed["items"][0]["price"] == 3990
    assert placed["shippingData"]["logisticsInfo"][0]["shippingEstimate"] == "5bd"
    assert "livia.andrade" not in response.text
    assert placed["clientProfileData"]["email"].endswith("@ct.acme.example")


async def test_the_ledger_keeps_what_was_received(caller: Caller) -> None:
    await caller.place()
    entry = await caller.ledger()
    assert entry["received"] == ORDER | {"marketplaceServicesEndpoint": caller.endpoint}
    assert entry["status"] == "waiting-ffmt-authorization"
    assert entry["reserved"] == {"2001": 2}
    assert entry["calls"] == {"place": 1}


async def test_placing_reserves_stock_and_canceling_gives_it_back(caller: Caller) -> None:
    await caller.place()
    assert ((await caller.sku("2001"))["stock"], (await caller.sku("2001"))["reserved"]) == (120, 2)
    assert (await caller.simulate(("2001", 1))).json()["logisticsInfo"][0]["stockBalance"] == 118
    await caller.cancel()
    assert (await caller.sku("2001"))["reserved"] == 0


async def test_a_sale_invoice_takes_the_stock(caller: Caller) -> None:
    await caller.dispatched()
    await caller.send("invoice", items=[{"id": "2001", "quantity": 1, "price": 3990}])
    sku = await caller.sku("2001")
    assert (sku["stock"], sku["reserved"]) == (119, 1)
    await caller.send("invoice")
    sku = await caller.sku("2001")
    assert (sku["stock"], sku["reserved"]) == (118, 0)


async def test_the_last_units_are_sold_once_to_many_orders_at_once(caller: Caller) -> None:
    await caller.sku("2001", stock=6)
    responses = await asyncio.gather(*(caller.place(order(f"A-{n}")) for n in range(8)))
    codes = sorted(response.status_code for response in responses)
    assert codes == [200] * 3 + [400] * 5
    assert {code_of(response) for response in responses if response.status_code == 400} == {"FMT002"}


async def test_a_repeat_is_refused_and_changes_nothing_even_when_the_stock_is_gone(caller: Caller) -> None:
    await caller.sku("2001", stock=2)
    await caller.place()
    response = await caller.place()
    assert (response.status_code, code_of(response)) == (400, "FMT009")
    assert (await caller.ledger())["calls"] == {"place": 2, "placeRejected": 1}
    assert (await caller.sku("2001"))["reserved"] == 2


@pytest.mark.parametrize(("sku", "code"), [({"stock": 3}, "FMT002"), ({"price": 4190}, "FMT006"), ({}, "FMT009")])
async def test_a_repeat_may_be_refused_as_a_new_order_before_its_id_is_looked_at(
    caller: Caller, sku: dict[str, Any], code: str
) -> None:
    await caller.set(placeRepeat="validate-first")
    assert (await caller.place()).status_code == 200
    await caller.sku("2001", **sku)
    response = await caller.place()
    assert (response.status_code, code_of(response)) == (400, code)
    assert (await caller.sku("2001"))["reserved"] == 2
    assert (await caller.ledger())["calls"] == {"place": 2, "placeRejected": 1}


async def test_a_seller_that_looks_at_the_id_last_refuses_the_spent_one_too(caller: Caller) -> None:
    await caller.set(placeRepeat="validate-first")
    await caller.place()
    await caller.cancel()
    assert code_of(await caller.place()) == "FMT0060"
    assert (await caller.sku("2001"))["reserved"] == 0


async def test_the_id_of_a_canceled_order_can_never_be_used_again(caller: Caller) -> None:
    await caller.place()
    await caller.cancel()
    assert code_of(await caller.place()) == "FMT0060"


async def test_a_bare_object_is_no_order(caller: Caller) -> None:
    response = await caller.place(order(), wrap=False)
    assert (response.status_code, code_of(response)) == (400, "FMT0026")


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("marketplaceOrderId", MISSING, "FMT015"),
        ("marketplaceOrderId", 17, "FMT015"),
        ("marketplaceServicesEndpoint", MISSING, "FMT0070"),
        ("marketplaceServicesEndpoint", "callbacks.example/x", "FMT0070"),
        ("marketplacePaymentValue", MISSING, "FMT0042"),
        ("marketplacePaymentValue", "9470", "FMT0042"),
        ("marketplacePaymentValue", 9471, "FMT007"),
        ("items", [], "FMT0026"),
        ("items.0.id", 2001, "FMT0039"),
        ("items.0.id", "9999", "FMT005"),
        ("items.0.quantity", 0, "FMT0038"),
        ("items.0.quantity", "2", "FMT0038"),
        ("items.0.seller", "acme", "FMT0040"),
        ("items.0.price", "3990", "FMT0041"),
        ("items.0.price", 39.9, "FMT0041"),
        ("items.0.price", MISSING, "FMT0041"),
        ("clientProfileData", None, "FMT0045"),
        ("clientProfileData.email", MISSING, "ORD007"),
        ("clientProfileData.email", "nobody", "ORD007"),
        ("clientProfileData.document", "", "ORD007"),
        ("clientProfileData.isCorporate", True, "ORD007"),
        ("shippingData", None, "FMT001"),
        ("shippingData.address", None, "FMT001"),
        ("shippingData.address.postalCode", "", "FMT0074"),
        ("shippingData.address.street", MISSING, "ORD006"),
        ("shippingData.address.country", "BR", "ORD006"),
        ("shippingData.updateStatus", "outdated", "ORD022"),
        ("shippingData.logisticsInfo", [], "FMT001"),
        ("shippingData.logisticsInfo.0.itemIndex", 1, "FMT0057"),
        ("shippingData.logisticsInfo.0.itemIndex", "0", "FMT0057"),
        ("shippingData.logisticsInfo.0.selectedSla", None, "FMT004"),
        ("shippingData.logisticsInfo.0.selectedSla", "Drone", "FMT003"),
        ("shippingData.logisticsInfo.0.selectedSla", "Scheduled", "FMT010"),
        ("shippingData.logisticsInfo.0.selectedDeliveryChannel", "pickup-in-point", "FMT0095"),
        ("shippingData.logisticsInfo.0.lockTTL", MISSING, "FMT017"),
        ("shippingData.logisticsInfo.0.lockTTL", "soon", "FMT0077"),
        ("shippingData.logisticsInfo.0.shippingEstimate", None, "FMT0078"),
        ("shippingData.logisticsInfo.0.shippingEstimate", "5 days", "FMT0079"),
        ("shippingData.logisticsInfo.0.price", "1490", "FMT0041"),
        ("shippingData.logisticsInfo.0.deliveryWindow", {"startDateUtc": "today"}, "ORD047"),
    ],
)
async def test_a_wrong_order_is_refused_with_its_code(caller: Caller, path: str, value: Any, code: str) -> None:
    response = await caller.place(order(**{path: value}))
    assert (response.status_code, code_of(response)) == (400, code)
    assert (await caller.client.get("/sandbox/orders")).json() == []
    assert (await caller.sku("2001"))["reserved"] == 0


async def test_every_item_needs_exactly_one_entry_of_logistics_info(caller: Caller) -> None:
    document = order()
    document["items"].append({"id": "2003", "quantity": 1, "seller": "1", "price": 4550})
    assert code_of(await caller.place(document)) == "FMT003"
    infos = document["shippingData"]["logisticsInfo"]
    infos.append(infos[0] | {"itemIndex": 0})
    assert code_of(await caller.place(document)) == "FMT0089"
    infos[1] = infos[0] | {"itemIndex": 1}
    document["marketplacePaymentValue"] += 4550 + 1490
    assert (await caller.place(document)).status_code == 200


async def test_too_many_items_are_refused(caller: Caller) -> None:
    await caller.set(maxItems=1)
    items = ORDER["items"] * 2
    assert code_of(await caller.place(order(items=items))) == "FMT0104"


async def test_an_inactive_sku_is_refused(caller: Caller) -> None:
    await caller.sku("2001", active=False)
    assert code_of(await caller.place()) == "FMT005"


async def test_too_little_stock_is_refused(caller: Caller) -> None:
    await caller.sku("2001", stock=1)
    assert code_of(await caller.place()) == "FMT002"


async def test_an_address_that_no_sla_reaches_is_refused(caller: Caller) -> None:
    await caller.set(undeliverablePostalCodes=["80"])
    assert code_of(await caller.place()) == "FMT010"


async def test_a_scheduled_delivery_needs_an_offered_window_and_pays_its_price(caller: Caller) -> None:
    simulated = (await caller.simulate(("2009", 1), postalCode="80240-210", country="BRA")).json()
    window = simulated["logisticsInfo"][0]["slas"][0]["availableDeliveryWindows"][1]
    document = order(
        items=[{"id": "2009", "quantity": 1, "seller": "1", "price": 49900}],
        marketplacePaymentValue=49900 + 1990 + 350,
    )
    info = document["shippingData"]["logisticsInfo"][0]
    info |= {"selectedSla": "Scheduled", "price": 1990 + 350}
    assert code_of(await caller.place(document)) == "ORD046"
    info["deliveryWindow"] = window | {"endDateUtc": "2020-01-01T12:00:00Z"}
    assert code_of(await caller.place(document)) == "ORD047"
    info["deliveryWindow"] = window
    assert (await caller.place(document)).status_code == 200


async def test_prices_that_differ_are_refused_unless_created_async_and_within_the_rule(caller: Caller) -> None:
    await caller.sku("2001", price=4000)
    assert code_of(await caller.place()) == "FMT006"
    assert code_of(await caller.place(order(isCreatedAsync=True))) == "FMT006"
    await caller.set(divergenceAuthorizedPercent=1)
    assert code_of(await caller.place()) == "FMT006"
    assert (await caller.place(order(isCreatedAsync=True))).status_code == 200
    assert await caller.status() == "waiting-ffmt-authorization"
    assert (await caller.ledger())["divergencePercent"] == 0.25


async def test_a_shipping_price_that_differs_is_refused(caller: Caller) -> None:
    document = order(marketplacePaymentValue=2 * 3990 + 1000)
    document["shippingData"]["logisticsInfo"][0]["price"] = 1000
    assert code_of(await caller.place(document)) == "FMT007"


async def test_a_divergence_beyond_the_rule_can_be_held_for_a_person(caller: Caller) -> None:
    await caller.sku("2001", price=4200)
    await caller.set(divergenceAuthorizedPercent=1, divergenceHeldPercent=10)
    await caller.place(order(isCreatedAsync=True))
    assert await caller.status() == "waiting-for-manual-authorization"
    response = await caller.dispatch()
    assert (response.status_code, code_of(response)) == (400, "FMT0084")
    approve = "/sandbox/orders/A-1/approve"
    assert (await caller.client.post(approve)).json()["status"] == "waiting-ffmt-authorization"
    assert (await caller.client.post(approve)).status_code == 409
    assert (await caller.dispatch()).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-VTEX-API-AppKey": "sandbox-key"}, 401),
        (KEYS | {"X-VTEX-API-AppToken": "wrong"}, 403),
        (KEYS | {"X-VTEX-API-AppKey": "wröng".encode()}, 403),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/api/fulfillment/pvt/orders",
        "/api/fulfillment/pvt/orderForms/simulation",
        "/api/fulfillment/pvt/orders/MKP-A-1/fulfill",
        "/api/fulfillment/pvt/orders/MKP-A-1/cancel",
        "/api/oms/pvt/orders/MKP-A-1/cancel",
    ],
)
async def test_a_private_route_needs_the_right_keys(
    caller: Caller, path: str, headers: dict[str, Any], status: int
) -> None:
    response = await caller.client.post(path, params=SC, json=[order()], headers=headers)
    assert (response.status_code, code_of(response)) == (status, "ORD062")
    assert (await caller.client.get("/sandbox/orders")).json() == []


async def test_a_body_must_be_json_and_say_so(caller: Caller) -> None:
    path = "/api/fulfillment/pvt/orders"
    broken = await caller.client.post(
        path, params=SC, headers=KEYS | {"content-type": "application/json"}, content=b"[{"
    )
    assert (broken.status_code, code_of(broken)) == (400, "CHK00308")
    unnamed = await caller.client.post(path, params=SC, headers=KEYS, content=b"[]")
    assert unnamed.status_code == 415


async def test_an_unknown_path_is_a_page_of_the_edge(caller: Caller) -> None:
    response = await caller.client.get("/api/fulfillment/pvt/order", headers=KEYS)
    assert response.status_code == 404
    assert response.text.startswith("<!DOCTYPE html>")
    assert (await caller.client.get("/api/fulfillment/pvt/orders", headers=KEYS)).status_code == 405


@pytest.mark.parametrize("form", ["object", "envelope"])
async def test_the_answer_can_have_another_form(caller: Caller, form: str) -> None:
    await caller.set(placeAnswer=form)
    answer = (await caller.place()).json()
    assert answer["orderId"] == "MKP-A-1"
    assert ("orderData" in answer) == (form == "envelope")


async def test_the_answer_can_show_the_sellers_own_prices(caller: Caller) -> None:
    await caller.sku("2001", price=4000)
    await caller.set(answeredPrices="seller", divergenceAuthorizedPercent=1)
    (placed,) = (await caller.place(order(isCreatedAsync=True))).json()
    assert placed["items"][0]["price"] == 4000


async def test_the_error_code_can_be_in_the_header_or_the_body_alone(caller: Caller) -> None:
    await caller.set(errorCodeIn="header")
    response = await caller.place(order(items=[]))
    assert (response.json()["error"]["code"], response.headers["x-vtex-error-code"]) == ("1", "FMT0026")
    assert "%20" in response.headers["x-vtex-error-message"]
    await caller.set(errorCodeIn="body")
    response = await caller.place(order(items=[]))
    assert response.json()["error"]["code"] == "FMT0026"
    assert "x-vtex-error-code" not in response.headers
