"""The topology of docker-compose.yml without containers: its own scripts, and every part a process of its own."""

import asyncio
import base64
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from tests.chaos.stack import Process
from tests.support.engine import new_order
from tests.support.http_server import free_port
from tests.support.postgres import PostgresServer, postgres_programs
from tests.support.processes import ROOT, STARTUP

Json = dict[str, Any]

BIN: Final = Path(sys.executable).parent
ORDER_ENGINE: Final = str(BIN / "order-engine")
_SELLERS: Final = """\
[sellers.{account}]
affiliate_id = "MKP"
sales_channel = 1
app_key_env = "SHOP_APP_KEY"
app_token_env = "SHOP_APP_TOKEN"
base_url = "{url}"
refresh_interval = "off"
"""


async def script(path: str, **environment: str) -> None:
    """Run a script of deploy/, with PostgreSQL's programs and ours on the PATH, and see that it succeeds."""
    places = [str(BIN), str(postgres_programs() or ""), os.environ["PATH"]]
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        str(ROOT / path),
        env={"PATH": os.pathsep.join(filter(None, places)), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()


async def make_roles(server: PostgresServer, **passwords: str) -> None:
    """What PostgreSQL's container does once: the role and the databases of each."""
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "POSTGRES_USER": "engine"}
    await script("deploy/postgres/roles.sh", **where, **passwords)


