"""The sandbox's change notices: what is said about which change, in which spelling, how many at once, how often."""

from typing import Any

import pytest

from sandbox.sending import insert_path
from tests.sandbox.calls import Caller, eventually
from tests.support.scripted_server import ScriptedServer, answer

FLAGS = ("StockModified", "PriceModified", "HasStockKeepingUnitModified", "HasStockKeepingUnitRemovedFromAffiliate")
PASCAL = {"IdSku", "ProductId", "An", "IdAffiliate", "DateModified", "IsActive", *FLAGS}


@pytest.fixture
async def told(caller: Caller, marketplace: ScriptedServer) -> Caller:
    """A caller whose Seller knows where to send its notices, which are answered 202."""
    marketplace.always = answer(202)
    await caller.set(notificationEndpoint=f"{marketplace.url}/affiliates/acme/token-1")
    return caller


@pytest.mark.parametrize(
    ("change", "flags"),
    [
        ({"price": 4000}, (0, 1, 0, 0)),
        ({"listPrice": 5000}, (0, 1, 0, 0)),
        ({"stock": 3}, (1, 0, 0, 0)),
        ({"slas": ["Express"]}, (1, 0, 0, 0)),
        ({"price": 4000, "stock": 3}, (1, 1, 0, 0)),
        ({"name": "Mug"}, (0, 0, 1, 0)),
        ({"images": ["https://img.example/1.jpg"], "price": 4000}, (0, 1, 1, 0)),
        ({"active": False}, (0, 0, 1, 0)),
        ({"salesChannels": [1, 2]}, (0, 0, 1, 0)),
        ({"salesChannels": [2]}, (0, 0, 1, 1)),
    ],
)
async def test_a_change_is_told_with_its_flags(
    told: Caller, marketplace: ScriptedServer, change: dict[str, Any], flags: tuple[int, ...]
) -> None:
    changed = await told.patch("2001", **change)
    (request,) = marketplace.requests
    assert (request.method, request.path) == ("POST", "/affiliates/acme/token-1/api/notification/")
    body = request.json
    assert tuple(body[flag] for flag in FLAGS) == flags
    assert (body["IdSku"], body["ProductId"], body["An"], body["IdAffiliate"]) == ("2001", 2001, "acme", "MKP")
    assert (body["IsActive"], set(body)) == (True, PASCAL)
    (notice,) = changed["notices"]
    assert (notice["skuId"], notice["status"], notice["body"]) == ("2001", 202, body)


async def test_a_deactivated_product_is_told_as_inactive(told: Caller, marketplace: ScriptedServer) -> None:
    await told.patch("2001", productActive=False)
    assert (marketplace.last.json["IsActive"], marketplace.last.json["HasStockKeepingUnitModified"]) == (False, True)


async def test_a_withdrawn_sku_leaves_the_affiliate_and_is_not_spoken_of_any_more(
    told: Caller, marketplace: ScriptedServer
) -> None:
    withdrawn = await told.control("POST", "skus/2001/withdraw")
    assert withdrawn["sku"]["salesChannels"] == []
    assert marketplace.last.json["HasStockKeepingUnitRemovedFromAffiliate"] is True
    assert 2001 not in (await told.sku_ids()).json()
    assert (await told.patch("2001", price=1))["notices"] == []
    await told.patch("2001", salesChannels=None)
    assert (len(marketplace.requests), marketplace.last.json["PriceModified"]) == (2, True)


