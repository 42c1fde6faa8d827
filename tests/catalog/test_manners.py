"""A Seller that limits, is down, or does not know us is left alone; nothing is given up, and all goes on by itself."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from marketplace.seller.client import Manners
from sandbox.catalog import numbered_skus
from tests.catalog.conftest import MakeShop
from tests.catalog.shop import Shop

PROBE_EVERY = 1.0
CAREFUL = Manners(failures_to_open=5, probe_every=PROBE_EVERY, first_pause=0.05, longest_pause=0.5)


async def all_listed(shop: Shop, count: int, seconds: float = 45) -> None:
    """Wait until so many SKUs are sold, none of them given up on the way."""
    async with asyncio.timeout(seconds):
        while len(await shop.offers(status="listed")) < count:
            assert await shop.offers(status="failed") == []
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("header", ["absent", "seconds"])
async def test_a_storm_of_429_fails_nothing(make_shop: MakeShop, header: str) -> None:
    skus = numbered_skus(24)
    async with make_shop(skus=skus, manners=CAREFUL) as shop:
        # A number of refusals, not a rate: a slow machine would never come up to it.
        more: dict[str, Any] = {"retryAfter": 1, "times": 6} if header == "seconds" else {"times": 25}
        await shop.fault("any", "rate-limited", **more)
        assert (await shop.start_import()).status_code == 202
        (await shop.sandbox.post("/catalog/reindex", json={"count": 8})).raise_for_status()
        await all_listed(shop, 24)
        report = await shop.import_ended()
        assert (report["done"], report["failed"]) == (24, 0)
        assert (await shop.sandbox.get("/faults")).json() == []
        assert {offer["attempts"] for offer in await shop.offers()} == {0}


async def outage_of(shop: Shop) -> tuple[int, list[float]]:
    """How many requests came in the last outage until the Seller was known to be down, and when each probe after it.

    In seconds since the failure that told it, as the Seller saw it.
    """
    outage = (await shop.sandbox.get("/outages")).json()[-1]
    times = [datetime.fromisoformat(one["at"]).timestamp() for one in outage["requests"]]
    if len(times) < CAREFUL.failures_to_open:
        return len(times), []
    opened = times[CAREFUL.failures_to_open - 1]
    # What was under way at that moment comes a little later.
    probes = [at - opened for at in times if at - opened >= PROBE_EVERY * 0.9]
    return len(times) - len(probes), probes


@pytest.mark.slow
async def test_a_seller_that_is_down_is_probed_now_and_then_and_all_goes_on_by_itself(make_shop: MakeShop) -> None:
    skus = numbered_skus(40)
    async with make_shop(skus=skus, manners=CAREFUL) as shop:
        await shop.switch(down="unavailable")
        assert (await shop.start_import()).status_code == 202
        (await shop.sandbox.post("/catalog/reindex", json={"count": 20})).raise_for_status()
        async with asyncio.timeout(40):
            while len((await outage_of(shop))[1]) < 2:
                await asyncio.sleep(0.05)
        report = await shop.report()
        assert (report["state"], report["done"]) == ("running", 0)
        assert report["lastProblem"]
        await shop.switch(down="no")
        await all_listed(shop, 40)
        assert (await shop.import_ended())["failed"] == 0
        first, probes = await outage_of(shop)
        print(f"down: {first} calls until it was noticed, {len(probes)} probes")  # noqa: T201 - a figure
        # None comes before its time, however long it was on its way.
        assert [at for number, at in enumerate(probes, start=1) if at < number * PROBE_EVERY * 0.98] == []
        # At most those that were under way at once.
        assert first <= 25


async def test_a_seller_that_is_down_is_not_taken_for_a_bad_sku_when_nobody_else_asks(make_shop: MakeShop) -> None:
    """With so few calls the breaker stays closed, and each SKU has its tries: they do not count either."""
    skus = numbered_skus(2)
    async with make_shop(skus=skus) as shop:
        await shop.imported()
        known, new = skus[0].id, await shop.add()
        await shop.switch(down="reset")
        for sku_id in (known, new):
            (await shop.sandbox.post("/notices", json={"skuId": sku_id, "background": True})).raise_for_status()
        assert (await shop.start_import()).status_code == 202
        await shop.until(new, lambda one: one["attempts"] + 1 >= shop.engine.settings.seller_attempts)
        async with asyncio.timeout(20):
            while not (await shop.report())["lastProblem"]:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        assert await shop.offers(status="failed") == []
        await shop.switch(down="no")
        await all_listed(shop, 3)
        assert (await shop.import_ended())["failed"] == 0


async def test_an_import_with_wrong_keys_waits_and_says_why(make_shop: MakeShop) -> None:
    async with make_shop(skus=numbered_skus(3)) as shop:
        await shop.fault("sku-ids", "forbidden", times=1000)
        assert (await shop.start_import()).status_code == 202
        async with asyncio.timeout(20):
            while not (problem := (await shop.report())["lastProblem"]):
                await asyncio.sleep(0.05)
        assert "403" in problem
        assert (await shop.report())["state"] == "running"
        assert len(await shop.requests("stockkeepingunitidsbysaleschannel")) == 1
        await shop.import_workflow().terminate()


async def test_a_rate_of_the_sellers_file_is_kept_and_nothing_is_lost_by_waiting(make_shop: MakeShop) -> None:
    rate = 60.0
    async with make_shop(skus=numbered_skus(40), seller={"requests_per_second": rate}) as shop:
        report = await shop.imported()
        assert (report["done"], report["failed"]) == (40, 0)
        seconds = (await shop.sandbox.get("/traffic")).json()["seconds"]
        assert max(second["arrived"] for second in seconds) <= rate * 1.1 + 2
