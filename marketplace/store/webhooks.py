"""The delivery log in the database: what the storefront is to be told, and what became of it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Row, case, delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from marketplace.orders import Identifier, OrderStatus
from marketplace.store.base import DeliveryPage
from marketplace.store.cursors import DatabaseInt, check_limit, read_cursor, write_cursor
from marketplace.store.database import Database, from_micros, to_micros
from marketplace.store.journal import PURGE_BATCH
from marketplace.store.tables import webhook_deliveries as log
from marketplace.webhooks import Attempt, Delivery, DeliveryState, EventType

_KEY = tuple_(log.c.occurred_at, log.c.sequence, log.c.id)
_CURSOR: TypeAdapter[tuple[int, int, str]] = TypeAdapter(tuple[DatabaseInt, DatabaseInt, Identifier])
_TIMES = ("occurred_at", "queued_at", "last_attempt_at", "delivered_at")
_PENDING = log.c.state == DeliveryState.PENDING.value


class SqlWebhookStore:
    """`WebhookStore` on a migrated database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, event_id: str) -> Delivery | None:
        async with self._database.transaction() as connection:
            row = (await connection.execute(select(log).where(log.c.id == event_id))).first()
        return None if row is None else _from_row(row)

    async def page(
        self,
        marketplace_order_id: str | None = None,
        state: DeliveryState | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> DeliveryPage:
        check_limit(limit)
        filters: list[ColumnElement[bool]] = []
        if marketplace_order_id is not None:
            filters.append(log.c.marketplace_order_id == marketplace_order_id)
        if state is not None:
            filters.append(log.c.state == state.value)
        if since is not None:
            filters.append(log.c.occurred_at >= to_micros(since))
        if cursor is not None:
            filters.append(read_cursor(cursor, _CURSOR) > _KEY)
        newest_first = (log.c.occurred_at.desc(), log.c.sequence.desc(), log.c.id.desc())
        query = select(log).where(*filters).order_by(*newest_first).limit(limit + 1)
        async with self._database.transaction() as connection:
            rows = (await connection.execute(query)).all()
        page = rows[:limit]
        last = page[-1] if len(rows) > limit else None
        return DeliveryPage(
            deliveries=[_from_row(row) for row in page],
            next_cursor=write_cursor(last.occurred_at, last.sequence, last.id) if last else None,
        )

    async def pending(self, marketplace_order_id: str, limit: int) -> list[Delivery]:
        query = select(log).where(log.c.marketplace_order_id == marketplace_order_id, _PENDING)
        async with self._database.transaction() as connection:
            rows = await connection.execute(query.order_by(log.c.sequence).limit(limit))
            return [_from_row(row) for row in rows]

    async def tried(self, event_id: str, attempt: Attempt, at: datetime) -> None:
        state = DeliveryState.PENDING
        if attempt.error is None:
            state = DeliveryState.DELIVERED
        elif attempt.gone:
            state = DeliveryState.FAILED
        change: dict[str, Any] = {
            "attempts": log.c.attempts + 1,
            "last_attempt_at": to_micros(at),
            "last_status": attempt.status,
            "last_error": attempt.error,
            # Given up meanwhile, and found delivered after all, is delivered; and a repeat takes nothing back.
            "state": state.value if attempt.error is None else case((_PENDING, state.value), else_=log.c.state),
        }
        if attempt.error is None:
            change["delivered_at"] = to_micros(at)
        async with self._database.transaction() as connection:
            await connection.execute(update(log).where(log.c.id == event_id).values(change))

    async def give_up(self, event_id: str) -> None:
        change = update(log).where(log.c.id == event_id, _PENDING).values(state=DeliveryState.FAILED.value)
        async with self._database.transaction() as connection:
            await connection.execute(change)

    async def requeue(self, event_ids: Iterable[str], at: datetime) -> int:
        change = (
            update(log)
            .where(log.c.id.in_(list(event_ids)), ~_PENDING)
            .values(state=DeliveryState.PENDING.value, queued_at=to_micros(at), delivered_at=None)
        )
        async with self._database.transaction() as connection:
            return (await connection.execute(change)).rowcount

    async def purge(self, before: datetime, batch: int = PURGE_BATCH) -> int:
        oldest = select(log.c.id).where(log.c.occurred_at < to_micros(before), ~_PENDING)
        removal = delete(log).where(log.c.id.in_(oldest.order_by(log.c.occurred_at).limit(batch)))
        total, removed = 0, batch
        while removed == batch:
            async with self._database.transaction() as connection:
                removed = (await connection.execute(removal)).rowcount
            total += removed
        return total


async def write_events(database: Database, connection: AsyncConnection, events: Iterable[Delivery]) -> bool:
    """Write events of one order in the transaction of the record that they tell of; whether there were any.

    Each gets a sequence above those of all events before it.
    """
    rows = [_to_row(event) for event in events]
    if not rows:
        return False
    of_order = log.c.marketplace_order_id == rows[0]["marketplace_order_id"]
    last = await connection.scalar(select(func.max(log.c.sequence)).where(of_order)) or 0
    for row in rows:
        last = row["sequence"] = max(row["sequence"], last + 1)
    await connection.execute(database.insert_new(log), rows)
    return True


async def has_pending(connection: AsyncConnection, marketplace_order_id: str) -> bool:
    """Whether the storefront is to be told something of an order."""
    query = select(log.c.id).where(log.c.marketplace_order_id == marketplace_order_id, _PENDING).limit(1)
    return await connection.scalar(query) is not None


async def remove_events(connection: AsyncConnection, marketplace_order_id: str) -> None:
    """Remove what the storefront was told of an order, in somebody's transaction. What it is still to be told stays."""
    await connection.execute(delete(log).where(log.c.marketplace_order_id == marketplace_order_id, ~_PENDING))


def _to_row(event: Delivery) -> dict[str, Any]:
    times = {name: None if (at := getattr(event, name)) is None else to_micros(at) for name in _TIMES}
    return {**event.model_dump(mode="json", by_alias=False), **times}


def _from_row(row: Row[Any]) -> Delivery:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    times = {name: None if values[name] is None else from_micros(values[name]) for name in _TIMES}
    return Delivery.model_construct(
        **{
            **values,
            **times,
            "type": EventType(values["type"]),
            "status": OrderStatus(values["status"]),
            "state": DeliveryState(values["state"]),
        }
    )
