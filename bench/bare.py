"""The floor under orders: bare Temporal workflows on the same server, that do nothing, keep nothing, check nothing.

`BareOrder` has three activities that return at once, and waits for three signals. `BareCreate` answers an update and
waits. A worker of its own runs them, as a process like the engine's: `python -m bench.bare ADDRESS`.
"""

import asyncio
import signal
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.worker import Worker

from marketplace.process import leave

QUEUE = "bare"
SIGNALS = 3
_AT_ONCE = timedelta(seconds=10)


@activity.defn
async def nothing(word: str) -> str:
    """Return at once."""
    return word


@workflow.defn
class BareOrder:
    """Three activities in a row, then three signals."""

    def __init__(self) -> None:
        self._told = 0

    @workflow.run
    async def run(self, word: str) -> str:
        for _ in range(3):
            word = await workflow.execute_activity(nothing, word, start_to_close_timeout=_AT_ONCE)
        await workflow.wait_condition(lambda: self._told >= SIGNALS)
        return word

    @workflow.signal
    def tell(self, _word: str) -> None:
        self._told += 1


@workflow.defn
class BareCreate:
    """Answers an update at once, and then takes signals until it is told to end."""

    def __init__(self) -> None:
        self._over = False

    @workflow.run
    async def run(self, word: str) -> str:
        await workflow.wait_condition(lambda: self._over)
        return word

    @workflow.update
    async def placed(self) -> str:
        return "placed"

    @workflow.signal
    def tell(self, _word: str) -> None:
        pass

    @workflow.signal
    def end(self) -> None:
        self._over = True


async def live(client: Client, name: str) -> None:
    """Lead one bare order from its start to its end."""
    handle = await client.start_workflow(BareOrder.run, "word", id=name, task_queue=QUEUE)
    for _ in range(SIGNALS):
        await handle.signal(BareOrder.tell, "word")
    await handle.result()


async def create(client: Client, name: str) -> None:
    """Start a workflow and wait for its answer, in one call to the server."""
    start = WithStartWorkflowOperation(
        BareCreate.run,
        "word",
        id=name,
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
    await client.execute_update_with_start_workflow(BareCreate.placed, start_workflow_operation=start)


async def _work(address: str) -> None:
    client = await Client.connect(address)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Worker(client, task_queue=QUEUE, workflows=[BareOrder, BareCreate], activities=[nothing]):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1]))
    leave(0)
