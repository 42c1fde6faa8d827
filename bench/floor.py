"""The floor under an import: the same requests and the same writes, by a plain loop and with nothing in between.

Offers and journal entries are there before the clock starts, read from the catalog that the engine has written. So
what an import costs more than this is what the engine does: Temporal, checking the answers, deciding, its manners.
Run as a process of its own, as the worker is: `python -m bench.floor SELLER_URL DATA_DIR`; writes JSON.
"""

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
from pydantic import BaseModel

from activities.catalog_page import READERS, SAVED_TOGETHER
from bench.stack import round_name
from marketplace.catalog import Offer
from marketplace.catalog_log import entries
from marketplace.settings import Settings
from marketplace.store.stores import Stores, open_migrated_stores, open_stores

_LIST_PAGE = 500
_SIMULATION = {"sc": "1", "affiliateId": "MKP"}
_HEADERS = {"X-VTEX-API-AppKey": "sandbox-key", "X-VTEX-API-AppToken": "sandbox-token", "Accept": "application/json"}


class FloorResult(BaseModel):
    skus: int
    seconds: float
    cpu_seconds: float


class Floor:
    """Reads every SKU of a sandbox, and writes what is known already about each."""

    def __init__(self, http: httpx.AsyncClient, stores: Stores, known: dict[str, Offer]) -> None:
        self._http = http
        self._stores = stores
        self._offers = known
        now = datetime.now(UTC)
        self._entries = {sku_id: entries(None, offer, now) for sku_id, offer in known.items()}
        self._unsaved: list[str] = []
        self.done = 0

    async def run(self) -> None:
        """Read and write them all."""
        waiting = iter(await self._listed())
        async with asyncio.TaskGroup() as group:
            for _ in range(READERS):
                group.create_task(self._reader(waiting))
        await self._save()

    async def _listed(self) -> list[str]:
        path, ids = "/api/catalog_system/pvt/sku/stockkeepingunitidsbysaleschannel", []
        for page in itertools.count(1):
            params = {"sc": "1", "page": str(page), "pageSize": str(_LIST_PAGE), "onlyAssigned": "true"}
            listed = (await self._http.get(path, params=params)).raise_for_status().json()
            if not listed:
                break
            ids += [str(sku_id) for sku_id in listed]
        return ids

    async def _reader(self, waiting: Iterator[str]) -> None:
        for sku_id in waiting:
            await self._read(sku_id)
            self._unsaved.append(sku_id)
            if len(self._unsaved) >= SAVED_TOGETHER:
                await self._save()

    async def _read(self, sku_id: str) -> None:
        path = f"/api/catalog_system/pvt/sku/stockkeepingunitbyid/{sku_id}"
        sku = (await self._http.get(path, params={"sc": "1"})).raise_for_status().json()
        if "IsProductActive" not in sku:
            (await self._http.get(f"/api/catalog/pvt/product/{sku['ProductId']}")).raise_for_status().json()
        cart = {"items": [{"id": sku_id, "quantity": 1, "seller": "1"}]}
        path = "/api/checkout/pub/orderForms/simulation"
        (await self._http.post(path, params=_SIMULATION, json=cart)).raise_for_status().json()

    async def _save(self) -> None:
        ids, self._unsaved = self._unsaved, []
        if not ids:
            return
        await self._stores.offers.change(
            round_name(0), ids, lambda sku_id, _: self._offers[sku_id], lambda _, offer: self._entries[offer.id]
        )
        self.done += len(ids)


async def _known(data_dir: Path) -> dict[str, Offer]:
    """What the engine has written about each SKU in its first import."""
    stores = await open_migrated_stores(Settings(data_dir=data_dir))
    found: dict[str, Offer] = {}
    try:
        cursor: str | None = None
        while True:
            page = await stores.offers.page(round_name(0), limit=500, cursor=cursor)
            found |= {offer.id: offer for offer in page.offers}
            cursor = page.next_cursor
            if cursor is None:
                return found
    finally:
        await stores.aclose()


async def _measure(seller_url: str, data_dir: Path) -> FloorResult:
    known = await _known(data_dir)
    # As many connections as there are readers, and kept: what is measured is no connecting.
    limits = httpx.Limits(max_connections=READERS, max_keepalive_connections=READERS, keepalive_expiry=15)
    with tempfile.TemporaryDirectory(prefix="order-engine-floor-") as directory:
        stores = await open_stores(Settings(data_dir=Path(directory)))
        try:
            async with httpx.AsyncClient(
                base_url=seller_url, headers=_HEADERS, limits=limits, trust_env=False, timeout=30
            ) as http:
                floor = Floor(http, stores, known)
                begun, cpu = time.monotonic(), time.process_time()
                await floor.run()
                took, used = time.monotonic() - begun, time.process_time() - cpu
        finally:
            await stores.aclose()
    return FloorResult(skus=floor.done, seconds=took, cpu_seconds=used)


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(_measure(sys.argv[1], Path(sys.argv[2]))).model_dump_json() + "\n")