async def make_namespace(address: str, namespace: str, retention: str = "30d") -> None:
    """What the namespace job does at every start."""
    variables = {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": namespace, "TEMPORAL_RETENTION": retention}
    await script("deploy/temporal/namespace.sh", **variables, TEMPORAL_CONFIG_FILE=os.devnull, HOME="/nowhere")


class Topology:
    """Workers and API with settings as in production, beside a PostgreSQL, a Temporal and a Seller that run already.

    The API listens on every address, as it does in a container: so it insists on keys and secrets.
    """

    def __init__(
        self, directory: Path, postgres: PostgresServer, temporal: str, seller: tuple[str, str], password: str
    ) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.namespace = f"orders-{uuid4().hex[:8]}"
        self.account, self.sandbox_url = seller
        self.address = temporal
        self.secrets = {
            "ORDER_ENGINE_SECRET_KEY": secrets.token_urlsafe(32),
            "ORDER_ENGINE_STOREFRONT_KEYS": secrets.token_urlsafe(32),
            "ORDER_ENGINE_OPERATOR_KEYS": secrets.token_urlsafe(32),
            "ORDER_ENGINE_ENCRYPTION_KEYS": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "ORDER_ENGINE_DATABASE_URL": f"postgresql://order_engine:{password}@127.0.0.1:{postgres.port}/order_engine",
            "SHOP_APP_TOKEN": "sandbox-token",
        }
        sellers = directory / "sellers.toml"
        sellers.write_text(_SELLERS.format(account=self.account, url=self.sandbox_url))
        self.environment = {
            "TEMPORAL_ADDRESS": temporal,
            "TEMPORAL_NAMESPACE": self.namespace,
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "ORDER_ENGINE_SELLERS": str(sellers),
            "ORDER_ENGINE_DATA_DIR": str(directory / "data"),
            "ORDER_ENGINE_PUBLIC_URL": self.url,
            "ORDER_ENGINE_HOST": "0.0.0.0",
            "ORDER_ENGINE_PORT": str(self.port),
            "ORDER_ENGINE_LOG_FORMAT": "json",
            "SHOP_APP_KEY": "sandbox-key",
            **self.secrets,
        }
        self.processes = {name: self._process(name) for name in ("worker-1", "worker-2", "api")}
        self._stack = AsyncExitStack()

    def _process(self, name: str) -> Process:
        command = [ORDER_ENGINE, name.partition("-")[0]]
        return Process(self.directory / f"{name}.log", command, self.environment)

    async def __aenter__(self) -> Self:
        for process in self.processes.values():
            await self._stack.enter_async_context(process)
        self.storefront, self.operator = [
            await self._stack.enter_async_context(self._client(self.secrets[f"ORDER_ENGINE_{role}_KEYS"]))
            for role in ("STOREFRONT", "OPERATOR")
        ]
        self.sandbox = await self._stack.enter_async_context(
            httpx.AsyncClient(base_url=f"{self.sandbox_url}/sandbox", timeout=10, trust_env=False)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _client(self, key: str) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {key}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=40, trust_env=False)

    # --- the processes ---

    async def start(self, names: Iterable[str] | None = None) -> None:
        """Start processes all at once, or those named; return when each of them works."""
        started = list(names or self.processes)
        await asyncio.gather(*(self.processes[name].start() for name in started))
        for name in started:
            if name.startswith("worker"):
                await self.processes[name].until_logged("worker runs")
        async with asyncio.timeout(STARTUP):
            while not await self._is_ready():
                assert self.processes["api"].running, self.log("api")
                await asyncio.sleep(0.05)

    async def _is_ready(self) -> bool:
        with suppress(httpx.TransportError):
            return (await self.storefront.get("/health/ready")).status_code == 200
        return False

    async def stop(self, *names: str) -> dict[str, int]:
        """Tell processes to stop, all at once; their exit codes."""
        codes = await asyncio.gather(*(self.processes[name].end(signal.SIGTERM) for name in names))
        return dict(zip(names, codes, strict=True))

    def log(self, name: str) -> str:
        return self.processes[name].log.read_text(errors="replace")

    # --- the storefront, and the Seller ---

    async def post(self) -> Json:
        """Post an order and have it placed."""
        order = new_order(seller=self.account)
        answer = await self.storefront.post("/orders", json=order, headers={"Prefer": "wait=30"})
        assert answer.status_code in {201, 202}, answer.text
        return await self.until(order, "payment-pending")

    async def pay(self, order: Json) -> None:
        path = f"/orders/{order['marketplaceOrderId']}/payment"
        answer = await self.storefront.post(path, json={"status": "approved", "transactionId": "t-1"})
        assert answer.status_code in {200, 202}, answer.text

    async def deliver(self, order: Json) -> Json:
        """Let the Seller invoice, ship and deliver it."""
        for what in ("invoice", "tracking", "delivery"):
            answer = await self.sandbox.post(f"/orders/{order['marketplaceOrderId']}/{what}", json={})
            assert {sent["status"] for sent in answer.json()["callbacks"]} == {200}, answer.text
        return await self.until(order, "delivered")

    async def until(self, order: Json, status: str) -> Json:
        """Wait until the order has a status."""
        found: Json = {}
        async with asyncio.timeout(STARTUP):
            while found.get("status") != status:
                await asyncio.sleep(0.03)
                answer = await self.storefront.get(f"/orders/{order['marketplaceOrderId']}")
                found = answer.json() if answer.status_code == 200 else {}
        return found

    async def imported(self) -> Json:
        """The report of the import, once it has ended."""
        async with asyncio.timeout(STARTUP):
            while True:
                report: Json = (await self.operator.get(f"/catalog/{self.account}/import")).json()
                if report["state"] != "running":
                    return report
                await asyncio.sleep(0.05)


@asynccontextmanager
async def new_postgres() -> AsyncIterator[tuple[PostgresServer, str]]:
    """A PostgreSQL with the roles of deploy/postgres, and the password of the engine's. Its programs must be there."""
    programs = postgres_programs()
    assert programs is not None
    server = await asyncio.to_thread(PostgresServer, programs)
    try:
        password = secrets.token_urlsafe(24)
        await make_roles(
            server, ENGINE_DATABASE_PASSWORD=password, TEMPORAL_DATABASE_PASSWORD=secrets.token_urlsafe(24)
        )
        yield server, password
    finally:
        server.remove()
