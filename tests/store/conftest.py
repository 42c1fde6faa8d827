"""Both databases: a SQLite file, and a PostgreSQL server of our own where its programs are installed."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from marketplace.settings import Settings
from marketplace.store.database import Database
from marketplace.store.offers import SqlOfferStore
from marketplace.store.orders import SqlOrderStore
from marketplace.store.stores import Stores, open_stores
from marketplace.store.tables import metadata

UNPRIVILEGED = "nobody"
STARTUP_SECONDS = 60
DATABASES = ("sqlite", "postgresql")


class PostgresServer:
    """A PostgreSQL server on a free loopback port, its data in a directory of its own."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._directory = Path(tempfile.mkdtemp(prefix="orders-postgres-"))
        # PostgreSQL refuses to run as root.
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._directory, self._user)
        self._data = self._directory / "data"
        self._names = count()
        # Like most servers in production, one whose locale sorts texts otherwise than by bytes, where it can be had.
        if self._initdb("--locale-provider=icu", "--icu-locale=en-US").returncode:
            self._initdb().check_returncode()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def _initdb(self, *locale: str) -> subprocess.CompletedProcess[bytes]:
        fixed = ["--username=engine", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        make: list[str | Path] = [self._programs / "initdb", "-D", self._data, *fixed, *locale]
        return subprocess.run(make, user=self._user, cwd=self._directory, check=False, capture_output=True)

    def start(self) -> None:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, *(f"--{key}={value}" for key, value in options.items())],
            user=self._user,
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + STARTUP_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)  # "fast": sessions are ended
        self._process.wait(STARTUP_SECONDS)

    def remove(self) -> None:
        # "Immediate": nothing is written any more, since all of it is thrown away.
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(STARTUP_SECONDS)
        shutil.rmtree(self._directory)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement.encode())

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://engine@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"orders_{next(self._names)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def _postgres_programs() -> Path | None:
    """The directory of `initdb` and `postgres`; Debian keeps them off the PATH."""
    found = [Path(which).resolve().parent] if (which := shutil.which("initdb")) else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in found if (place / "postgres").exists() and (place / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    programs = _postgres_programs()
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
