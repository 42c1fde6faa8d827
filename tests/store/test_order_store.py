"""The order record's store, on both databases."""

import asyncio
import random
import time
from datetime import timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from marketplace.orders import Action, OrderStatus, PaymentReport, PaymentStatus, Reason, ReasonCode
from marketplace.store.base import ERASED_VERSION, BadCursor, OrderIdTaken, OrderPage, OrderStore
from marketplace.store.database import Database
from marketplace.store.migrate import migrate
from marketplace.store.orders import SqlOrderStore

from .samples import AT, cursor_of, record


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
    at = AT.astimezone(timezone(timedelta(hours=-3)))
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


async def test_a_lower_version_that_is_later_by_minutes_is_of_a_workflow_that_was_reset(store: SqlOrderStore) -> None:
    await store.save(record(version=150))
    soon = record(version=50).model_copy(update={"updated_at": AT + timedelta(seconds=59)})
    await store.save(soon)
    kept = await store.get("MKP-1")
    assert kept is not None
    assert kept.version == 150
    reset = record(version=50).model_copy(update={"updated_at": AT + timedelta(minutes=2)})
    await store.save(reset)
    assert await store.get("MKP-1") == reset
    await store.erase("MKP-1", AT + timedelta(minutes=3))
    await store.save(record(version=51).model_copy(update={"updated_at": AT + timedelta(days=1)}))
    erased = await store.get("MKP-1")
    assert erased is not None
    assert erased.version == ERASED_VERSION


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

    assert sorted(type(outcome).__name__ for outcome in outcomes) == [*["OrderIdTaken"] * 7, "bool"]
    saved = await store.get("MKP-1")
    assert saved is not None
    assert outcomes[sellers.index(saved.order.seller)] is False


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


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "!!!!",
        cursor_of("null"),
        cursor_of("[1]"),
        cursor_of('["1", "MKP-1"]'),
        cursor_of('[1, "a\\u0000b"]'),
        cursor_of(f'[{2**63}, "MKP-1"]'),
        cursor_of('[1, "MKP-1", 2]'),
        "A" * 5000,
    ],
)
async def test_a_cursor_of_another_making_is_refused(store: SqlOrderStore, cursor: str) -> None:
    with pytest.raises(BadCursor, match="start without one"):
        await store.list(cursor=cursor)


async def test_a_page_has_at_least_one_place(store: SqlOrderStore) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        await store.list(limit=0)


@pytest.mark.slow
async def test_pages_stay_fast_with_a_hundred_thousand_orders(database_url: str) -> None:
    await migrate(database_url)
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        # One Seller in a thousand orders, and the rarest of filters at the far end of the sort order.
        await connection.execute(
            text("""
                WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 99999)
                INSERT INTO orders (marketplace_order_id, seller, status, needs_attention, version, digest,
                                    created_at, updated_at, "order", event_ids)
                SELECT 'MKP-' || n, CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'seller-' || n % 7 END,
                       CASE WHEN n < 3 THEN 'returned' WHEN n % 8 = 0 THEN 'handling' ELSE 'delivered' END, n < 60, 1,
                       :digest, :first + n / 2, 0, :order, '[]'
                FROM numbers
            """),
            {"digest": "d" * 64, "first": 1_700_000_000_000_000, "order": record().order.model_dump_json()},
        )
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE"))
    await engine.dispose()
    database = Database(database_url)
    store = SqlOrderStore(database)
    far = cursor_of('[1700000000000010, "MKP-20"]')
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
        await database.aclose()
    # Through an index a page takes 1 to 4 ms, by a scan of the table many times that.
    assert slowest < 0.03, slowest
