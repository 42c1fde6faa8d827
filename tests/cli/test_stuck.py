"""Workflows that do not go on and cannot say so: told by doctor, list and show, and gone on with afterwards."""

import asyncio
import json
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from marketplace.catalog import ChangeNotice
from tests.cli.findings import findings
from tests.cli.terminal import order_engine
from tests.support.engine import TEMPORAL, Engine, new_order
from workflows.catalog_messages import SkuInput, SkuPolicy
from workflows.catalog_policies import SKU_WORKFLOW, catalog_queue, sku_workflow_id
from workflows.messages import OrderInput
from workflows.policies import ORDER_WORKFLOW, SELLER

CLOSED = "127.0.0.1:1"
BUG = "WorkflowWorkerUnhandledFailure"


@workflow.defn(name=ORDER_WORKFLOW, sandboxed=False)
class BrokenOrder:
    @workflow.run
    async def run(self, _order: OrderInput) -> None:
        raise RuntimeError("a bug")


@workflow.defn(name=SKU_WORKFLOW, sandboxed=False)
class BrokenSku:
    @workflow.run
    async def run(self, _sku: SkuInput) -> None:
        raise RuntimeError("a bug")


@asynccontextmanager
async def broken_workers(engine: Engine) -> AsyncIterator[None]:
    """A deployment with a bug in place of the engine's own workers."""
    await engine.stop_worker()
    queue = engine.settings.task_queue
    runner = UnsandboxedWorkflowRunner()
    try:
        async with (
            Worker(engine.client, task_queue=queue, workflows=[BrokenOrder], workflow_runner=runner),
            Worker(engine.client, task_queue=catalog_queue(queue), workflows=[BrokenSku], workflow_runner=runner),
        ):
            yield
    finally:
        await engine.start_worker()


async def until_found(check: str, state: str, seconds: float = 40) -> str:
    """What doctor says of a check, once it says this."""
    async with asyncio.timeout(seconds):
        while True:
            ran = await order_engine("doctor", "--json")
            # The worker in this process writes its log to the same stream.
            found = findings(replace(ran, out=ran.out.splitlines()[-1]))
            if found[check][0] == state:
                break
            await asyncio.sleep(0.2)
    return found[check][1]


async def attention(*more: str) -> dict[str, list[str]]:
    """Seller, status and attention of each order that needs some, by its id; words of the list by column."""
    ran = await order_engine("orders", "list", "--needs-attention", *more)
    assert (ran.code, ran.err) == (0, "")
    rows = [line.split() for line in ran.out.splitlines()[1:] if line and not line.startswith("workflow-task-fails:")]
    return {row[0]: row[1:4] for row in rows} if "No orders." not in ran.out else {}


async def start_sku(engine: Engine, seller: str) -> WorkflowHandle[Any, Any]:
    """The sync of a SKU, as a notice starts it."""
    return await engine.client.start_workflow(
        SKU_WORKFLOW,
        SkuInput(seller=seller, sku_id="2001", policy=SkuPolicy.of(engine.settings), notice=ChangeNotice()),
        id=sku_workflow_id(seller, "2001"),
        task_queue=catalog_queue(engine.settings.task_queue),
        search_attributes=TypedSearchAttributes([SearchAttributePair(SELLER, seller)]),
    )


async def test_orders_that_a_bug_holds_up_are_found_and_a_mended_worker_brings_them_on(examined: Engine) -> None:
    known = await examined.placed()
    stuck = new_order()
    await examined.fault("place", "forbidden", stuck)
    await examined.post(stuck, wait=0)
    await examined.until(stuck, needsAttention=True)
    new = new_order()
    async with broken_workers(examined):
        assert (await examined.post(new, wait=0)).status_code == 202
        sku = await start_sku(examined, "acme")
        for order in (known, stuck):
            await examined.workflow(order).signal("payment_reported", {"status": "approved", "transactionId": "t-1"})
        ids = [order["marketplaceOrderId"] for order in (known, stuck, new)]
        told = await until_count(3)
        assert all(part in told for part in (BUG, "order/acme/T-", "deploy a worker that mends it"))
        found = findings(await order_engine("doctor", "--json"))
        assert found["failing catalog"][0] == "problem"
        assert "1 cannot go on because of a bug (sku/acme/2001; " in found["failing catalog"][1]

        fails = "workflow-task-fails"
        assert await attention() == {
            ids[0]: ["acme", "payment-pending", fails],
            ids[1]: ["acme", "placing", "seller-credentials,"],
            ids[2]: ["acme", "simulating", fails],
        }
        assert set(await attention("--status", "simulating")) == {ids[2]}
        assert set(await attention("--seller", "acme")) == set(ids)
        assert await attention("--seller", "other") == {}
        as_json = json.loads((await order_engine("orders", "list", "--needs-attention", "--json")).out)
        assert [order["marketplaceOrderId"] for order in as_json["orders"]] == [ids[1]]
        assert {(one["marketplaceOrderId"], one["problem"]) for one in as_json["failing"]} == {
            (one, BUG) for one in ids
        }
        shown = (await order_engine("orders", "show", ids[0])).out
        assert f"its workflow tasks fail ({BUG}): a bug, it waits for a worker that mends it" in shown

    # Nothing that was said meanwhile is lost.
    await examined.until(known, status="handling", seconds=60)
    await examined.until(new, status="payment-pending", seconds=60)
    await examined.resume(stuck, "retry")
    await examined.until(stuck, status="handling", seconds=60)
    await sku.result()
    await until_found("failing orders", "ok")
    assert await attention() == {}


