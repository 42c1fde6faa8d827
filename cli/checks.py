"""What `doctor` is made of: questions with a time limit that need each other, and what they find."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from cli.output import clean
from cli.session import CommandError
from marketplace.errors import EngineError
from marketplace.orders import Model

_POLL: Final = timedelta(seconds=90)
"""A worker that lives polls at least once a minute; the server remembers those that are gone for five."""
SHOWN: Final = 3
"""Ids that a finding names."""


class State(StrEnum):
    """What came of a check. Only a problem makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Finding(Model):
    """One check's result. `detail` says what is there, or what is wrong and what to do."""

    check: str
    state: State
    detail: str


class Findings(Model):
    ok: bool
    checks: list[Finding]


Said = tuple[State, str]


@dataclass(frozen=True)
class Check:
    """A question with a time limit, asked once those it needs are answered well.

    `ask` says how it is, or raises an EngineError with what is wrong; `late` is where to look when it says nothing.
    """

    name: str
    ask: Callable[[], Awaitable[Said]]
    late: str = "look at this machine's load"
    needs: tuple[str, ...] = ()


async def make_checks(checks: list[Check], known: Mapping[str, Finding], limit: float) -> list[Finding]:
    """Make checks side by side, each within `limit` seconds and after those it needs. `known` were made before."""
    running: dict[str, asyncio.Task[Finding]] = {}

    async def after(check: Check) -> Finding:
        before = [known[name] if name in known else await running[name] for name in check.needs]
        missing = [finding.check for finding in before if finding.state in {State.PROBLEM, State.SKIPPED}]
        if missing:
            return Finding(check=check.name, state=State.SKIPPED, detail=f"needs: {', '.join(missing)}")
        state, detail = await _ask(check, limit)
        return Finding(check=check.name, state=state, detail=clean(detail))

    for check in checks:
        running[check.name] = asyncio.create_task(after(check))
    return [await task for task in running.values()]


async def _ask(check: Check, limit: float) -> Said:
    try:
        async with asyncio.timeout(limit):
            return await check.ask()
    except TimeoutError:
        return State.PROBLEM, f"no answer within {limit:g} s: {check.late}"
    except EngineError as error:
        return State.PROBLEM, str(error)
    except RPCError as error:
        return State.PROBLEM, f"Temporal answers {error.status.name}: {error.message}; {check.late}"
    except Exception as error:  # noqa: BLE001 - one check that breaks must not hide the others
        # Its text is not ours and could hold anything.
        return State.PROBLEM, f"the check broke with {type(error).__name__}; {check.late}"


# --- what several questions ask ---


async def someone_polls(client: Client, queue: str) -> Said:
    """Whether a worker takes workflows and activities from a task queue. Raises CommandError when none does."""
    kinds = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
    ages = [await _polls(client, queue, kind) for kind in kinds]
    living = min(sum(age < _POLL for age in polls) for polls in ages)
    if living:
        return State.OK, f"{living} on task queue {queue}, last seen {_seconds(min(min(ages)))} ago"
    gone = [age for polls in ages for age in polls]
    seen = f", the last one was seen {_seconds(min(gone))} ago" if gone else ""
    raise CommandError(
        f"none polls task queue {queue}{seen}: start one with `order-engine worker`,"
        " or set ORDER_ENGINE_TASK_QUEUE to the workers' queue"
    )


async def _polls(client: Client, queue: str, kind: TaskQueueType.ValueType) -> list[timedelta]:
    """How long ago each worker was last seen to poll."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    answer = await client.workflow_service.describe_task_queue(request)
    now = datetime.now(UTC)
    return [max(now - poller.last_access_time.ToDatetime(UTC), timedelta(0)) for poller in answer.pollers]


def some(ids: list[str], count: int) -> str:
    """The first of some ids, with a sign that there are more."""
    return ", ".join(ids[:SHOWN]) + (", ..." if count > SHOWN else "")


def _seconds(age: timedelta) -> str:
    return f"{age.total_seconds():.0f} s"
