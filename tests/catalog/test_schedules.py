"""The schedules follow settings and sellers file, and do what they are for."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import ScheduleHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.schedules import ensure_schedules
from marketplace.journal import Direction, JournalEntry, JournalStatus, Operation
from tests.catalog.conftest import MakeShop
from tests.catalog.shop import Shop
from workflows.catalog_messages import Source
from workflows.catalog_policies import import_workflow_id, retention_id


def refresh_of(shop: Shop) -> ScheduleHandle:
    return shop.engine.client.get_schedule_handle(import_workflow_id(shop.account, Source.SOLD))


def retention_of(shop: Shop) -> ScheduleHandle:
    return shop.engine.client.get_schedule_handle(retention_id(shop.engine.settings.task_queue))


async def ensure(shop: Shop, **changes: timedelta | None) -> None:
    """As a worker does when it starts."""
    config = shop.engine.sellers[shop.account].model_copy(update=changes)
    await ensure_schedules(shop.engine.client, shop.engine.settings, {shop.account: config})


async def intervals(handle: ScheduleHandle) -> list[timedelta]:
    return [one.every for one in (await handle.describe()).schedule.spec.intervals]


async def is_there(handle: ScheduleHandle) -> bool:
    try:
        await handle.describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


@pytest.fixture
async def scheduled(make_shop: MakeShop) -> AsyncIterator[Shop]:
    async with make_shop(log_retention="1h") as shop:
        await ensure(shop)
        yield shop
        for handle in (refresh_of(shop), retention_of(shop)):
            if await is_there(handle):
                await handle.delete()


async def test_the_refresh_reads_what_is_sold_though_nobody_said_that_it_changed(scheduled: Shop) -> None:
    sku_id = await scheduled.listed()
    await scheduled.settled(sku_id)
    assert await intervals(refresh_of(scheduled)) == [timedelta(hours=1)]
    await scheduled.put(sku_id, price=4711, stock=2)
    await scheduled.sandbox.delete("/reads")
    await refresh_of(scheduled).trigger()
    await scheduled.until(sku_id, price=4711, stock=2)
    assert await scheduled.calls(sku_id) == {"simulate": 1}
    report = await scheduled.import_ended("sold")
    assert (report["source"], report["done"]) == ("sold", 1)
    assert report["importId"].startswith(f"catalog-refresh/{scheduled.account}-")
    # One that an operator has started since is the newest.
    assert (await scheduled.imported("sold"))["importId"] == f"catalog-refresh/{scheduled.account}"


async def test_the_refresh_follows_the_sellers_file_and_a_paused_one_stays_paused(scheduled: Shop) -> None:
    handle = refresh_of(scheduled)
    await handle.pause(note="the Seller counts its stock")
    await ensure(scheduled, refresh_interval=timedelta(minutes=7))
    assert await intervals(handle) == [timedelta(minutes=7)]
    state = (await handle.describe()).schedule.state
    assert (state.paused, state.note) == (True, "the Seller counts its stock")
    await ensure(scheduled, refresh_interval=None)
    assert not await is_there(handle)
    await ensure(scheduled, refresh_interval=None)
    await ensure(scheduled)
    assert await intervals(handle) == [timedelta(hours=1)]


async def test_the_refresh_of_a_seller_who_left_is_removed_and_no_other_engines(
    scheduled: Shop, make_shop: MakeShop
) -> None:
    async with make_shop() as other:
        await ensure(other)
        async with asyncio.timeout(20):
            # Lists of schedules lag behind.
            while await is_there(refresh_of(scheduled)):
                await ensure_schedules(scheduled.engine.client, scheduled.engine.settings, {})
                await asyncio.sleep(0.1)
        assert await is_there(refresh_of(other))
        for handle in (refresh_of(other), retention_of(other)):
            await handle.delete()


async def test_what_is_older_than_the_retention_leaves_the_exchange_log(scheduled: Shop) -> None:
    now = datetime.now(UTC)

    def entry(minutes: int) -> JournalEntry:
        return JournalEntry(
            id=f"{scheduled.account}-{minutes}",
            at=now - timedelta(minutes=minutes),
            seller=scheduled.account,
            operation=Operation.PRICE_UPDATE,
            direction=Direction.FROM_SELLER,
            subject=str(minutes),
            status=JournalStatus.SUCCESS,
        )

    await scheduled.engine.stores.journal.append([entry(minutes) for minutes in (1, 59, 61, 5000)])
    assert [one["Subject"] for one in await scheduled.logs()] == ["1", "59", "61", "5000"]
    assert await intervals(retention_of(scheduled)) == [timedelta(hours=1)]
    await retention_of(scheduled).trigger()
    await scheduled.logs_until(lambda found: [one["Subject"] for one in found] == ["1", "59"])
