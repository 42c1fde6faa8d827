"""The engine as it runs in production, every part a process that can be killed, frozen and started again."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
import psycopg
from pydantic import SecretStr

from marketplace.security import AffiliateTokens
from tests.chaos.plan import APIS, WORKERS, Plan
from tests.chaos.proxy import Proxy
from tests.support.http_server import free_port
from tests.support.postgres import PostgresServer, postgres_programs
from tests.support.processes import RUN_API, STARTUP, Started, TemporalServer
from workflows.catalog_policies import catalog_queue

SECRET: Final = "a secret key for the chaos run"
QUEUE: Final = "chaos"
SKUS: Final = 40
_SELLERS: Final = """\
[sellers.acme]
affiliate_id = "MKP"
sales_channel = 1
app_key_env = "CHAOS_APP_KEY"
app_token_env = "CHAOS_APP_TOKEN"
base_url = "{url}"
refresh_interval = "off"
"""


class Process(Started):
    """A part that is run again and again: the same command, its output appended to one log."""

    def __init__(self, log: Path, command: list[str], environment: dict[str, str]) -> None:
        super().__init__(log)
        self._command = command
        self._environment = environment

    async def start(self) -> None:
        """Start it; it may take a moment until it works."""
        await self.launch(*self._command, environment=self._environment)


class Stack:
    """Temporal, a database, two workers, two API processes behind a load balancer, and the sandbox Seller.

    PostgreSQL where its programs are installed, else a SQLite file. `faults` is the share of what the network loses.
    """

    def __init__(self, directory: Path, faults: float, plan: Plan) -> None:
        self.directory = directory
        self.port = free_port()
        self._stack = AsyncExitStack()
        self.temporal = TemporalServer(directory / "temporal")
        programs = postgres_programs()
        self.postgres = PostgresServer(programs) if programs else None
        self.sandbox_url = f"http://127.0.0.1:{free_port()}"
        ports = [free_port() for _ in APIS]
        self.proxy = Proxy(self.port, ports, faults, plan.seed)
        sellers = directory / "sellers.toml"
        sellers.write_text(_SELLERS.format(url=self.sandbox_url))
        environment = self._environment(sellers, plan)
        sandbox = [sys.executable, "-m", "bench.seller", self.sandbox_url.rpartition(":")[2], str(SKUS), "chaos"]
        self.sandbox_process = Process(directory / "sandbox.log", sandbox, {})
        self.processes = {
            name: Process(directory / f"{name}.log", [sys.executable, "-m", "worker"], environment) for name in WORKERS
        }
        for name, port in zip(APIS, ports, strict=True):
            own = {**environment, "ORDER_ENGINE_PORT": str(port)}
            self.processes[name] = Process(directory / f"{name}.log", [sys.executable, "-c", RUN_API], own)

    @property
    def url(self) -> str:
        """Where the storefront and the Seller reach the engine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> str:
        return "PostgreSQL" if self.postgres else "SQLite"

    @property
    def notification_endpoint(self) -> str:
        return AffiliateTokens((SecretStr(SECRET),)).endpoint(self.url, "acme")

    @property
    def queues(self) -> tuple[str, str]:
        return QUEUE, catalog_queue(QUEUE)

    def logs(self) -> dict[str, str]:
        """What each part of the engine has written."""
        return {name: process.log.read_text(errors="replace") for name, process in self.processes.items()}

    async def __aenter__(self) -> Self:
        if self.postgres is not None:
            self._stack.callback(self.postgres.remove)
        await self._stack.enter_async_context(self.temporal)
        await self._stack.enter_async_context(self.sandbox_process)
        await self.temporal.start()
        await self.sandbox_process.start()
        for process in self.processes.values():
            await self._stack.enter_async_context(process)
            await process.start()
        await self._stack.enter_async_context(self.proxy)
        async with httpx.AsyncClient(trust_env=False) as http:
            await _until_ok(http, f"{self.sandbox_url}/sandbox/settings")
            await _until_ok(http, f"{self.url}/health/ready")
        for name in WORKERS:
            await self.processes[name].until_logged("worker runs")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # --- the blows ---

    async def kill(self, part: str, number: int = signal.SIGKILL) -> None:
        """End a part by a signal. PostgreSQL crashes in its own way; SQLite has no process to kill."""
        if part == "temporal":
            await self.temporal.end(number)
        elif part == "database":
            if self.postgres is not None:
                await asyncio.to_thread(self.postgres.crash if number == signal.SIGKILL else self.postgres.stop)
        else:
            await self.processes[part].end(number)

    async def start(self, part: str) -> None:
        """Start a part again."""
        if part == "temporal":
            await self.temporal.start()
        elif part == "database":
            if self.postgres is not None:
                await asyncio.to_thread(self.postgres.start)
        else:
            await self.processes[part].start()

    @asynccontextmanager
    async def frozen(self, part: str) -> AsyncIterator[None]:
        """Stop a part where it is, and let it go on at the end. Connections stay open, and nobody answers on them."""
        if part == "database":
            sessions = await asyncio.to_thread(self._sessions)
            self._freeze_database(sessions)
            try:
                yield
            finally:
                self._freeze_database(sessions, thaw=True)
        else:
            process = self.temporal if part == "temporal" else self.processes[part]
            process.send(signal.SIGSTOP)
            try:
                yield
            finally:
                process.send(signal.SIGCONT)

    def _sessions(self) -> list[int]:
        """The processes that serve the database's connections."""
        assert self.postgres is not None
        with psycopg.connect(self.postgres.url("postgres").replace("+psycopg", "")) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            return [pid for (pid,) in connection.execute(query)]

    def _freeze_database(self, sessions: list[int], *, thaw: bool = False) -> None:
        assert self.postgres is not None
        self.postgres.freeze(thaw=thaw)
        for pid in sessions:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT if thaw else signal.SIGSTOP)

    def _environment(self, sellers: Path, plan: Plan) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name.startswith("ORDER_ENGINE_")}
        for name in environment:
            del os.environ[name]
        url = self.postgres.new_database() if self.postgres else f"sqlite+aiosqlite:///{self.directory}/orders.sqlite3"
        return {
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "CHAOS_APP_KEY": "sandbox-key",
            "CHAOS_APP_TOKEN": "sandbox-token",
            "ORDER_ENGINE_SELLERS": str(sellers),
            "ORDER_ENGINE_DATA_DIR": str(self.directory),
            "ORDER_ENGINE_DATABASE_URL": url,
            "ORDER_ENGINE_PUBLIC_URL": self.url,
            "ORDER_ENGINE_SECRET_KEY": SECRET,
            "ORDER_ENGINE_TASK_QUEUE": QUEUE,
            "ORDER_ENGINE_SELLER_BACKOFF": "200ms",
            "ORDER_ENGINE_CANCEL_CHECK": "2s",
            "ORDER_ENGINE_PAYMENT_DEADLINE": f"{plan.payment_deadline:.0f}s",
            "ORDER_ENGINE_RETURN_WINDOW": "3s",
            "ORDER_ENGINE_NOTICE_DEBOUNCE": "200ms",
        }


async def _until_ok(http: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(STARTUP):
        while True:
            try:
                if (await http.get(url)).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
