"""Orders that cannot be placed as asked: rejected with the reason, and nothing of them is left at the Seller."""

import asyncio
from typing import Any

import pytest

from tests.conftest import MakeEngine
from tests.support.engine import ORDER, Engine, new_order

WINDOW = {"startDateUtc": "2020-03-02T08:00:00Z", "endDateUtc": "2020-03-02T12:00:00Z", "price": 0}


def of_one(sku: str, quantity: int, price: int, sla: str = "Standard", shipping: int = 1490, **more: Any) -> Any:
    """An order of one line, priced as it says."""
    shipping_data = {
        **ORDER["shippingData"],
        "logisticsInfo": [{"itemIndex": 0, "selectedSla": sla, "price": shipping, **more}],
    }
    return new_order(
        items=[{"id": sku, "quantity": quantity, "price": price}],
        shippingData=shipping_data,
        marketplacePaymentValue=quantity * price + shipping,
    )


async def must_be_rejected(engine: Engine, posted: dict[str, Any], code: str, words: str) -> dict[str, Any]:
    """Post an order; check everything that holds of a rejected one."""
    answer = await engine.post(posted)
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()
    assert (order["status"], order["reason"]["code"]) == ("rejected", code)
    assert words in order["reason"]["message"]
    assert (order["orderId"], order["needsAttention"], order["allowedActions"]) == (None, False, [])
    assert order["history"][-1]["status"] == "rejected"

    await engine.workflow(order).result()
    again = await engine.post(posted)
    assert (again.status_code, again.json()) == (200, order)
    assert (await engine.sandbox.get(f"/orders/{order['marketplaceOrderId']}")).status_code == 404
    assert {sku["reserved"] for sku in (await engine.sandbox.get("/skus")).json()} == {0}
    late = await engine.pay(order)
    assert (late.status_code, "refund" in late.json()["detail"]) == (409, True)
    assert (await engine.cancel(order)).status_code == 409
    assert (await engine.get(order)) == order
    return order


@pytest.mark.parametrize(
    ("posted", "words"),
    [
        pytest.param(of_one("2012", 1, 5490), "item 2012 is withoutStock", id="sold-out"),
        pytest.param(of_one("2011", 3, 32900), "item 2011: 3 wanted, 2 to be had", id="too-few"),
        pytest.param(of_one("2999", 1, 1000), "item 2999 is unavailable", id="unknown"),
    ],
)
async def test_an_item_that_is_not_there_is_out_of_stock(engine: Engine, posted: dict[str, Any], words: str) -> None:
    await must_be_rejected(engine, posted, "out-of-stock", words)


async def test_an_item_that_cannot_be_delivered_there_has_no_sla(engine: Engine) -> None:
    await engine.sku("2001", availability="cannotBeDelivered")
    await must_be_rejected(engine, new_order(), "sla-unavailable", "item 2001 cannot be delivered")


async def test_one_missing_item_rejects_the_whole_order(engine: Engine) -> None:
    posted = new_order(
        items=[{"id": "2001", "quantity": 1, "price": 3990}, {"id": "2010", "quantity": 1, "price": 1990}],
        shippingData={
            **ORDER["shippingData"],
            "logisticsInfo": [{"itemIndex": index, "selectedSla": "Standard", "price": 1490} for index in (0, 1)],
        },
        marketplacePaymentValue=3990 + 1990 + 2 * 1490,
    )
    await engine.sku("2001", active=False)
    order = await must_be_rejected(engine, posted, "out-of-stock", "item 2001 is unavailable")
    assert "2010" not in order["reason"]["message"]


async def test_stock_taken_between_simulation_and_placement_is_out_of_stock(engine: Engine) -> None:
    posted = new_order()
    await engine.fault("place", "slow", posted, seconds=0.5)
    posting = asyncio.create_task(engine.post(posted))
    await engine.until_known(posted)
    await engine.until(posted, status="placing")
    await engine.sku("2001", stock=1)
    await posting
    rejected = await engine.until(posted, status="rejected")
    assert rejected["reason"]["code"] == "out-of-stock"
    assert "FMT002" in rejected["reason"]["message"]
    await engine.workflow(posted).result()
    assert (await engine.post(posted)).status_code == 200
    assert (await engine.sku("2001"))["reserved"] == 0


@pytest.mark.parametrize(
    ("price", "words"), [(4190, "39.90 asked, 41.90 at the Seller"), (3790, "39.90 asked, 37.90 at the Seller")]
)
async def test_a_price_that_differs_rejects_whichever_way(engine: Engine, price: int, words: str) -> None:
    await engine.sku("2001", price=price)
    await must_be_rejected(engine, new_order(), "price-divergence", words)


async def test_another_shipping_price_rejects(engine: Engine) -> None:
    posted = of_one("2001", 1, 3990, shipping=1390)
    await must_be_rejected(
        engine, posted, "price-divergence", "shipping of item 2001: 13.90 asked, 14.90 at the Seller"
    )


