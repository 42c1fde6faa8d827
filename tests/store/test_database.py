"""The database itself: how it is set up, and what is told when it is away."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from marketplace.settings import Settings
from marketplace.store.base import StoreUnavailable
from marketplace.store.database import Database
from marketplace.store.migrate import migrate
from marketplace.store.stores import Stores, open_stores
from tests.support.postgres import PostgresServer

from .samples import AT, entry, offer, record


async def test_sqlite_keeps_its_log_ahead_and_waits_for_its_turn(new_database: Callable[[str], str]) -> None:
    url = new_database("sqlite")
    await migrate(url)
    database = Database(url)
    async with database.transaction() as connection:
        found = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    await database.aclose()

    assert found == {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 10_000, "foreign_keys": 1}


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite3"
    path.mkdir()

    with pytest.raises(StoreUnavailable, match="the database is not available: unable to open database file"):
        await open_stores(Settings.model_validate({"database_url": f"sqlite:///{path}"}))


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnavailable, match="the database is not available"):
        await migrate(f"sqlite+aiosqlite:///{tmp_path}/file/orders.sqlite3")


async def test_a_postgresql_that_does_not_listen_is_told_without_the_password() -> None:
    url = "postgresql+psycopg://engine:hunter2@127.0.0.1:1/orders"
    stores = Stores(Database(url))
    orders, offers, journal = stores.orders, stores.offers, stores.journal
    attempts: list[Coroutine[Any, Any, Any]] = [
        orders.ping(),
        orders.get("MKP-1"),
        orders.save(record()),
        orders.list(),
        offers.get("acme", "7"),
        offers.change("acme", ["7"], lambda _, known: known or offer(7)),
        offers.page("acme"),
        offers.due("acme", AT),
        offers.counts("acme"),
        journal.append([entry("e-1")]),
        journal.page("acme"),
        journal.purge(AT),
        migrate(url),
    ]
    for attempt in attempts:
        with pytest.raises(StoreUnavailable) as caught:
            await attempt
        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)
    await stores.aclose()


async def test_after_a_restart_of_postgresql_the_store_goes_on(
    postgres: PostgresServer, new_database: Callable[[str], str]
) -> None:
    stores = await open_stores(Settings.model_validate({"database_url": new_database("postgresql")}))
    store = stores.orders
    await store.save(record())
    postgres.stop()
    try:
        with pytest.raises(StoreUnavailable):
            await store.get("MKP-1")
    finally:
        postgres.start()
    assert await store.get("MKP-1") == record()

    # A restart that nobody noticed fails no call at all.
    postgres.stop()
    postgres.start()
    assert await store.get("MKP-1") == record()
    await stores.aclose()
