"""A PostgreSQL server for tests, where its programs are installed."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

import psycopg

UNPRIVILEGED = "nobody"
STARTUP_SECONDS = 60


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
            "wal_compression": "off",
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

    def crash(self) -> None:
        """End it at once, as a crash does: nothing is written any more, and the next start recovers from its log."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(STARTUP_SECONDS)

    def freeze(self, *, thaw: bool = False) -> None:
        """Stop the server where it is: connections stay open and nobody answers on new ones; `thaw` ends that."""
        self._process.send_signal(signal.SIGCONT if thaw else signal.SIGSTOP)

    def remove(self) -> None:
        self.crash()
        shutil.rmtree(self._directory)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(statement.encode())

    def keep_plain(self, database: str) -> None:
        """Compress no value that is written into a database's tables from now on, so that files can be searched."""
        with psycopg.connect(self.url(database).replace("+psycopg", ""), autocommit=True) as connection:
            compressed = connection.execute(
                "SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE EXTERNAL', c.oid::regclass, a.attname)"
                " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
                " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attstorage = 'x'"
                " AND a.attnum > 0 AND NOT a.attisdropped"
            ).fetchall()
            for (statement,) in compressed:
                connection.execute(statement.encode())

    def write_ahead_log(self) -> bytes:
        """All that its log has, of every database."""
        return b"".join(file.read_bytes() for file in (self._data / "pg_wal").iterdir() if file.is_file())

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://engine@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"orders_{next(self._names)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def postgres_programs() -> Path | None:
    """The directory of `initdb` and `postgres`; Debian keeps them off the PATH."""
    found = [Path(which).resolve().parent] if (which := shutil.which("initdb")) else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in found if (place / "postgres").exists() and (place / "initdb").exists()), None)
