"""The sandbox's cart simulation: prices, stock, SLAs, refusals, and every form VTEX documents."""

from typing import Any

import pytest

from tests.sandbox.calls import KEYS, SC, Caller, code_of

ADDRESS = {"postalCode": "80240-210", "country": "BRA"}


async def test_a_cart_is_answered_with_price_stock_and_slas(caller: Caller) -> None:
    answer = (await caller.simulate(("2001", 2), ("2004", 1), **ADDRESS)).json()
    assert [(item["id"], item["requestIndex"], item["price"]) for item in answer["items"]] == [
        ("2001", 0, 3990),
        ("2004", 1, 8990),
    ]
    first, second = answer["logisticsInfo"]
    assert (first["itemIndex"], first["stockBalance"]) == (0, 120)
    assert [(sla["id"], sla["price"], sla["lockTTL"]) for sla in first["slas"]] == [
        ("Standard", 1490, "7d"),
        ("Express", 2990, "3d"),
    ]
    assert second["slas"][2]["pickupPointId"] == answer["pickupPoints"][0]["pickupPointId"] == "acme_centro"
    assert answer["totals"][1] == {"id": "Shipping", "name": "Shipping total", "value": 1490}


async def test_both_simulation_routes_answer_the_same(caller: Caller) -> None:
    public = (await caller.simulate(("2001", 1))).json()
    private = (await caller.simulate(("2001", 1), path="fulfillment/pvt")).json()
    for answer in (public, private):
        del answer["items"][0]["priceValidUntil"]
    assert public == private


async def test_without_a_postal_code_no_sla_is_offered_but_the_item_is_available(caller: Caller) -> None:
    answer = (await caller.simulate(("2001", 1))).json()
    assert answer["items"][0]["availability"] == "available"
    assert answer["logisticsInfo"][0]["slas"] == []


async def test_an_unknown_and_an_inactive_sku_are_left_out_and_named(caller: Caller) -> None:
    await caller.sku("2002", active=False)
    answer = (await caller.simulate(("9999", 1), ("2001", 1), ("2002", 1))).json()
    assert [item["id"] for item in answer["items"]] == ["2001"]
    assert [(m["code"], m["fields"]["id"]) for m in answer["messages"]] == [("ORD027", "9999"), ("ORD027", "2002")]
    assert answer["items"][0]["requestIndex"] == 1
    assert answer["logisticsInfo"][0]["itemIndex"] == 0


async def test_a_sold_out_sku_is_without_stock(caller: Caller) -> None:
    answer = (await caller.simulate(("2012", 1), **ADDRESS)).json()
    assert answer["items"][0]["availability"] == "withoutStock"
    assert answer["logisticsInfo"][0]["stockBalance"] == 0
    assert answer["logisticsInfo"][0]["slas"] == []


async def test_a_quantity_above_the_stock_is_lowered_over_all_lines(caller: Caller) -> None:
    answer = (await caller.simulate(("2011", 1), ("2011", 3))).json()
    assert [item["quantity"] for item in answer["items"]] == [1, 1]
    assert answer["messages"][0]["code"] == "itemQuantityNotAvailable"


async def test_a_scheduled_sla_offers_windows_with_their_price(caller: Caller) -> None:
    answer = (await caller.simulate(("2009", 1), **ADDRESS)).json()
    windows = answer["logisticsInfo"][0]["slas"][0]["availableDeliveryWindows"]
    assert len(windows) == 6
    assert {window["price"] for window in windows} == {0, 350}


