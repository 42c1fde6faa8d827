"""The order record's store, on both databases."""

import asyncio
import base64
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from marketplace.orders import (
    Action,
    HistoryEntry,
    Order,
    OrderItem,
    OrderStatus,
    PaymentReport,
    PaymentStatus,
    Reason,
    ReasonCode,
)
from marketplace.settings import Settings
from marketplace.store.base import (
    BadCursor,
    OrderIdTaken,
    OrderPage,
    OrderRecord,
    OrderStore,
    SchemaUnknown,
    StoreUnavailable,
)
from marketplace.store.migrate import LOCK_ID, migrate
from marketplace.store.sql import SqlOrderStore, open_store
from marketplace.store.tables import metadata, orders

from .conftest import PostgresServer

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def record(
    marketplace_order_id: str = "MKP-1", *, seller: str = "acme", version: int = 1, **changes: Any
) -> OrderRecord:
    created_at = changes.pop("created_at", AT)
    order = Order(
        marketplace_order_id=marketplace_order_id,
        seller=seller,
        status=changes.pop("status", OrderStatus.PAYMENT_PENDING),
        needs_attention=changes.pop("needs_attention", False),
        items=[OrderItem(id="1", quantity=2, price=9990)],
        marketplace_payment_value=19980,
        history=[HistoryEntry(at=AT, status=OrderStatus.SIMULATING, detail=f"version {version}")],
    )
    return OrderRecord(
        order=order, digest="d" * 64, version=version, created_at=created_at, updated_at=created_at, **changes
    )


def ids(page: OrderPage) -> list[str]:
    return [order.marketplace_order_id for order in page.orders]


async def all_ids(store: OrderStore, limit: int, **filters: Any) -> list[str]:
    """Every id, page by page."""
    page = await store.list(limit=limit, **filters)
    found = ids(page)
    while page.next_cursor is not None:
        page = await store.list(limit=limit, cursor=page.next_cursor, **filters)
        assert 1 <= len(page.orders) <= limit
        assert not set(found) & set(ids(page)), "an order stands on two pages"
        found += ids(page)
    return found


# --- save and get ---


async def test_a_record_comes_back_as_it_was_saved(store: SqlOrderStore) -> None:
    plain = record()
    full = record(
        "MKP-2", payment=PaymentReport(status=PaymentStatus.APPROVED, transaction_id="T-1"), event_ids=["a", "é"]
    )
    full = full.model_copy(
        update={
            "order": full.order.model_copy(
                update={
                    "reason": Reason(code=ReasonCode.SELLER_UNAVAILABLE, message="nicht erreichbar – 日本"),
                    "allowed_actions": [Action.RETRY],
                    "expires_at": AT,
                }
            )
        }
    )
    for one in (plain, full):
        await store.save(one)

        assert await store.get(one.order.marketplace_order_id) == one


async def test_an_unknown_order_is_none(store: SqlOrderStore) -> None:
    assert await store.get("MKP-404") is None


async def test_times_are_kept_to_the_microsecond_whatever_their_offset(store: SqlOrderStore) -> None:
    at = datetime(2026, 3, 1, 9, 0, 0, 1, tzinfo=timezone(timedelta(hours=-3)))
    await store.save(record(created_at=at))

    saved = await store.get("MKP-1")
    assert saved is not None
    assert (saved.created_at, saved.created_at.utcoffset()) == (at, timedelta(0))


async def test_a_higher_version_replaces_a_lower_one(store: SqlOrderStore) -> None:
    await store.save(record())
    newer = record(
        version=2,
        status=OrderStatus.HANDLING,
        needs_attention=True,
        event_ids=["e"],
        payment=PaymentReport(status=PaymentStatus.APPROVED, transaction_id="T-1"),
    ).model_copy(update={"updated_at": AT + timedelta(seconds=1)})
    await store.save(newer)

    assert await store.get("MKP-1") == newer
    assert ids(await store.list(status=OrderStatus.HANDLING)) == ["MKP-1"]
    assert ids(await store.list(status=OrderStatus.PAYMENT_PENDING)) == []


@pytest.mark.parametrize("version", [1, 2])
async def test_an_equal_or_lower_version_is_silently_left_out(store: SqlOrderStore, version: int) -> None:
    newer = record(version=2)
    await store.save(newer)
    await store.save(record(version=version, status=OrderStatus.CANCELED))

    assert await store.get("MKP-1") == newer


