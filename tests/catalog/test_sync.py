"""What is read of a SKU, what blocks it, and how it comes back."""

import asyncio
from typing import Any

import pytest

from tests.catalog.conftest import MakeShop
from tests.catalog.shop import Shop
from tests.support.scripted_server import json_answer, scripted_server
from workflows.catalog_messages import SkuState

Json = dict[str, Any]

TERMS: Json = {"simulate": 1}
DATA: Json = {"sku": 1, "product": 1, "simulate": 1}
SKU: Json = {"sku": 1, "simulate": 1}


# --- which reads ---

FLAGS: dict[str, tuple[Json, Json]] = {
    "price": ({"priceModified": True}, TERMS),
    "stock": ({"stockModified": True}, TERMS),
    "price and stock": ({"priceModified": True, "stockModified": True}, TERMS),
    "price in five fields": ({"priceModified": True, "form": "five"}, TERMS),
    "stock in small letters": ({"stockModified": True, "form": "camel"}, TERMS),
    "data": ({"hasStockKeepingUnitModified": True}, DATA),
    "data, price and stock": (
        {"hasStockKeepingUnitModified": True, "priceModified": True, "stockModified": True},
        DATA,
    ),
    "removed, wrongly": ({"hasStockKeepingUnitRemovedFromAffiliate": True}, SKU),
    "removed, wrongly, and price": ({"hasStockKeepingUnitRemovedFromAffiliate": True, "priceModified": True}, SKU),
    "inactive, wrongly": ({"isActive": False}, DATA),
    "inactive, wrongly, and price": ({"isActive": False, "priceModified": True}, DATA),
    "nothing in particular": ({}, SKU),
    "nothing, in five fields": ({"form": "five"}, SKU),
}


async def test_the_flags_of_a_notice_say_what_is_read(shop: Shop) -> None:
    sku_ids = dict(zip(FLAGS, await asyncio.gather(*(shop.listed() for _ in FLAGS)), strict=True))
    await asyncio.gather(*(shop.settled(sku_id) for sku_id in sku_ids.values()))
    await shop.sandbox.delete("/reads")
    for flags, sku_id in sku_ids.items():
        await shop.put(sku_id, price=2000, stock=3)
        await shop.tell(sku_id, **FLAGS[flags][0])
    for flags, sku_id in sku_ids.items():
        # Whatever was said, price and stock are what the Seller says now.
        await shop.until(sku_id, price=2000, stock=3, status="listed")
        assert (flags, await shop.calls(sku_id)) == (flags, FLAGS[flags][1])


async def test_of_an_unknown_sku_everything_is_read_whatever_was_said(shop: Shop) -> None:
    for notice in ({"priceModified": True}, {"hasStockKeepingUnitModified": True}, {"form": "five"}):
        sku_id = await shop.add()
        await shop.tell(sku_id, **notice)
        offer = await shop.until(sku_id, status="listed")
        calls = await shop.calls(sku_id)
        assert (calls["sku"], calls["simulate"]) == (1, 1)
        data = offer["data"]
        assert data["name"]
        assert data["salesChannels"] == [1]
        assert data["images"]
        assert data["categories"]
        assert data["brand"]["id"]
        assert (data["ean"], data["refId"]) != (None, None)
        assert (offer["price"], offer["listPrice"], offer["stock"]) == (1000, 1000, 10)


async def test_the_product_is_read_where_the_sku_leaves_its_activity_open(shop: Shop) -> None:
    await shop.switch(isProductActive="absent")
    sku_id = await shop.listed()
    assert await shop.calls(sku_id) == DATA


# --- what blocks ---


async def _unknown(shop: Shop) -> tuple[str, Json]:
    return "9990001", {"price": 1000, "name": "Bowl", "stock": 10}


async def _sku_off(shop: Shop) -> tuple[str, Json]:
    sku_id = await shop.listed()
    await shop.change(sku_id, active=False)
    return sku_id, {"active": True}


