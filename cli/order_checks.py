"""What the order record tells of orders that do not go on: those that wait for an operator, or for their Seller."""

from collections import Counter
from typing import Final

from cli.checks import Said, State, some
from marketplace.orders import Order, OrderStatus
from marketplace.store.base import OrderStore

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
    found: list[Order] = []
    page = await store.list(needs_attention=True, limit=_PAGE)
    found += page.orders
    while page.next_cursor and len(found) < _MOST:
        page = await store.list(needs_attention=True, limit=_PAGE, cursor=page.next_cursor)
        found += page.orders
    if not found:
        return State.OK, "none"
    codes = Counter(order.reason.code if order.reason else "?" for order in found)
    told = ", ".join(f"{count} {code}" for code, count in codes.most_common())
    ids = some([order.marketplace_order_id for order in found], len(found))
    more = " or more" if page.next_cursor else ""
    return State.WARNING, f"{len(found)}{more} ({told}; {ids}): `order-engine orders list --needs-attention`"


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
