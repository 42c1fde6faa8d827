"""What a worker does with a field that it does not know: the table in docs/changing-workflows.md."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from marketplace.orders import Model

SOON = timedelta(seconds=10)


class Note(Model):
    text: str


class LongerNote(Note):
    language: str = "pt"


@activity.defn
async def read(note: Note) -> Note:
    return note


@activity.defn
async def translate(note: Note) -> LongerNote:
    return LongerNote(text=note.text)


@workflow.defn
class Notes:
    """Knows the shorter note alone, as do the activities but one. Ends with the second note."""

    @workflow.init
    def __init__(self, first: Note) -> None:
        self._notes = [first]

    @workflow.run
    async def run(self, first: Note) -> list[Note]:  # noqa: ARG002 - __init__ has taken it
        await workflow.wait_condition(lambda: len(self._notes) == 2)
        return self._notes

    @workflow.signal
    def note(self, note: Note) -> None:
        self._notes.append(note)

    @workflow.update
    def take(self, note: Note) -> None:
        self._notes.append(note)

    @workflow.signal
    async def ask_old(self) -> None:
        """Sends a longer note to an activity that does not know it."""
        await workflow.execute_activity(read, LongerNote(text="long"), start_to_close_timeout=SOON)

    @workflow.signal
    async def ask_new(self) -> None:
        """Gets a longer note where the shorter one is known."""
        await workflow.execute_activity("translate", Note(text="short"), result_type=Note, start_to_close_timeout=SOON)


def worker(client: Client, queue: str) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=[Notes],
        activities=[read, translate],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


async def started(client: Client, queue: str, first: Note) -> WorkflowHandle[Any, list[Note]]:
    return await client.start_workflow("Notes", first, id=f"notes-{queue}", task_queue=queue, result_type=list[Note])


async def test_a_signal_with_an_unknown_field_is_dropped_and_an_update_refused(
    temporal: Client, caplog: pytest.LogCaptureFixture
) -> None:
    queue = uuid4().hex[:8]
    async with worker(temporal, queue), asyncio.timeout(20):
        run = await started(temporal, queue, Note(text="first"))
        await run.signal("note", LongerNote(text="lost"))
        with pytest.raises(WorkflowUpdateFailedError):
            await run.execute_update("take", LongerNote(text="refused"))
        await run.signal("note", Note(text="second"))
        assert [note.text for note in await run.result()] == ["first", "second"]
    assert "dropping the signal" in caplog.text


@pytest.mark.parametrize("where", ["workflow's input", "activity's result"])
async def test_a_task_that_meets_an_unknown_field_fails_and_the_run_stays_open(temporal: Client, where: str) -> None:
    queue = uuid4().hex[:8]
    async with worker(temporal, queue), asyncio.timeout(20):
        run = await started(temporal, queue, (LongerNote if where == "workflow's input" else Note)(text="first"))
        if where == "activity's result":
            await run.signal("ask_new")
        while True:
            kinds = [event.event_type async for event in run.fetch_history_events()]
            if EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED in kinds:
                break
            await asyncio.sleep(0.02)
        assert kinds[-1] in {
            EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
            EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
            EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        }
        await run.terminate()


async def test_an_activity_that_gets_an_unknown_field_fails_as_if_it_had_tried(temporal: Client) -> None:
    queue = uuid4().hex[:8]
    async with worker(temporal, queue), asyncio.timeout(20):
        run = await started(temporal, queue, Note(text="first"))
        await run.signal("ask_old")
        while True:
            pending = (await run.describe()).raw_description.pending_activities
            if pending and pending[0].attempt > 1:
                break
            await asyncio.sleep(0.02)
        assert "Failed decoding arguments" in pending[0].last_failure.message
        await run.terminate()
