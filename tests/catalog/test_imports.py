"""Many SKUs at once: the initial load page by page, the refresh, the re-drive of what was given up."""

import asyncio

from api.catalog_desk import ImportReport
from sandbox.catalog import numbered_skus
from tests.api.answers import problem
from tests.catalog.conftest import MakeShop
from tests.catalog.shop import Json, Shop
from workflows.catalog_messages import ImportProgress

LIST = "stockkeepingunitidsbysaleschannel"


def check(report: Json, source: str, *, done: int, failed: int = 0) -> None:
    assert (report["source"], report["total"], report["done"], report["failed"]) == (
        source,
        done + failed,
        done,
        failed,
    )
    assert report["endedAt"] >= report["startedAt"]
    assert (report["ratePerSecond"] > 0) is (done + failed > 0)
    assert report["lastProblem"] is None


async def test_an_import_reads_the_whole_sales_channel_whatever_the_sellers_longest_page_is(
    make_shop: MakeShop,
) -> None:
    async with make_shop(skus=numbered_skus(120), seller={"requests_per_second": 250.0}) as shop:
        # VTEX does not say how long a page may be: a short one is not the last one.
        await shop.switch(skuIdsMaxPageSize=25)
        problem(await shop.http.get(f"/catalog/{shop.account}/import"), 404)
        started = await shop.start_import()
        assert (started.status_code, started.json()) == (202, {"importId": f"catalog-import/{shop.account}"})
        problem(await shop.start_import(), 409)
        seen: list[tuple[int, int | None]] = []
        async with asyncio.timeout(30):
            while (report := await shop.report())["state"] == "running":
                assert report["endedAt"] is None
                seen.append((report["done"], report["total"]))
                await asyncio.sleep(0.05)
        check(report, "assortment", done=120)
        assert {total for done, total in seen if done} == {120}
        assert {25, 50, 75} <= {done for done, _ in seen}
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        queried = await shop.import_workflow().query("progress", result_type=ImportProgress)
        assert (queried.done, queried.total, queried.failed) == (120, 120, 0)
        offers = await shop.offers(status="listed")
        assert len(offers) == 120
        assert all(calls == {"sku": 1, "simulate": 1} for calls in (await shop.reads()).values())
        # Another one may run now that it has ended.
        assert (await shop.start_import()).status_code == 202
        await shop.import_workflow().terminate()


async def test_a_sku_that_stands_on_two_pages_is_read_once(make_shop: MakeShop) -> None:
    skus = numbered_skus(12)
    async with make_shop(skus=skus) as shop:
        await shop.switch(skuIdsMaxPageSize=4)
        await shop.fault("sku", "slow", skus[0].id, seconds=0.6)
        assert (await shop.start_import()).status_code == 202
        async with asyncio.timeout(10):
            while (await shop.sandbox.get("/faults")).json():
                await asyncio.sleep(0.02)
        # The first page had SKUs 1 to 4; the second begins with the fourth again.
        await shop.switch(skuIdsMaxPageSize=3)
        await shop.import_ended()
        reads = await shop.reads()
        assert {sku.id for sku in skus} == set(reads)
        assert all(calls == {"sku": 1, "simulate": 1} for calls in reads.values())


