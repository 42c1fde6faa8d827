"""The order record, written from the workflow's state and from nowhere else, and the journal of what became of it."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from marketplace.order_log import order_entries
from marketplace.store.base import OrderIdTaken, OrderRecord, OrderStore
from workflows.messages import SaveCall
from workflows.policies import ORDER_ID_TAKEN, SAVE_ORDER

_REMEMBERED = 10_000


class OrderActivities:
    """Write order records to a store, and with each what is new in its history to the journal."""

    def __init__(self, store: OrderStore) -> None:
        self._store = store
        # Lines of an order's history that are in the journal, so that only new ones are written. Forgotten ones are
        # written again, which changes nothing.
        self._told: OrderedDict[str, int] = OrderedDict()

    @property
    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        """The activities to register with a worker."""
        return [self.save_order]

    @activity.defn(name=SAVE_ORDER)
    async def save_order(self, call: SaveCall) -> None:
        """Write the record, unless a newer version of the same order is there: so it may run any number of times."""
        record = OrderRecord(
            order=call.order,
            digest=call.digest,
            version=call.version,
            payment=call.payment,
            event_ids=call.event_ids,
            created_at=call.created_at,
            updated_at=call.updated_at,
        )
        key = f"{call.order.seller}/{call.order.marketplace_order_id}"
        try:
            await self._store.save(record, order_entries(call.order, self._told.get(key, 0)))
        except OrderIdTaken as error:
            raise ApplicationError(str(error), type=ORDER_ID_TAKEN, non_retryable=True) from None
        self._told[key] = max(len(call.order.history), self._told.get(key, 0))
        self._told.move_to_end(key)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
