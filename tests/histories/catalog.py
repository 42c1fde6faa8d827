"""The syncs and imports that are recorded. Imports are of few SKUs, so that their histories stay small."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio.client import (
    ScheduleActionExecutionStartWorkflow,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)

from activities.schedules import ensure_schedules
from marketplace.catalog import ChangeNotice, OfferStatus
from sandbox.catalog import numbered_skus
from tests.catalog.shop import Json, Shop
from tests.histories.kinds import Run, catalog, of_several_runs
from workflows.catalog_messages import ImportInput, ImportProgress, SkuDecision, SkuInput, SkuPolicy, SkuState, Source
from workflows.catalog_policies import IMPORT_WORKFLOW, SKU_WORKFLOW, catalog_queue, retention_id

APPROVAL: Json = {"seller": {"assortment": "approval"}}
FEW = 4


async def _closed(shop: Shop, sku_id: str) -> Run:
    await shop.settled(sku_id)
    return shop.workflow(sku_id)


async def _pending(shop: Shop) -> str:
    sku_id = await shop.add()
    await shop.tell(sku_id)
    await shop.until(sku_id, status="pending")
    return sku_id


async def _decided(shop: Shop, sku_id: str, *, include: bool) -> OfferStatus | None:
    """As the Temporal UI sends it."""
    update = SkuDecision(include=include)
    state: SkuState = await shop.workflow(sku_id).execute_update("decide", update, result_type=SkuState)
    return state.status


# --- one SKU ---


@catalog()
async def sku_listed(shop: Shop) -> Run:
    """A new SKU is read and sold."""
    sku_id = await shop.listed()
    return await _closed(shop, sku_id)


@catalog()
async def sku_changed_while_it_was_read(shop: Shop) -> Run:
    """Notices come before and while the SKU is read: it is read once more."""
    sku_id = await shop.add()
    await shop.fault("sku", "slow", sku_id, seconds=0.4)
    await shop.tell(sku_id)
    await shop.tell(sku_id, priceModified=True)
    async with asyncio.timeout(10):
        while (await shop.sandbox.get("/faults")).json():
            await asyncio.sleep(0.02)
    await shop.put(sku_id, price=2222)
    await shop.tell(sku_id, priceModified=True)
    await shop.until(sku_id, price=2222)
    return await _closed(shop, sku_id)


@catalog(**APPROVAL)
async def sku_pending(shop: Shop) -> Run:
    """A new SKU still waits for a decision."""
    return shop.workflow(await _pending(shop))


@catalog(**APPROVAL)
async def sku_pending_and_included(shop: Shop) -> Run:
    """A new SKU waits for a decision, and is included by one that is told to its workflow."""
    sku_id = await _pending(shop)
    assert await _decided(shop, sku_id, include=True) is OfferStatus.LISTED
    return await _closed(shop, sku_id)


@catalog(**APPROVAL)
async def sku_pending_and_excluded(shop: Shop) -> Run:
    """A new SKU waits for a decision, and is excluded through the API."""
    sku_id = await _pending(shop)
    assert (await shop.decide(sku_id, include=False)).json()["status"] == "excluded"
    return await _closed(shop, sku_id)


@catalog(**APPROVAL)
async def sku_decided_too_early(shop: Shop) -> Run:
    """A decision about a SKU that was not read yet is refused."""
    sku_id = await shop.add()
    await shop.fault("sku", "slow", sku_id, seconds=0.5)
    await shop.tell(sku_id)
    with suppress(WorkflowUpdateFailedError):
        await _decided(shop, sku_id, include=True)
    await shop.until(sku_id, status="pending")
    return shop.workflow(sku_id)


@catalog(**APPROVAL)
async def sku_decided_before_it_waited(shop: Shop) -> Run:
    """Found pending by an import, and decided before its workflow began to wait."""
    sku_id = await _pending(shop)
    await shop.decide(sku_id, include=True)
    await shop.settled(sku_id)
    await shop.engine.client.start_workflow(
        SKU_WORKFLOW,
        SkuInput(
            seller=shop.account,
            sku_id=sku_id,
            policy=SkuPolicy.of(shop.engine.settings),
            status=OfferStatus.PENDING,
        ),
        id=shop.workflow(sku_id).id,
        task_queue=catalog_queue(shop.engine.settings.task_queue),
    )
    return await _closed(shop, sku_id)


@catalog()
async def sku_blocked(shop: Shop) -> Run:
    """The Seller does not know the SKU."""
    await shop.tell("9990001")
    await shop.until("9990001", status="blocked")
    return await _closed(shop, "9990001")


@catalog()
async def sku_failed(shop: Shop) -> Run:
    """Given up after all tries."""
    sku_id = await shop.add()
    await shop.fault("sku", "not-json", sku_id, times=10)
    await shop.tell(sku_id)
    await shop.until(sku_id, status="failed")
    return await _closed(shop, sku_id)


@catalog()
async def sku_waiting_for_its_seller(shop: Shop) -> Run:
    """The Seller refuses our keys: the sync waits, and is told once more of a change meanwhile."""
    sku_id = await shop.add()
    await shop.fault("sku", "forbidden", sku_id, times=10)
    await shop.tell(sku_id)
    await shop.until(sku_id, lambda found: found["lastError"] is not None)
    await shop.tell(sku_id, priceModified=True)
    return shop.workflow(sku_id)


@of_several_runs
@catalog(**APPROVAL)
async def sku_that_never_rests(shop: Shop) -> Run:
    """So many changes of a pending SKU that its workflow goes on as a new run."""
    sku_id = await _pending(shop)
    for price in range(5001, 5006):
        await shop.change(sku_id, price=price)
        await shop.until(sku_id, price=price)
    await shop.decide(sku_id, include=True)
    return await _closed(shop, sku_id)


# --- many SKUs ---


@catalog(skus=numbered_skus(FEW))
async def imported_in_pages(shop: Shop) -> Run:
    """The initial load of a Seller whose list comes in two pages."""
    await shop.switch(skuIdsMaxPageSize=FEW // 2)
    await shop.imported()
    return shop.import_workflow()


@catalog(skus=numbered_skus(FEW), **APPROVAL)
async def imported_for_approval(shop: Shop) -> Run:
    """All SKUs of an import wait for a decision, each in a workflow of its own."""
    await shop.imported()
    return shop.import_workflow()


@catalog(skus=numbered_skus(FEW), **APPROVAL)
async def sku_handed_over_by_an_import(shop: Shop) -> Run:
    """A SKU that an import found pending still waits for a decision."""
    await shop.imported()
    sku_id = numbered_skus(FEW)[0].id
    async with asyncio.timeout(10):
        while not await shop.is_open(sku_id):
            await asyncio.sleep(0.02)
    return shop.workflow(sku_id)


@catalog(skus=numbered_skus(FEW))
async def imported_with_failures(shop: Shop) -> Run:
    """One SKU is refused for good, one cannot be read yet and is handed over, one is at work already."""
    refused, unread, busy = (sku.id for sku in numbered_skus(FEW)[:3])
    await shop.fault("sku", "error", refused, times=10, code="1")
    await shop.fault("sku", "not-json", unread, times=4)
    await shop.fault("sku", "not-json", busy, times=10)
    await shop.engine.client.start_workflow(
        SKU_WORKFLOW,
        SkuInput(
            seller=shop.account,
            sku_id=busy,
            policy=SkuPolicy(
                notice_debounce=timedelta(seconds=30), seller_attempts=1, seller_backoff=timedelta(seconds=1)
            ),
            notice=ChangeNotice(),
        ),
        id=shop.workflow(busy).id,
        task_queue=catalog_queue(shop.engine.settings.task_queue),
    )
    await shop.imported()
    assert (await shop.workflow(busy).describe()).status is WorkflowExecutionStatus.RUNNING
    return shop.import_workflow()


@catalog(skus=numbered_skus(FEW))
async def refreshed(shop: Shop) -> Run:
    """Price and stock of what is sold, read anew."""
    await shop.imported()
    await shop.imported("sold")
    return shop.import_workflow("sold")


@catalog(skus=numbered_skus(FEW))
async def driven_anew(shop: Shop) -> Run:
    """What was given up, read once more."""
    failed = numbered_skus(FEW)[0].id
    await shop.fault("sku", "error", failed, code="1")
    await shop.imported()
    await shop.imported("failed")
    return shop.import_workflow("failed")


@catalog(skus=numbered_skus(FEW))
async def imported_on_by_a_second_run(shop: Shop) -> Run:
    """A long import goes on as a new run: this is one that begins in the middle."""
    await shop.imported()
    first = shop.import_workflow()
    done: ImportProgress = await first.query("progress", result_type=ImportProgress)
    going_on = ImportInput(
        seller=shop.account,
        source=Source.ASSORTMENT,
        policy=SkuPolicy.of(shop.engine.settings),
        page_size=2,
        progress=done.model_copy(update={"ended_at": None}),
        cursor=None,
    )
    queue = catalog_queue(shop.engine.settings.task_queue)
    second = await shop.engine.client.start_workflow(IMPORT_WORKFLOW, going_on, id=first.id, task_queue=queue)
    await second.result()
    return second


@catalog()
async def journal_retention(shop: Shop) -> Run:
    """Old entries of the exchange log are removed."""
    await ensure_schedules(shop.engine.client, shop.engine.settings, {shop.account: shop.engine.sellers[shop.account]})
    schedule = shop.engine.client.get_schedule_handle(retention_id(shop.engine.settings.task_queue))
    await schedule.trigger()
    async with asyncio.timeout(20):
        while not (recent := (await schedule.describe()).info.recent_actions):
            await asyncio.sleep(0.05)
    run = recent[0].action
    assert isinstance(run, ScheduleActionExecutionStartWorkflow)
    handle = shop.engine.client.get_workflow_handle(run.workflow_id)
    await handle.result()
    return handle
