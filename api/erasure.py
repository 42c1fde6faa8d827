"""Erasing an order: what is personal goes from all that the engine keeps of it, and the order itself from Temporal."""

from datetime import UTC, datetime

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus

from api.temporal_calls import RPC_TIMEOUT, Closed, OrderConflict, OrderUnknown, temporal
from marketplace.orders import Order, OrderStatus
from marketplace.rules import ENDS
from marketplace.store.base import OrderStore
from workflows.policies import MARKETPLACE_ORDER_ID, order_workflow_id


async def erase_order(client: Client, store: OrderStore, order: Order) -> Order:
    """Erase what is kept of an order that nobody follows any more; the order as it is then. May be repeated.

    Raises OrderConflict while its workflow runs, which could only write everything anew, and OrderUnknown.
    """
    run = await _last_run(client, order)
    record = await store.erase(order.marketplace_order_id, datetime.now(UTC))
    if record is None:
        raise OrderUnknown(f"no order has the id {order.marketplace_order_id}")
    # Last: while it is there it keeps the id, so that nobody could begin the order a second time in between.
    await _delete_runs(client, order, run)
    return record.order


async def _last_run(client: Client, order: Order) -> WorkflowExecution | None:
    """The last run of the order's workflow, None when Temporal has it no more. Raises OrderConflict while it runs."""
    handle = client.get_workflow_handle(order_workflow_id(order.seller, order.marketplace_order_id))
    try:
        async with temporal(client):
            found = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except Closed:
        return None
    if found.status is WorkflowExecutionStatus.RUNNING:
        raise OrderConflict(f"the order is still followed: {_way_to_its_end(order)}, then erase it")
    return WorkflowExecution(workflow_id=found.id, run_id=found.run_id)


def _way_to_its_end(order: Order) -> str:
    if order.needs_attention:
        return "decide about it first (retry or abort)"
    if order.status is OrderStatus.DELIVERED:
        return "wait for the end of its return window"
    if order.status in ENDS:
        return f"it has just ended as {order.status}, try again in a moment"
    return f"cancel it while it is {order.status}, or wait for its end"


async def _delete_runs(client: Client, order: Order, last: WorkflowExecution | None) -> None:
    """Delete all runs about the order that have closed: its own, those of a refused double, those of its webhooks."""
    query = f"{MARKETPLACE_ORDER_ID.name} = '{order.marketplace_order_id}' AND ExecutionStatus != 'Running'"
    async with temporal(client):
        runs = {(found.id, found.run_id) async for found in client.list_workflows(query, rpc_timeout=RPC_TIMEOUT)}
    if last is not None:
        # What has just closed may not be listed yet.
        runs.add((last.workflow_id, last.run_id))
    for workflow_id, run_id in runs:
        await _delete(client, WorkflowExecution(workflow_id=workflow_id, run_id=run_id))


async def _delete(client: Client, run: WorkflowExecution) -> None:
    request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=run)
    try:
        async with temporal(client):
            await client.workflow_service.delete_workflow_execution(request, timeout=RPC_TIMEOUT)
    except Closed:
        pass  # it was gone already
