"""What Temporal alone can tell of workflows that do not go on: a bug, no worker, a Seller that is gone, force."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.exceptions import FailureError
from temporalio.service import RPCError, RPCStatusCode

from cli.checks import SHOWN, Said, State, some, someone_polls
from cli.output import clean, moment
from cli.session import CommandError
from marketplace.orders import Model
from marketplace.seller.base import SellerConfig
from workflows.catalog_policies import (
    IMPORT_WORKFLOW,
    RETENTION_WORKFLOW,
    SKU_WORKFLOW,
    catalog_queue,
)
from workflows.policies import ORDER_WORKFLOW, order_workflow_id
from workflows.webhook_policies import WEBHOOK_WORKFLOW, webhook_queue

ORDERS: Final = (ORDER_WORKFLOW,)
CATALOG: Final = (SKU_WORKFLOW, IMPORT_WORKFLOW, RETENTION_WORKFLOW)
WEBHOOKS: Final = (WEBHOOK_WORKFLOW,)
TASKS_FAIL: Final = "workflow-task-fails"
"""What the list of orders says where a parked order has its reason code."""
_MANY_TRIES: Final = 3
"""From this try on a page of an import counts as held up: one that fails once is no news."""
_QUEUES: Final = 10
"""Task queues of others that are looked at."""
_IMPORTS: Final = 20
_CLOSED: Final = 100
"""Imports that run, and orders that were ended by force, that are looked at."""
_WORDS: Final = 200
"""Characters of an error's text that are shown."""
_PROBLEMS: Final = "TemporalReportedProblems"
_RUNNING: Final = "ExecutionStatus = 'Running'"
_FORCED: Final = {
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed out",
}


# --- workflows whose tasks fail ---


class FailingOrder(Model):
    """An order that a bug holds up. `problem` is Temporal's word for how its workflow tasks fail."""

    marketplace_order_id: str
    seller: str
    workflow_id: str
    problem: str


@dataclass(frozen=True)
class Failing:
    """How many workflows a bug holds up, and the newest of them."""

    count: int
    found: list[WorkflowExecution]


async def failing(client: Client, types: Collection[str], limit: int, beginning: str = "") -> Failing | None:
    """Workflows of these types whose tasks fail, by ids that begin with `beginning`; None when the server cannot tell.

    The server marks a workflow after five failed tasks in a row, which takes it about a minute, and takes the mark off
    after a good one. Raises RPCError.
    """
    query = f"{_RUNNING} AND WorkflowType IN ({_quoted(types)}) AND {_PROBLEMS} IS NOT NULL"
    if beginning:
        query += f" AND WorkflowId STARTS_WITH '{beginning}'"
    try:
        count = (await client.count_workflows(query)).count
        found = [one async for one in client.list_workflows(query, limit=limit)]
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        return None
    return Failing(count, found)


@dataclass(frozen=True)
class FailingOrders:
    """How many orders a bug holds up, and the newest of them."""

    count: int
    orders: list[FailingOrder]


async def failing_orders(client: Client, seller: str | None, limit: int) -> FailingOrders | None:
    """The orders that a bug holds up, of one Seller or of all; None when the server cannot tell."""
    held_up = await failing(client, ORDERS, limit, order_workflow_id(seller, "") if seller else "")
    if held_up is None:
        return None
    orders = [
        FailingOrder(seller=account, marketplace_order_id=order_id, workflow_id=one.id, problem=problem_of(one))
        for one in held_up.found
        for account, order_id in [_order_of(one.id)]
    ]
    # Another one may have been marked, or mended, between the two questions.
    return FailingOrders(max(held_up.count, len(orders)), orders)


def problem_of(one: WorkflowExecution) -> str:
    """How a workflow's tasks fail, such as WorkflowWorkerUnhandledFailure; empty for one whose tasks do not fail."""
    words = [str(word).partition("=") for word in one.search_attributes.get(_PROBLEMS, [])]
    causes = [cause for name, _, cause in words if name == "cause"]
    # The server puts the kind of the cause before it: WorkflowTaskFailedCauseNonDeterministicError.
    return ", ".join(cause.rpartition("Cause")[2] or cause for cause in causes)


async def no_failing_tasks(client: Client, types: Collection[str]) -> Said:
    """Whether workflows of these types can go on. Raises CommandError when a bug holds some up."""
    held_up = await failing(client, types, SHOWN)
    if held_up is None:
        return State.SKIPPED, "this server does not tell whose workflow tasks fail"
    if not held_up.count:
        return State.OK, "none"
    causes = ", ".join(dict.fromkeys(problem_of(one) for one in held_up.found))
    raise CommandError(
        f"{held_up.count} cannot go on because of a bug ({some([one.id for one in held_up.found], held_up.count)};"
        f" {causes}): see the failure in Temporal's UI and deploy a worker that mends it; nothing is lost meanwhile"
    )


# --- workflows that nobody works on ---


async def other_queues(client: Client, task_queue: str) -> Said:
    """Whether running workflows wait in task queues, other than this engine's own, that nobody polls."""
    unseen = ""
    known, forsaken = [task_queue, catalog_queue(task_queue), webhook_queue(task_queue)], []
    ours = f"{_RUNNING} AND WorkflowType IN ({_quoted((*ORDERS, *CATALOG, *WEBHOOKS))})"
    for _ in range(_QUEUES):
        # The server does not group by task queue: each question leaves out the queues that are known by then.
        async for one in client.list_workflows(f"{ours} AND TaskQueue NOT IN ({_quoted(known)})", limit=1):
            known.append(one.task_queue)
            try:
                await someone_polls(client, one.task_queue)
            except CommandError:
                count = (await client.count_workflows(f"{ours} AND TaskQueue = '{one.task_queue}'")).count
                forsaken.append(f"{count} in {one.task_queue}")
            break
        else:
            break
    else:
        unseen = f" ({_QUEUES} other queues were looked at, there may be more)"
    if not forsaken:
        return State.OK, f"no workflow waits in a queue that nobody polls{unseen}"
    return State.WARNING, (
        f"workflows wait where nobody polls{unseen}: {some(forsaken, len(forsaken))}; start a worker with that"
        " ORDER_ENGINE_TASK_QUEUE, they stay in the queue they were started in"
    )


