"""Pages of offers, what is due to be read anew, and both among many, on both databases."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from marketplace.catalog import Decision, Offer, OfferStatus, Problem, ProblemCode
from marketplace.store.base import BadCursor, OfferStore
from marketplace.store.database import Database
from marketplace.store.migrate import migrate
from marketplace.store.offers import SqlOfferStore

from .samples import AT, cursor_of, fastest, offer, one_more, put


async def all_pages(get: Callable[[str | None], Awaitable[tuple[list[str], str | None]]], limit: int) -> list[str]:
    """Every id, page by page."""
    found, cursor = await get(None)
    while cursor is not None:
        ids, cursor = await get(cursor)
        assert 1 <= len(ids) <= limit
        found += ids
    return found


async def paged(store: OfferStore, limit: int = 50, status: OfferStatus | None = None) -> list[str]:
    async def get(cursor: str | None) -> tuple[list[str], str | None]:
        page = await store.page("acme", status, limit, cursor)
        return [one.id for one in page.offers], page.next_cursor

    return await all_pages(get, limit)


async def due(store: OfferStore, minute: int, limit: int = 500) -> list[str]:
    async def get(after: str | None) -> tuple[list[str], str | None]:
        page = await store.due("acme", AT + timedelta(minutes=minute), limit, after)
        return page.sku_ids, page.next_cursor

    return await all_pages(get, limit)


# --- pages ---


async def test_pages_go_by_number_and_each_status_has_its_own(offers: SqlOfferStore) -> None:
    excluded = offer(3, decision=Decision.EXCLUDED)
    await put(offers, offer(20), offer(9), excluded, offer(100), offer(1, seller="other"))

    for limit in (1, 2, 3, 50):
        assert await paged(offers, limit) == ["3", "9", "20", "100"]
        assert await paged(offers, limit, OfferStatus.LISTED) == ["9", "20", "100"]
        assert await paged(offers, limit, OfferStatus.EXCLUDED) == ["3"]
        assert await paged(offers, limit, OfferStatus.FAILED) == []


async def test_an_offer_moves_to_the_pages_of_its_new_status(offers: SqlOfferStore) -> None:
    await put(offers, offer(7))
    await offers.change("acme", ["7"], lambda _, __: offer(7, failed=True))

    assert await paged(offers, status=OfferStatus.LISTED) == []
    assert await paged(offers, status=OfferStatus.FAILED) == ["7"]
    assert (await offers.page("acme", OfferStatus.FAILED)).offers[0].status is OfferStatus.FAILED


async def test_every_status_is_counted(offers: SqlOfferStore) -> None:
    await put(offers, offer(1), offer(2), offer(3, failed=True), offer(4, seller="other"))

    assert await offers.counts("acme") == {
        OfferStatus.LISTED: 2,
        OfferStatus.PENDING: 0,
        OfferStatus.EXCLUDED: 0,
        OfferStatus.BLOCKED: 0,
        OfferStatus.FAILED: 1,
    }


@pytest.mark.parametrize(
    "cursor", ["", "x", cursor_of("[]"), cursor_of('["7"]'), cursor_of("[-1]"), cursor_of("[7,8]")]
)
async def test_a_cursor_of_another_making_is_refused(offers: SqlOfferStore, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await offers.page("acme", cursor=cursor)
    with pytest.raises(BadCursor):
        await offers.due("acme", AT, after=cursor if cursor != cursor_of("[7,8]") else cursor_of("[7]"))


async def test_a_page_has_at_least_one_place(offers: SqlOfferStore) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        await offers.page("acme", limit=0)
    with pytest.raises(ValueError, match="1 or more"):
        await offers.due("acme", AT, limit=0)


# --- the refresh ---


async def test_what_is_due_is_sold_and_not_read_since_and_the_recently_changed_comes_first(
    offers: SqlOfferStore,
) -> None:
    def read(number: int, synced: int | None, changed: int | None, **more: Any) -> Offer:
        times: dict[str, Any] = {
            name: None if minute is None else AT + timedelta(minutes=minute)
            for name, minute in (("last_synced_at", synced), ("changed_at", changed))
        }
        return offer(number, **times, **more)

    blocked = [Problem(code=ProblemCode.SKU_INACTIVE, message="inactive")]
    await put(
        offers,
        read(1, 0, 0),
        read(2, 5, 5),
        read(3, 9, 9),
        read(4, 9, 1),
        read(5, 4, 2, blocks=blocked),
        read(6, 4, 2, failed=True),
        read(7, None, None),
        read(8, 4, 3, decision=Decision.PENDING),
        read(9, 4, 3, decision=Decision.EXCLUDED),
        read(10, 4, 3, seller="other"),
    )

    for limit in (1, 2, 500):
        assert await due(offers, 10, limit) == ["3", "2", "6", "5", "4", "1", "7"]
        assert await due(offers, 9, limit) == ["2", "6", "5", "1", "7"]
        assert await due(offers, -1, limit) == ["7"]


async def test_a_pass_meets_no_offer_twice_though_it_changes_and_none_is_left_out(offers: SqlOfferStore) -> None:
    await put(offers, *(offer(number, changed_at=AT + timedelta(seconds=number)) for number in range(6)))
    before = AT + timedelta(hours=1)
    met, after = [], None
    while True:
        page = await offers.due("acme", before, 2, after)
        met += page.sku_ids
        # One of each two is read and has changed, the other one cannot be read.
        await put(offers, offer(int(page.sku_ids[0]), last_synced_at=before, changed_at=before))
        if page.next_cursor is None:
            break
        after = page.next_cursor

    assert met == ["5", "4", "3", "2", "1", "0"]
    assert (await offers.due("acme", before)).sku_ids == ["4", "2", "0"]


# --- many ---


async def test_the_catalog_stays_fast_with_a_hundred_thousand_offers(database_url: str) -> None:
    rows = 100_000
    await migrate(database_url)
    await fill(database_url, rows)
    database = Database(database_url)
    store = SqlOfferStore(database)
    far = cursor_of(f"[{rows - 60}]")
    reads: dict[str, Callable[[], Awaitable[Any]]] = {
        "page 1": lambda: store.page("acme"),
        "page 2,000": lambda: store.page("acme", cursor=far),
        "failed, page 1": lambda: store.page("acme", OfferStatus.FAILED),
        "listed, page 2,000": lambda: store.page("acme", OfferStatus.LISTED, cursor=far),
        "pending: none": lambda: store.page("acme", OfferStatus.PENDING),
        "due, page 1": lambda: store.due("acme", AT),
        "due, last page": lambda: store.due("acme", AT, after=cursor_of("[100, 100]")),
        "one": lambda: store.get("acme", "50001"),
        "counts": lambda: store.counts("acme"),
        "change of 1": lambda: store.change("acme", ["50001"], one_more),
    }
    ids = [str(number) for number in range(1000, 1500)]
    try:
        # Through an index these take 1 to 10 ms, the counts 20 ms, by a scan of the table many times that.
        assert {name: took for name, read in reads.items() if (took := await fastest(read)) > 0.1} == {}
        assert len((await store.due("acme", AT)).sku_ids) == 500
        assert (await store.counts("acme"))[OfferStatus.FAILED] == rows // 1000
        assert await fastest(lambda: store.change("acme", ids, one_more), 2) < 1
    finally:
        await database.aclose()


async def fill(database_url: str, rows: int) -> None:
    """Every thousandth offer has failed, every third is not sold; the least recently changed are read anew already."""
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(
            text("""
                WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
                INSERT INTO offers (seller, sku_id, status, sold, version, last_synced_at, changed_at, offer)
                SELECT 'acme', n, CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'listed' END, n % 3 > 0, 1,
                       CASE WHEN n < 1000 THEN :later ELSE 0 END, n, replace(:offer, '"4711"', '"' || n || '"')
                FROM numbers
            """),
            {"rows": rows, "later": 2**60, "offer": offer(4711).model_dump_json()},
        )
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE"))
    await engine.dispose()
