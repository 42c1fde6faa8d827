"""What `doctor` asks about the catalog: its schedules, offers that were given up, imports that failed."""

from collections.abc import Mapping

from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from cli.checks import Said, State, some
from cli.session import CommandError
from marketplace.catalog import OfferStatus
from marketplace.seller.base import SellerConfig
from marketplace.store.base import OfferStore
from workflows.catalog_messages import Source
from workflows.catalog_policies import import_workflow_id, retention_id

_FAILED = {
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT,
}


async def schedules(client: Client, sellers: Mapping[str, SellerConfig], task_queue: str) -> Said:
    """Whether Sellers' prices and stock are read anew, and old log entries removed, from time to time.

    Raises CommandError for a schedule that is missing.
    """
    wanted = [
        *(import_workflow_id(name, Source.SOLD) for name, one in sorted(sellers.items()) if one.refresh_interval),
        retention_id(task_queue),
    ]
    missing, paused = [], []
    for schedule_id in wanted:
        try:
            found = await client.get_schedule_handle(schedule_id).describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            missing.append(schedule_id)
        else:
            paused += [schedule_id] if found.schedule.state.paused else []
    if missing:
        raise CommandError(f"missing: {some(missing, len(missing))}; start a worker, it makes them")
    if paused:
        return State.WARNING, f"paused: {some(paused, len(paused))}; unpause in Temporal's UI"
    return State.OK, some(wanted, len(wanted))


async def failed_offers(offers: OfferStore, sellers: Mapping[str, SellerConfig]) -> Said:
    """Whether SKUs were given up."""
    counts = {name: (await offers.counts(name))[OfferStatus.FAILED] for name in sorted(sellers)}
    failed = {name: count for name, count in counts.items() if count}
    if not failed:
        return State.OK, "none"
    told = some([f"{count} of {name}" for name, count in failed.items()], len(failed))
    first = next(iter(failed))
    return State.WARNING, f"{told}: `order-engine catalog list {first} --status failed` tells why"


async def failed_imports(client: Client, sellers: Mapping[str, SellerConfig]) -> Said:
    """Whether the newest import, refresh and re-drive of each Seller came to its end."""
    failed: list[tuple[str, str, Source]] = []
    for seller in sorted(sellers):
        runs = [(import_workflow_id(seller, source), source) for source in Source]
        runs += [(run, Source.SOLD) for run in await _last_refresh(client, seller)]
        # Described and not searched for: a search would find what failed and was made good since.
        for workflow_id, source in runs:
            status = await _status(client, workflow_id)
            if status in _FAILED:
                failed.append((f"{workflow_id} ({status.name.lower()})", seller, source))
    if not failed:
        return State.OK, "none"
    _, seller, source = failed[0]
    again = f"`order-engine catalog import {seller} --source {source}` starts it again"
    return State.WARNING, f"{some([told for told, *_ in failed], len(failed))}: see Temporal's UI; {again}"


async def _last_refresh(client: Client, seller: str) -> list[str]:
    """The id of the newest refresh that the schedule has started, if any: the schedule adds a time to its own id."""
    try:
        found = await client.get_schedule_handle(import_workflow_id(seller, Source.SOLD)).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return []
    runs = [run.action for run in found.info.recent_actions[-1:]]
    return [run.workflow_id for run in runs if isinstance(run, ScheduleActionExecutionStartWorkflow)]


async def _status(client: Client, workflow_id: str) -> WorkflowExecutionStatus | None:
    try:
        return (await client.get_workflow_handle(workflow_id).describe()).status
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
