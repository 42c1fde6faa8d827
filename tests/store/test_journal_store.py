"""The journal's store, on both databases."""

import asyncio
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from marketplace.journal import Direction, JournalStatus, MessageCode, Operation
from marketplace.store.base import BadCursor, Journal, JournalPage
from marketplace.store.database import Database
from marketplace.store.journal import SqlJournal
from marketplace.store.migrate import migrate
from marketplace.store.stores import Stores

from .samples import AT, cursor_of, entry, fastest

DAY = AT.date()
MIDNIGHT = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
STATUSES = list(JournalStatus)


@pytest.fixture
def journal(stores: Stores) -> SqlJournal:
    return stores.journal


def ids(page: JournalPage) -> list[str]:
    return [one.id for one in page.entries]


async def all_ids(
    journal: Journal, limit: int, day: date | None = None, statuses: Collection[JournalStatus] = ()
) -> list[str]:
    """Every id, page by page."""
    page = await journal.page("acme", day, statuses, limit)
    found = ids(page)
    while page.next_cursor is not None:
        page = await journal.page("acme", day, statuses, limit, page.next_cursor)
        assert 1 <= len(page.entries) <= limit
        found += ids(page)
    return found


async def test_an_entry_comes_back_as_it_was_written(journal: SqlJournal) -> None:
    full = entry(
        "full",
        operation=Operation.TRACKING,
        direction=Direction.TO_SELLER,
        status=JournalStatus.WARNING,
        code=MessageCode.DEFAULT_USED,
        business_message="kein Gewicht – 日本",
        content_source='{"a": "\\u0000"}',
        content_translated="b",
        content_destination="c",
    )
    bare = entry("bare", at=AT - timedelta(microseconds=1))
    await journal.append([full, bare])

    page = await journal.page("acme")
    assert page.entries == [full, bare]
    assert page.entries[0].model_dump_json() == full.model_dump_json()


async def test_an_entry_that_is_written_again_is_left_out(journal: SqlJournal) -> None:
    await journal.append([entry("e-1", business_message="first")])
    await journal.append([entry("e-1", business_message="second"), entry("e-2")])
    await journal.append([])

    assert {one.id: one.business_message for one in (await journal.page("acme")).entries} == {"e-1": "first", "e-2": ""}


