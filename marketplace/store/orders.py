"""The order records in the database."""

import json
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import JSON, ColumnElement, Insert, Row, bindparam, cast, func, select, tuple_, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.erasure import ERASED, erase_order, erase_payment
from marketplace.journal import JournalEntry
from marketplace.orders import Identifier, Order, OrderStatus, PaymentReport
from marketplace.store.base import (
    ERASED_VERSION,
    UNDER_WAY,
    Events,
    OrderCounts,
    OrderIdTaken,
    OrderPage,
    OrderRecord,
)
from marketplace.store.cursors import DatabaseInt, check_limit, read_cursor, write_cursor
from marketplace.store.database import Database, from_micros, to_micros
from marketplace.store.journal import remove_entries, write_entries
from marketplace.store.tables import orders
from marketplace.store.webhooks import has_pending, remove_events, write_events

_page_key = tuple_(orders.c.created_at, orders.c.marketplace_order_id)
_cursor_type: TypeAdapter[tuple[int, str]] = TypeAdapter(tuple[DatabaseInt, Identifier])
_BY_ID = select(orders).where(orders.c.marketplace_order_id == bindparam("id"))
_FIXED = {"marketplace_order_id", "seller", "created_at"}
_RESET = 60_000_000
"""Microseconds by which a lower version must be the later one: more than clocks differ, and workflow tasks are lost."""


class SqlOrderStore:
    """`OrderStore` on a migrated database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Made once: SQLAlchemy takes as long to build it as the database to run it.
        self._upsert = _upsert(database)

    async def save(
        self, record: OrderRecord, entries: Iterable[JournalEntry] = (), events: Events | None = None
    ) -> bool:
        order = record.order
        async with self._database.transaction(reads_first=events is not None) as connection:
            before = None if events is None else await _last_record(connection, order)
            # Nothing written means that the version is there already, or that the id is another Seller's. To ask
            # which comes too late for nobody: rows are never removed and never change their Seller.
            newer = await connection.scalar(self._upsert, _to_row(record))
            if newer is None:
                kept = select(orders.c.seller, orders.c.version).where(
                    orders.c.marketplace_order_id == order.marketplace_order_id
                )
                seller, version = (await connection.execute(kept)).one()
                if seller != order.seller:
                    raise OrderIdTaken(f"order id {order.marketplace_order_id} is taken by another Seller's order")
                if version == ERASED_VERSION:
                    return False
            await write_entries(self._database, connection, entries)
            if events is None:
                return False
            if newer:
                return await write_events(self._database, connection, events(before, order))
            # Written before, by a try that may not have come to tell anybody.
            return await has_pending(connection, order.marketplace_order_id)

    async def get(self, marketplace_order_id: str) -> OrderRecord | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(_BY_ID, {"id": marketplace_order_id})).first()
        return None if row is None else _from_row(row)

    async def list(
        self,
        status: OrderStatus | None = None,
        seller: str | None = None,
        needs_attention: bool | None = None,  # noqa: FBT001 - a filter like the others
        limit: int = 50,
        cursor: str | None = None,
    ) -> OrderPage:
        check_limit(limit)
        filters: list[ColumnElement[bool]] = []
        if status is not None:
            filters.append(orders.c.status == status.value)
        if seller is not None:
            filters.append(orders.c.seller == seller)
        if needs_attention is not None:
            # The bare column, not a comparison with a parameter: only so do both databases see the partial index.
            filters.append(orders.c.needs_attention if needs_attention else ~orders.c.needs_attention)
        if cursor is not None:
            filters.append(_page_key < read_cursor(cursor, _cursor_type))
        query = (
            select(orders.c.order, orders.c.created_at, orders.c.marketplace_order_id)
            .where(*filters)
            .order_by(orders.c.created_at.desc(), orders.c.marketplace_order_id.desc())
            .limit(limit + 1)
        )
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).all()
        page = rows[:limit]
        return OrderPage(
            orders=[Order.model_validate_json(row.order) for row in page],
            next_cursor=write_cursor(page[-1].created_at, page[-1].marketplace_order_id) if len(rows) > limit else None,
        )

    async def erase(self, marketplace_order_id: str, at: datetime) -> OrderRecord | None:
        of_order = orders.c.marketplace_order_id == marketplace_order_id
        async with self._database.transaction(reads_first=True) as connection:
            row = (await connection.execute(select(orders).where(of_order).with_for_update())).first()
            if row is None:
                return None
            record = _from_row(row)
            if record.version != ERASED_VERSION:
                record = _erase(record, at)
                await connection.execute(update(orders).where(of_order).values(_to_row(record)))
            # Done again with each repetition: of a write that was under way then nothing is to remain either.
            await remove_entries(connection, record.order.seller, marketplace_order_id)
            await remove_events(connection, marketplace_order_id)
        await self._database.forget()
        return record

    async def counts(self, sellers: Collection[str]) -> OrderCounts:
        # Both read an index alone, or the rows of a partial one: what has ended costs nothing.
        under_way = (
            select(orders.c.seller, orders.c.status, func.count())
            .where(orders.c.seller.in_(sellers), orders.c.status.in_([status.value for status in UNDER_WAY]))
            .group_by(orders.c.seller, orders.c.status)
        )
        document = cast(orders.c.order, JSON) if self._database.is_postgresql else type_coerce(orders.c.order, JSON)
        reason = document[("reason", "code")].as_string()
        parked = select(reason, func.count()).where(orders.c.needs_attention).group_by(reason)
        async with self._database.transaction() as connection:
            by_status = (await connection.execute(under_way)).all()
            by_reason = (await connection.execute(parked)).all()
        counted = {seller: dict.fromkeys(UNDER_WAY, 0) for seller in sellers}
        for seller, status, number in by_status:
            counted[seller][OrderStatus(status)] = number
        return OrderCounts(under_way=counted, parked={code or "": number for code, number in by_reason})

    async def ping(self) -> None:
        await self._database.ping()


def _upsert(database: Database) -> Insert:
    """Writes a row unless a newer version of it, or another Seller's order, is there; returns the Seller if it did."""
    statement = database.insert(orders)
    new = statement.excluded
    newer = orders.c.version < new.version
    # An operator has taken the workflow back to an earlier event: its history is shorter, and its versions are lower.
    reset = (orders.c.updated_at < new.updated_at - _RESET) & (orders.c.version != ERASED_VERSION)
    return statement.on_conflict_do_update(
        index_elements=[orders.c.marketplace_order_id],
        set_={column.name: new[column.name] for column in orders.c if column.name not in _FIXED},
        where=(orders.c.seller == new.seller) & (newer | reset),
    ).returning(orders.c.seller)


