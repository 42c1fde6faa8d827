"""The sandbox's catalog: SKU, product and id reads, their refusals and variants, and simulations that agree."""

import re
import time
from typing import Any

import httpx
import pytest

from sandbox.catalog import numbered_skus
from sandbox.config import SandboxConfig
from sandbox.server import SandboxServer
from tests.sandbox.calls import KEYS, Caller, code_of

SKU = "catalog_system/pvt/sku/stockkeepingunitbyid/2001"
PRODUCTS = ("catalog/pvt/product/2001", "catalog_system/pvt/products/productget/2001")
IDS = "catalog_system/pvt/sku/stockkeepingunitidsbysaleschannel"


async def test_a_sku_is_read_with_all_its_catalog_data(caller: Caller) -> None:
    sku = (await caller.read_sku(2001, sc=1)).json()
    assert (sku["Id"], sku["ProductId"], sku["IsActive"], sku["IsProductActive"]) == (2001, 2001, True, True)
    assert (sku["NameComplete"], sku["ProductName"], sku["SkuName"]) == ("Ceramic mug, blue", "Ceramic mug", "blue")
    assert isinstance(sku["BrandId"], str)
    assert sku["ProductDescription"].startswith("<p>")
    assert sku["ProductCategoryIds"] == "/" + "/".join(sku["ProductCategories"]) + "/"
    assert sku["ImageUrl"] == sku["Images"][0]["ImageUrl"] != sku["Images"][1]["ImageUrl"]
    assert sku["SkuSpecifications"][0]["FieldValues"] == ["blue"]
    assert len(sku["AlternateIds"]["Ean"]) == 13
    assert sku["SalesChannels"] == [1]
    assert [seller["SellerId"] for seller in sku["SkuSellers"]] == ["1"]


@pytest.mark.parametrize("path", PRODUCTS)
async def test_a_product_is_read_on_both_routes(caller: Caller, path: str) -> None:
    await caller.patch("2001", salesChannels=[3, 1], productActive=False, notify=False)
    product = (await caller.catalog(path)).json()
    assert (product["Id"], product["Name"], product["IsActive"]) == (2001, "Ceramic mug", False)
    assert str(product["BrandId"]) == (await caller.read_sku(2001)).json()["BrandId"]
    assert type(product["BrandId"]) is int
    assert product.get("ListStoreId") == ([1, 3] if "productget" in path else None)


async def test_the_ids_of_a_sales_channel_come_in_pages_from_one(caller: Caller) -> None:
    everything = list(range(2001, 2013))
    assert (await caller.sku_ids(onlyAssigned="true")).json() == everything
    pages = [(await caller.sku_ids(page=page, pageSize=5)).json() for page in (1, 2, 3, 4)]
    assert pages == [everything[:5], everything[5:10], everything[10:], []]


async def test_only_assigned_skus_are_listed_unless_all_are_asked_for(caller: Caller) -> None:
    await caller.patch("2001", salesChannels=[2], notify=False)
    await caller.patch("2002", active=False, notify=False)
    assert (await caller.sku_ids()).json() == list(range(2002, 2013))
    assert (await caller.sku_ids(onlyAssigned="false")).json() == list(range(2001, 2013))
    assert (await caller.sku_ids(sc=2)).json() == [2001]
    assert (await caller.sku_ids(sc=9)).json() == []
    await caller.set(skuIdsOnlyAssigned=False)
    assert len((await caller.sku_ids()).json()) == 12


async def test_pages_have_a_usual_and_a_largest_size(caller: Caller) -> None:
    await caller.set(skuIdsPageSize=3, skuIdsMaxPageSize=4)
    assert len((await caller.sku_ids()).json()) == 3
    assert len((await caller.sku_ids(pageSize=1000)).json()) == 4


@pytest.mark.parametrize("path", [SKU, *PRODUCTS, f"{IDS}?sc=1"])
async def test_the_catalog_needs_keys(caller: Caller, path: str) -> None:
    missing = await caller.client.get(f"/api/{path}")
    assert (missing.status_code, code_of(missing)) == (401, "ORD062")
    wrong = await caller.client.get(f"/api/{path}", headers=KEYS | {"X-VTEX-API-AppToken": "wrong"})
    assert (wrong.status_code, code_of(wrong)) == (403, "ORD062")
    assert (await caller.client.post(f"/api/{path}")).status_code == 405