async def test_nothing_is_told_without_a_change_a_wish_or_an_endpoint(
    told: Caller, marketplace: ScriptedServer
) -> None:
    assert (await told.patch("2001", price=3990))["changed"] == []
    assert (await told.patch("2001", price=4000, notify=False))["changed"] == ["price"]
    await told.set(notificationEndpoint=None)
    assert (await told.patch("2001", price=4100))["notices"] == []
    assert marketplace.requests == []
    assert (await told.client.post("/sandbox/notices", json={"skuId": "2001"})).status_code == 409


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"IdSku": "2001", "ProductId": 2001, "IsActive": True}),
        ({"noticeForm": "five"}, {"IdSku": "2001"}),
        ({"noticeForm": "camel"}, {"idSKU": "2001", "productId": 2001, "an": "acme", "isActive": True}),
        ({"noticeForm": "full"}, {"IdSku": "2001", "Version": "1.0"}),
        ({"noticeSkuId": "integer", "noticeProductId": "string"}, {"IdSku": 2001, "ProductId": "2001"}),
        ({"unknownFields": True}, {"FutureField": {"Nested": [1, None, "x"]}}),
    ],
)
async def test_a_notice_has_every_documented_form(
    told: Caller, marketplace: ScriptedServer, settings: dict[str, Any], expected: dict[str, Any]
) -> None:
    await told.set(**settings)
    await told.patch("2001", price=4000)
    body = marketplace.last.json
    assert {key: body.get(key) for key in expected} == expected
    assert (body["PriceModified"], body["StockModified"]) == (True, False)
    if settings.get("noticeForm") == "five":
        assert set(body) == {"IdSku", "An", "IdAffiliate", "StockModified", "PriceModified"}


async def test_product_and_date_can_be_left_out(told: Caller, marketplace: ScriptedServer) -> None:
    await told.set(noticeProductId="absent", noticeDate="absent")
    await told.patch("2001", price=4000)
    assert set(marketplace.last.json) == PASCAL - {"ProductId", "DateModified"}
    await told.set(noticeDate="given", catalogDates="space")
    await told.patch("2001", price=4100)
    assert marketplace.last.json["DateModified"][10] == " "


@pytest.mark.parametrize(
    ("endpoint", "path", "url"),
    [
        ("https://h.example/x/t", "/api/notification/", "https://h.example/x/t/api/notification/"),
        ("https://h.example/x/t/", "/api/notification", "https://h.example/x/t/api/notification"),
        ("https://h.example/x/t?a=1", "/api/notification/", "https://h.example/x/t/api/notification/?a=1"),
        ("https://h.example/x/t", "", "https://h.example/x/t"),
        ("https://h.example/x/t", "/", "https://h.example/x/t/"),
        ("https://h.example/x/t/", "", "https://h.example/x/t/"),
    ],
)
def test_the_seller_may_type_any_path_behind_the_endpoint(endpoint: str, path: str, url: str) -> None:
    assert insert_path(endpoint, path) == url


async def test_a_notice_by_hand_says_whatever_it_is_told_to(told: Caller, marketplace: ScriptedServer) -> None:
    report = {
        "skuId": "9999",
        "form": "camel",
        "skuIdForm": "integer",
        "path": "",
        "isActive": False,
        "stockModified": True,
        "dateModified": "2026-03-09 13:22:41",
        "fields": {"an": "acme.myvtex", "idSku": 5},
        "without": ["idSKU"],
    }
    (sent,) = await told.control("POST", "notices", json=report)
    assert (marketplace.last.path, sent["status"]) == ("/affiliates/acme/token-1", 202)
    assert marketplace.last.json == {
        "an": "acme.myvtex",
        "idSku": 5,
        "idAffiliate": "MKP",
        "DateModified": "2026-03-09 13:22:41",
        "isActive": False,
        "StockModified": True,
        "PriceModified": False,
        "HasStockKeepingUnitModified": False,
        "HasStockKeepingUnitRemovedFromAffiliate": False,
    }
    await told.control("POST", "notices", json={"skuId": "2001", "rawBody": "{not json"})
    assert marketplace.last.body == b"{not json"
    await told.control("POST", "notices", json={"skuId": "2001", "body": [1]})
    assert marketplace.last.json == [1]
    sent = await told.control("POST", "notices", json={"skuId": "2001", "times": 3, "together": True})
    assert len(sent) == 3