async def test_a_postal_code_that_no_sla_reaches_cannot_be_delivered_to(caller: Caller) -> None:
    await caller.set(undeliverablePostalCodes=["69"])
    answer = (await caller.simulate(("2001", 1), postalCode="69000-000", country="BRA")).json()
    assert answer["items"][0]["availability"] == "cannotBeDelivered"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "ORD005"),
        ({"items": []}, "ORD005"),
        ({"items": [{"quantity": 1, "seller": "1"}]}, "ORD005"),
        ({"items": [{"id": 2001, "quantity": 1, "seller": "1"}]}, "ORD005"),
        ({"items": [{"id": "2001", "quantity": 0, "seller": "1"}]}, "CHK0023"),
        ({"items": [{"id": "2001", "quantity": "1", "seller": "1"}]}, "CHK0023"),
        ({"items": [{"id": "2001", "quantity": 1, "seller": "acme"}]}, "CHK0024"),
        ({"items": [{"id": "2001", "quantity": 1, "seller": 1}]}, "CHK0024"),
        ({"items": [{"id": "2001", "quantity": 1, "seller": "1"}], "postalCode": "80240-210"}, "ORD006"),
        ({"items": [{"id": "2001", "quantity": 1, "seller": "1"}], "country": "BRA"}, "ORD006"),
        ({"items": [{"id": "2001", "quantity": 1, "seller": "1"}], "postalCode": "8", "country": "BR"}, "ORD006"),
        ({"items": [{"id": "2001", "quantity": 1, "seller": "1"}] * 501}, "FMT0104"),
        ([], "CHK00308"),
    ],
)
async def test_a_malformed_cart_is_refused_with_its_code(caller: Caller, body: Any, code: str) -> None:
    response = await caller.client.post("/api/checkout/pub/orderForms/simulation", params=SC, json=body)
    assert (response.status_code, code_of(response)) == (400, code)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"sc": "1"}, "FMT0021"),
        ({"sc": "1", "affiliateId": "XYZ"}, "FMT0021"),
        ({"sc": "1", "affiliateId": "MKPX"}, "FMT0031"),
        ({"affiliateId": "MKP"}, "FMT0036"),
        ({"sc": "2", "affiliateId": "MKP"}, "FMT0036"),
    ],
)
async def test_an_unknown_affiliate_or_sales_channel_is_refused(
    caller: Caller, query: dict[str, str], code: str
) -> None:
    response = await caller.client.post(
        "/api/fulfillment/pvt/orderForms/simulation", params=query, json={}, headers=KEYS
    )
    assert (response.status_code, code_of(response)) == (400, code)


async def test_the_stock_balance_can_be_absent_or_spelt_otherwise(caller: Caller) -> None:
    await caller.set(stockBalance="absent")
    assert "stockBalance" not in (await caller.simulate(("2001", 1))).text
    await caller.set(stockBalance="StockBalance")
    info = (await caller.simulate(("2001", 1))).json()["logisticsInfo"][0]
    assert info["StockBalance"] == 120
    assert "stockBalance" not in info


async def test_delivery_windows_can_be_one_object(caller: Caller) -> None:
    await caller.set(deliveryWindows="object")
    answer = (await caller.simulate(("2009", 1), **ADDRESS)).json()
    assert "startDateUtc" in answer["logisticsInfo"][0]["slas"][0]["availableDeliveryWindows"]


async def test_the_item_index_can_count_requested_items(caller: Caller) -> None:
    await caller.set(logisticsIndex="request")
    answer = (await caller.simulate(("9999", 1), ("2001", 1))).json()
    assert answer["logisticsInfo"][0]["itemIndex"] == 1


async def test_messages_can_have_the_other_form(caller: Caller) -> None:
    await caller.set(messages="messageId")
    message = (await caller.simulate(("9999", 1))).json()["messages"][0]
    assert message == {
        "messageId": "ORD027",
        "messageText": "Item 9999 not found or unavailable",
        "messageType": "error",
    }


async def test_the_price_definition_can_be_left_out(caller: Caller) -> None:
    assert "priceDefinition" in (await caller.simulate(("2001", 1))).json()["items"][0]
    await caller.set(priceDefinition=False)
    assert "priceDefinition" not in (await caller.simulate(("2001", 1))).json()["items"][0]


async def test_whatever_may_be_null_can_be_null(caller: Caller) -> None:
    await caller.set(nullHeavy=True)
    answer = (await caller.simulate(("2001", 1), **ADDRESS)).json()
    item = answer["items"][0]
    assert answer["messages"] is answer["totals"] is item["listPrice"] is item["priceDefinition"] is None
    assert (item["price"], item["availability"], answer["logisticsInfo"][0]["stockBalance"]) == (3990, "available", 120)
