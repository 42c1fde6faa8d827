"""What comes while a failing Seller call is still being tried: it makes that step needless, and nobody is bothered."""

import asyncio

import pytest

from tests.conftest import MakeEngine
from tests.support.engine import new_order


@pytest.mark.parametrize("by", ["customer", "seller"])
async def test_a_cancellation_overtakes_a_dispatch_that_fails(make_engine: MakeEngine, by: str) -> None:
    # The storefront is told after a second that it has paid, whatever the Seller says.
    async with make_engine(seller_attempts=2, seller_backoff="2500ms") as engine:
        order = await engine.placed()
        await engine.fault("dispatch", "server-error", order, times=2)
        assert (await engine.pay(order)).status_code == 200
        await engine.until(order, status="authorizing-fulfillment")
        if by == "customer":
            answer = await engine.cancel(order)
            assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
        else:
            [sent] = await engine.seller_sends(order, "cancel")
            assert sent["status"] == 200
        canceled = await engine.until(order, status="canceled")
        assert canceled["needsAttention"] is False
        await engine.workflow(order).result()
        assert not [entry for entry in canceled["history"] if "needs attention" in entry["detail"]]
        assert (await engine.ledger(order))["status"] == "canceled"


async def test_a_cancellation_overtakes_a_placement_that_fails(make_engine: MakeEngine) -> None:
    async with make_engine(seller_attempts=2, seller_backoff="400ms") as engine:
        posted = new_order()
        await engine.fault("place", "server-error", posted, times=2)
        posting = asyncio.create_task(engine.post(posted))
        await engine.until_known(posted)
        await engine.until(posted, status="placing")
        # The placement may be on its way still: it is looked for twice, with some seconds between.
        answer = await engine.cancel(posted)
        assert (answer.status_code, answer.json()["needsAttention"]) == (202, False)
        assert (await posting).json()["status"] == "canceled"
        assert (await engine.sandbox.get(f"/orders/{posted['marketplaceOrderId']}")).status_code == 404
