"""A storm of notices at the real API: how many it takes, how often SKUs are read, and when the catalog is right."""

import asyncio
import random
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing

import httpx
from pydantic import BaseModel

from bench.measure import Cost, Meter, percentile
from bench.poster import Poster
from bench.stack import Stack, round_name

_POSTERS = 48
_LOOK = 0.1
"""Seconds between two looks into the catalog, which is how exact the times are."""
_PATIENCE = 300.0
"""Seconds without any progress after which it is given up."""
_QUERY = "SELECT sku_id, last_synced_at FROM offers WHERE seller = ? AND sold = 1 AND last_synced_at > ?"


class NoticeFigures(BaseModel):
    """`order`: whether a SKU's notices come in a row, or scattered over the whole time. Times in seconds."""

    order: str
    notices: int
    skus: int
    answers: dict[str, int]
    accepted_per_second: float
    readings_per_sku: float
    requests_per_sku: float
    notices_per_reading: float
    to_catalog_p50: float
    to_catalog_p99: float
    unseen: int
    """Notices after which the SKU was never read again: 0, or something was lost."""
    seconds: float
    others_cpu: float
    costs: dict[str, Cost]


async def measure_notices(stack: Stack, notices: int, skus: int, order: str) -> NoticeFigures:
    """Post notices about some SKUs that are in the catalog, as fast as the API takes them; wait for all readings."""
    seller = round_name(0)
    storm = _Storm(stack, seller)
    ids = storm.known()[:skus]
    per_sku = notices // len(ids)
    waiting = [sku_id for sku_id in ids for _ in range(per_sku)]
    if order == "scattered":
        random.Random(1).shuffle(waiting)
    async with httpx.AsyncClient(base_url=stack.sellers[seller], trust_env=False) as sandbox:
        (await sandbox.delete("/sandbox/traffic")).raise_for_status()
        async with Meter() as meter:
            await storm.run(waiting)
        routes = (await sandbox.get("/sandbox/traffic")).json()["byRoute"]
    return NoticeFigures(
        order=order,
        notices=len(waiting),
        skus=len(ids),
        answers=dict(storm.answers),
        accepted_per_second=round(len(waiting) / storm.posting_seconds, 1),
        readings_per_sku=round(routes["simulate"] / len(ids), 2),
        requests_per_sku=round(sum(routes.values()) / len(ids), 2),
        notices_per_reading=round(len(waiting) / routes["simulate"], 2),
        to_catalog_p50=round(percentile(storm.times, 0.5), 2),
        to_catalog_p99=round(percentile(storm.times, 0.99), 2),
        unseen=storm.open,
        seconds=round(meter.seconds, 1),
        others_cpu=meter.others_cpu,
        costs=meter.costs,
    )


class _Storm:
    """Posts notices, and watches the catalog for readings that began after each was sent."""

    def __init__(self, stack: Stack, seller: str) -> None:
        self._stack = stack
        self._seller = seller
        self._endpoint = stack.affiliate_endpoint(seller)
        self._sent: dict[int, deque[int]] = {}
        self._seen = 0
        self.answers: Counter[str] = Counter()
        self.times: list[float] = []
        self.posting_seconds = 0.0

    @property
    def open(self) -> int:
        """Notices that the catalog does not reflect yet."""
        return sum(map(len, self._sent.values()))

    def known(self) -> list[str]:
        """The SKUs in the catalog."""
        with closing(sqlite3.connect(self._stack.database)) as database:
            return [str(sku_id) for sku_id, _ in database.execute(_QUERY, (self._seller, 0))]

    async def run(self, waiting: list[str]) -> None:
        begun = time.monotonic()
        self._seen = _now()
        watching = asyncio.create_task(self._watch())
        turns = iter(waiting)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_POSTERS):
                    group.create_task(self._post(turns))
            self.posting_seconds = time.monotonic() - begun
            left, changed = self.open, time.monotonic()
            while self.open and time.monotonic() - changed < _PATIENCE:
                await asyncio.sleep(_LOOK)
                if self.open != left:
                    left, changed = self.open, time.monotonic()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _post(self, turns: Iterator[str]) -> None:
        async with Poster(f"{self._endpoint}/api/notification/") as poster:
            for sku_id in turns:
                self._sent.setdefault(int(sku_id), deque()).append(_now())
                self.answers[str(await poster.post(self._notice(sku_id)))] += 1

    def _notice(self, sku_id: str) -> dict[str, object]:
        """Price and stock have changed: what most notices say."""
        return {
            "IdSku": sku_id,
            "An": self._seller,
            "IdAffiliate": "MKP",
            "IsActive": True,
            "StockModified": True,
            "PriceModified": True,
            "HasStockKeepingUnitModified": False,
            "HasStockKeepingUnitRemovedFromAffiliate": False,
        }

    async def _watch(self) -> None:
        with closing(sqlite3.connect(self._stack.database)) as database:
            while True:
                await asyncio.sleep(_LOOK)
                # A little back in time: a reading that began earlier may be saved later than another.
                rows = database.execute(_QUERY, (self._seller, self._seen - 60_000_000)).fetchall()
                now = _now()
                self._seen = max([self._seen, *(began for _, began in rows)])
                for sku_id, began in rows:
                    sent = self._sent.get(sku_id)
                    while sent and sent[0] < began:
                        self.times.append((now - sent.popleft()) / 1e6)


def _now() -> int:
    return time.time_ns() // 1000
