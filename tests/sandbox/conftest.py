"""One sandbox Seller and one marketplace to call back, both real servers, reset for every test."""

from collections.abc import AsyncIterator

import httpx
import pytest

from sandbox.server import SandboxServer
from tests.sandbox.calls import Caller, acknowledged
from tests.support.scripted_server import ScriptedServer, scripted_server


@pytest.fixture(scope="session")
async def running() -> AsyncIterator[SandboxServer]:
    async with SandboxServer() as server:
        yield server


@pytest.fixture
async def marketplace() -> AsyncIterator[ScriptedServer]:
    """A marketplace that acknowledges every callback, until a test gives it another script."""
    async with scripted_server() as server:
        server.always = acknowledged()
        yield server


@pytest.fixture(scope="session")
async def client(running: SandboxServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, timeout=5) as client:
        yield client


@pytest.fixture
async def caller(client: httpx.AsyncClient, marketplace: ScriptedServer) -> AsyncIterator[Caller]:
    (await client.post("/sandbox/reset")).raise_for_status()
    yield Caller(client, f"{marketplace.url}/vtex?t=token-1")
    # Nothing of this test may still be calling when the next one's marketplace listens.
    (await client.post("/sandbox/reset")).raise_for_status()
