"""Finds the orders that wait for somebody: parked ones in the record, and in Temporal those that a bug holds up."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pydantic import Field

from api.temporal_calls import Closed, OrderUnknown, TemporalAway, temporal
from cli.session import Desks
from cli.stuck import FailingOrder, failing_orders, standing
from marketplace.orders import Order, OrderStatus
from marketplace.store.base import OrderPage
from workflows.policies import order_workflow_id

_PATIENCE: Final = timedelta(seconds=2)
"""Given to Temporal for what it adds to the record's answer."""


@dataclass(frozen=True)
class Asked:
    """What was asked for: filters and page of a list of orders."""

    status: OrderStatus | None
    seller: str | None
    limit: int
    cursor: str | None


class InNeed(OrderPage):
    """A page of parked orders, with those that a bug holds up; `failing` is None when that could not be learned."""

    failing: list[FailingOrder] | None = None
    failing_count: int | None = None
    """How many a bug holds up: more than are in `failing` when it has the newest alone."""
    unparked: list[Order] = Field(default=[], exclude=True)
    """Of the failing ones those that are not parked, and on the first page alone."""
    unrecorded: list[FailingOrder] = Field(default=[], exclude=True)
    """Of the failing ones those of which nothing else is known."""
    untold: str = Field(default="", exclude=True)
    """Why it could not be learned."""


async def find_in_need(asked: Asked, desks: Desks) -> InNeed:
    """The orders that wait for somebody. Temporal being away is no error: the record's answer is given then.

    Raises BadCursor and StoreUnavailable.
    """
    page = await desks.orders.page(asked.status, asked.seller, True, asked.limit, asked.cursor)
    held_up, untold = None, "this server does not tell whose workflow tasks fail"
    try:
        async with temporal(desks.client):
            held_up = await failing_orders(desks.client, asked.seller, asked.limit)
    except (Closed, TemporalAway) as error:
        untold = str(error)
    in_need = InNeed(orders=page.orders, next_cursor=page.next_cursor, untold=untold)
    if held_up is None:
        return in_need
    failing = held_up.orders
    in_need = in_need.model_copy(update={"failing": failing, "failing_count": held_up.count})
    if not failing or asked.cursor:
        return in_need
    found = [(one, await _find(desks, one)) for one in failing]
    unparked = [
        order for _, order in found if order and not order.needs_attention and asked.status in {None, order.status}
    ]
    unrecorded = [one for one, order in found if order is None and asked.status is None]
    return in_need.model_copy(update={"unparked": unparked, "unrecorded": unrecorded})


async def _find(desks: Desks, failing: FailingOrder) -> Order | None:
    """The order of a workflow; None when another Seller's order has its id, or it is gone since."""
    try:
        order = await desks.orders.find(failing.marketplace_order_id)
    except OrderUnknown:
        return None
    return order if order.seller == failing.seller else None


async def find_with_standing(marketplace_order_id: str, desks: Desks) -> tuple[Order, list[str]]:
    """An order, and what Temporal tells of what holds it up. Raises OrderUnknown and StoreUnavailable."""
    order = await desks.orders.find(marketplace_order_id)
    try:
        async with temporal(desks.client, _PATIENCE):
            return order, await standing(desks.client, order_workflow_id(order.seller, marketplace_order_id))
    except Closed:
        # What an operator is waited for does not close, nor is it forgotten with what has closed.
        return order, ["not in Temporal: nobody follows the order any more"] if order.needs_attention else []
    except TemporalAway as error:
        return order, [f"not known, {error}"]
