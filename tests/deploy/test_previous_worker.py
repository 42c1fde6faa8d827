"""A rollout: the previous commit's worker and this one share the work, and each goes on with what the other began.

`PREVIOUS_COMMIT` chooses another commit than the last one whose worker differs. Should this fail after a change of the
workflows: docs/changing-workflows.md.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client

from marketplace.security import AffiliateTokens
from marketplace.settings import secret_keys
from sandbox.catalog import numbered_skus
from sandbox.config import SandboxConfig
from sandbox.server import SandboxServer
from tests.deploy.previous import WorkerOf, began_anew_since, previous_commit, unpack
from tests.support.engine import Engine, effective, new_order
from tests.support.processes import ROOT
from workflows.catalog_policies import sku_workflow_id

Json = dict[str, Any]

ORDERS = 25
SKUS = numbered_skus(5)
APPROVED = {"status": "approved", "transactionId": "t-1"}
BAD_SIGNS = ("TMPRL1100", "ondeterminis", "Failing workflow task", "Traceback")


@dataclass
class Rollout:
    """Both workers, the engine they work for, and where the story stands that all orders follow together."""

    engine: Engine
    account: str
    old: WorkerOf
    new: WorkerOf
    stage: asyncio.Condition
    reached: int = 0
    arrived: Counter[int] = field(default_factory=Counter)

    async def reach(self, stage: int) -> None:
        """Let all go on to this stage."""
        async with self.stage:
            self.reached = stage
            self.stage.notify_all()

    async def until(self, stage: int) -> None:
        """Wait until the story comes to this stage."""
        async with self.stage:
            self.arrived[stage] += 1
            self.stage.notify_all()
            await self.stage.wait_for(lambda: self.reached >= stage)

    async def some_wait_for(self, stage: int) -> None:
        """Wait until some have come as far as they may; the others are on their way."""
        async with asyncio.timeout(60), self.stage:
            await self.stage.wait_for(lambda: self.arrived[stage] >= SOME)


PAYING, REPORTING, ENDING = range(1, 4)
SOME = 8


@pytest.fixture
async def rollout(temporal: Client, tmp_path: Path) -> AsyncIterator[Rollout]:
    commit = previous_commit()
    if commit is None:
        pytest.skip("no former commit to be had: no git, no repository, or a shallow clone")
    code, account = tmp_path / "previous", f"rollout-{uuid4().hex[:8]}"
    if since := began_anew_since(commit):
        pytest.skip(f"running orders were given up between {commit} and this tree: {since}")
    unpack(commit, code)
    async with SandboxServer(SandboxConfig(account=account, skus=[*SandboxConfig().skus, *SKUS])) as seller:
        settings: Json = {"notice_debounce": "30ms", "return_window": "100ms", "cancel_check": "1h"}
        engine = Engine(temporal, seller.url, tmp_path, run_worker=False, more_sellers={account: {}}, **settings)
        old, new = (WorkerOf(path, engine, tmp_path / path.name, account) for path in (code, ROOT))
        async with old:
            # It comes first: once this tree has migrated the database, an older one may not start any more.
            await old.start_worker()
            async with engine, new:
                await new.start_worker()
                tokens = AffiliateTokens(secret_keys(engine.settings))
                await engine.switch(notificationEndpoint=tokens.endpoint(engine.settings.public_url, account))
                yield Rollout(engine, account, old, new, asyncio.Condition())


async def delivered(run: Rollout, order: Json) -> str:
    await placed(run, order)
    await run.until(PAYING)
    assert (await run.engine.pay(order)).status_code in {200, 202}
    return await handled(run, order)


async def approved_beforehand(run: Rollout, order: Json) -> str:
    await placed(run, {**order, "payment": APPROVED})
    return await handled(run, order)


async def handled(run: Rollout, order: Json) -> str:
    await run.until(REPORTING)
    await run.engine.until(order, seconds=60, status="handling")
    for what in ("invoice", "tracking"):
        await run.engine.seller_sends(order, what, retry=True)
    await run.until(ENDING)
    await run.engine.seller_sends(order, "delivery", retry=True)
    return "delivered"


async def unanswered(run: Rollout, order: Json) -> str:
    for route in ("place", "dispatch"):
        await run.engine.fault(route, "answer-lost", order)
    return await delivered(run, order)


async def canceled(run: Rollout, order: Json) -> str:
    await placed(run, order)
    await run.until(PAYING)
    assert (await run.engine.pay(order)).status_code in {200, 202}
    await run.until(ENDING)
    assert (await run.engine.cancel(order)).status_code in {200, 202}
    return "canceled"


async def denied(run: Rollout, order: Json) -> str:
    await placed(run, order)
    await run.until(REPORTING)
    assert (await run.engine.pay(order, "denied")).status_code in {200, 202}
    return "payment-denied"


async def placed(run: Rollout, order: Json) -> None:
    assert (await run.engine.post(order, wait=30)).status_code in {201, 202}


KINDS: tuple[Callable[[Rollout, Json], Awaitable[str]], ...] = (
    delivered,
    approved_beforehand,
    unanswered,
    canceled,
    denied,
)


async def lead(run: Rollout, number: int) -> Json:
    """Take one order through its life; how it ended."""
    order = new_order()
    status = await KINDS[number % len(KINDS)](run, order)
    ended = await run.engine.until(order, seconds=60, status=status, needsAttention=False)
    async with asyncio.timeout(60):
        await run.engine.workflow(order).result()
    ledger = await run.engine.ledger(order)
    assert effective(ledger, "place") == 1, (order, ledger["calls"])
    if status != "canceled":  # which may come before the dispatch or after it
        assert effective(ledger, "dispatch") == (status == "delivered"), ledger["calls"]
    assert effective(ledger, "cancel") == (status in {"canceled", "payment-denied"}), ledger["calls"]
    return ended


async def synced(run: Rollout, sku_id: str) -> None:
    """A SKU that is told of, waits for its decision, changes, and is sold in the end."""
    path = f"/catalog/{run.account}/skus/{sku_id}"
    run_of = run.engine.client.get_workflow_handle(sku_workflow_id(run.account, sku_id))

    async def told(**change: Any) -> None:
        (await run.engine.sandbox.patch(f"/skus/{sku_id}", json=change)).raise_for_status()

    async def shown(**fields: Any) -> None:
        async with asyncio.timeout(60):
            while True:
                answer = await run.engine.http.get(path)
                if answer.status_code == 200 and fields.items() <= answer.json().items():
                    return
                await asyncio.sleep(0.1)

    await told(price=1001)
    await shown(status="pending", price=1001)
    for stage, price in ((PAYING, 1002), (REPORTING, 1003)):
        await run.until(stage)
        await told(price=price)
        await shown(status="pending", price=price)
    await run.until(ENDING)
    await run_of.execute_update("decide", {"include": True})
    await shown(status="listed", price=1003)
    async with asyncio.timeout(60):
        await run_of.result()


async def workers_of(client: Client, workflow_id: str) -> list[str]:
    """Who did each workflow task of a workflow, in their order. None of them may have failed.

    But for one that would have closed the workflow in the moment when something was said: Temporal has it done anew.
    """
    found: list[str] = []
    async for event in client.get_workflow_handle(workflow_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            cause = event.workflow_task_failed_event_attributes.cause
            assert cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND, (workflow_id, event)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            found.append(event.workflow_task_completed_event_attributes.identity.partition("@")[0])
    return found


@pytest.mark.slow
async def test_orders_and_syncs_go_to_and_fro_between_the_previous_worker_and_this_one(rollout: Rollout) -> None:
    old, new, client = rollout.old, rollout.new, rollout.engine.client
    syncs = [asyncio.create_task(synced(rollout, sku.id)) for sku in SKUS]
    orders = [asyncio.create_task(lead(rollout, number)) for number in range(ORDERS)]
    names = {old.name: "old", new.name: "new"}
    await rollout.some_wait_for(PAYING)
    await rollout.reach(PAYING)
    await rollout.some_wait_for(REPORTING)
    # Rolled back in the middle of it: all is the old one's, also what the new one had in its memory.
    await new.end(signal.SIGKILL)
    await rollout.reach(REPORTING)
    await rollout.some_wait_for(ENDING)
    # And rolled out again.
    await new.start_worker()
    names[new.name] = "new"
    assert await old.end(signal.SIGTERM) == 0
    await rollout.reach(ENDING)
    ended = await asyncio.gather(*orders)
    await asyncio.gather(*syncs)

    moves = {"order": set[tuple[str, str]](), "sku": set[tuple[str, str]]()}
    ids = [rollout.engine.workflow(order).id for order in ended]
    for workflow_id in [*ids, *(sku_workflow_id(rollout.account, sku.id) for sku in SKUS)]:
        tasks = [names[one] for one in await workers_of(client, workflow_id)]
        moves[workflow_id.split("/")[0]] |= {(one, other) for one, other in pairwise(tasks) if one != other}
    both = {("old", "new"), ("new", "old")}
    assert moves == {"order": both, "sku": both}
    for worker in (old, new):
        log = worker.log.read_text(errors="replace")
        assert [sign for sign in BAD_SIGNS if sign in log] == [], log