async def test_one_bad_sku_never_stops_the_rest_and_what_failed_can_be_driven_anew(make_shop: MakeShop) -> None:
    skus = numbered_skus(60)
    bad, refused = skus[7].id, skus[30].id
    async with make_shop(skus=skus) as shop:
        await shop.fault("sku", "not-json", bad, times=1000)
        await shop.fault("sku", "error", refused, times=1000, code="1")
        report = await shop.imported()
        check(report, "assortment", done=58, failed=2)
        problems = {one["id"]: one["problem"]["code"] for one in report["failedSkus"]}
        assert problems == {bad: "seller-nonsense", refused: "seller-refused"}
        # What may pass is tried on by itself, and given up only after all tries.
        given_up = await shop.settled(bad)
        assert given_up is not None
        assert (given_up["status"], given_up["attempts"]) == ("failed", 3 + shop.engine.settings.seller_attempts)
        assert given_up["lastError"]["code"] == "seller-nonsense"
        # There is no hope for what was refused: once is enough.
        assert (await shop.calls(refused))["sku"] == 1
        assert {one["id"] for one in await shop.offers(status="failed")} == {bad, refused}
        again = await shop.imported("failed")
        check(again, "failed", done=0, failed=2)
        await shop.sandbox.delete("/faults")
        check(await shop.imported("failed"), "failed", done=2)
        assert len(await shop.offers(status="listed")) == 60
        check(await shop.imported("failed"), "failed", done=0)


async def test_a_sku_that_fails_for_a_moment_is_imported_in_the_end(make_shop: MakeShop) -> None:
    skus = numbered_skus(20)
    async with make_shop(skus=skus) as shop:
        await shop.fault("simulate", "server-error", skus[3].id, times=2)
        await shop.fault("sku", "server-error", skus[4].id, times=4)
        report = await shop.imported()
        check(report, "assortment", done=19, failed=1)
        assert [one["id"] for one in report["failedSkus"]] == [skus[4].id]
        await shop.until(skus[4].id, status="listed", attempts=0)
        assert await shop.offers(status="failed") == []


async def test_what_the_seller_withdraws_or_switches_off_is_imported_as_blocked(make_shop: MakeShop) -> None:
    skus = numbered_skus(6)
    async with make_shop(skus=skus) as shop:
        await shop.put(skus[0].id, active=False)
        await shop.put(skus[1].id, salesChannels=[2])
        check(await shop.imported(), "assortment", done=5)
        assert [one["id"] for one in await shop.offers(status="blocked")] == [skus[0].id]
        assert await shop.offer(skus[1].id) is None


async def test_a_refresh_reads_price_and_stock_of_what_is_sold_and_drives_anew_what_was_given_up(
    make_shop: MakeShop,
) -> None:
    skus = numbered_skus(20)
    off, back, gone, new = (sku.id for sku in skus[:4])
    async with make_shop(skus=skus) as shop:
        await shop.put(back, active=False)
        await shop.fault("sku", "error", new, times=1, code="1")
        await shop.imported()
        assert (await shop.decide(gone, include=False)).status_code == 200
        await shop.settled(gone)
        await shop.sandbox.delete("/reads")
        # Nobody is told of any of this.
        for sku in skus[4:]:
            await shop.put(sku.id, price=sku.price + 1, stock=1)
        await shop.put(off, active=False)
        await shop.put(back, active=True)
        await shop.imported("sold")
        reads = await shop.reads()
        for sku in skus[4:]:
            offer = await shop.offer(sku.id)
            assert offer is not None
            assert (offer["price"], offer["stock"], reads[sku.id]) == (sku.price + 1, 1, {"simulate": 1})
        assert [one["id"] for one in await shop.offers(status="blocked")] == [off, back]
        assert gone not in reads
        # Neither sold nor blocked, but given up: tried again without limit.
        await shop.until(new, status="listed")
        # What was never sold is for its own notice; what is sold and was switched off comes back by a refresh.
        await shop.put(off, active=True)
        await shop.imported("sold")
        await shop.until(off, status="listed")


async def test_the_report_fits_its_model_and_a_wrong_source_is_422(shop: Shop) -> None:
    problem(await shop.start_import("everything"), 422)
    problem(await shop.http.get(f"/catalog/{shop.account}/import?source=x"), 422)
    problem(await shop.http.post("/catalog/nobody/import"), 404)
    problem(await shop.http.get("/catalog/nobody/import"), 404)
    problem(await shop.http.get(f"/catalog/{shop.account}/import?source=failed"), 404)
    await shop.imported("failed")
    assert ImportReport.model_validate(await shop.report("failed")).done == 0
