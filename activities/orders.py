"""The order record, written from the workflow's state and from nowhere else."""

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from marketplace.store.base import OrderIdTaken, OrderRecord, OrderStore
from workflows.messages import SaveCall
from workflows.policies import ORDER_ID_TAKEN, SAVE_ORDER


class OrderActivities:
    """Write order records to a store."""

    def __init__(self, store: OrderStore) -> None:
        self._store = store

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
        try:
            await self._store.save(record)
        except OrderIdTaken as error:
            raise ApplicationError(str(error), type=ORDER_ID_TAKEN, non_retryable=True) from None