async def _last_record(connection: AsyncConnection, order: Order) -> Order | None:
    # Locked: what is new by this record must not be told by another one that is being written too.
    query = select(orders.c.order).where(
        orders.c.marketplace_order_id == order.marketplace_order_id, orders.c.seller == order.seller
    )
    found = await connection.scalar(query.with_for_update())
    return None if found is None else Order.model_validate_json(found)


def _erase(record: OrderRecord, at: datetime) -> OrderRecord:
    return record.model_copy(
        update={
            "order": erase_order(record.order, at),
            # Fingerprints too: whoever knows a customer's data could ask by them whether an order was theirs.
            "digest": ERASED,
            "event_ids": [],
            "payment": erase_payment(record.payment),
            "version": ERASED_VERSION,
            "updated_at": at,
        }
    )


def _to_row(record: OrderRecord) -> dict[str, Any]:
    order = record.order
    return {
        "marketplace_order_id": order.marketplace_order_id,
        "seller": order.seller,
        "status": order.status.value,
        "needs_attention": order.needs_attention,
        "version": record.version,
        "digest": record.digest,
        "created_at": to_micros(record.created_at),
        "updated_at": to_micros(record.updated_at),
        "order": order.model_dump_json(),
        "payment": record.payment.model_dump_json() if record.payment else None,
        "event_ids": json.dumps(record.event_ids),
    }


def _from_row(row: Row[Any]) -> OrderRecord:
    return OrderRecord(
        order=Order.model_validate_json(row.order),
        digest=row.digest,
        version=row.version,
        payment=PaymentReport.model_validate_json(row.payment) if row.payment else None,
        event_ids=json.loads(row.event_ids),
        created_at=from_micros(row.created_at),
        updated_at=from_micros(row.updated_at),
    )
