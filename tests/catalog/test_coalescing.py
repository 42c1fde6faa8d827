"""Bursts of notices cost little, and none that arrives at the closing moment is lost."""

import asyncio
import random
import time

import pytest

from marketplace.temporal import ensure_search_attributes
from tests.catalog.conftest import MakeShop
from tests.catalog.shop import Json, Shop
from tests.catalog.test_notifications import notice_of
from tests.support.engine import SERVER_FLAGS
from tests.support.temporal import development_server
from workflows.catalog_messages import SkuState
from workflows.catalog_policies import SKU_ID
from workflows.policies import SEARCH_ATTRIBUTES

SKUS, NOTICES, EACH = 10, 1000, 100
GAP = 0.06
"""Seconds. Of the order of a sync here, so that many notices meet its end."""


async def test_a_hundred_notices_within_a_second_cost_at_most_three_reads(make_shop: MakeShop) -> None:
    debounce = 1.0
    async with make_shop(notice_debounce="1s") as shop:
        known, new = await shop.listed(), await shop.add()
        await shop.settled(known)
        await shop.sandbox.delete("/reads")
        await shop.switch(noticeConcurrency=50)

        async def burst(sku_id: str) -> None:
            started = time.monotonic()
            await shop.put(sku_id, price=2000)
            await shop.tell(sku_id, times=50, together=True, priceModified=True)
            await shop.tell(sku_id, hasStockKeepingUnitModified=True)
            await shop.put(sku_id, price=2001)
            await shop.tell(sku_id, times=49, together=True, priceModified=True, stockModified=True)
            took = time.monotonic() - started
            offer = await shop.settled(sku_id)
            calls = await shop.calls(sku_id)
            print(f"100 notices in {took:.2f} s: {sum(calls.values())} reads {calls}")  # noqa: T201 - a figure
            # On a busy machine it takes longer to send them.
            assert sum(calls.values()) <= 3 * (1 + int(took / debounce))
            assert offer is not None
            assert (offer["price"], offer["status"]) == (2001, "listed")

        await asyncio.gather(burst(known), burst(new))


async def test_a_notice_that_arrives_while_the_sku_is_read_makes_it_read_again(shop: Shop) -> None:
    sku_id = await shop.listed()
    await shop.settled(sku_id)
    await shop.sandbox.delete("/reads")
    await shop.fault("simulate", "slow-after", sku_id, seconds=0.5)
    await shop.tell(sku_id, priceModified=True)
    async with asyncio.timeout(10):
        while (await shop.sandbox.get("/faults")).json():
            await asyncio.sleep(0.02)
    # The Seller has made its answer, and it is on its way.
    await shop.change(sku_id, price=7777)
    offer = await shop.settled(sku_id)
    assert offer is not None
    assert (offer["price"], await shop.calls(sku_id)) == (7777, {"simulate": 2})


@pytest.mark.slow
async def test_no_final_price_is_lost_when_notices_meet_the_closing_moment(shop: Shop) -> None:
    chance = random.Random(20261123)
    sku_ids = [await shop.listed() for _ in range(SKUS)]
    await asyncio.gather(*(shop.settled(sku_id) for sku_id in sku_ids))
    await shop.sandbox.delete("/reads")

    async def change_again_and_again(sku_id: str) -> int:
        price = 0
        for _ in range(EACH):
            price = chance.randint(100, 1_000_000)
            shop.server.seller.catalog.edit(sku_id, price=price)
            # A busy machine may refuse one, and the Seller sends it again.
            while (answer := await shop.http.post(shop.endpoint, json=notice_of(shop, sku_id))).status_code == 503:
                await asyncio.sleep(float(answer.headers["retry-after"]))
            assert answer.status_code == 202
            await asyncio.sleep(chance.uniform(0, 2 * GAP))
        return price

    last = await asyncio.gather(*(change_again_and_again(sku_id) for sku_id in sku_ids))
    ended = await asyncio.gather(*(shop.settled(sku_id, seconds=60) for sku_id in sku_ids))
    reads = sum(calls["simulate"] for calls in (await shop.reads()).values())
    lost = [(offer, price) for offer, price in zip(ended, last, strict=True) if not offer or offer["price"] != price]
    print(f"{NOTICES} notices, {reads} reads, {len(lost)} final prices lost")  # noqa: T201 - a figure, seen with -s
    assert SKUS * EACH == NOTICES
    assert lost == []


async def test_the_last_word_is_what_was_read_last_and_not_what_arrived_last(shop: Shop) -> None:
    sku_id = await shop.listed()
    await shop.settled(sku_id)
    await shop.fault("simulate", "slow-after", sku_id, seconds=0.8)
    await shop.put(sku_id, price=1111)
    await shop.tell(sku_id, priceModified=True)
    async with asyncio.timeout(10):
        while (await shop.sandbox.get("/faults")).json():
            await asyncio.sleep(0.02)
    # While the answer 1111 is held back somebody else reads a newer one.
    await shop.put(sku_id, price=2222)
    await shop.imported("sold")
    newer = await shop.offer(sku_id)
    late = await shop.settled(sku_id)
    assert newer is not None
    assert newer["price"] == 2222
    assert late == newer


async def test_a_workflow_that_never_comes_to_rest_starts_anew_and_loses_nothing(make_shop: MakeShop) -> None:
    flags = [*SERVER_FLAGS, "--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=25"]
    async with await development_server(flags) as environment:
        await ensure_search_attributes(environment.client, [*SEARCH_ATTRIBUTES, SKU_ID])
        async with make_shop(client=environment.client, seller={"assortment": "approval"}) as shop:
            sku_id = await shop.add()
            await shop.tell(sku_id)
            await shop.until(sku_id, status="pending")
            first = (await shop.workflow(sku_id).describe()).run_id
            for number in range(6):
                await shop.change(sku_id, price=5000 + number)
                await shop.until(sku_id, price=5000 + number, status="pending")
            run = await shop.workflow(sku_id).describe()
            assert run.run_id != first
            # One chain of runs: none of them has ended on the way.
            assert run.raw_description.workflow_execution_info.first_run_id == first
            assert run.history_length < 45
            # It still waits for the decision, and takes it.
            state: SkuState = await shop.workflow(sku_id).execute_update(
                "decide", {"include": True}, result_type=SkuState
            )
            assert state.status == "listed"
            offer: Json | None = await shop.settled(sku_id)
            assert offer is not None
            assert (offer["status"], offer["price"]) == ("listed", 5005)
