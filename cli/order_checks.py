"""What the order record tells of orders that do not go on: those that wait for an operator, or for their Seller."""

import asyncio
from collections import Counter
from typing import Final

from temporalio.client import Client

from cli.checks import Said, State, some
from marketplace.orders import Order, OrderStatus
from marketplace.store.base import OrderStore
from workflows.policies import ORDER_WORKFLOW, order_workflow_id

_PAGE: Final = 200
_MOST: Final = 2000
"""Orders that are counted: with more of them the number itself says nothing more."""
_ASKING: Final = (
    OrderStatus.SIMULATING,
    OrderStatus.PLACING,
    OrderStatus.PAYMENT_APPROVED,
    OrderStatus.AUTHORIZING_FULFILLMENT,
    OrderStatus.CANCELLATION_REQUESTED,
    OrderStatus.PAYMENT_DENIED,
    OrderStatus.EXPIRED,
)
"""Statuses in which the Seller is asked something."""
_WAITED_FOR: Final = "the Seller is waited for"
"""How the line of history begins that the workflow writes when a Seller is away."""
_LOOKS: Final = 3
"""Times that record and Temporal are compared: an order that is being parked is told by one of them a moment sooner."""


def waits_for_seller(order: Order) -> bool:
    """Whether an order waits for its Seller to be back, and needs no hands."""
    if order.needs_attention:
        return False
    for entry in reversed(order.history):
        if entry.status is not order.status:
            return False
        if entry.detail.startswith(_WAITED_FOR):
            return True
        # A payment is taken down while the order waits, and changes nothing about that.
        if not entry.detail.startswith("payment "):
            return False
    return False


async def orders_in_need(store: OrderStore) -> Said:
    """How many orders wait for an operator, and why."""
    found, more = await _in_need(store)
    if not found:
        return State.OK, "none"
    codes = Counter(order.reason.code if order.reason else "?" for order in found)
    told = ", ".join(f"{count} {code}" for code, count in codes.most_common())
    ids = some([order.marketplace_order_id for order in found], len(found))
    return State.WARNING, (
        f"{len(found)}{' or more' if more else ''} ({told}; {ids}): `order-engine orders list --needs-attention`"
    )


async def _in_need(store: OrderStore) -> tuple[list[Order], bool]:
    """The orders that wait for an operator, _MOST of them and a page, and whether there are more."""
    page = await store.list(needs_attention=True, limit=_PAGE)
    found = page.orders
    while page.next_cursor and len(found) < _MOST:
        page = await store.list(needs_attention=True, limit=_PAGE, cursor=page.next_cursor)
        found = found + page.orders
    return found, page.next_cursor is not None


async def record_agrees(store: OrderStore, client: Client, task_queue: str, pause: float) -> Said:
    """Whether record and Temporal know of the same orders in need; they are looked at with `pause` seconds between.

    Where they do not, one of them is behind, or was restored without the other. Raises RPCError.
    """
    waiting = f"NeedsAttention = true AND ExecutionStatus = 'Running' AND WorkflowType = '{ORDER_WORKFLOW}'"
    recorded, known = -1, 0
    for look in range(_LOOKS):
        await asyncio.sleep(pause if look else 0)
        recorded = sum((await store.counts(())).parked.values())
        known = (await client.count_workflows(f"{waiting} AND TaskQueue = '{task_queue}'")).count
        if recorded == known:
            return State.OK, "both know of the same number of orders in need"
    found, more = await _in_need(store)
    told = {order_workflow_id(order.seller, order.marketplace_order_id) for order in found}
    # Of other queues, too: an order stays in the one that it was started in.
    queues = {one.id: one.task_queue async for one in client.list_workflows(waiting, limit=_MOST)}
    untold = [] if more else [name for name, queue in queues.items() if queue == task_queue and name not in told]
    gone = [] if len(queues) == _MOST else sorted(told - set(queues))
    if not (untold or gone or more or len(queues) == _MOST):
        return State.OK, "both know of the same orders in need"
    cures = []
    if untold:
        cures.append(
            f"{some(untold, len(untold))} in Temporal alone: the record follows once the database takes writes; where"
            " it was restored, `temporal workflow update execute --workflow-id ID --name retry` or abort writes it anew"
        )
    if gone:
        cures.append(
            f"{some(gone, len(gone))} in the record alone: it follows once the database takes writes; where Temporal"
            " was restored nobody follows them, and `order-engine orders show ID` says so: settle them with the Seller"
        )
    return State.WARNING, "; ".join([f"the record knows of {recorded} orders in need, Temporal of {known}", *cures])


async def waiting_orders(store: OrderStore) -> Said:
    """How many orders wait for a Seller that is away. They go on by themselves."""
    found: list[Order] = []
    for status in _ASKING:
        # The newest of each: among those that are denied or expired nearly all have ended.
        page = await store.list(status, needs_attention=False, limit=_PAGE)
        found += filter(waits_for_seller, page.orders)
    if not found:
        return State.OK, "none waits for a Seller that is away"
    told = ", ".join(f"{count} of {seller}" for seller, count in Counter(one.seller for one in found).most_common())
    ids = some([order.marketplace_order_id for order in found], len(found))
    return State.WARNING, (
        f"{len(found)} for a Seller that is away ({told}; {ids}): they go on by themselves,"
        " `order-engine orders show` tells what the Seller answers"
    )
