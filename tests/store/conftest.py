"""Both databases: a SQLite file, and a PostgreSQL server of our own where its programs are installed."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from marketplace.settings import Settings
from marketplace.store.database import Database
from marketplace.store.offers import SqlOfferStore
from marketplace.store.orders import SqlOrderStore
from marketplace.store.stores import Stores, open_stores
from marketplace.store.tables import metadata
from tests.support.postgres import PostgresServer, postgres_programs

DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL's programs initdb and postgres are not installed")
    server = PostgresServer(programs)
    yield server
    server.remove()


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Gives the URL of a new, empty database of a kind. PostgreSQL is started only for tests that ask for it."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite+aiosqlite:///{tmp_path}/data dir/orders.sqlite3"
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.new_database()

    return make


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    """An empty database, of each kind in turn."""
    return new_database(request.param)


@pytest.fixture(scope="session", params=DATABASES)
async def migrated_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A migrated database, of each kind in turn: one for all tests, most of which take less time than to make it."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('store')}/orders.sqlite3"
    else:
        url = request.getfixturevalue("postgres").new_database()
    # Through the constructor's check, so that the URL is one that a person can set.
    stores = await open_stores(Settings.model_validate({"database_url": url}))
    await stores.aclose()
    return url


@pytest.fixture
async def stores(migrated_url: str) -> AsyncIterator[Stores]:
    """The stores on a migrated database that has been emptied."""
    database = Database(migrated_url)
    async with database.transaction() as connection:
        for table in metadata.sorted_tables:
            await connection.execute(table.delete())
    stores = Stores(database)
    yield stores
    await stores.aclose()


@pytest.fixture
def offers(stores: Stores) -> SqlOfferStore:
    """The offers' store on a migrated database that has been emptied."""
    return stores.offers


@pytest.fixture
def store(stores: Stores) -> SqlOrderStore:
    """The order store on a migrated database that has been emptied."""
    return stores.orders
