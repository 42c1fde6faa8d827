"""One Seller's flood is not the other Sellers' trouble: not at the API's door, and not in the workers' queue."""

import asyncio
from bisect import bisect
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.conftest import MakeEngine
from tests.support.engine import Engine, new_order

FLOOD = 80
FEW = 9


@pytest.mark.slow
async def test_the_orders_of_a_quiet_seller_do_not_wait_behind_anothers_backlog(make_engine: MakeEngine) -> None:
    async with make_engine(more_sellers={"quiet": {}}, run_worker=False, rate_limit=0, max_requests=400) as engine:
        flood = [new_order() for _ in range(FLOOD)]
        few = [new_order(seller="quiet") for _ in range(FEW)]
        await engine.sku("2001", stock=1000)
        at_once = asyncio.Semaphore(8)

        async def post(order: dict[str, Any]) -> None:
            async with at_once:
                assert (await engine.post(order, wait=0)).status_code == 202

        for orders in (flood, few):
            await asyncio.gather(*(post(order) for order in orders))
        # One at a time, so that the order in which the queue gives them out shows.
        await engine.start_worker(seller_calls=1)
        for order in (*flood, *few):
            await engine.until(order, status="payment-pending", seconds=60)
        theirs = sorted([await placed_at(engine, order) for order in flood])
        ahead = sorted([bisect(theirs, await placed_at(engine, order)) for order in few])
        # One after the other it would be nearly all of the flood for each of them. By turns it is a few for most of
        # them, and more for some: Temporal's queue has partitions, which come in no certain order.
        assert ahead[FEW // 3] <= 0.75 * FLOOD, ahead


async def placed_at(engine: Engine, order: dict[str, Any]) -> str:
    """When the Seller took an order."""
    at: str = (await engine.ledger(order))["history"][0]["at"]
    return at


async def test_a_seller_that_answers_slowly_does_not_hold_all_places(make_engine: MakeEngine) -> None:
    async with make_engine(more_sellers={"quiet": {}}, max_requests=4) as engine:
        for _ in range(2):
            await engine.fault("simulate", "slow", seconds=1)
        cart = {"seller": "acme", "items": [{"id": "2001", "quantity": 1}]}
        held = [asyncio.create_task(engine.http.post("/carts/simulation", json=cart)) for _ in range(2)]
        async with asyncio.timeout(10):
            while (await engine.sandbox.get("/faults")).json():
                await asyncio.sleep(0.01)
        refused = await engine.http.post("/carts/simulation", json=cart)
        assert (refused.status_code, "of this Seller" in refused.json()["detail"]) == (503, True)
        served = await engine.http.post("/carts/simulation", json={**cart, "seller": "quiet"})
        assert served.status_code == 200
        assert {(await answer).status_code for answer in held} == {200}


async def test_a_flood_waits_at_the_door_and_lets_another_sellers_order_pass(make_engine: MakeEngine) -> None:
    async with make_engine(more_sellers={"quiet": {}}) as engine:
        await engine.sku("2001", stock=1000)
        flood = [new_order() for _ in range(20)]
        posts = [asyncio.create_task(engine.post(order, wait=30)) for order in flood]
        await asyncio.sleep(0.1)
        other = new_order(seller="quiet")
        assert (await engine.post(other, wait=30)).status_code == 201
        assert {(await post).status_code for post in posts} == {201}
        theirs = sorted([await placed_at(engine, order) for order in flood])
        # Together with all of the flood it would be one of the last.
        assert bisect(theirs, await placed_at(engine, other)) <= 12


async def test_a_seller_that_answers_slowly_is_not_kept_at_the_door(make_engine: MakeEngine) -> None:
    async with make_engine(more_sellers={"quiet": {}}, seller_orders_at_once=1) as engine:
        for _ in range(3):
            await engine.fault("place", "slow", seconds=2)
        orders = [new_order() for _ in range(3)]
        answers = await asyncio.gather(*(engine.post(order, wait=30) for order in orders))
        assert {answer.status_code for answer in answers} == {201}
        taken = sorted([datetime.fromisoformat(await placed_at(engine, order)) for order in orders])
        # One after the other they would be two seconds apart.
        assert taken[-1] - taken[0] < timedelta(seconds=2)