async def test_when_an_order_was_created_does_not_change(store: SqlOrderStore) -> None:
    await store.save(record())
    await store.save(record(version=2, created_at=AT + timedelta(days=1)))

    saved = await store.get("MKP-1")
    assert saved is not None
    assert (saved.version, saved.created_at) == (2, AT)


@pytest.mark.parametrize("version", [1, 9])
async def test_an_id_of_another_seller_is_refused_and_its_order_untouched(store: SqlOrderStore, version: int) -> None:
    first = record(version=5)
    await store.save(first)

    with pytest.raises(OrderIdTaken, match="order id MKP-1 is taken"):
        await store.save(record(seller="other", version=version))
    assert await store.get("MKP-1") == first


async def test_of_many_writes_at_once_the_highest_version_stays(store: SqlOrderStore) -> None:
    versions = list(range(1, 21))
    random.Random(1).shuffle(versions)
    await asyncio.gather(*(store.save(record(version=version)) for version in versions))

    saved = await store.get("MKP-1")
    assert saved is not None
    assert (saved.version, saved.order.history[0].detail) == (20, "version 20")


async def test_of_two_sellers_that_take_an_id_at_once_one_gets_it(store: SqlOrderStore) -> None:
    sellers = [f"seller-{n}" for n in range(8)]
    outcomes = await asyncio.gather(*(store.save(record(seller=one)) for one in sellers), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", *["OrderIdTaken"] * 7]
    saved = await store.get("MKP-1")
    assert saved is not None
    assert outcomes[sellers.index(saved.order.seller)] is None


# --- pages ---


async def test_a_page_lists_the_newest_first_and_then_by_id_in_byte_order(store: SqlOrderStore) -> None:
    # By bytes: "-" < "1" < "A" < "_" < "a". A database's locale would sort these otherwise.
    for name in ("a1", "A1", "1", "_1", "-1"):
        await store.save(record(name))
    await store.save(record("newest", created_at=AT + timedelta(microseconds=1)))
    await store.save(record("oldest", created_at=AT - timedelta(microseconds=1)))

    expected = ["newest", "a1", "_1", "A1", "1", "-1", "oldest"]
    assert ids(await store.list()) == expected
    for limit in (1, 2, 3, 7):
        assert await all_ids(store, limit) == expected


async def test_the_last_page_leads_nowhere_even_when_it_is_full(store: SqlOrderStore) -> None:
    for n in range(4):
        await store.save(record(f"MKP-{n}"))

    first = await store.list(limit=2)
    assert first.next_cursor is not None
    second = await store.list(limit=2, cursor=first.next_cursor)
    assert (len(second.orders), second.next_cursor) == (2, None)
    assert (await store.list(status=OrderStatus.CANCELED)).orders == []


async def test_orders_that_come_while_somebody_turns_pages_move_nothing(store: SqlOrderStore) -> None:
    for n in range(4):
        await store.save(record(f"MKP-{n}", created_at=AT + timedelta(seconds=n)))
    first = await store.list(limit=2)
    await store.save(record("MKP-9", created_at=AT + timedelta(seconds=9)))
    await store.save(record("MKP-1", version=2, status=OrderStatus.CANCELED, created_at=AT + timedelta(seconds=20)))

    second = await store.list(limit=2, cursor=first.next_cursor)
    assert ids(first) + ids(second) == ["MKP-3", "MKP-2", "MKP-1", "MKP-0"]


async def test_every_filter_and_all_of_them_together(store: SqlOrderStore) -> None:
    wanted = {"status": OrderStatus.HANDLING, "seller": "acme", "needs_attention": True}
    await store.save(record("all", status=OrderStatus.HANDLING, needs_attention=True))
    await store.save(record("status", status=OrderStatus.HANDLING, seller="other"))
    await store.save(record("seller"))
    await store.save(record("attention", seller="other", needs_attention=True))

    assert set(ids(await store.list(status=OrderStatus.HANDLING))) == {"all", "status"}
    assert set(ids(await store.list(seller="acme"))) == {"all", "seller"}
    assert set(ids(await store.list(needs_attention=True))) == {"all", "attention"}
    assert set(ids(await store.list(needs_attention=False))) == {"status", "seller"}
    assert await all_ids(store, 1, **wanted) == ["all"]
    assert ids(await store.list(seller="nobody")) == []


def _cursor(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "!!!!",
        _cursor("null"),
        _cursor("[1]"),
        _cursor('["1", "MKP-1"]'),
        _cursor('[1, "a\\u0000b"]'),
        _cursor(f'[{2**63}, "MKP-1"]'),
        _cursor('[1, "MKP-1", 2]'),
        "A" * 5000,
    ],
)
async def test_a_cursor_of_another_making_is_refused(store: SqlOrderStore, cursor: str) -> None:
    with pytest.raises(BadCursor, match="start without one"):
        await store.list(cursor=cursor)


