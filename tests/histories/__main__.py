"""Records histories anew: `python -m tests.histories [names] [--keep PATCH_ID]`.

Tells each story to a whole engine beside a real server and a sandbox Seller, and writes what the server kept of it.
Without names all are recorded. `--keep` moves what was recorded before into a folder `before-PATCH_ID` first, to be
replayed for as long as orders of that time may live.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from marketplace.process import leave
from marketplace.temporal import PLAIN, ensure_search_attributes
from sandbox.config import SandboxConfig
from sandbox.server import SandboxServer
from tests.catalog.shop import Shop
from tests.histories import catalog, orders, parked, storefront, troubled
from tests.histories.files import EARLIER, FOLDER, write
from tests.histories.kinds import KINDS, CatalogKind, Kind, OrderKind, Run, StorefrontKind, WaitingOrderKind
from tests.support.engine import SERVER_FLAGS, TEST_SERVER, Engine
from tests.support.scripted_server import scripted_server
from tests.support.temporal import development_server
from tests.webhooks.receiver import FAST, Receiver
from workflows.catalog_policies import SKU_ID
from workflows.policies import SEARCH_ATTRIBUTES

TOLD_IN = (orders, parked, troubled, catalog, storefront)
LONGEST = 120.0
"""Seconds for one story: one takes a second or two."""
# Of a server on which workflows go on as new runs while their histories are still small.
SUGGESTS_SOON = ["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40"]
_UNDER_WAY = {EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED}


async def record(names: Iterable[str], keep: str | None) -> None:
    """Record these stories, one after another."""
    wanted = set(names) or KINDS.names
    async with (
        SandboxServer(SandboxConfig()) as seller,
        server() as usual,
        server(*SUGGESTS_SOON) as soon,
        clock() as moved,
    ):
        for name in sorted(wanted):
            with TemporaryDirectory() as directory:
                async with asyncio.timeout(LONGEST):
                    client = soon if name in KINDS.short_runs else usual
                    kind, runs = await told(name, client, moved, seller, Path(directory))
                for former in [FOLDER / f"{name}.json", *FOLDER.glob(f"{name}-[0-9]*.json")]:
                    put_aside(former, keep)
                for number, history in enumerate(runs, 1):
                    path = FOLDER / f"{name}{'' if len(runs) == 1 else f'-{number}'}.json"
                    write(path, history, kind.about)
                    said = f"{path.name}: {len(history.events)} events, {path.stat().st_size} bytes"
                    print(said, flush=True)  # noqa: T201 - a command


def put_aside(path: Path, keep: str | None) -> None:
    """Remove what was recorded before, or keep it elsewhere if that is wished."""
    if keep is None:
        path.unlink(missing_ok=True)
    elif path.exists():
        folder = FOLDER / f"{EARLIER}{keep}"
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)


async def told(
    name: str, client: Client, moved: WorkflowEnvironment, seller: SandboxServer, directory: Path
) -> tuple[Kind, list[WorkflowHistory]]:
    """Tell a story; what the server keeps of each run of it, in their order."""
    kind: OrderKind | WaitingOrderKind | CatalogKind | StorefrontKind
    if name in KINDS.catalog:
        kind = KINDS.catalog[name]
        async with Shop(client, directory, **kind.settings) as shop:
            return kind, await runs_of(client, await kind.tell(shop))
    async with httpx.AsyncClient() as http:
        (await http.post(f"{seller.url}/sandbox/reset")).raise_for_status()
    if name in KINDS.waiting:
        kind = KINDS.waiting[name]
        async with Engine(moved.client, seller.url, directory) as engine:
            return kind, await runs_of(moved.client, engine.workflow(await kind.tell(engine, moved)))
    if name in KINDS.storefront:
        kind = KINDS.storefront[name]
        async with scripted_server() as server:
            settings = {**FAST, "webhook_url": server.url, **kind.settings}
            async with Engine(client, seller.url, directory, **settings) as engine:
                return kind, await runs_of(client, await kind.tell(engine, Receiver(server)))
    kind = KINDS.orders[name]
    async with Engine(client, seller.url, directory, **kind.settings) as engine:
        return kind, await runs_of(client, engine.workflow(await kind.tell(engine)))


async def runs_of(client: Client, run: Run) -> list[WorkflowHistory]:
    """The histories of all runs, first to last. One that still goes on is ended once it is read."""
    newest = WorkflowHistory(run.id, await at_rest(run))
    started = newest.events[0].workflow_execution_started_event_attributes
    runs: list[WorkflowHistory] = []
    run_id = started.first_execution_run_id
    while run_id:
        part = client.get_workflow_handle(run.id, run_id=run_id)
        runs.append(WorkflowHistory(run.id, await at_rest(part)))
        run_id = runs[-1].events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    if (await run.describe()).status is WorkflowExecutionStatus.RUNNING:
        await run.terminate()
    return runs


async def at_rest(run: Run) -> list[HistoryEvent]:
    """A run's events once there are workflow tasks to replay, and none is under way."""
    while True:
        events = [event async for event in run.fetch_history_events()]
        done = any(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED for event in events)
        if done and events[-1].event_type not in _UNDER_WAY:
            return events
        await asyncio.sleep(0.05)


@asynccontextmanager
async def server(*flags: str) -> AsyncIterator[Client]:
    async with await development_server([*SERVER_FLAGS, *flags]) as environment:
        await ensure_search_attributes(environment.client, [*SEARCH_ATTRIBUTES, SKU_ID])
        yield environment.client


@asynccontextmanager
async def clock() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose clock can be moved on."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=TEST_SERVER, data_converter=PLAIN
    ) as environment:
        # It cannot list what it has, which `ensure_search_attributes` wants to see.
        attributes = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES}
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=attributes)
        )
        yield environment


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description="Record workflow histories anew.")
    parser.add_argument("names", nargs="*", choices=[*sorted(KINDS.names), []], metavar="name")
    parser.add_argument("--keep", metavar="PATCH_ID", help="first put aside what was recorded before this change")
    chosen = parser.parse_args()
    asyncio.run(record(chosen.names, chosen.keep))
    return 0


if __name__ == "__main__":
    leave(main())
