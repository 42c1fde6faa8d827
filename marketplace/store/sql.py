"""The order records in a database: SQLite for one machine, PostgreSQL in production."""

import base64
import binascii
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Insert, Row, Table, event, make_url, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from marketplace.orders import Identifier, Order, OrderStatus, PaymentReport
from marketplace.settings import Settings
from marketplace.store.base import BadCursor, OrderIdTaken, OrderPage, OrderRecord
from marketplace.store.failures import available
from marketplace.store.migrate import CONNECT_SECONDS, migrate
from marketplace.store.tables import orders

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_page_key = tuple_(orders.c.created_at, orders.c.marketplace_order_id)
_cursor_type: TypeAdapter[tuple[int, str]] = TypeAdapter(
    tuple[Annotated[int, Field(ge=-(2**63), lt=2**63)], Identifier]
)
_FIXED = {"marketplace_order_id", "seller", "created_at"}
_SQLITE_PRAGMAS: Final = (
    "PRAGMA busy_timeout = 10000",
    # Readers do not wait for the writer.
    "PRAGMA journal_mode = WAL",
    # One flush a checkpoint instead of one a commit. A crash of the process loses nothing; a power cut may lose the
    # last writes, but never damages the file, and the next step of each order's workflow writes its record anew.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
)


async def open_store(settings: Settings) -> "SqlOrderStore":
    """Migrate the database of the settings and open it. Raises StoreUnavailable and SchemaUnknown."""
    database_url = settings.database_url.get_secret_value()
    await migrate(database_url)
    return SqlOrderStore(database_url)


class SqlOrderStore:
    """`OrderStore` on a migrated database. `database_url` with SQLAlchemy's asynchronous driver."""

    def __init__(self, database_url: str) -> None:
        self._engine = _create_engine(database_url)

    async def save(self, record: OrderRecord) -> None:
        order = record.order
        upsert = _upsert(self._engine.dialect.name, _to_row(record))
        holder = select(orders.c.seller).where(orders.c.marketplace_order_id == order.marketplace_order_id)
        async with self._transaction() as connection:
            # Nothing written means that the version is there already, or that the id is another Seller's. To ask
            # which comes too late for nobody: rows are never removed and never change their Seller.
            seller = (await connection.execute(upsert)).scalar() or await connection.scalar(holder)
        if seller != order.seller:
            raise OrderIdTaken(f"order id {order.marketplace_order_id} is taken by another Seller's order")

    async def get(self, marketplace_order_id: str) -> OrderRecord | None:
        query = select(orders).where(orders.c.marketplace_order_id == marketplace_order_id)
        async with self._transaction() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _from_row(row)

    async def list(
        self,
        status: OrderStatus | None = None,
        seller: str | None = None,
        needs_attention: bool | None = None,  # noqa: FBT001 - a filter like the others
        limit: int = 50,
        cursor: str | None = None,
    ) -> OrderPage:
        if limit < 1:
            raise ValueError("limit must be 1 or more")
        filters: list[ColumnElement[bool]] = []
        if status is not None:
            filters.append(orders.c.status == status.value)
        if seller is not None:
            filters.append(orders.c.seller == seller)
        if needs_attention is not None:
            # The bare column, not a comparison with a parameter: only so do both databases see the partial index.
            filters.append(orders.c.needs_attention if needs_attention else ~orders.c.needs_attention)
        if cursor is not None:
            filters.append(_page_key < _read_cursor(cursor))
        query = (
            select(orders.c.order, orders.c.created_at, orders.c.marketplace_order_id)
            .where(*filters)
            .order_by(orders.c.created_at.desc(), orders.c.marketplace_order_id.desc())
            .limit(limit + 1)
        )
        async with self._transaction() as connection:
            rows = (await connection.execute(query)).all()
        page = rows[:limit]
        return OrderPage(
            orders=[Order.model_validate_json(row.order) for row in page],
            next_cursor=_write_cursor(page[-1].created_at, page[-1].marketplace_order_id)
            if len(rows) > limit
            else None,
        )

    async def ping(self) -> None:
        async with self._transaction() as connection:
            await connection.execute(select(1))

    async def aclose(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        with available():
            async with self._engine.begin() as connection:
                yield connection


def _create_engine(database_url: str) -> AsyncEngine:
    # Parameters stay out of error texts, and so out of logs.
    if make_url(database_url).get_backend_name() == "postgresql":
        return create_async_engine(
            database_url,
            hide_parameters=True,
            pool_size=10,
            pool_timeout=CONNECT_SECONDS,
            # A connection that died with the server's restart is replaced instead of failing a request.
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_SECONDS},
        )
    # SQLite has one writer: more connections would only wait for each other, in a loop.
    engine = create_async_engine(database_url, hide_parameters=True, pool_size=4, max_overflow=0)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _upsert(dialect: str, row: dict[str, Any]) -> Insert:
    insert: Callable[[Table], postgresql.Insert | sqlite.Insert]
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(orders).values(row)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[orders.c.marketplace_order_id],
        set_={name: new[name] for name in row if name not in _FIXED},
        where=(orders.c.seller == new.seller) & (orders.c.version < new.version),
    ).returning(orders.c.seller)


def _to_row(record: OrderRecord) -> dict[str, Any]:
    order = record.order
    return {
        "marketplace_order_id": order.marketplace_order_id,
        "seller": order.seller,
        "status": order.status.value,
        "needs_attention": order.needs_attention,
        "version": record.version,
        "digest": record.digest,
        "created_at": (record.created_at - _EPOCH) // _MICROSECOND,
        "updated_at": (record.updated_at - _EPOCH) // _MICROSECOND,
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
        created_at=_EPOCH + row.created_at * _MICROSECOND,
        updated_at=_EPOCH + row.updated_at * _MICROSECOND,
    )


def _write_cursor(created_at: int, marketplace_order_id: str) -> str:
    key = json.dumps([created_at, marketplace_order_id])
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[int, str]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return _cursor_type.validate_json(base64.b64decode(padded, altchars=b"-_", validate=True), strict=True)
    except (binascii.Error, UnicodeEncodeError, ValidationError):
        raise BadCursor("the cursor is not one of this list: start without one") from None
