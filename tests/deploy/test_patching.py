"""What docs/changing-workflows.md says about changing a workflow, tried out on its example."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker
from temporalio.workflow import NondeterminismError

from tests.deploy.parcel import PATCH, SOON, After, Before, Deprecated, Patched, Waiting, insure, pack, ship
from tests.support.processes import ROOT

PAGE = ROOT / "docs" / "changing-workflows.md"
Parcel = type[Before | Patched | Deprecated | After]
VERSIONS: tuple[Parcel, ...] = (Before, Patched, Deprecated, After)
GOES_ON = {
    (Before, Before),
    (Before, Patched),
    (Patched, Patched),
    (Patched, Deprecated),
    (Deprecated, Patched),
    (Deprecated, Deprecated),
    (Deprecated, After),
    (After, Deprecated),
    (After, After),
}
"""Which version's runs which version can go on with. All other pairs end in a non-determinism error."""


@asynccontextmanager
async def working(client: Client, version: type, queue: str) -> AsyncIterator[None]:
    """A worker of this version, which remembers nothing between two tasks."""
    async with Worker(
        client,
        task_queue=queue,
        workflows=[version],
        activities=[pack, insure, ship],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,
    ):
        yield


async def started(client: Client, version: type, queue: str) -> WorkflowHandle[Any, Any]:
    """A parcel that this version has packed, and that waits to be paid for."""
    run = await client.start_workflow(
        "Parcel",
        "mug",
        id=f"parcel-{uuid4().hex[:8]}",
        task_queue=queue,
        task_timeout=timedelta(seconds=1),  # for one that the server still hands to the worker that has stopped
    )
    async with working(client, version, queue), asyncio.timeout(20):
        while EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED not in await kinds(run):
            await asyncio.sleep(0.02)
    return run


async def kinds(run: WorkflowHandle[Any, Any]) -> list[int]:
    return [event.event_type async for event in run.fetch_history_events()]


async def finished(client: Client, version: type) -> WorkflowHistory:
    """The history of a parcel that this version took from its start to its end."""
    queue = f"parcels-{uuid4().hex[:8]}"
    async with working(client, version, queue), asyncio.timeout(20):
        run = await client.start_workflow("Parcel", "mug", id=f"parcel-{queue}", task_queue=queue)
        await run.signal("paid")
        await run.result()
    return await run.fetch_history()


async def replays(version: type, history: WorkflowHistory) -> bool:
    replayer = Replayer(workflows=[version], workflow_runner=UnsandboxedWorkflowRunner())
    try:
        await replayer.replay_workflow(history)
    except NondeterminismError:
        return False
    return True


async def test_each_version_goes_on_with_the_runs_of_its_neighbours_alone(temporal: Client) -> None:
    histories = {version: await finished(temporal, version) for version in VERSIONS}
    found = {
        (began, goes_on)
        for began, history in histories.items()
        for goes_on in VERSIONS
        if await replays(goes_on, history)
    }
    assert found == GOES_ON


async def test_a_run_goes_the_way_on_which_it_is_and_the_search_finds_which(temporal: Client) -> None:
    queue = f"parcels-{uuid4().hex[:8]}"
    waits = await started(temporal, Before, queue)
    async with working(temporal, Before, queue):
        await waits.signal("paid")
        assert await waits.result() == "mug packed, shipped"
    old = await started(temporal, Before, queue)
    deployed = datetime.now(UTC)
    new = await started(temporal, Patched, queue)
    open_since = f"TaskQueue = '{queue}' AND ExecutionStatus = 'Running'"
    before = f"{open_since} AND StartTime < '{deployed.isoformat()}'"
    assert await ids(temporal, before, expected={old.id}) == {old.id}
    # Neither has come to the patch: both take the new way, and say so.
    async with working(temporal, Patched, queue):
        for run in (old, new):
            await run.signal("paid")
            assert await run.result() == "mug packed, insured, shipped"
    patched = f"TaskQueue = '{queue}' AND TemporalChangeVersion = '{PATCH}'"
    assert await ids(temporal, patched, expected={old.id, new.id}) == {old.id, new.id}
    assert await ids(temporal, before, expected=set()) == set()


async def ids(client: Client, query: str, expected: set[str]) -> set[str]:
    """What a search finds, once it finds what is expected: it is a little behind."""
    found: set[str] = set()
    for _ in range(200):
        found = {run.id async for run in client.list_workflows(query)}
        if found == expected:
            break
        await asyncio.sleep(0.05)
    return found


async def test_a_run_that_a_worker_cannot_go_on_with_stays_open_and_goes_on_after_the_fix(temporal: Client) -> None:
    queue = f"parcels-{uuid4().hex[:8]}"
    run = await started(temporal, Before, queue)
    async with working(temporal, Hasty, queue):
        await run.signal("paid")
        async with asyncio.timeout(20):
            while EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in (happened := await kinds(run)):
                await asyncio.sleep(0.02)
        assert (await run.describe()).status is WorkflowExecutionStatus.RUNNING
    # The server tries again, ever more rarely. A reset to the last task that was done does not wait for that.
    done = len(happened) - happened[::-1].index(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    await temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.id),
            reason="deployed too early",
            workflow_task_finish_event_id=done,
            request_id=uuid4().hex,
        )
    )
    async with working(temporal, Patched, queue), asyncio.timeout(30):
        assert await temporal.get_workflow_handle(run.id).result() == "mug packed, insured, shipped"


@workflow.defn(name="Parcel")
class Hasty(Waiting):
    """Insures before it packs, without a patch."""

    @workflow.run
    async def run(self, parcel: str) -> str:
        return await workflow.execute_activity(insure, parcel, start_to_close_timeout=SOON)


# --- the page ---


@pytest.mark.parametrize("version", VERSIONS)
def test_the_page_shows_what_is_tried_out_here(version: type) -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    steps = inspect.getsource(version).partition("async def run(self, parcel: str) -> str:\n")[2]
    assert " ".join(steps.split()) in text
