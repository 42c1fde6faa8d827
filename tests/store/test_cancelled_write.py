"""A write that is given up while it waits for SQLite's lock."""

import asyncio
import sqlite3
from pathlib import Path

from marketplace.settings import Settings
from marketplace.store.stores import open_stores

from .samples import record


async def test_a_write_given_up_while_it_waited_leaves_nobody_locked_out(tmp_path: Path) -> None:
    stores = await open_stores(Settings(data_dir=tmp_path))
    await stores.orders.save(record(version=1))
    other = sqlite3.connect(tmp_path / "orders.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    saving = asyncio.create_task(stores.orders.save(record(version=2)))
    await asyncio.sleep(0.2)
    saving.cancel()
    await asyncio.sleep(0.1)
    # The lock comes free for a statement that nobody waits for any more.
    other.close()
    await asyncio.gather(saving, return_exceptions=True)
    async with asyncio.timeout(8):
        await stores.orders.save(record(version=3))
    saved = await stores.orders.get("MKP-1")
    assert saved is not None
    assert saved.version == 3
    await stores.aclose()