async def test_the_newest_entries_come_first_page_by_page(journal: SqlJournal) -> None:
    entries = [entry(f"e-{n}", at=AT + timedelta(seconds=n // 2), status=STATUSES[n % 4]) for n in range(12)]
    await journal.append(entries)
    await journal.append([entry("other", seller="other")])

    newest = [one.id for one in sorted(entries, key=lambda one: (one.at, one.id), reverse=True)]
    of = {one.id: one.status for one in entries}
    for limit in (1, 2, 5, 12):
        assert await all_ids(journal, limit) == newest
        for wanted in (STATUSES, STATUSES[:1], STATUSES[:2], STATUSES[1:]):
            assert await all_ids(journal, limit, statuses=wanted) == [one for one in newest if of[one] in wanted]


async def test_a_day_begins_and_ends_in_utc(journal: SqlJournal) -> None:
    tick = timedelta(microseconds=1)
    times = {"before": MIDNIGHT - tick, "first": MIDNIGHT, "last": MIDNIGHT + timedelta(days=1) - tick}
    await journal.append([entry(name, at=at) for name, at in times.items()])
    await journal.append([entry("after", at=MIDNIGHT + timedelta(days=1))])

    assert await all_ids(journal, 1, DAY) == ["last", "first"]
    assert await all_ids(journal, 1, DAY, [JournalStatus.SUCCESS, JournalStatus.ERROR]) == ["last", "first"]
    assert await all_ids(journal, 5, DAY - timedelta(days=1)) == ["before"]
    assert await all_ids(journal, 5, DAY + timedelta(days=2)) == []


@pytest.mark.parametrize("day", [date.min, date.max])
async def test_the_first_and_the_last_day_of_all_are_empty(journal: SqlJournal, day: date) -> None:
    await journal.append([entry("e-1")])

    assert await all_ids(journal, 5, day) == []


@pytest.mark.parametrize(
    "cursor",
    ["", "x", cursor_of("[1]"), cursor_of('["1", "e-1"]'), cursor_of('[1, "a b"]'), cursor_of(f'[{2**63}, "e"]')],
)
async def test_a_cursor_of_another_making_is_refused(journal: SqlJournal, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await journal.page("acme", cursor=cursor)


async def test_a_page_has_at_least_one_place(journal: SqlJournal) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        await journal.page("acme", limit=0)


@pytest.mark.parametrize(("batch", "old"), [(1, 3), (3, 7), (7, 7), (8, 7), (1000, 0)])
async def test_what_is_old_is_removed_batch_by_batch_and_nothing_else(
    journal: SqlJournal, batch: int, old: int
) -> None:
    await journal.append([entry(f"old-{n}", at=AT - timedelta(seconds=n + 1)) for n in range(old)])
    await journal.append([entry("new"), entry("newer", at=AT + timedelta(seconds=1))])

    assert await journal.purge(AT, batch) == old
    assert await all_ids(journal, 50) == ["newer", "new"]
    assert await journal.purge(AT) == 0


async def test_while_the_journal_is_purged_others_write_to_it(stores: Stores, migrated_url: str) -> None:
    await stores.journal.append([entry(f"old-{n}", at=AT - timedelta(days=1)) for n in range(40)])
    database = Database(migrated_url)
    writes = [SqlJournal(database).append([entry(f"new-{n}")]) for n in range(10)]
    purges = asyncio.gather(stores.journal.purge(AT, 4), stores.journal.purge(AT, 4))
    await asyncio.gather(*writes)
    removed = sum(await purges) + await stores.journal.purge(AT)
    await database.aclose()

    assert removed == 40
    assert len(await all_ids(stores.journal, 50)) == 10


@pytest.mark.slow
async def test_the_journal_stays_fast_with_a_hundred_thousand_entries(database_url: str) -> None:
    await migrate(database_url)
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(
            text("""
                WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
                INSERT INTO journal (id, at, seller, operation, direction, subject, status, business_message)
                SELECT 'e-' || n, :midnight + n, 'acme', 'Price update', 'VTEX to Marketplace', '7',
                       CASE WHEN n <= 30 THEN 'error' WHEN n <= 60 THEN 'warning' ELSE 'success' END, 'text'
                FROM numbers
            """),
            {"midnight": int(MIDNIGHT.timestamp()) * 1_000_000},
        )
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE"))
    await engine.dispose()
    database = Database(database_url)
    journal = SqlJournal(database)
    rare = [JournalStatus.ERROR, JournalStatus.WARNING]
    reads = {
        "newest": lambda: journal.page("acme"),
        "a day": lambda: journal.page("acme", DAY),
        "the far end": lambda: journal.page("acme", DAY, cursor=cursor_of('[1772323200000099, "e-99"]')),
        "one rare status": lambda: journal.page("acme", DAY, rare[:1]),
        "two rare statuses": lambda: journal.page("acme", None, rare),
        "a status that is not there": lambda: journal.page("acme", DAY, [JournalStatus.PENDING]),
        "another Seller": lambda: journal.page("other"),
        "nothing to purge": lambda: journal.purge(MIDNIGHT),
    }
    try:
        # Through an index these take 2 to 5 ms, by a scan of the table many times that.
        assert {name: took for name, read in reads.items() if (took := await fastest(read)) > 0.05} == {}
        assert [one.status for one in (await journal.page("acme", DAY, rare)).entries] == [rare[1]] * 30 + [
            rare[0]
        ] * 20
    finally:
        await database.aclose()