async def test_a_refused_notice_is_not_repeated_unless_that_is_asked_for(
    told: Caller, marketplace: ScriptedServer
) -> None:
    marketplace.always = answer(503)
    assert (await told.patch("2001", price=1))["notices"][0]["attempts"] == 1
    await told.set(noticeAttempts=3, noticeBackoffSeconds=0.01)
    (sent,) = (await told.patch("2001", price=2))["notices"]
    assert (sent["attempts"], sent["status"], sent["acknowledged"]) == (3, 503, False)
    await told.set(notificationEndpoint="http://127.0.0.1:1/x")
    (sent,) = await told.control("POST", "notices", json={"skuId": "2001"})
    assert (sent["attempts"], sent["status"], sent["error"]) == (1, None, "ConnectError")
    summary = await told.control("GET", "notices/summary")
    assert (summary["sent"], summary["failed"], summary["answers"]) == (3, 3, {"503": 2, "none": 1})
    kept = await told.control("GET", "notices", params={"skuId": "2001", "limit": 2})
    assert [notice["attempts"] for notice in kept] == [3, 1]
    await told.control("DELETE", "notices")
    assert await told.control("GET", "notices") == []


async def test_many_random_changes_are_told_with_bounded_concurrency(told: Caller, marketplace: ScriptedServer) -> None:
    await told.set(noticeConcurrency=2)
    kinds = ["price", "stock", "data", "active"]
    changed = await told.control("POST", "catalog/changes", json={"count": 10, "kinds": kinds, "seed": 7})
    assert (changed["queued"], len(set(changed["skuIds"]))) == (10, 10)

    async def sent() -> bool:
        return bool((await told.control("GET", "notices/summary"))["sent"] == 10)

    await eventually(sent)
    assert marketplace.connections == 2
    assert {request.json["IdSku"] for request in marketplace.requests} == set(changed["skuIds"])
    assert all(any(request.json[flag] for flag in FLAGS) for request in marketplace.requests)
    more = {"count": 99, "background": False}
    assert len((await told.control("POST", "catalog/changes", json=more))["skuIds"]) == 12
    assert len(marketplace.requests) == 22


async def test_a_reindex_tells_of_every_sku_of_the_trade_policy(told: Caller, marketplace: ScriptedServer) -> None:
    await told.patch("2005", salesChannels=[9], notify=False)
    assert await told.control("POST", "catalog/reindex", json={"background": False}) == {"notices": 11}
    assert sorted(request.json["IdSku"] for request in marketplace.requests) == [
        str(number) for number in range(2001, 2013) if number != 2005
    ]


async def test_fewer_at_once_still_send_all_that_wait(told: Caller, marketplace: ScriptedServer) -> None:
    await told.set(noticeConcurrency=12)
    marketplace.always = answer(202, delay=0.05)
    await told.control("POST", "catalog/reindex")
    await told.control("POST", "catalog/reindex")
    await told.set(noticeConcurrency=1)

    async def sent() -> bool:
        return bool((await told.control("GET", "notices/summary"))["sent"] == 24)

    await eventually(sent)


async def test_orders_are_told_as_changes_of_stock_when_that_is_switched_on(
    told: Caller, marketplace: ScriptedServer
) -> None:
    await told.set(noticeReservations=True)
    await told.place()

    async def noticed() -> bool:
        return bool(marketplace.requests)

    await eventually(noticed)
    assert [marketplace.last.json[flag] for flag in FLAGS] == [True, False, False, False]


async def test_a_reset_drops_what_waits(told: Caller, marketplace: ScriptedServer) -> None:
    marketplace.always = answer(202, delay=30)
    await told.set(noticeConcurrency=1)
    await told.control("POST", "catalog/reindex")
    assert (await told.client.post("/sandbox/reset")).status_code == 204
    summary = await told.control("GET", "notices/summary")
    assert (summary["queued"], summary["underWay"], summary["sent"]) == (0, 0, 0)
