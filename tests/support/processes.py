"""Temporal server, worker and API as processes of their own, to be killed and started again."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from marketplace.temporal import PLAIN, ensure_search_attributes
from tests.support.engine import SERVER_FLAGS, TEMPORAL, Engine
from tests.support.http_server import free_port
from workflows.catalog_policies import SKU_ID
from workflows.policies import SEARCH_ATTRIBUTES

STARTUP = 40.0
ROOT = Path(__file__).parents[2]
RUN_API = "import sys; from api.app import main; sys.exit(main())"


class Started:
    """A process, its output in `log`. Is killed at the end of its `async with`, if it still runs."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def launch(self, *command: str, environment: dict[str, str] | None = None) -> None:
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, **(environment or {})}, cwd=ROOT, stdout=output, stderr=output
            )

    def send(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self._process is not None and self.running:
            self._process.send_signal(number)

    async def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the exit code."""
        assert self._process is not None
        if self.running:
            self._process.send_signal(number)
        return await self._process.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            await self.end()

    async def until_logged(self, text: str, times: int = 1) -> None:
        """Wait until the process has said something so many times."""
        async with asyncio.timeout(STARTUP):
            while self.log.read_text(errors="replace").count(text) < times:
                assert self.running, self.log.read_text(errors="replace")
                await asyncio.sleep(0.03)


class TemporalServer(Started):
    """A development server that keeps what it gets in a file, so that it can go away and come back."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__(directory / "server.log")
        self.directory = directory
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        flags = ["--headless", "--ip", "127.0.0.1", "--port", str(self.port), "--log-level", "error"]
        pragmas = ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
        file = str(self.directory / "temporal.db")
        await self.launch(TEMPORAL, "server", "start-dev", *flags, "--db-filename", file, *pragmas, *SERVER_FLAGS)
        client = await self.client()
        await ensure_search_attributes(client, [*SEARCH_ATTRIBUTES, SKU_ID])

    async def client(self) -> Client:
        """A client, once the server answers."""
        async with asyncio.timeout(STARTUP):
            while True:
                assert self.running, self.log.read_text(errors="replace")
                try:
                    client = await Client.connect(self.address, data_converter=PLAIN)
                    await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=timedelta(seconds=2))
                except (RPCError, RuntimeError):
                    await asyncio.sleep(0.05)
                else:
                    return client

    def hits(self, text: str) -> int:
        """How often a text stands in what the server has written: database, write-ahead log and its own log."""
        return sum(path.read_bytes().count(text.encode()) for path in self.directory.iterdir())


class EngineProcess(Started):
    """The worker or the API of an engine, as `python -m worker` and its settings in the environment make it."""

    def __init__(self, engine: Engine, directory: Path, temporal: str, **environment: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__(directory / "process.log")
        sellers = directory / "sellers.toml"
        lines = [
            f"[sellers.{account}]\naffiliate_id = '{seller.affiliate_id}'\nsales_channel = {seller.sales_channel}\n"
            f"app_key_env = 'TEST_APP_KEY'\napp_token_env = 'TEST_APP_TOKEN'\nbase_url = '{seller.base_url}'\n"
            for account, seller in engine.sellers.items()
        ]
        sellers.write_text("\n".join(lines))
        settings = engine.settings
        self.environment = {
            "TEMPORAL_ADDRESS": temporal,
            "TEMPORAL_CONFIG_FILE": str(directory / "none.toml"),
            "TEST_APP_KEY": "sandbox-key",
            "TEST_APP_TOKEN": "sandbox-token",
            "ORDER_ENGINE_SELLERS": str(sellers),
            "ORDER_ENGINE_DATA_DIR": str(settings.data_dir),
            "ORDER_ENGINE_DATABASE_URL": settings.database_url.get_secret_value(),
            "ORDER_ENGINE_PUBLIC_URL": settings.public_url,
            "ORDER_ENGINE_PORT": str(engine.port),
            "ORDER_ENGINE_SECRET_KEY": ",".join(key.get_secret_value() for key in settings.secret_key),
            "ORDER_ENGINE_TASK_QUEUE": settings.task_queue,
            **environment,
        }
        self._starts = 0

    async def start_worker(self) -> None:
        """Start `python -m worker`; return when it polls."""
        self._starts += 1
        await self.launch(sys.executable, "-m", "worker", environment=self.environment)
        await self.until_logged("worker runs", self._starts)

    async def start_api(self, url: str) -> None:
        """Start the API; return when it answers at this address."""
        await self.launch(sys.executable, "-c", RUN_API, environment=self.environment)
        async with asyncio.timeout(STARTUP), httpx.AsyncClient() as client:
            while True:
                assert self.running, self.log.read_text(errors="replace")
                with suppress(httpx.TransportError):
                    await client.get(f"{url}/health/live")
                    return
                await asyncio.sleep(0.05)