async def test_a_page_has_at_least_one_place(store: SqlOrderStore) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        await store.list(limit=0)


async def test_pages_stay_fast_with_a_hundred_thousand_orders(database_url: str) -> None:
    rows = 100_000
    await migrate(database_url)
    statuses = [status.value for status in OrderStatus]
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        sample = record().order.model_dump_json()
        await connection.execute(
            orders.insert(),
            [
                {
                    "marketplace_order_id": f"MKP-{n}",
                    # One Seller in a thousand orders, and the rarest of filters at the far end of the sort order.
                    "seller": "rare" if n % 1000 == 0 else f"seller-{n % 7}",
                    "status": "returned" if n < 3 else statuses[n % 8],
                    "needs_attention": n < 60,
                    "version": 1,
                    "digest": "d" * 64,
                    "created_at": 1_700_000_000_000_000 + n // 2,
                    "updated_at": 0,
                    "order": sample,
                    "event_ids": "[]",
                }
                for n in range(rows)
            ],
        )
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE"))
    await engine.dispose()
    store = SqlOrderStore(database_url)
    far = _cursor('[1700000000000010, "MKP-20"]')
    filters: list[dict[str, Any]] = [
        {},
        {"cursor": far},
        {"status": OrderStatus.RETURNED},
        {"seller": "rare"},
        {"seller": "seller-1", "status": OrderStatus.RETURNED},
        {"seller": "seller-1", "status": OrderStatus.HANDLING, "cursor": far},
        {"needs_attention": True},
        {"needs_attention": True, "seller": "seller-1", "status": OrderStatus.RETURNED},
        {"needs_attention": False, "status": OrderStatus.RETURNED},
        {"seller": "nobody"},
    ]
    slowest = 0.0
    try:
        await store.list()
        for one in filters:
            times = []
            for _ in range(3):
                before = time.perf_counter()
                await store.list(**one)
                times.append(time.perf_counter() - before)
            slowest = max(slowest, min(times))
    finally:
        await store.aclose()
    # Through an index a page takes 1 to 4 ms, by a scan of the table many times that.
    assert slowest < 0.03, slowest


# --- migrations ---


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
        store = await open_store(settings)
        await store.save(record(f"MKP-{n}"))
        await store.aclose()

    store = await open_store(settings)
    assert ids(await store.list()) == ["MKP-1", "MKP-0"]
    await store.aclose()


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
    stores = await asyncio.gather(*(open_store(settings) for _ in range(4)))

    for one in stores:
        await one.ping()
        await one.aclose()


async def test_a_database_of_a_newer_version_is_not_touched(database_url: str) -> None:
    await migrate(database_url)
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await engine.dispose()

    with pytest.raises(SchemaUnknown, match=r"newer version .*9999.* start that one"):
        await migrate(database_url)


# --- when the database is away ---


async def test_sqlite_keeps_its_log_ahead_and_waits_for_its_turn(new_database: Callable[[str], str]) -> None:
    url = new_database("sqlite")
    store = await open_store(Settings.model_validate({"database_url": url}))
    async with store._engine.connect() as connection:
        found = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    await store.aclose()

    assert found == {"journal_mode": "wal", "synchronous": 1, "busy_timeout": 10_000, "foreign_keys": 1}


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "orders.sqlite3"
    path.mkdir()

    with pytest.raises(StoreUnavailable, match="the database is not available: unable to open database file"):
        await open_store(Settings.model_validate({"database_url": f"sqlite:///{path}"}))


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnavailable, match="the database is not available"):
        await migrate(f"sqlite+aiosqlite:///{tmp_path}/file/orders.sqlite3")


async def test_a_postgresql_that_does_not_listen_is_told_without_the_password() -> None:
    url = "postgresql+psycopg://engine:hunter2@127.0.0.1:1/orders"
    store = SqlOrderStore(url)
    for attempt in (store.ping(), store.get("MKP-1"), store.save(record()), store.list(), migrate(url)):
        with pytest.raises(StoreUnavailable) as caught:
            await attempt
        assert "hunter2" not in str(caught.value)
        assert "\n" not in str(caught.value)
    await store.aclose()


async def test_after_a_restart_of_postgresql_the_store_goes_on(
    postgres: PostgresServer, new_database: Callable[[str], str]
) -> None:
    store = await open_store(Settings.model_validate({"database_url": new_database("postgresql")}))
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
    await store.aclose()
