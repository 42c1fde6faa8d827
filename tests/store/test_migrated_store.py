"""Opening a database without migrating it, on both databases: what an operator's command does."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from marketplace.settings import Settings
from marketplace.store.base import SchemaMissing, SchemaUnknown, StoreUnavailable
from marketplace.store.migrate import migrate
from marketplace.store.stores import open_migrated_stores, open_stores


def settings(database_url: str) -> Settings:
    return Settings.model_validate({"database_url": database_url})


async def execute(database_url: str, *statements: str) -> None:
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


async def test_a_migrated_database_opens_while_another_process_writes(database_url: str) -> None:
    worker = await open_stores(settings(database_url))
    await worker.orders.ping()
    writing = create_async_engine(database_url)
    async with writing.begin() as connection:
        await connection.execute(text("DELETE FROM orders"))
        async with asyncio.timeout(5):
            stores = await open_migrated_stores(settings(database_url))
            assert (await stores.orders.list()).orders == []
    await writing.dispose()
    await stores.aclose()
    await worker.aclose()


async def test_a_database_without_tables_is_left_without(database_url: str) -> None:
    await migrate(database_url)
    await execute(database_url, "DROP TABLE orders", "DROP TABLE alembic_version")
    with pytest.raises(SchemaMissing, match="start the worker or the API"):
        await open_migrated_stores(settings(database_url))
    await execute(database_url, "CREATE TABLE orders (id INTEGER)", "CREATE TABLE alembic_version (id INTEGER)")


async def test_a_database_of_a_newer_version_is_told_as_by_a_migration(database_url: str) -> None:
    await migrate(database_url)
    await execute(database_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaUnknown, match=r"newer version .*9999.* start that one"):
        await open_migrated_stores(settings(database_url))


async def test_a_sqlite_file_that_is_not_there_is_not_made(new_database: Callable[[str], str], tmp_path: Path) -> None:
    url = new_database("sqlite")
    with pytest.raises(SchemaMissing, match=r"orders.sqlite3 does not exist: start the worker"):
        await open_migrated_stores(settings(url))
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240 - nothing else runs here


async def test_a_database_that_is_away_is_unavailable_and_its_password_not_told() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await open_migrated_stores(settings("postgresql://me:secret-word@127.0.0.1:1/orders"))
    assert "secret-word" not in str(caught.value)