async def until_count(count: int) -> str:
    async with asyncio.timeout(40):
        while not (told := await until_found("failing orders", "problem")).startswith(f"{count} cannot go on"):
            pass
    return told


async def test_without_temporal_the_list_says_that_it_may_not_be_all(
    examined: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted = new_order()
    await examined.fault("place", "forbidden", posted)
    await examined.post(posted, wait=0)
    await examined.until(posted, needsAttention=True)
    with monkeypatch.context() as patched:
        patched.setenv("TEMPORAL_ADDRESS", CLOSED)
        ran = await order_engine("orders", "list", "--needs-attention")
        shown = await order_engine("orders", "show", posted["marketplaceOrderId"])
    assert (ran.code, posted["marketplaceOrderId"] in ran.out) == (1, True)
    [line] = ran.err.splitlines()
    assert line.startswith("order-engine: orders that a bug holds up may be missing here: Temporal does not answer")
    assert (shown.code, "held up             not known, Temporal does not answer" in shown.out) == (0, True)
    await examined.resume(posted, "abort")
    await examined.until(posted, status="canceled")


async def test_an_order_that_was_terminated_is_told_and_the_command_told_brings_it_back(examined: Engine) -> None:
    order = await examined.placed()
    handle = examined.workflow(order)
    await handle.terminate("by mistake")
    told = await until_found("stopped orders", "warning")
    assert f"1 ended by force: {handle.id} (terminated)" in told
    shown = (await order_engine("orders", "show", order["marketplaceOrderId"])).out
    assert "held up             terminated: nobody follows the order any more" in shown
    assert (await examined.pay(order)).status_code == 409

    command = told.split("`")[1].replace("TEXT", "mistake").replace("temporal", TEMPORAL, 1)
    address = examined.client.service_client.config.target_host
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command), "--address", address, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
    assert (await examined.pay(order)).status_code == 200
    await examined.until(order, status="handling")
    assert (await examined.ledger(order))["calls"]["place"] == 1
    await until_found("stopped orders", "ok")


async def test_workflows_that_wait_where_nobody_polls_are_told(examined: Engine) -> None:
    handle = await examined.client.start_workflow(ORDER_WORKFLOW, id="order/acme/forsaken", task_queue="forsaken")
    try:
        told = await until_found("other task queues", "warning")
        assert told.startswith("workflows wait where nobody polls: 1 in forsaken; start a worker")
    finally:
        await handle.terminate()


async def test_what_waits_for_a_removed_seller_is_told(examined: Engine) -> None:
    handle = await start_sku(examined, "gone")
    try:
        told = await until_found("removed Sellers", "warning")
        assert told.startswith("1 wait for a Seller that is not in the sellers file (sku/gone/2001): ")
    finally:
        await handle.terminate()


@pytest.mark.slow
async def test_an_import_that_tries_a_page_again_and_again_is_told_and_goes_on(examined: Engine) -> None:
    await examined.fault("sku-ids", "server-error", times=2)
    assert (await order_engine("catalog", "import", "acme", "--no-wait")).code == 0
    told = await until_found("stuck imports", "warning")
    assert told.startswith("catalog-import/acme (count_skus: try 3")
    assert "(HTTP 500)" in told
    await examined.client.get_workflow_handle("catalog-import/acme").result()
    await until_found("stuck imports", "ok")


async def test_orders_that_wait_for_their_seller_are_counted_apart(examined: Engine) -> None:
    posted = new_order()
    await examined.switch(down="unavailable")
    try:
        assert (await examined.post(posted, wait=0)).status_code == 202
        told = await until_found("waiting orders", "warning")
        name = posted["marketplaceOrderId"]
        assert told.startswith(f"1 for a Seller that is away (1 of acme; {name}): they go on by themselves")
        assert await attention() == {}
    finally:
        await examined.switch(down="no")
    await examined.until(posted, status="payment-pending", seconds=30)
    await until_found("waiting orders", "ok")
