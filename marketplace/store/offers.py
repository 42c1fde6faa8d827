"""The offers in the database: what the marketplace sells, one row for each SKU of a Seller."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter
from sqlalchemy import bindparam, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.catalog import Offer, OfferStatus
from marketplace.store.base import Change, DuePage, OfferPage, Tell, tell_nothing
from marketplace.store.cursors import DatabaseInt, check_limit, read_cursor, write_cursor
from marketplace.store.database import Database, to_micros
from marketplace.store.journal import write_entries
from marketplace.store.tables import offers

_NEVER: Final = -1
"""Stands for no time at all, before every other: only so can rows without one be sorted and compared."""
_CURSOR: TypeAdapter[tuple[int]] = TypeAdapter(tuple[Annotated[DatabaseInt, Field(ge=0)]])
_DUE_CURSOR: TypeAdapter[tuple[int, int]] = TypeAdapter(tuple[DatabaseInt, DatabaseInt])
_DUE_KEY = tuple_(offers.c.changed_at, offers.c.sku_id)
_VALUES: Final = ("status", "sold", "version", "last_synced_at", "changed_at", "offer")


class SqlOfferStore:
    """`OfferStore` on a migrated database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, seller: str, sku_id: str) -> Offer | None:
        async with self._database.transaction() as connection:
            return (await self._read(connection, seller, [int(sku_id)])).get(int(sku_id))

    async def get_many(self, seller: str, ids: Iterable[str]) -> dict[str, Offer]:
        async with self._database.transaction() as connection:
            return {offer.id: offer for offer in (await self._read(connection, seller, map(int, ids))).values()}

    async def change(self, seller: str, ids: Iterable[str], change: Change, tell: Tell = tell_nothing) -> list[Offer]:
        wanted = {int(sku_id): sku_id for sku_id in ids}
        # Each round that fails has met a row that was not there when it began, and rows are never removed.
        while wanted:
            try:
                return await self._change(seller, wanted, change, tell)
            except _InsertedMeanwhile:
                continue
        return []

    async def page(
        self, seller: str, status: OfferStatus | None = None, limit: int = 50, cursor: str | None = None
    ) -> OfferPage:
        check_limit(limit)
        query = select(offers.c.sku_id, offers.c.offer).where(offers.c.seller == seller)
        if status is not None:
            query = query.where(offers.c.status == status.value)
        if cursor is not None:
            query = query.where(offers.c.sku_id > read_cursor(cursor, _CURSOR)[0])
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query.order_by(offers.c.sku_id).limit(limit + 1))).all()
        page = rows[:limit]
        return OfferPage(
            offers=[Offer.model_validate_json(row.offer) for row in page],
            next_cursor=write_cursor(page[-1].sku_id) if len(rows) > limit else None,
        )

    async def due(self, seller: str, before: datetime, limit: int = 500, after: str | None = None) -> DuePage:
        check_limit(limit)
        # The bare column `sold`, not a comparison with a parameter: only so do both databases see the partial index.
        query = select(offers.c.sku_id, offers.c.changed_at).where(
            offers.c.seller == seller, offers.c.sold, offers.c.last_synced_at < to_micros(before)
        )
        if after is not None:
            query = query.where(read_cursor(after, _DUE_CURSOR) > _DUE_KEY)
        query = query.order_by(offers.c.changed_at.desc(), offers.c.sku_id.desc()).limit(limit + 1)
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).all()
        page = rows[:limit]
        return DuePage(
            sku_ids=[str(row.sku_id) for row in page],
            next_cursor=write_cursor(page[-1].changed_at, page[-1].sku_id) if len(rows) > limit else None,
        )

    async def counts(self, seller: str) -> dict[OfferStatus, int]:
        query = select(offers.c.status, func.count()).where(offers.c.seller == seller).group_by(offers.c.status)
        async with self._database.transaction() as connection:
            found = {status: count for status, count in await connection.execute(query)}  # noqa: C416 - rows, not tuples
        return {status: found.get(status.value, 0) for status in OfferStatus}

    async def _change(self, seller: str, ids: Mapping[int, str], change: Change, tell: Tell) -> list[Offer]:
        async with self._database.transaction(reads_first=True) as connection:
            known = await self._read(connection, seller, ids, lock=True)
            changed = {number: change(sku_id, known.get(number)) for number, sku_id in ids.items()}
            rows = [
                _to_row(seller, number, offer) for number, offer in changed.items() if offer is not known.get(number)
            ]
            await self._insert(connection, [row for row in rows if row["sku_id"] not in known])
            await self._update(connection, [row for row in rows if row["sku_id"] in known])
            told = (entry for number, offer in changed.items() for entry in tell(known.get(number), offer))
            await write_entries(self._database, connection, told)
        return list(changed.values())

    async def _read(
        self, connection: AsyncConnection, seller: str, numbers: Iterable[int], *, lock: bool = False
    ) -> dict[int, Offer]:
        query = select(offers.c.sku_id, offers.c.offer).where(
            offers.c.seller == seller, offers.c.sku_id.in_(list(numbers))
        )
        if lock:
            # Always in the same order: so two changes wait for each other, and never both.
            query = query.order_by(offers.c.sku_id).with_for_update()
        return {row.sku_id: Offer.model_validate_json(row.offer) for row in await connection.execute(query)}

    async def _insert(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        # Sorted for the same reason as the locks: an insert waits for another one's of the same id.
        ordered = sorted(rows, key=lambda row: int(row["sku_id"]))
        insert = self._database.insert(offers).on_conflict_do_nothing().returning(offers.c.sku_id)
        inserted = (await connection.execute(insert, ordered)).all()
        if len(inserted) < len(rows):
            raise _InsertedMeanwhile

    async def _update(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        statement = (
            update(offers)
            .where(offers.c.seller == bindparam("its_seller"), offers.c.sku_id == bindparam("its_sku_id"))
            .values({name: bindparam(name) for name in _VALUES})
        )
        await connection.execute(
            statement,
            [{"its_seller": row.pop("seller"), "its_sku_id": row.pop("sku_id"), **row} for row in rows],
        )


class _InsertedMeanwhile(Exception):  # noqa: N818 - it names what happened
    """Another transaction has inserted an offer that this one took for new: what was computed from that is void."""


def _to_row(seller: str, number: int, offer: Offer) -> dict[str, Any]:
    if (offer.seller, int(offer.id)) != (seller, number):
        raise ValueError("a change may not give an offer another Seller or id")
    return {
        "seller": seller,
        "sku_id": number,
        "status": offer.status.value,
        "sold": offer.sold,
        "version": offer.version,
        "last_synced_at": _NEVER if offer.last_synced_at is None else to_micros(offer.last_synced_at),
        "changed_at": _NEVER if offer.changed_at is None else to_micros(offer.changed_at),
        "offer": offer.model_dump_json(),
    }