async def removed_sellers(client: Client, sellers: Mapping[str, SellerConfig], task_queue: str) -> Said:
    """Whether this engine's workflows wait for a Seller that is not in the sellers file."""
    queues = _quoted((task_queue, catalog_queue(task_queue)))
    query = f"{_RUNNING} AND TaskQueue IN ({queues}) AND Seller IS NOT NULL AND Seller NOT IN ({_quoted(sellers)})"
    count = (await client.count_workflows(query)).count
    if not count:
        return State.OK, "no workflow waits for a Seller that is not in the sellers file"
    ids = [one.id async for one in client.list_workflows(query, limit=SHOWN)]
    return State.WARNING, (
        f"{count} wait for a Seller that is not in the sellers file ({some(ids, count)}): put it back until its orders"
        " have ended; terminate what is left of its SKUs"
    )


# --- workflows that were stopped, or that try for ever ---


async def stopped_orders(client: Client, task_queue: str) -> Said:
    """Whether orders were ended by force, such as by Terminate in the UI, and not brought back since."""
    query = (
        f"WorkflowType = '{ORDER_WORKFLOW}' AND TaskQueue = '{task_queue}' AND ExecutionStatus IN ({_quoted_forced()})"
    )
    stopped = []
    async for one in client.list_workflows(query, limit=_CLOSED):
        # A reset begins a new run and leaves the old one as it was.
        now = (await _describe(client, one.id)).status
        if now in _FORCED:
            stopped.append(f"{one.id} ({_FORCED[now]})")
    unseen = await _beyond(client, query, _CLOSED)
    if not stopped:
        return State.OK, f"none{unseen}"
    first = stopped[0].partition(" ")[0]
    return State.WARNING, (
        f"{len(stopped)} ended by force{unseen}: {some(stopped, len(stopped))}; nobody follows them."
        f" `temporal workflow reset --workflow-id {first} --type LastWorkflowTask --reason TEXT` brings one back"
    )


async def stuck_imports(client: Client, task_queue: str) -> Said:
    """Whether an import that runs tries the same page again and again."""
    queue = catalog_queue(task_queue)
    query = f"{_RUNNING} AND WorkflowType = '{IMPORT_WORKFLOW}' AND TaskQueue = '{queue}'"
    stuck = []
    async for one in client.list_workflows(query, limit=_IMPORTS):
        stuck += [f"{one.id} ({tries})" for tries in await _tries(client, await _describe(client, one.id), _MANY_TRIES)]
    unseen = await _beyond(client, query, _IMPORTS)
    if not stuck:
        return State.OK, f"none{unseen}"
    return State.WARNING, f"{some(stuck, len(stuck))}{unseen}: it goes on by itself once that is mended"


async def standing(client: Client, workflow_id: str) -> list[str]:
    """What holds a workflow up, as Temporal tells it: empty for one that goes on. Raises RPCError."""
    described = await _describe(client, workflow_id)
    if described.status in _FORCED:
        return [f"{_FORCED[described.status]}: nobody follows the order any more"]
    problem = problem_of(described)
    bug = [f"its workflow tasks fail ({problem}): a bug, it waits for a worker that mends it"] if problem else []
    return [*bug, *await _tries(client, described, at_least=2)]


async def _tries(client: Client, described: WorkflowExecutionDescription, at_least: int) -> list[str]:
    """What a workflow tries again: the call, which try it is, when the next one comes, and the last error's text."""
    pending = described.raw_description.pending_activities
    return [await _told(client, one) for one in pending if one.attempt >= at_least]


async def _told(client: Client, pending: PendingActivityInfo) -> str:
    words = f"{pending.activity_type.name}: try {pending.attempt}"
    if pending.HasField("next_attempt_schedule_time"):
        words += f", next {moment(pending.next_attempt_schedule_time.ToDatetime(UTC))} UTC"
    if pending.HasField("last_failure"):
        error = await client.data_converter.decode_failure(pending.last_failure)
        words += f", last: {clean(error.message if isinstance(error, FailureError) else str(error))[:_WORDS]}"
    return words


async def _describe(client: Client, workflow_id: str) -> WorkflowExecutionDescription:
    return await client.get_workflow_handle(workflow_id).describe()


async def _beyond(client: Client, query: str, limit: int) -> str:
    """Words about how many of a query were not looked at, because there are more than the limit; empty for none."""
    count = (await client.count_workflows(query)).count
    return f" among the newest {limit} of {count}" if count > limit else ""


# --- words ---


def _order_of(workflow_id: str) -> tuple[str, str]:
    """Seller and marketplaceOrderId of an order's workflow: neither has a slash."""
    _, seller, order_id = workflow_id.split("/", 2)
    return seller, order_id


def _quoted(words: Collection[str]) -> str:
    """Words of our own or of checked identifiers, as a query takes them."""
    return ", ".join(f"'{word}'" for word in words)


def _quoted_forced() -> str:
    return _quoted([status.name.title().replace("_", "") for status in _FORCED])
