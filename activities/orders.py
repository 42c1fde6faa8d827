"""The order record, written from the workflow's state and from nowhere else, and the journal of what became of it."""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.storefront import Teller
from marketplace import metrics
from marketplace.order_log import order_entries
from marketplace.orders import Order, OrderRequest
from marketplace.store.base import OrderIdTaken, OrderRecord, OrderStore, StoreUnavailable
from marketplace.webhooks import new_events
from workflows.claim import first_record
from workflows.messages import Claim, SaveCall
from workflows.policies import ORDER_ID_TAKEN, RECORD_TIMEOUT, SAVE_ORDER, UNCLAIMED

_REMEMBERED = 10_000
_RECENT = timedelta(minutes=1)
"""How long before a record a step can have been taken that no other process has counted."""


class OrderActivities:
    """Write order records to a store, and with each what is new in its history to the journal.

    With `tell` also what the storefront is to be told, and wake who does it.
    """

    def __init__(self, store: OrderStore, tell: Teller | None = None) -> None:
        self._store = store
        self._tell = tell
        self._told = _Told()

    @property
    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        """The activities to register with a worker."""
        return [self.save_order]

    @activity.defn(name=SAVE_ORDER)
    async def save_order(self, call: SaveCall) -> None:
        """Write the record, unless a newer version of the same order is there: so it may run any number of times."""
        try:
            await self._save(call)
        except OrderIdTaken as error:
            raise ApplicationError(str(error), type=ORDER_ID_TAKEN, non_retryable=True) from None

    async def claim(self, request: OrderRequest, claim: Claim) -> None:
        """Write the record of an order that is about to be placed, by which its id is its own.

        Raises ApplicationError UNCLAIMED when that cannot be done now, or never: the workflow finds out by waiting.
        """
        try:
            async with asyncio.timeout(RECORD_TIMEOUT.total_seconds()):
                await self._save(first_record(request, claim))
        except (OrderIdTaken, StoreUnavailable, TimeoutError) as error:
            raise ApplicationError(
                str(error), type=UNCLAIMED, non_retryable=True, category=ApplicationErrorCategory.BENIGN
            ) from None

    async def _save(self, call: SaveCall) -> None:
        record = OrderRecord(
            order=call.order,
            digest=call.digest,
            version=call.version,
            payment=call.payment,
            event_ids=call.event_ids,
            created_at=call.created_at,
            updated_at=call.updated_at,
        )
        known = self._told.of(call.order)
        events = partial(new_events, now=datetime.now(UTC)) if self._tell else None
        to_tell = await self._store.save(record, order_entries(call.order, known), events)
        _count(call, known)
        self._told.remember(call.order)
        if self._tell and to_tell:
            await self._tell(call.order.seller, call.order.marketplace_order_id)


def _count(call: SaveCall, known: int) -> None:
    """Count what is new in an order of whose history so many lines are known here."""
    metrics.RECORD_LAG.observe(max((datetime.now(UTC) - call.updated_at).total_seconds(), 0.0))
    if known == 0:
        # Another process may have told the beginning of an order that comes here later in its life.
        recent = call.updated_at - _RECENT
        known = sum(1 for line in call.order.history if line.at < recent)
    metrics.order_moved(call.order, known)


class _Told:
    """How much of each order's history is in the journal, so that only new lines are written.

    Forgotten lines are written again, which changes nothing. A history that was worked out anew, after a workflow task
    was lost, may have other lines than before.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[tuple[str, str], list[int]] = OrderedDict()

    def of(self, order: Order) -> int:
        """How many lines from the beginning are there."""
        pairs = zip(self._lines.get(_key(order), ()), _lines(order), strict=False)
        return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))

    def remember(self, order: Order) -> None:
        """Take note that all lines are there."""
        self._lines[_key(order)] = _lines(order)
        self._lines.move_to_end(_key(order))
        if len(self._lines) > _REMEMBERED:
            self._lines.popitem(last=False)


def _key(order: Order) -> tuple[str, str]:
    return order.seller, order.marketplace_order_id


def _lines(order: Order) -> list[int]:
    return [hash((line.status, line.detail)) for line in order.history]
