"""An API that is a process of its own, with orders at the Seller, for those who forge callbacks about them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from marketplace.settings import secret_keys
from sandbox.config import SandboxConfig
from sandbox.server import SandboxServer
from tests.api.callback_line import Line, dispatched_line
from tests.security.forgery import Mint, Verdict, forged, send
from tests.support.engine import Engine
from tests.support.http_server import free_port
from tests.support.processes import EngineProcess, TemporalServer


@dataclass(frozen=True)
class Target:
    port: int
    mint: Mint
    lines: list[Line]
    log: Path
    process: psutil.Process

    async def attacked(self, count: int, connections: int, seed: int) -> Verdict:
        """Send so many forged calls about orders that are there and about others, and judge the answers."""
        known, unknown = [line.id for line in self.lines], [f"{line.id}x" for line in self.lines]
        return await send(self.port, forged(self.mint, known, unknown, seed), count, connections)

    async def changed(self) -> list[str]:
        """The orders that have heard of anything."""
        return [line.id for line in self.lines if await line.version() != line.version_at_first]


@asynccontextmanager
async def target(directory: Path, orders: int) -> AsyncIterator[Target]:
    """API and Temporal are processes of their own on free ports of loopback, the worker is in this one."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {"ORDER_ENGINE_PORT": str(port), "ORDER_ENGINE_PUBLIC_URL": url, "ORDER_ENGINE_RATE_LIMIT": "0"}
    async with TemporalServer(directory / "temporal") as temporal, SandboxServer(SandboxConfig()) as seller:
        await temporal.start()
        async with (
            Engine(await temporal.client(), seller.url, directory) as engine,
            EngineProcess(engine, directory / "api", temporal.address, **environment) as api,
        ):
            await api.start_api(url)
            lines = [await dispatched_line(engine) for _ in range(orders)]
            assert api._process is not None
            process = psutil.Process(api._process.pid)
            yield Target(port, Mint.of(secret_keys(engine.settings)), lines, api.log, process)
