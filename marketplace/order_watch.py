"""Counts of orders for Prometheus, read from the order record from time to time."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from typing import Final

from marketplace import metrics
from marketplace.orders import ReasonCode
from marketplace.store.base import OrderCounts, OrderStore, StoreUnavailable

EVERY: Final = 15.0
"""Seconds between two looks."""


@asynccontextmanager
async def orders_watched(store: OrderStore, sellers: Collection[str]) -> AsyncIterator[None]:
    """Keep the counts of orders up to date while the block runs. Several processes may: all tell the same.

    While the database is away there are no counts rather than old ones.
    """
    watching = asyncio.create_task(_watch(store, sellers))
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(store: OrderStore, sellers: Collection[str]) -> None:
    while True:
        try:
            _tell(await store.counts(sellers))
        except StoreUnavailable:
            metrics.ORDERS.clear()
            metrics.PARKED_ORDERS.clear()
        await asyncio.sleep(EVERY)


def _tell(counts: OrderCounts) -> None:
    for seller, by_status in counts.under_way.items():
        for status, number in by_status.items():
            metrics.ORDERS.labels(seller, status).set(number)
    # Every reason that there may be: one that has gone must be told as 0.
    for reason in {*ReasonCode, *counts.parked}:
        metrics.PARKED_ORDERS.labels(reason).set(counts.parked.get(reason, 0))
