"""A Seller that is away uses up no tries: orders wait for it, need no hands afterwards, and may still be canceled."""

import asyncio
from typing import Any

from marketplace.seller.client import Manners
from tests.conftest import MakeEngine
from tests.support.engine import Engine, effective, new_order

QUICK = Manners(failures_to_open=1, probe_every=0.1, first_pause=0.02, longest_pause=0.1)


def waits(order: dict[str, Any]) -> bool:
    return any(entry["detail"].startswith("the Seller is waited for") for entry in order["history"])


async def requests_while_down(engine: Engine, count: int) -> None:
    async with asyncio.timeout(20):
        while len((await engine.sandbox.get("/outages")).json()[-1]["requests"]) < count:
            await asyncio.sleep(0.05)


async def test_an_order_outlasts_any_number_of_tries_while_its_seller_is_down(make_engine: MakeEngine) -> None:
    posted = new_order(payment={"status": "approved", "transactionId": "t-1"})
    async with make_engine(manners=QUICK, seller_attempts=1) as engine:
        await engine.switch(down="unavailable")
        assert (await engine.post(posted, wait=0)).status_code == 202
        await engine.until_known(posted)
        await requests_while_down(engine, 3)
        order = await engine.until(posted, waits)
        assert not order["needsAttention"]
        assert "Waits for the Seller" in await engine.details(posted)
        await engine.switch(down="no")
        await engine.until(posted, status="handling")
        ledger = await engine.ledger(posted)
        assert (effective(ledger, "place"), effective(ledger, "dispatch")) == (1, 1)


async def test_a_seller_that_answers_other_calls_is_not_away(make_engine: MakeEngine) -> None:
    posted = new_order()
    async with make_engine(seller_attempts=2) as engine:
        await engine.fault("simulate", "server-error", times=3)
        assert (await engine.post(posted, wait=0)).status_code == 202
        order = await engine.until(posted, needsAttention=True)
        assert (order["reason"]["code"], waits(order)) == ("seller-unavailable", False)


async def test_after_the_patience_an_operator_is_asked(make_engine: MakeEngine) -> None:
    posted = new_order()
    async with make_engine(manners=QUICK, seller_attempts=1, seller_patience="300ms") as engine:
        await engine.switch(down="reset")
        assert (await engine.post(posted, wait=0)).status_code == 202
        order = await engine.until(posted, needsAttention=True)
        assert order["reason"]["code"] == "seller-unavailable"
        assert waits(order)
        await engine.switch(down="no")
        assert (await engine.resume(posted, "retry")).status_code == 200
        await engine.until(posted, status="payment-pending", needsAttention=False)


async def test_a_customer_may_cancel_what_waits_for_the_seller(make_engine: MakeEngine) -> None:
    async with make_engine(manners=QUICK, seller_attempts=1) as engine:
        order = await engine.placed()
        await engine.switch(down="unavailable")
        assert (await engine.pay(order)).status_code == 200
        await engine.until(order, waits)
        canceling = asyncio.create_task(engine.cancel(order))
        await engine.until(order, status="cancellation-requested")
        await engine.switch(down="no")
        assert (await canceling).status_code in {200, 202}
        await engine.until(order, status="canceled")
        ledger = await engine.ledger(order)
        assert (ledger["status"], effective(ledger, "dispatch")) == ("canceled", 0)


async def test_an_order_that_waits_for_a_person_of_the_seller_uses_up_no_tries(make_engine: MakeEngine) -> None:
    async with make_engine(seller={"price_tolerance": 0.2}, seller_attempts=1) as engine:
        await engine.switch(divergenceAuthorizedPercent=1, divergenceHeldPercent=50)
        await engine.sku("2001", price=4100)
        order = await engine.placed()
        assert (await engine.ledger(order))["status"] == "waiting-for-manual-authorization"
        assert (await engine.pay(order)).status_code == 200
        order = await engine.until(order, waits)
        assert any("manual price approval" in entry["detail"] for entry in order["history"])
        assert not order["needsAttention"]
        assert (await engine.cancel(order)).status_code in {200, 202}
        await engine.until(order, status="canceled")
