"""A Seller's catalog, read from a real server: what is asked, and what is made of each documented answer."""

import json
from typing import Any

import pytest

from marketplace.catalog import Brand, Category, Dimensions, Image, SkuData, Specification, Terms, with_product
from marketplace.errors import Cause, SellerCredentials, SellerRefused, SellerUnavailable
from marketplace.seller import catalog_wire, translate, wire
from marketplace.seller.client import SellerPool, VtexSeller
from tests.seller.calls import CATALOG_CALLS, QUICK, client, failure_of
from tests.seller.samples import CART, EXAMPLES, KEY, config, data
from tests.support.scripted_server import ScriptedServer, answer, json_answer


def changed(name: str, **changes: object) -> bytes:
    return json.dumps({**json.loads(data(name)), **changes}).encode()


async def sku(seller: VtexSeller, server: ScriptedServer, **changes: object) -> SkuData:
    server.follow(answer(200, changed("sku", **changes)))
    return await seller.catalog.read_sku("501")


class TestSku:
    async def test_a_sku_is_read_within_the_sales_channel(self, seller: VtexSeller, server: ScriptedServer) -> None:
        found = await sku(seller, server)
        sent = server.last
        assert (sent.method, sent.path) == ("GET", "/api/catalog_system/pvt/sku/stockkeepingunitbyid/501")
        assert (sent.query, sent.body, sent.headers["x-vtex-api-appkey"]) == ("sc=3", b"", KEY)
        assert found == SkuData(
            id="501",
            product_id="90",
            name="Blue 300 ml",
            product_name="Stoneware Mug",
            description="<p>Fired twice.</p>",
            is_active=True,
            sales_channels=[1, 3],
            brand=Brand(id="17", name="Kiln"),
            categories=[Category(id="10", name="Kitchen"), Category(id="1", name="Mugs")],
            images=[
                Image(url="https://acme.example/arquivos/ids/1-front", name="front"),
                Image(url="https://acme.example/arquivos/ids/2-side"),
            ],
            specifications=[
                Specification(name="Volume", values=["300 ml"]),
                Specification(name="Care", values=["dishwasher", "microwave"]),
            ],
            dimensions=Dimensions(height=9.5, length=12, width=9, weight=380, cubic_weight=0.25),
            ean="7890000000017",
            ref_id="MUG-B-300",
            measurement_unit="un",
            unit_multiplier=1,
            keywords="mug, cup",
        )
        assert not found.needs_product

    async def test_what_makes_no_sense_or_is_left_out_never_spoils_a_sku(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(answer(200, data("sku.sparse")))
        found = await seller.catalog.read_sku("501")
        assert (found.name, found.sales_channels, found.unit_multiplier) == ("Stoneware Mug", [3], 0.35)
        assert found.brand == Brand(id="17")
        assert found.categories == [Category(id="10", name="Kitchen"), Category(id="1")]
        assert found.images == [Image(url="https://acme.example/arquivos/ids/1")]
        assert found.specifications == [Specification(name="Volume", values=["300"]), Specification(name="Care")]
        assert found.dimensions == Dimensions(height=9.5)
        assert (found.ean, found.ref_id, found.measurement_unit, found.is_kit) == (None, None, None, False)
        assert (found.main_seller, found.is_product_active, found.needs_product) == (True, True, True)

    async def test_the_fewest_fields_that_decide_are_enough(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(json_answer({"Id": 501, "ProductId": 90, "IsActive": False, "SalesChannels": None}))
        found = await seller.catalog.read_sku("501")
        assert (found.name, found.is_active, found.sales_channels) == ("501", False, [])
        assert (found.brand, found.categories, found.images) == (None, [], [])

    @pytest.mark.parametrize(
        ("sellers", "own"),
        [
            ([], True),
            ([None, {}], False),
            ([{"SellerId": "partner"}], False),
            ([{"SellerId": "partner"}, {"SellerId": 1}], True),
        ],
    )
    async def test_goods_of_the_sellers_third_parties_are_told_apart(
        self, seller: VtexSeller, server: ScriptedServer, sellers: list[object], own: bool
    ) -> None:
        assert (await sku(seller, server, SkuSellers=sellers)).main_seller is own

    async def test_a_category_whose_name_is_not_told_keeps_its_place(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        found = await sku(seller, server, ProductCategoryIds="/10/7/1/")
        assert [category.id for category in found.categories] == ["10", "7", "1"]
        assert found.categories[1].name == ""

    @pytest.mark.parametrize(
        "change", [{"Id": None}, {"Id": 502}, {"ProductId": "x"}, {"IsActive": None}, {"SalesChannels": ["x"]}]
    )
    async def test_a_sku_that_cannot_be_decided_about_is_nonsense(
        self, seller: VtexSeller, server: ScriptedServer, change: dict[str, object]
    ) -> None:
        server.follow(answer(200, changed("sku", **change)))
        error = await failure_of(seller.catalog.read_sku("501"))
        assert type(error) is SellerUnavailable
        assert not error.failure.paused


class TestProduct:
    async def test_a_product_is_read_by_the_current_route(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(answer(200, data("product")))
        found = await seller.catalog.read_product("90")
        assert [(sent.path, sent.query) for sent in server.requests] == [("/api/catalog/pvt/product/90", "")]
        assert (found.id, found.name, found.is_active) == ("90", "Stoneware Mug", False)
        assert (found.link_id, found.ref_id, found.keywords) == ("stoneware-mug", "MUG", "mug,cup")
        assert (found.title, found.description) == ("Stoneware Mug by Kiln", "Fired twice.")

    async def test_where_that_route_is_missing_the_older_one_is_asked(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(answer(404, "<html>"), answer(200, data("product.older")))
        found = await seller.catalog.read_product("90")
        assert server.last.path == "/api/catalog_system/pvt/products/productget/90"
        assert (found.is_active, found.link_id, found.keywords) == (True, None, None)

    async def test_any_other_refusal_is_no_reason_to_ask_twice(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(answer(400))
        assert type(await failure_of(seller.catalog.read_product("90"))) is SellerRefused
        assert len(server.requests) == 1

    async def test_a_product_that_neither_route_knows_is_not_found(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.always = answer(404)
        error = await failure_of(seller.catalog.read_product("90"))
        assert (type(error), error.failure.cause, len(server.requests)) == (SellerRefused, Cause.NOT_FOUND, 2)

    async def test_another_product_than_the_one_asked_for_is_nonsense(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(answer(200, data("product")))
        assert type(await failure_of(seller.catalog.read_product("91"))) is SellerUnavailable

    async def test_a_product_fills_what_its_sku_left_open(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(answer(200, data("sku.sparse")), answer(200, data("product")))
        joined = with_product(await seller.catalog.read_sku("501"), await seller.catalog.read_product("90"))
        assert (joined.is_product_active, joined.needs_product, joined.link_id) == (False, False, "stoneware-mug")
        assert (joined.description, joined.keywords, joined.ref_id) == ("Fired twice.", "mug,cup", None)

    async def test_a_product_does_not_overwrite_what_its_sku_says(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        known = await sku(seller, server)
        server.follow(answer(200, changed("product", Name="other", Description="other", KeyWords="other")))
        joined = with_product(known, await seller.catalog.read_product("90"))
        assert joined == known.model_copy(update={"is_product_active": False, "link_id": "stoneware-mug"})


class TestTerms:
    async def test_one_unit_is_simulated_without_a_destination(
        self, seller: VtexSeller, server: ScriptedServer
    ) -> None:
        server.follow(answer(200, data("simulation.one-unit")))
        terms = await seller.catalog.read_terms("501")
        sent = server.last
        assert (sent.method, sent.path) == ("POST", "/api/checkout/pub/orderForms/simulation")
        assert (sent.query, sent.json) == (
            "sc=3&affiliateId=MKP",
            {"items": [{"id": "501", "quantity": 1, "seller": "1"}]},
        )
        assert terms == Terms(availability="available", price=3334, list_price=3990, stock=12)

    async def test_terms_are_asked_by_the_seller_s_simulation_route(self, server: ScriptedServer) -> None:
        server.follow(answer(200, data("simulation.one-unit")))
        async with client(server.url, simulation_route="fulfillment") as seller:
            await seller.catalog.read_terms("501")
        assert server.last.path == "/api/fulfillment/pvt/orderForms/simulation"

    @pytest.mark.parametrize(
        "change",
        [{"items": []}, {"items": [{"id": "502", "availability": "available"}]}, {"logisticsInfo": []}],
        ids=["no items", "another item", "no logistics"],
    )
    async def test_a_sku_that_the_simulation_does_not_know_has_no_stock(
        self, seller: VtexSeller, server: ScriptedServer, change: dict[str, object]
    ) -> None:
        server.follow(answer(200, changed("simulation.one-unit", **change)))
        assert await seller.catalog.read_terms("501") == Terms(listed=False, availability="unavailable", stock=0)

    @pytest.mark.parametrize(
        ("info", "stock"),
        [({"logisticsStockBalance": 4}, 4), ({"StockBalance": -2}, 0), ({}, None), ({"stockBalance": None}, None)],
    )
    async def test_stock_is_only_known_when_told(
        self, seller: VtexSeller, server: ScriptedServer, info: dict[str, object], stock: int | None
    ) -> None:
        server.follow(answer(200, changed("simulation.one-unit", logisticsInfo=[{"itemIndex": 0, **info}])))
        terms = await seller.catalog.read_terms("501")
        assert (terms.listed, terms.availability, terms.stock) == (True, "available", stock)

    async def test_an_availability_nobody_knows_is_passed_on(self, seller: VtexSeller, server: ScriptedServer) -> None:
        item = {"id": "501", "availability": "withoutPriceRnB", "price": None}
        server.follow(answer(200, changed("simulation.one-unit", items=[item])))
        terms = await seller.catalog.read_terms("501")
        assert (terms.availability, terms.price, terms.list_price) == ("withoutPriceRnB", None, None)


class TestSkuIds:
    async def test_a_page_of_assigned_ids_is_listed(self, seller: VtexSeller, server: ScriptedServer) -> None:
        server.follow(json_answer([501, "777", 9.0]))
        assert await seller.catalog.list_sku_ids(2, 500) == ["501", "777", "9"]
        sent = server.last
        assert (sent.method, sent.path) == ("GET", "/api/catalog_system/pvt/sku/stockkeepingunitidsbysaleschannel")
        assert sent.query == "sc=3&page=2&pageSize=500&onlyAssigned=true"

    @pytest.mark.parametrize(("body", "ids"), [([], []), ([501], ["501"])])
    async def test_a_page_with_one_id_or_none_is_a_list_too(
        self, seller: VtexSeller, server: ScriptedServer, body: list[int], ids: list[str]
    ) -> None:
        server.follow(json_answer(body))
        assert await seller.catalog.list_sku_ids(1, 500) == ids

    @pytest.mark.parametrize("body", ["null", "{}", '{"ids": [1]}', "[true]", "[1, null]", '["a"]', "[-1]", "[1.5]"])
    async def test_anything_but_ids_is_nonsense(self, seller: VtexSeller, server: ScriptedServer, body: str) -> None:
        server.follow(answer(200, body))
        assert type(await failure_of(seller.catalog.list_sku_ids(1, 500))) is SellerUnavailable


@pytest.mark.parametrize("name", CATALOG_CALLS)
class TestEveryCall:
    @pytest.mark.parametrize(
        ("status", "body", "expected"),
        [
            (400, '{"error": {"code": "1", "message": "Sorry"}}', SellerRefused),
            (400, "<h1>Sorry</h1>", SellerUnavailable),  # a page of the edge, and no word of the Seller
            (403, "<h1>Sorry</h1>", SellerCredentials),
            (408, "<h1>Sorry</h1>", SellerUnavailable),
            (500, "<h1>Sorry</h1>", SellerUnavailable),
        ],
    )
    async def test_each_status_is_the_error_that_belongs_to_it(
        self, seller: VtexSeller, server: ScriptedServer, name: str, status: int, body: str, expected: type[Exception]
    ) -> None:
        server.follow(answer(status, body))
        error = await failure_of(CATALOG_CALLS[name](seller))
        assert (type(error), error.failure.message) == (expected, "Sorry")

    async def test_what_the_seller_does_not_have_is_not_found(
        self, seller: VtexSeller, server: ScriptedServer, name: str
    ) -> None:
        server.always = answer(404, '"SKU not found"')
        error = await failure_of(CATALOG_CALLS[name](seller))
        assert (type(error), error.failure.cause) == (SellerRefused, Cause.NOT_FOUND)


async def test_orders_and_catalog_of_an_account_share_one_client(server: ScriptedServer) -> None:
    server.always = answer(200, data("sku"))
    pool = SellerPool({"acme": config(server.url)}, QUICK)
    catalog = pool.catalog("acme")
    assert catalog is pool.catalog("acme")
    assert (await catalog.read_sku("501")).id == "501"
    await failure_of(pool.get("acme").simulate(CART))
    assert (len(server.requests), server.connections) == (2, 1)
    await pool.aclose()


def test_each_published_example_of_the_catalog_is_read() -> None:
    if not EXAMPLES.exists():
        pytest.skip("the shared contract is not here")

    def read(name: str) -> Any:
        return wire.read_json((EXAMPLES / name).read_bytes())

    assert catalog_wire.Sku.model_validate(read("sku-response.json")).id == "88104"
    assert catalog_wire.Product.model_validate(read("product-response.json")).link_id == "linen-table-runner"
    assert catalog_wire.SkuIds.model_validate(read("sku-ids-response.json")).ids[0] == "88101"
    stocks = {}
    for name in ("no-address", "unavailable", "item-missing"):
        simulation = wire.Simulation.model_validate(read(f"simulation-response.{name}.json"))
        stocks[name] = translate.terms("88104", simulation).stock
    assert stocks == {"no-address": 37, "unavailable": 0, "item-missing": 37}
