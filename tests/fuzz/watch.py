"""Notices what must not happen while an engine is fuzzed: unhandled errors in a log, workflow tasks that fail."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.testing import capture_logs
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, CancelledError

# A signal that comes while a workflow task closes the workflow: Temporal's way of giving the workflow another look.
_HARMLESS = {WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND}


class Watch(logging.Handler):
    """Gathers what logs tell of errors that nobody foresaw, in `findings`."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.findings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        # A Seller call that failed in a way that the workflow knows is told as a warning; so is a refused update.
        foreseen = isinstance(error, ApplicationError | CancelledError)
        if record.levelno >= logging.ERROR or (error is not None and not foreseen):
            self.findings.append(f"{record.name}: {record.getMessage()} {error!r}")


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch all logs of this process."""
    watch = Watch()
    root = logging.getLogger()
    root.addHandler(watch)
    try:
        with capture_logs() as told:
            yield watch
    finally:
        root.removeHandler(watch)
    watch.findings += [str(line) for line in told if line["log_level"] in {"error", "critical"}]


async def failed_tasks(client: Client, *queues: str) -> list[str]:
    """Workflow tasks that failed, of every workflow of these task queues: each is a defect."""
    wanted = " OR ".join(f'TaskQueue = "{queue}"' for queue in queues)
    found = []
    async for run in client.list_workflows(wanted):
        events = client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history_events()
        async for event in events:
            if event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                continue
            failed = event.workflow_task_failed_event_attributes
            if failed.cause not in _HARMLESS:
                found.append(f"{run.id}: {WorkflowTaskFailedCause.Name(failed.cause)} {failed.failure.message}")
    return found
