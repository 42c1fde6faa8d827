"""The schedules by which Sellers' prices and stock are read anew, whether notices came or not. Source: contract D."""

from collections.abc import Mapping
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from marketplace.seller.base import SellerConfig
from marketplace.settings import Settings
from workflows.catalog_messages import ImportInput, SkuPolicy, Source
from workflows.catalog_policies import IMPORT_WORKFLOW, catalog_queue, import_workflow_id


async def ensure_refreshes(client: Client, settings: Settings, sellers: Mapping[str, SellerConfig]) -> None:
    """Make the schedules what the sellers file says. May run any number of times, and in several workers at once."""
    for name, config in sellers.items():
        if config.refresh_interval is None:
            await _remove(client, name)
        else:
            await _ensure(client, name, _schedule(settings, name, config.refresh_interval))


def _schedule(settings: Settings, seller: str, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            IMPORT_WORKFLOW,
            ImportInput(seller=seller, source=Source.SOLD, policy=SkuPolicy.of(settings)),
            id=import_workflow_id(seller, Source.SOLD),
            task_queue=catalog_queue(settings.task_queue),
            static_summary=f"price and stock of what is sold of {seller}",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # A refresh that takes longer than its interval is followed by one more, not by a crowd.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ONE, catchup_window=every),
    )


async def _ensure(client: Client, seller: str, schedule: Schedule) -> None:
    schedule_id = import_workflow_id(seller, Source.SOLD)

    def update(known: ScheduleUpdateInput) -> ScheduleUpdate:
        # Paused by an operator stays paused.
        schedule.state = known.description.schedule.state
        return ScheduleUpdate(schedule=schedule)

    try:
        await client.create_schedule(schedule_id, schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(schedule_id).update(update)


async def _remove(client: Client, seller: str) -> None:
    try:
        await client.get_schedule_handle(import_workflow_id(seller, Source.SOLD)).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