@pytest.mark.parametrize("path", [SKU, *PRODUCTS])
async def test_an_unknown_id_is_not_found_in_three_forms(caller: Caller, path: str) -> None:
    unknown = path.replace("2001", "9999")
    assert (await caller.catalog(unknown)).json()["error"]["message"].endswith("not found")
    await caller.set(catalogNotFound="text")
    assert isinstance((await caller.catalog(unknown)).json(), str)
    await caller.set(catalogNotFound="html")
    response = await caller.catalog(unknown)
    assert (response.status_code, response.headers["content-type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    [
        SKU.replace("2001", "abc"),
        SKU.replace("2001", "2147483648"),
        SKU.replace("2001", "9" * 5000),
        SKU.replace("2001", "-1"),
        f"{SKU}?sc=x",
        PRODUCTS[0].replace("2001", "x"),
        PRODUCTS[1].replace("2001", "9" * 5000),
        IDS,
        f"{IDS}?sc=x",
        f"{IDS}?sc=1&page=0",
        f"{IDS}?sc=1&pageSize=0",
        f"{IDS}?sc=1&pageSize=1_0",
        f"{IDS}?sc=1&onlyAssigned=perhaps",
    ],
)
async def test_a_malformed_catalog_call_is_refused(caller: Caller, path: str) -> None:
    assert (await caller.client.get(f"/api/{path}", headers=KEYS)).status_code == 400


async def test_a_change_is_seen_by_the_next_read_and_simulation(caller: Caller) -> None:
    await caller.patch(
        "2001",
        name="Ceramic mug, red",
        images=["https://img.example/1.jpg"],
        specifications={"Color": ["red"], "Size": ["S", "M"]},
        dimension={"height": 9},
        categories={"7": "Tables", "71": "Small"},
        description="<p>New</p>",
        brandName="Other",
        ean="",
        unitMultiplier=0.5,
        price=100,
        listPrice=120,
        stock=7,
        notify=False,
    )
    sku = (await caller.read_sku(2001)).json()
    assert (sku["SkuName"], sku["ImageUrl"], sku["BrandName"]) == ("red", "https://img.example/1.jpg", "Other")
    assert sku["SkuSpecifications"][1]["FieldValues"] == ["S", "M"]
    assert len(set(sku["SkuSpecifications"][1]["FieldValueIds"])) == 2
    assert (sku["ProductCategoryIds"], sku["ProductDescription"], sku["UnitMultiplier"]) == (
        "/7/71/",
        "<p>New</p>",
        0.5,
    )
    assert (sku["Dimension"]["height"], sku["AlternateIds"]["Ean"]) == (9.0, "")
    answer = (await caller.simulate(("2001", 1))).json()
    assert (answer["items"][0]["price"], answer["items"][0]["listPrice"]) == (100, 120)
    assert answer["logisticsInfo"][0]["stockBalance"] == 7


