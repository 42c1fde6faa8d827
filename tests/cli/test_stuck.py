"""Workflows that do not go on and cannot say so: told by doctor, list and show, and gone on with afterwards."""

import asyncio
import json
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from cli import stuck
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
            found = findings(await order_engine("doctor", "--json"))
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
    parked = new_order()
    await examined.fault("place", "forbidden", parked)
    await examined.post(parked, wait=0)
    await examined.until(parked, needsAttention=True)
    new = new_order()
    async with broken_workers(examined):
        assert (await examined.post(new, wait=0)).status_code == 202
        sku = await start_sku(examined, "acme")
        for order in (known, parked):
            await examined.workflow(order).signal("payment_reported", {"status": "approved", "transactionId": "t-1"})
        ids = [order["marketplaceOrderId"] for order in (known, parked, new)]
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
        short = await order_engine("orders", "list", "--needs-attention", "--limit", "1")
        assert "\n2 more of them are not shown: --limit shows up to 200, doctor counts all\n" in short.out
        as_json = json.loads((await order_engine("orders", "list", "--needs-attention", "--limit", "1", "--json")).out)
        assert (len(as_json["failing"]), as_json["failingCount"]) == (1, 3)
        shown = (await order_engine("orders", "show", ids[0])).out
        assert f"its workflow tasks fail ({BUG}): a bug, it waits for a worker that mends it" in shown

    # Nothing that was said meanwhile is lost.
    await examined.until(known, status="handling", seconds=60)
    await examined.until(new, status="payment-pending", seconds=60)
    await examined.resume(parked, "retry")
    await examined.until(parked, status="handling", seconds=60)
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


async def test_what_was_not_looked_at_is_told(examined: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stuck, "_CLOSED", 1)
    orders = [await examined.placed() for _ in range(2)]
    for order in orders:
        await examined.workflow(order).terminate("by mistake")
    try:
        async with asyncio.timeout(20):
            while " among the newest 1 of " not in (told := await until_found("stopped orders", "warning")):
                pass
        assert told.startswith("1 ended by force among the newest 1 of ")
    finally:
        for order in orders:
            await examined.client.workflow_service.delete_workflow_execution(_deletion(examined.workflow(order).id))
    monkeypatch.undo()


def _deletion(workflow_id: str) -> DeleteWorkflowExecutionRequest:
    execution = WorkflowExecution(workflow_id=workflow_id)
    return DeleteWorkflowExecutionRequest(namespace="default", workflow_execution=execution)


async def parked_order(engine: Engine) -> dict[str, Any]:
    order = new_order()
    await engine.fault("place", "forbidden", order)
    await engine.post(order, wait=0)
    return await engine.until(order, needsAttention=True)


async def test_an_order_in_need_that_the_record_has_lost_is_told_and_the_command_told_brings_it_back(
    examined: Engine,
) -> None:
    order = await parked_order(examined)
    await until_found("record and Temporal", "ok")
    async with examined.stores.orders._database.transaction() as connection:
        name = order["marketplaceOrderId"]
        await connection.execute(text("DELETE FROM orders WHERE marketplace_order_id = :name"), {"name": name})
    told = await until_found("record and Temporal", "warning")
    workflow_id = examined.workflow(order).id
    assert told.startswith(
        f"the record knows of 0 orders in need, Temporal of 1; {workflow_id} in Temporal alone: the record follows"
    )
    command = told.split("`")[1].replace("ID", workflow_id).replace("temporal", TEMPORAL, 1)
    address = examined.client.service_client.config.target_host
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command), "--address", address, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
    await examined.until(order, status="payment-pending", needsAttention=False)
    await until_found("record and Temporal", "ok")


async def test_an_order_in_need_that_temporal_has_lost_is_told(examined: Engine) -> None:
    order = await parked_order(examined)
    handle = examined.workflow(order)
    await examined.client.workflow_service.delete_workflow_execution(_deletion(handle.id))
    told = await until_found("record and Temporal", "warning")
    assert told.startswith(
        f"the record knows of 1 orders in need, Temporal of 0; {handle.id} in the record alone: it follows"
    )
    shown = (await order_engine("orders", "show", order["marketplaceOrderId"])).out
    assert "held up             not in Temporal: nobody follows the order any more" in shown
    async with examined.stores.orders._database.transaction() as connection:
        name = order["marketplaceOrderId"]
        await connection.execute(text("DELETE FROM orders WHERE marketplace_order_id = :name"), {"name": name})
    await until_found("record and Temporal", "ok")


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
