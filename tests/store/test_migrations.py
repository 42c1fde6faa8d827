"""Migrations, on both databases: that they make the tables, take turns, and keep what is there."""

import asyncio
import subprocess
import sys
from pathlib import Path

import alembic.command
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from marketplace.settings import Settings
from marketplace.store.base import SchemaUnknown
from marketplace.store.migrate import LOCK_ID, _config, _exclusive, _sync_engine, migrate
from marketplace.store.stores import open_stores
from marketplace.store.tables import metadata, orders

from .samples import record


def test_the_migrations_make_the_tables_that_the_code_declares(database_url: str) -> None:
    asyncio.run(migrate(database_url))
    engine = create_engine(make_url(database_url.replace("+aiosqlite", "")))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


async def test_a_second_start_keeps_what_is_there(database_url: str) -> None:
    settings = Settings.model_validate({"database_url": database_url})
    for n in range(2):
        stores = await open_stores(settings)
        await stores.orders.save(record(f"MKP-{n}"))
        await stores.aclose()

    stores = await open_stores(settings)
    page = await stores.orders.list()
    assert [order.marketplace_order_id for order in page.orders] == ["MKP-1", "MKP-0"]
    await stores.aclose()


async def test_orders_of_the_first_version_are_there_after_the_upgrade(database_url: str) -> None:
    await asyncio.to_thread(upgrade, database_url, "0001")
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(
            orders.insert(),
            {
                "marketplace_order_id": "MKP-1",
                "seller": "acme",
                "status": "payment-pending",
                "needs_attention": False,
                "version": 1,
                "digest": "d" * 64,
                "created_at": 1_772_366_400_123_456,
                "updated_at": 1_772_366_400_123_456,
                "order": record().order.model_dump_json(),
                "event_ids": "[]",
            },
        )
    await engine.dispose()

    stores = await open_stores(Settings.model_validate({"database_url": database_url}))
    assert await stores.orders.get("MKP-1") == record()
    assert (await stores.offers.page("acme")).offers == []
    assert (await stores.journal.page("acme")).entries == []
    await stores.aclose()


def upgrade(database_url: str, revision: str) -> None:
    """Bring a database to the tables of an older version."""
    with _exclusive(_sync_engine(database_url)) as connection:
        config = _config()
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, revision)


def test_processes_that_start_at_once_migrate_in_turn(database_url: str) -> None:
    code = (
        "import asyncio, sys; from marketplace.store.migrate import LOCK_ID, migrate;"
        "print('ready', flush=True); sys.stdin.readline(); asyncio.run(migrate(sys.argv[1]))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")


async def test_while_one_process_migrates_the_others_wait(database_url: str) -> None:
    await migrate(database_url)
    engine = create_async_engine(database_url)
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK_ID})
        else:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(migrate(database_url))
        done, _ = await asyncio.wait([waiting], timeout=0.5)
        assert not done
        await connection.rollback()
        await waiting
    await engine.dispose()


async def test_databases_may_be_migrated_at_once_in_one_process(tmp_path: Path) -> None:
    await asyncio.gather(*(migrate(f"sqlite+aiosqlite:///{tmp_path}/{n}.sqlite3") for n in range(8)))


async def test_stores_may_be_opened_at_once_in_one_process(database_url: str) -> None:
    settings = Settings.model_validate({"database_url": database_url})
    opened = await asyncio.gather(*(open_stores(settings) for _ in range(4)))

    for stores in opened:
        await stores.orders.ping()
        await stores.aclose()


async def test_a_database_of_a_newer_version_is_not_touched(database_url: str) -> None:
    await migrate(database_url)
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await engine.dispose()

    with pytest.raises(SchemaUnknown, match=r"newer version .*9999.* start that one"):
        await migrate(database_url)