async def _product_off(shop: Shop) -> tuple[str, Json]:
    sku_id = await shop.listed()
    await shop.change(sku_id, productActive=False)
    return sku_id, {"productActive": True}


async def _product_off_told_by_the_product_alone(shop: Shop) -> tuple[str, Json]:
    await shop.switch(isProductActive="absent")
    return await _product_off(shop)


async def _withdrawn(shop: Shop) -> tuple[str, Json]:
    sku_id = await shop.listed()
    (await shop.sandbox.post(f"/skus/{sku_id}/withdraw")).raise_for_status()
    return sku_id, {"salesChannels": None}


async def _in_another_channel(shop: Shop) -> tuple[str, Json]:
    sku_id = await shop.add(salesChannels=[2])
    await shop.tell(sku_id)
    return sku_id, {"salesChannels": [1, 2]}


async def _not_simulated(shop: Shop, unsellable: str = "missing") -> tuple[str, Json]:
    sku_id = await shop.listed()
    await shop.switch(unsellable=unsellable)
    await shop.put(sku_id, active=False)
    # Of the data nothing is said, so that it is the simulation alone that tells.
    await shop.tell(sku_id, priceModified=True)
    return sku_id, {"active": True}


async def _silently_not_simulated(shop: Shop) -> tuple[str, Json]:
    return await _not_simulated(shop, "silent")


async def _simulated_without_logistics(shop: Shop) -> tuple[str, Json]:
    return await _not_simulated(shop, "no-logistics")


CAUSES = {
    "sku-unknown": [_unknown],
    "sku-inactive": [_sku_off],
    "product-inactive": [_product_off, _product_off_told_by_the_product_alone],
    "removed-from-affiliate": [_withdrawn],
    "outside-sales-channel": [_in_another_channel],
    "not-in-simulation": [_not_simulated, _silently_not_simulated, _simulated_without_logistics],
}


@pytest.mark.parametrize(("code", "way"), [(code, way) for code, ways in CAUSES.items() for way in ways])
async def test_what_cannot_be_sold_is_blocked_without_stock_and_comes_back(shop: Shop, code: str, way: Any) -> None:
    sku_id, mended = await way(shop)
    if code == "sku-unknown":
        await shop.tell(sku_id, hasStockKeepingUnitModified=True)
    offer = await shop.until(sku_id, status="blocked")
    assert [one["code"] for one in offer["blocks"]] == [code]
    assert offer["blocks"][0]["message"]
    assert (offer["stock"], offer["slas"], offer["lastError"]) == (0, [], None)
    await shop.put(sku_id, **mended)
    # A notice about the price is enough: what is blocked is read in full.
    await shop.tell(sku_id, priceModified=True)
    back = await shop.until(sku_id, status="listed")
    assert (back["stock"], back["price"], back["blocks"]) == (10, 1000, [])


async def test_every_cause_is_told_at_once(shop: Shop) -> None:
    sku_id = await shop.add(active=False, productActive=False, salesChannels=[2])
    await shop.tell(sku_id)
    offer = await shop.until(sku_id, status="blocked")
    assert [one["code"] for one in offer["blocks"]] == ["sku-inactive", "product-inactive", "outside-sales-channel"]


async def test_goods_of_the_sellers_own_third_parties_are_not_sold(make_shop: MakeShop) -> None:
    async with scripted_server() as server, make_shop(seller_url=server.url) as shop:
        sku = {"Id": 7, "ProductId": 1, "NameComplete": "Vase", "IsActive": True, "IsProductActive": True}
        theirs = {**sku, "SalesChannels": [1], "SkuSellers": [{"SellerId": "partner", "StockKeepingUnitId": 7}]}
        server.always = json_answer(theirs)
        await shop.tell("7")
        offer = await shop.until("7", status="blocked")
        assert [one["code"] for one in offer["blocks"]] == ["foreign-seller"]
        assert offer["stock"] == 0