async def test_a_tolerant_seller_is_sent_the_order_as_asked_and_no_other(make_engine: MakeEngine) -> None:
    async with make_engine(seller={"price_tolerance": 0.1}) as engine:
        await engine.switch(divergenceAuthorizedPercent=10, answeredPrices="seller")
        await engine.sku("2001", price=4190)
        order = await engine.placed()
        ledger = await engine.ledger(order)
        assert (ledger["received"]["isCreatedAsync"], ledger["lines"][0]["price"]) == (True, 3990)
        assert "39.90 sent, 41.90 at the Seller" in order["history"][-1]["detail"]

        await engine.sku("2001", price=4490)
        assert (await engine.cancel(order)).status_code == 200  # gives its stock back
        await must_be_rejected(engine, new_order(), "price-divergence", "39.90 asked, 44.90 at the Seller")
        # Within our tolerance, but beyond the Seller's own rule.
        await engine.switch(divergenceAuthorizedPercent=2)
        await engine.sku("2001", price=4190)
        await must_be_rejected(engine, new_order(), "price-divergence", "FMT006")


@pytest.mark.parametrize(
    ("posted", "words"),
    [
        pytest.param(of_one("2001", 1, 3990, "Drone", 100), "SLA Drone is not offered (offered: Standard,", id="sla"),
        pytest.param(
            of_one("2002", 1, 12990, "Scheduled", 1990, deliveryWindow=WINDOW),
            "SLA Scheduled has no delivery window from 2020-03-02T08:00Z",
            id="window",
        ),
    ],
)
async def test_shipping_that_is_not_offered_any_more_rejects(engine: Engine, posted: Any, words: str) -> None:
    await must_be_rejected(engine, posted, "sla-unavailable", words)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("FMT0073", "seller-refused"),
        ("FMT0085", "seller-refused"),
        ("FMT0104", "seller-refused"),
        ("CHK003", "seller-refused"),
        ("XYZ999", "seller-refused"),
        ("CHK0171", "sla-unavailable"),
        ("FMT010", "sla-unavailable"),
        ("FMT005", "out-of-stock"),
        ("ORD009", "price-divergence"),
        ("FMT0060", "canceled-by-seller"),
    ],
)
async def test_a_refused_placement_rejects_with_the_sellers_code(engine: Engine, code: str, reason: str) -> None:
    posted = new_order()
    await engine.fault("place", "error", posted, code=code, message=f"no, {posted['clientProfileData']['email']}")
    order = await must_be_rejected(engine, posted, reason, f"the Seller refused: {code} no, ")
    assert "livia" not in str(order)


async def test_a_refused_simulation_rejects_before_anything_is_placed(engine: Engine) -> None:
    await engine.fault("simulate", "error", code="CHK0024", message="Invalid item seller")
    await must_be_rejected(engine, new_order(), "seller-refused", "CHK0024 Invalid item seller")
    assert (await engine.sandbox.get("/requests", params={"path": "/pvt/orders"})).json() == []


async def test_an_id_that_another_sellers_order_has_is_a_conflict(make_engine: MakeEngine) -> None:
    async with make_engine(more_sellers={"bravo": {}}) as engine:
        order = await engine.placed()
        taken = await engine.post(new_order(marketplaceOrderId=order["marketplaceOrderId"], seller="bravo"))
        assert taken.status_code == 409
        assert "use a new id" in taken.json()["detail"]
        assert (await engine.get(order)) == order


async def test_of_two_sellers_that_are_sent_one_id_at_once_one_gets_it(make_engine: MakeEngine) -> None:
    async with make_engine(more_sellers={"bravo": {}}) as engine:
        await engine.stop_worker()
        first = new_order()
        posts = [first, {**first, "seller": "bravo"}]
        # Without a worker nothing is recorded yet: both orders start, and only the record can tell them apart.
        assert [(await engine.post(post, wait=0)).status_code for post in posts] == [202, 202]
        await engine.start_worker()
        ended = await asyncio.gather(*(where_it_rests(engine, post) for post in posts))
        assert sorted(ended) == ["payment-pending", "rejected"]

        answers = [await engine.post(post) for post in posts]
        by_status = {ended[index]: answer for index, answer in enumerate(answers)}
        assert by_status["payment-pending"].status_code == 200
        assert by_status["rejected"].status_code == 409
        placed = by_status["payment-pending"].json()
        assert (await engine.get(placed)) == placed
        ledger = await engine.ledger(placed)
        assert ledger["calls"]["place"] == 1
        assert f"/callbacks/{placed['seller']}/" in ledger["endpoint"]


async def where_it_rests(engine: Engine, post: dict[str, Any]) -> str:
    """The status in which an order rests: placed, or rejected."""
    async with asyncio.timeout(20):
        while (status := (await engine.state(post)).status) not in {"payment-pending", "rejected"}:
            await asyncio.sleep(0.05)
    return status