async def test_what_is_of_the_product_changes_for_all_its_skus() -> None:
    async with (
        SandboxServer(SandboxConfig(skus=numbered_skus(6))) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        caller = Caller(client)
        before = (await caller.read_sku(100002)).json()
        await caller.patch("100001", name="Salad bowl, red", description="<p>x</p>", productActive=False)
        changed, other = (await caller.read_sku(100002)).json(), (await caller.read_sku(100004)).json()
        assert changed["ProductId"] == before["ProductId"] == 100001
        assert (changed["ProductDescription"], changed["IsProductActive"]) == ("<p>x</p>", False)
        assert (changed["NameComplete"], other["IsProductActive"]) == (before["NameComplete"], True)
        renamed = (await caller.read_sku(100001)).json()
        assert (renamed["NameComplete"], renamed["ProductName"]) == ("Salad bowl, red", before["ProductName"])
        assert (await caller.simulate(("100001", 1), ("100002", 1), ("100004", 1))).json()["items"][0]["id"] == "100004"
        await caller.sku("7777", name="Bowl 1, moss", price=5, productId=100001)
        assert (await caller.read_sku(7777)).json()["IsProductActive"] is False


@pytest.mark.parametrize("change", [{"active": False}, {"productActive": False}, {"salesChannels": [2]}])
async def test_whatever_is_not_sold_is_missing_from_the_simulation(caller: Caller, change: dict[str, Any]) -> None:
    await caller.patch("2001", **change, notify=False)
    answer = (await caller.simulate(("2001", 1))).json()
    assert (answer["items"], answer["logisticsInfo"], answer["messages"][0]["code"]) == ([], [], "ORD027")
    await caller.set(unsellable="silent")
    answer = (await caller.simulate(("2001", 1))).json()
    assert (answer["items"], answer["messages"]) == ([], [])
    await caller.set(unsellable="unavailable")
    answer = (await caller.simulate(("2001", 1))).json()
    assert answer["items"][0]["availability"] == "unavailableItemFulfillment"
    assert answer["logisticsInfo"][0]["stockBalance"] == 0
    await caller.set(unsellable="no-logistics")
    answer = (await caller.simulate(("2001", 1))).json()
    assert (len(answer["items"]), answer["logisticsInfo"]) == (1, [])
    refused = await caller.place()
    assert code_of(refused) == "FMT005"


async def test_a_sku_can_have_any_availability(caller: Caller) -> None:
    await caller.patch("2001", availability="withoutPrice")
    assert (await caller.simulate(("2001", 1))).json()["items"][0]["availability"] == "withoutPrice"
    await caller.patch("2001", availability=None)
    assert (await caller.simulate(("2001", 1))).json()["items"][0]["availability"] == "available"


async def test_the_reads_have_their_documented_variants(caller: Caller) -> None:
    await caller.set(isProductActive="absent", specificationValueIds="empty", unknownFields=True)
    sku = (await caller.read_sku(2001)).json()
    assert "IsProductActive" not in sku
    assert (sku["SkuSpecifications"][0]["FieldValueIds"], sku["SkuSpecifications"][0]["FieldValues"]) == ([], ["blue"])
    assert "FutureField" in sku
    assert "FutureField" in (await caller.catalog(PRODUCTS[0])).json()
    await caller.set(nullHeavy=True)
    sku = (await caller.read_sku(2001)).json()
    assert sku["Images"] is sku["BrandName"] is sku["Dimension"] is None
    assert (sku["Id"], sku["IsActive"], sku["SalesChannels"]) == (2001, True, [1])


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("fraction", r"T00:00:00\.0000000Z"),
        ("seconds", r"T00:00:00Z"),
        ("offset", r"T00:00:00\.000000\+00:00"),
        ("bare", r"T00:00:00"),
        ("space", r" 00:00:00"),
    ],
)
async def test_dates_have_every_form(caller: Caller, form: str, pattern: str) -> None:
    await caller.set(catalogDates=form)
    for response in (await caller.read_sku(2001), await caller.catalog(PRODUCTS[0])):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d" + pattern, response.json()["ReleaseDate"])


@pytest.mark.slow
async def test_a_hundred_thousand_skus_start_soon_and_are_answered_fast() -> None:
    started = time.monotonic()
    async with (
        SandboxServer(SandboxConfig(skus=numbered_skus(100_000))) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        caller = Caller(client)
        assert (await caller.read_sku(200_000)).json()["ProductName"] == "Mug 33334"
        # A busy machine takes several times as long as the second or two of an idle one.
        assert time.monotonic() - started < 30
        assert len((await caller.sku_ids(pageSize=1000, page=100)).json()) == 1000
        started = time.monotonic()
        for sku_id in range(150_000, 150_050):
            await caller.read_sku(sku_id)
            assert (await caller.simulate((str(sku_id), 1))).json()["logisticsInfo"][0]["stockBalance"] == 1_000_000
        assert time.monotonic() - started < 15
        response = await client.get("/sandbox/skus", params={"limit": 2, "offset": 99_999})
        assert [sku["id"] for sku in response.json()] == ["200000"]
