"""`POST /carts/simulation`: every requested item is answered, failing is told apart from being late."""

from typing import Any

import pytest

from tests.api.answers import problem
from tests.conftest import MakeEngine
from tests.support.engine import Engine

WHERE = {"postalCode": "80240-210", "country": "BRA"}


async def simulated(engine: Engine, *items: tuple[str, int], **more: Any) -> dict[str, Any]:
    cart = {"seller": "acme", "items": [{"id": sku, "quantity": count} for sku, count in items], **more}
    answer = await engine.http.post("/carts/simulation", json=cart)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"seller", "items", "totals", "messages"}
    return body


async def test_a_cart_with_a_destination_has_prices_stock_and_shipping_options(engine: Engine) -> None:
    cart = await simulated(engine, ("2001", 2), **WHERE)
    [item] = cart["items"]
    assert (item["id"], item["quantity"], item["availability"]) == ("2001", 2, "available")
    assert (item["price"], item["sellingPrice"]) == (3990, 3990)
    assert item["listPrice"] >= item["price"]
    assert item["stockBalance"] > 2
    standard = next(sla for sla in item["slas"] if sla["id"] == "Standard")
    assert (standard["deliveryChannel"], standard["price"]) == ("delivery", 1490)
    assert standard["name"]
    assert standard["shippingEstimate"]
    assert {total["id"]: total["value"] for total in cart["totals"]} == {"Items": 7980, "Shipping": 1490}
    assert cart["seller"] == "acme"


async def test_without_a_destination_there_are_no_shipping_options(engine: Engine) -> None:
    cart = await simulated(engine, ("2001", 2))
    assert cart["items"][0]["slas"] == []
    assert cart["totals"] == [{"id": "Items", "value": 7980}]


async def test_every_requested_item_is_answered_in_the_order_of_the_request(engine: Engine) -> None:
    cart = await simulated(engine, ("9999", 1), ("2001", 1), ("2012", 3), ("2001", 2), ("8888", 5), **WHERE)
    found = [(item["id"], item["quantity"], item["availability"] == "available") for item in cart["items"]]
    assert [(sku, available) for sku, _, available in found] == [
        ("9999", False),
        ("2001", True),
        ("2012", False),
        ("2001", True),
        ("8888", False),
    ]
    left_out = cart["items"][0]
    assert (left_out["availability"], left_out["price"], left_out["slas"]) == ("unavailable", None, [])
    assert {message["code"] for message in cart["messages"]} >= {"ORD027"}
    assert all(message["text"] for message in cart["messages"])


async def test_a_cart_of_unknown_items_alone_is_an_answer_too(engine: Engine) -> None:
    cart = await simulated(engine, ("9999", 1))
    assert [item["availability"] for item in cart["items"]] == ["unavailable"]
    assert [total for total in cart["totals"] if total["value"]] == []


async def test_what_a_cart_answers_can_be_ordered(engine: Engine) -> None:
    cart = await simulated(engine, ("2001", 2), **WHERE)
    [item] = cart["items"]
    order = await engine.placed(
        items=[{"id": item["id"], "quantity": item["quantity"], "price": item["sellingPrice"]}],
        marketplacePaymentValue=sum(total["value"] for total in cart["totals"]),
    )
    assert order["status"] == "payment-pending"


@pytest.mark.parametrize(
    ("kind", "more", "verdict"),
    [
        ("server-error", {}, "retry"),
        ("error", {"code": "CHK0024"}, "refused"),
        ("forbidden", {}, "credentials"),
        ("html", {}, None),
        ("not-json", {}, None),
        ("half-body", {}, None),
        ("reset", {}, "retry"),
        ("answer-lost", {}, None),
    ],
)
async def test_a_seller_that_fails_is_a_502(
    engine: Engine, kind: str, more: dict[str, Any], verdict: str | None
) -> None:
    await engine.fault("simulate", kind, times=5, **more)
    cart = {"seller": "acme", "items": [{"id": "2001", "quantity": 1}]}
    body = problem(await engine.http.post("/carts/simulation", json=cart), 502)
    assert body["detail"].startswith("the Seller cannot simulate the cart")
    assert body["type"].startswith("urn:order-engine:problem:")
    assert verdict is None or body["type"].endswith(f":{verdict}")


async def test_a_seller_that_is_asked_too_often_is_a_502_that_says_so(make_engine: MakeEngine) -> None:
    # An engine of its own: this one asks the Seller nothing more for a minute.
    async with make_engine() as engine:
        await engine.fault("simulate", "rate-limited", retryAfter=60)
        cart = {"seller": "acme", "items": [{"id": "2001", "quantity": 1}]}
        for _ in range(2):
            body = problem(await engine.http.post("/carts/simulation", json=cart), 502)
            assert body["type"] == "urn:order-engine:problem:rate-limited"


async def test_a_seller_that_is_not_there_is_a_502(make_engine: MakeEngine) -> None:
    async with make_engine(seller={"base_url": "http://127.0.0.1:9"}) as engine:
        problem(
            await engine.http.post("/carts/simulation", json={"seller": "acme", "items": [{"id": "1", "quantity": 1}]}),
            502,
        )


async def test_a_seller_that_is_late_is_a_504(make_engine: MakeEngine) -> None:
    async with make_engine(cart_timeout=0.2) as engine:
        await engine.fault("simulate", "slow", seconds=2)
        cart = {"seller": "acme", "items": [{"id": "2001", "quantity": 1}]}
        body = problem(await engine.http.post("/carts/simulation", json=cart), 504)
        assert "0.2 s" in body["detail"]
        assert (await engine.http.post("/carts/simulation", json=cart)).status_code == 200


async def test_an_unknown_seller_is_a_404(engine: Engine) -> None:
    cart = {"seller": "nobody", "items": [{"id": "2001", "quantity": 1}]}
    problem(await engine.http.post("/carts/simulation", json=cart), 404)
