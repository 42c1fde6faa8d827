"""The journal in the database: written in bulk, read a day at a time, and thrown away when it is old."""

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, time
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import Row, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.journal import OF_ORDERS, Direction, JournalEntry, JournalStatus, MessageCode, Operation
from marketplace.orders import Identifier
from marketplace.store.base import JournalPage
from marketplace.store.cursors import DatabaseInt, check_limit, read_cursor, write_cursor
from marketplace.store.database import Database, from_micros, to_micros
from marketplace.store.tables import journal

PURGE_BATCH: Final = 1000
"""Entries removed in one transaction: a few milliseconds in which others wait."""

_DAY: Final = 86_400_000_000
"""Microseconds."""
_KEY = tuple_(journal.c.at, journal.c.id)
_CURSOR: TypeAdapter[tuple[int, str]] = TypeAdapter(tuple[DatabaseInt, Identifier])


class SqlJournal:
    """`Journal` on a migrated database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entries: Iterable[JournalEntry]) -> None:
        written = list(entries)
        if written:
            async with self._database.transaction() as connection:
                await write_entries(self._database, connection, written)

    async def page(
        self,
        seller: str,
        day: date | None = None,
        statuses: Collection[JournalStatus] = (),
        limit: int = 50,
        cursor: str | None = None,
    ) -> JournalPage:
        check_limit(limit)
        query = select(journal).where(journal.c.seller == seller)
        if day is not None:
            midnight = to_micros(datetime.combine(day, time.min, UTC))
            query = query.where(journal.c.at.between(midnight, midnight + _DAY - 1))
        if cursor is not None:
            query = query.where(read_cursor(cursor, _CURSOR) > _KEY)
        query = query.order_by(journal.c.at.desc(), journal.c.id.desc()).limit(limit + 1)
        wanted = set(statuses)
        # A query for each status: each reads its rows from the end of an index, none reads those of the others.
        some = 0 < len(wanted) < len(JournalStatus)
        queries = [query.where(journal.c.status == status.value) for status in wanted] if some else [query]
        async with self._database.transaction() as connection:
            rows = [row for one in queries for row in await connection.execute(one)]
        rows.sort(key=lambda row: (row.at, row.id), reverse=True)
        page = rows[:limit]
        return JournalPage(
            entries=[_from_row(row) for row in page],
            next_cursor=write_cursor(page[-1].at, page[-1].id) if len(rows) > limit else None,
        )

    async def purge(self, before: datetime, batch: int = PURGE_BATCH) -> int:
        oldest = select(journal.c.id).where(journal.c.at < to_micros(before)).order_by(journal.c.at).limit(batch)
        removal = delete(journal).where(journal.c.id.in_(oldest))
        total, removed = 0, batch
        while removed == batch:
            async with self._database.transaction() as connection:
                removed = (await connection.execute(removal)).rowcount
            total += removed
        return total


async def write_entries(database: Database, connection: AsyncConnection, entries: Iterable[JournalEntry]) -> None:
    """Write entries in somebody's transaction, so that what happened and what is told of it are never apart."""
    rows = [_to_row(entry) for entry in entries]
    if rows:
        await connection.execute(database.insert_new(journal), rows)


async def remove_entries(connection: AsyncConnection, seller: str, marketplace_order_id: str) -> None:
    """Remove what is told of an order, in somebody's transaction. A SKU of the same name keeps its entries."""
    about = journal.c.operation.in_([operation.value for operation in OF_ORDERS])
    of_order = (journal.c.seller == seller) & (journal.c.subject == marketplace_order_id)
    await connection.execute(delete(journal).where(of_order, about))


def _to_row(entry: JournalEntry) -> dict[str, Any]:
    return {**entry.model_dump(mode="json", by_alias=False), "at": to_micros(entry.at)}


def _from_row(row: Row[Any]) -> JournalEntry:
    # What is in the table was masked when it was written; to do so again for each reader takes its time.
    return JournalEntry.model_construct(
        **{
            **row._mapping,  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
            "at": from_micros(row.at),
            "operation": Operation(row.operation),
            "direction": Direction(row.direction),
            "status": JournalStatus(row.status),
            "code": None if row.code is None else MessageCode(row.code),
        }
    )
