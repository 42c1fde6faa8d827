"""One order from the storefront's post to its delivery."""

from tests.support.engine import Engine, new_order


async def test_an_order_goes_from_post_to_delivered(engine: Engine) -> None:
    posted = new_order()
    answer = await engine.post(posted)
    assert answer.status_code == 201
    order = answer.json()
    assert answer.headers["location"] == f"/orders/{posted['marketplaceOrderId']}"
    assert order["status"] == "payment-pending"
    assert order["orderId"] == f"MKP-{posted['marketplaceOrderId']}"
    assert order["expiresAt"]

    paid = await engine.pay(order)
    assert paid.status_code == 200
    assert paid.json()["status"] in {"payment-approved", "authorizing-fulfillment", "handling"}
    await engine.until(order, status="handling")

    await engine.seller_sends(order, "invoice")
    await engine.until(order, status="invoiced", invoicedValue=9470)
    await engine.seller_sends(order, "tracking")
    await engine.until(order, status="shipped")
    await engine.seller_sends(order, "delivery")
    delivered = await engine.until(order, status="delivered")

    assert [package["isDelivered"] for package in delivered["packages"]] == [True]
    assert delivered["history"][-1]["status"] == "delivered"
    times = [entry["at"] for entry in delivered["history"]]
    assert times == sorted(times)