@pytest.mark.parametrize("word", ["withoutStock", "withoutPrice", "cannotBeDelivered", "aWordOfTomorrow"])
async def test_what_is_not_available_stays_listed_without_stock(shop: Shop, word: str) -> None:
    sku_id = await shop.listed()
    await shop.change(sku_id, availability=word)
    offer = await shop.until(sku_id, availability=word)
    assert (offer["status"], offer["stock"]) == ("listed", 0)
    await shop.change(sku_id, availability=None)
    await shop.until(sku_id, availability="available", stock=10)


async def test_a_seller_that_does_not_tell_its_stock_sells_without_it(shop: Shop) -> None:
    await shop.switch(stockBalance="absent")
    sku_id = await shop.add()
    await shop.tell(sku_id)
    assert (await shop.until(sku_id, status="listed"))["stock"] is None


# --- failures of one SKU ---


async def test_a_sku_that_keeps_failing_alone_is_tried_as_often_as_the_settings_say_and_then_given_up(
    shop: Shop,
) -> None:
    sku_id = await shop.listed()
    await shop.settled(sku_id)
    await shop.sandbox.delete("/reads")
    await shop.fault("simulate", "server-error", sku_id, times=100)
    await shop.tell(sku_id, priceModified=True)
    offer = await shop.until(sku_id, status="failed")
    tries = shop.engine.settings.seller_attempts
    assert (await shop.calls(sku_id), offer["attempts"]) == ({"simulate": tries}, tries)
    assert offer["lastError"]["code"] == "seller-unavailable"
    assert "500" in offer["lastError"]["message"]
    assert [one["id"] for one in await shop.offers(status="failed")] == [sku_id]
    errors = [one for one in await shop.logs(status="error") if one["Subject"] == sku_id]
    assert [one["Code"] for one in errors] == ["E2"] * tries
    # The next notice drives it anew.
    await shop.sandbox.delete("/faults")
    await shop.tell(sku_id, priceModified=True)
    back = await shop.until(sku_id, status="listed")
    assert (back["attempts"], back["lastError"]) == (0, None)


@pytest.mark.parametrize(
    ("kind", "code", "log"), [("not-json", "seller-nonsense", "E1"), ("error", "seller-refused", "E3")]
)
async def test_a_failure_is_named_by_what_it_is(shop: Shop, kind: str, code: str, log: str) -> None:
    sku_id = await shop.add()
    await shop.fault("sku", kind, sku_id, times=100, code="1")
    await shop.tell(sku_id)
    offer = await shop.until(sku_id, status="failed")
    assert offer["lastError"]["code"] == code
    assert {one["Code"] for one in await shop.logs() if one["Subject"] == sku_id} == {log}
    # A refusal is not asked for again; what makes no sense may be a hiccup.
    assert offer["attempts"] == (1 if kind == "error" else shop.engine.settings.seller_attempts)


async def test_with_wrong_keys_nothing_is_given_up_and_everybody_sees_why(shop: Shop) -> None:
    sku_id = await shop.add()
    await shop.fault("sku", "forbidden", sku_id, times=100)
    await shop.tell(sku_id)
    offer = await shop.until(sku_id, lambda found: found["lastError"] is not None)
    assert (offer["status"], offer["lastError"]["code"], offer["attempts"]) == ("blocked", "seller-credentials", 0)
    async with asyncio.timeout(10):
        while (state := await shop.workflow(sku_id).query("state", result_type=SkuState)).problem is None:
            await asyncio.sleep(0.02)
    assert state.problem.code == "seller-credentials"
    assert state.waits_for.startswith("the Seller, until")
    [error] = [one for one in await shop.logs(status="error") if one["Subject"] == sku_id]
    assert error["Code"] == "E2"
    # Wrong keys are not hammered with.
    assert await shop.calls(sku_id) == {"sku": 1}
    await shop.workflow(sku_id).terminate()
