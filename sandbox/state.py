"""Keeps orders and SKUs in a file, so that a sandbox goes on where it stood.

Changes are gathered: the file is written at most once in `_PAUSE` seconds and when the sandbox stops, whole and
atomically. Only what has changed is serialized again.
"""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from sandbox.base import now
from sandbox.catalog import Catalog, Sku
from sandbox.ledger import HistoryEntry, Ledger, Order, Status

_PAUSE = 0.2
_VERSION = 1


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
            document = json.loads(self._path.read_text(encoding="utf-8"))
            if document["version"] != _VERSION:
                raise StateFileError(f"{self._path}: version {document['version']}, expected {_VERSION}; remove it")
            orders = [Order.model_validate(entry) for entry in document["orders"]]
            skus = [Sku.model_validate(entry) for entry in document["skus"]]
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise StateFileError(f"{self._path}: no state of a sandbox ({type(error).__name__}); remove it") from error
        for order in orders:
            if order.status is Status.INVOICE:
                # The process ended while an invoice was on its way; the autopilot sends it again.
                order.status = Status.HANDLING
                order.history.append(HistoryEntry(at=now(), status=Status.HANDLING))
        return orders, skus

    async def keep(self, ledger: Ledger, catalog: Catalog) -> None:
        """Write the file whenever something has changed, and a last time after `close`."""
        self._closing.clear()
        while not self._closing.is_set():
            await self._changed.wait()
            await self._sleep(_PAUSE)
            started = time.monotonic()
            await asyncio.to_thread(self._write, self._text(ledger, catalog))
            # A large file must not keep the process busy with nothing but writing it.
            await self._sleep(5 * (time.monotonic() - started))
        if self._changed.is_set():
            await asyncio.to_thread(self._write, self._text(ledger, catalog))

    def close(self) -> None:
        """Let `keep` write what is not yet written, and end."""
        self._closing.set()
        self._changed.set()

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    def forget(self) -> None:
        """Forget all orders and SKUs; what exists now must be told anew."""
        self._orders.clear()
        self._skus.clear()
        self._changed_orders.clear()
        self._changed_skus.clear()
        self._changed.set()

    def _text(self, ledger: Ledger, catalog: Catalog) -> str:
        self._changed.clear()
        # Looking at an order may move it on, which tells a change: hence new ones before the first look.
        order_ids, self._changed_orders = self._changed_orders, {}
        sku_ids, self._changed_skus = self._changed_skus, {}
        for order_id in order_ids:
            if order := ledger.get(order_id):
                self._orders[order_id] = order.model_dump_json()
        for sku_id in sku_ids:
            if sku := catalog.get(sku_id):
                self._skus[sku_id] = sku.model_dump_json()
        orders, skus = ",\n".join(self._orders.values()), ",\n".join(self._skus.values())
        return f'{{"version":{_VERSION},"orders":[\n{orders}],"skus":[\n{skus}]}}\n'

    def _write(self, text: str) -> None:
        assert self._path is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f"{self._path.name}.new")
        # Orders hold customers' data: nobody else's eyes.
        beside.touch(mode=0o600)
        beside.write_text(text, encoding="utf-8")
        beside.replace(self._path)
