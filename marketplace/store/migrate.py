"""Bringing a database to the tables of this version: done by every process at its start, in turn."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import alembic.command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from marketplace.store.base import SchemaMissing, SchemaUnknown
from marketplace.store.failures import available, one_line

CONNECT_SECONDS: Final = 5
"""How long to wait for PostgreSQL to take a connection."""

LOCK_ID: Final = 0x6F72646572
"""PostgreSQL's advisory lock during a migration: any number that nobody else in the database uses."""

_WAIT_SECONDS: Final = 60
# Alembic keeps the migration at hand in module globals; across processes the database's own lock serves.
_one_at_a_time = threading.Lock()


async def migrate(database_url: str) -> None:
    """Apply the migrations that the database lacks. Any number of processes may do so at once: they take turns.

    `database_url` with SQLAlchemy's asynchronous driver, as in `Settings.database_url`. Raises StoreUnavailable, and
    SchemaUnknown when a newer version of the engine has migrated the database.
    """
    await asyncio.to_thread(_migrate, database_url)


def _migrate(database_url: str) -> None:
    with _one_at_a_time, available(), _exclusive(_sync_engine(database_url)) as connection:
        config = _config()
        config.attributes["connection"] = connection
        try:
            alembic.command.upgrade(config, "head")
        except CommandError as error:
            raise _newer(one_line(error)) from error


def check_schema(connection: Connection) -> None:
    """Return when the database has the tables of this version; nothing is changed in it.

    Raises SchemaMissing for one that was never migrated or by an older version, SchemaUnknown for a newer one.
    """
    scripts = ScriptDirectory.from_config(_config())
    current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    if current is None or current in {script.revision for script in scripts.walk_revisions()}:
        raise SchemaMissing("the database lacks tables of this version: start the worker or the API, they make them")
    raise _newer(f"revision {current} is not known")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "marketplace.store:migrations")
    return config


def _newer(why: str) -> SchemaUnknown:
    return SchemaUnknown(f"the database was migrated by a newer version ({why}): start that one")


def _sync_engine(database_url: str) -> Engine:
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        return create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
    Path(url.database or "").parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_engine(
        url.set(drivername="sqlite"),
        poolclass=NullPool,
        # No implicit BEGIN of the driver: it would come too late and leave table changes outside the transaction.
        connect_args={"timeout": _WAIT_SECONDS, "isolation_level": None},
    )
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _exclusive(engine: Engine) -> Iterator[Connection]:
    """One transaction that no other migrating process shares; it ends with all migrations or none."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK_ID})
        yield connection
