"""Keeps orders and changed SKUs in a file, so that a sandbox goes on where it stood.

The file is a journal: a line for its version, then a line for each batch of changes, and the last word about an order
or a SKU counts. So a change costs what it is long, not what all is long, and a line that was cut by a crash is as if
it had never been. Once most of the journal is outdated it is written anew. SKUs that never changed are not in it.
"""

import asyncio
import json
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sandbox.base import now
from sandbox.catalog import Catalog, Sku
from sandbox.ledger import HistoryEntry, Ledger, Order, Status

_PAUSE = 0.2
_VERSION = 2
_SKUS_AT_ONCE = 5000
"""More would keep the event loop busy for too long; the others wait for the next batch."""
_SPARE = 1_000_000
"""Outdated bytes that do not matter yet."""


class StateFileError(Exception):
    """The state file cannot be read: it is of another version, or no state file at all."""


class StateFile:
    """The file of one sandbox. Without a path it keeps nothing and costs nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._orders: dict[str, str] = {}
        self._skus: dict[str, str] = {}
        # Dictionaries and not sets: orders are kept in the order in which they were placed.
        self._changed_orders: dict[str, None] = {}
        self._changed_skus: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._anew = True
        self._length = 0
        self._needed = 0

    def order_changed(self, marketplace_order_id: str) -> None:
        if self._path is not None:
            self._changed_orders[marketplace_order_id] = None
            self._changed.set()

    def sku_changed(self, sku_id: str) -> None:
        if self._path is not None:
            self._changed_skus[sku_id] = None
            self._changed.set()

    def load(self) -> tuple[list[Order], list[Sku]] | None:
        """What was kept, None when nothing was. Raises StateFileError for a file that is not ours."""
        if self._path is None or not self._path.exists():
            return None
        try:
            # What stands behind the last line break is a batch that a crash has cut.
            first, *lines, _ = self._path.read_bytes().split(b"\n")
            version = json.loads(first)["version"]
            if version != _VERSION:
                raise StateFileError(f"{self._path}: version {version}, expected {_VERSION}; remove it")
            orders, skus = _read(lines)
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise StateFileError(f"{self._path}: no state of a sandbox ({type(error).__name__}); remove it") from error
        for order in orders:
            if order.status is Status.INVOICE:
                # The process ended while an invoice was on its way; the autopilot sends it again.
                order.status = Status.HANDLING
                order.history.append(HistoryEntry(at=now(), status=Status.HANDLING))
            self.order_changed(order.marketplace_order_id)
        for sku in skus:
            self.sku_changed(sku.id)
        return orders, skus

    async def keep(self, ledger: Ledger, catalog: Catalog) -> None:
        """Write whenever something has changed, and a last time after `close`."""
        self._closing.clear()
        while not self._closing.is_set():
            await self._changed.wait()
            await self._sleep(_PAUSE)
            await self._write(ledger, catalog)
        while self._changed.is_set():
            await self._write(ledger, catalog)

    def close(self) -> None:
        """Let `keep` write what is not yet written, and end."""
        self._closing.set()
        self._changed.set()

    def forget(self) -> None:
        """Forget all orders and SKUs."""
        self._orders.clear()
        self._skus.clear()
        self._changed_orders.clear()
        self._changed_skus.clear()
        self._needed = 0
        self._anew = True
        self._changed.set()

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    async def _write(self, ledger: Ledger, catalog: Catalog) -> None:
        text = self._batch(ledger, catalog)
        if self._anew or self._length > 2 * self._needed + _SPARE:
            self._anew = False
            text = f'{{"version":{_VERSION}}}\n{_line(self._orders, self._skus)}'
            self._length = len(text)
            await asyncio.to_thread(self._replace, text)
        elif text:
            self._length += len(text)
            await asyncio.to_thread(self._append, text)

    def _batch(self, ledger: Ledger, catalog: Catalog) -> str:
        self._changed.clear()
        # Looking at an order may move it on, which tells a change: hence new ones before the first look.
        order_ids, self._changed_orders = self._changed_orders, {}
        sku_ids = list(islice(self._changed_skus, _SKUS_AT_ONCE))
        for sku_id in sku_ids:
            del self._changed_skus[sku_id]
        if self._changed_skus:
            self._changed.set()
        orders = {found: order.model_dump_json() for found in order_ids if (order := ledger.get(found))}
        skus = {found: sku.model_dump_json(exclude_defaults=True) for found in sku_ids if (sku := catalog.get(found))}
        for kept, batch in ((self._orders, orders), (self._skus, skus)):
            self._needed += sum(len(text) - len(kept.get(key, "")) for key, text in batch.items())
            kept.update(batch)
        return _line(orders, skus) if orders or skus else ""

    def _append(self, text: str) -> None:
        assert self._path is not None
        with self._path.open("a", encoding="utf-8") as file:
            file.write(text)

    def _replace(self, text: str) -> None:
        assert self._path is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f"{self._path.name}.new")
        # Orders hold customers' data: nobody else's eyes.
        beside.touch(mode=0o600)
        beside.write_text(text, encoding="utf-8")
        beside.replace(self._path)


def _line(orders: dict[str, str], skus: dict[str, str]) -> str:
    return f'{{"orders":[{",".join(orders.values())}],"skus":[{",".join(skus.values())}]}}\n'


def _read(lines: list[bytes]) -> tuple[list[Order], list[Sku]]:
    orders: dict[str, Any] = {}
    skus: dict[str, Any] = {}
    for line in lines:
        batch = json.loads(line)
        orders |= {order["marketplaceOrderId"]: order for order in batch["orders"]}
        skus |= {sku["id"]: sku for sku in batch["skus"]}
    return [Order.model_validate(order) for order in orders.values()], [
        Sku.model_validate(one) for one in skus.values()
    ]
