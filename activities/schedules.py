"""The schedules: each Seller's prices and stock are read anew, notices or not, and the journal is kept short.

Source: contract section D, "independent refresh of price and stock besides notices".
"""

from collections.abc import Mapping
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleListDescription,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from marketplace.codec import PayloadUnreadable
from marketplace.seller.base import SellerConfig
from marketplace.settings import Settings
from workflows.catalog_messages import ImportInput, SkuPolicy, Source
from workflows.catalog_policies import (
    IMPORT_WORKFLOW,
    PURGE_EVERY,
    RETENTION_WORKFLOW,
    catalog_queue,
    import_workflow_id,
    retention_id,
)
from workflows.policies import SELLER, share_of

_QUEUE = "taskQueue"


async def ensure_schedules(client: Client, settings: Settings, sellers: Mapping[str, SellerConfig]) -> None:
    """Make the schedules what settings and sellers file say. May run any number of times, in several workers at once.

    The refresh of a Seller who is not in the sellers file any more is removed.
    """
    queue = catalog_queue(settings.task_queue)
    await _ensure(client, retention_id(settings.task_queue), _retention(settings), queue)
    for name, config in sellers.items():
        if config.refresh_interval is not None:
            schedule = _refresh(settings, name, config.refresh_interval)
            await _ensure(client, import_workflow_id(name, Source.SOLD), schedule, queue)
    wanted = {
        import_workflow_id(name, Source.SOLD) for name, one in sellers.items() if one.refresh_interval is not None
    }
    for name in sellers:
        if (schedule_id := import_workflow_id(name, Source.SOLD)) not in wanted:
            await _remove(client, schedule_id)
    beginning = import_workflow_id("", Source.SOLD)
    async for known in await client.list_schedules():
        # Other engines may share the namespace: theirs have another task queue.
        if known.id.startswith(beginning) and known.id not in wanted and await _queue_of(known) == queue:
            await _remove(client, known.id)


async def _queue_of(known: ScheduleListDescription) -> str:
    try:
        return str(await known.memo_value(_QUEUE, ""))
    except PayloadUnreadable:
        # Of another engine with keys of its own: no reason for this one not to start.
        return ""


def _refresh(settings: Settings, seller: str, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            IMPORT_WORKFLOW,
            ImportInput(seller=seller, source=Source.SOLD, policy=SkuPolicy.of(settings)),
            id=import_workflow_id(seller, Source.SOLD),
            task_queue=catalog_queue(settings.task_queue),
            typed_search_attributes=TypedSearchAttributes([SearchAttributePair(SELLER, seller)]),
            priority=share_of(seller),
            static_summary=f"price and stock of what is sold of {seller}",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # A refresh that takes longer than its interval is followed by one more, not by a crowd.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ONE, catchup_window=every),
    )


def _retention(settings: Settings) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            RETENTION_WORKFLOW,
            id=retention_id(settings.task_queue),
            task_queue=catalog_queue(settings.task_queue),
            static_summary="remove old entries of the exchange log",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=PURGE_EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=PURGE_EVERY),
    )


async def _ensure(client: Client, schedule_id: str, schedule: Schedule, queue: str) -> None:
    def update(known: ScheduleUpdateInput) -> ScheduleUpdate:
        # Paused by an operator stays paused.
        schedule.state = known.description.schedule.state
        return ScheduleUpdate(schedule=schedule)

    try:
        await client.create_schedule(schedule_id, schedule, memo={_QUEUE: queue})
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(schedule_id).update(update)


async def _remove(client: Client, schedule_id: str) -> None:
    try:
        await client.get_schedule_handle(schedule_id).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
