"""The one database that all stores share: its engine, its transactions, and how it keeps times."""

from asyncio import CancelledError
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Insert, Table, event, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from marketplace.store.failures import available
from marketplace.store.migrate import CONNECT_SECONDS, check_schema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SQLITE_PRAGMAS: Final = (
    "PRAGMA busy_timeout = 10000",
    # Readers do not wait for the writer.
    "PRAGMA journal_mode = WAL",
    # One flush a checkpoint instead of one a commit. A crash of the process loses nothing; a power cut may lose the
    # last writes, but never damages the file, and the next step of each order's workflow writes its record anew.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    # What is overwritten or removed does not stay readable in the file until its place is needed.
    "PRAGMA secure_delete = ON",
)


class Database:
    """Connections to a migrated database. `database_url` with SQLAlchemy's asynchronous driver."""

    def __init__(self, database_url: str) -> None:
        self._engine = _create_engine(database_url)
        self._inserts: dict[str, Insert] = {}

    @property
    def is_postgresql(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    @asynccontextmanager
    async def transaction(self, *, reads_first: bool = False) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end unless something is raised. Raises StoreUnavailable.

        `reads_first`: what is read decides what is written. SQLite then lets in no other writer from the start;
        PostgreSQL needs rows read `with_for_update()`.
        """
        with available():
            async with self._engine.begin() as connection:
                if reads_first and not self.is_postgresql:
                    await connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One read without anything to commit, which is a turn less than a transaction. Raises StoreUnavailable."""
        with available():
            async with self._engine.connect() as connection:
                yield connection

    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """An insert that may be told what to do on a conflict, which each database spells its own way."""
        return postgresql.insert(table) if self.is_postgresql else sqlite.insert(table)

    def insert_new(self, table: Table) -> Insert:
        """An insert of rows that are not there; those that are stay as they are. One for each table, made once."""
        if table.name not in self._inserts:
            self._inserts[table.name] = self.insert(table).on_conflict_do_nothing()
        return self._inserts[table.name]

    async def ping(self) -> None:
        """Return when the database answers a query. Raises StoreUnavailable."""
        async with self.transaction() as connection:
            await connection.execute(select(1))

    async def forget(self) -> None:
        """Take what was removed out of the files too, as far as that is in our hands; see docs/security.md.

        SQLite's write-ahead log is emptied, unless somebody reads just then. PostgreSQL overwrites in its own time.
        """
        if not self.is_postgresql:
            async with self.transaction() as connection:
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    async def check_schema(self) -> None:
        """Return when the database has the tables of this version. Raises SchemaMissing and SchemaUnknown."""
        async with self.transaction() as connection:
            await connection.run_sync(check_schema)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._engine.dispose()


def to_micros(at: datetime) -> int:
    """A time as the tables keep it: microseconds since 1970 in UTC."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time that `to_micros` was given, in UTC."""
    return _EPOCH + micros * _MICROSECOND


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
    event.listen(engine.sync_engine, "handle_error", _roll_back_what_was_cancelled)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _roll_back_what_was_cancelled(context: ExceptionContext) -> None:
    # aiosqlite's thread takes a cancelled statement to its end. SQLAlchemy would close the connection then, and SQLite
    # keeps the lock of a closed connection that has an unread RETURNING: nobody could write any more.
    if isinstance(context.original_exception, CancelledError):
        context.is_disconnect = False
