"""A storefront that is told, and an engine that tells it."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from sandbox.server import SandboxServer
from tests.support.engine import Engine
from tests.support.scripted_server import ScriptedServer, scripted_server

from .receiver import FAST, Receiver


@pytest.fixture(scope="package")
async def address() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        yield server


@pytest.fixture(scope="package")
async def telling(
    temporal: Client, seller: SandboxServer, address: ScriptedServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    settings = {"webhook_url": f"{address.url}/hooks", **FAST}
    async with Engine(temporal, seller.url, tmp_path_factory.mktemp("webhooks"), **settings) as running:
        yield running


@pytest.fixture
def receiver(address: ScriptedServer) -> Receiver:
    """The storefront; it takes whatever it is told until a test says otherwise."""
    address.follow()
    return Receiver(address)


@pytest.fixture
def engine(telling: Engine, receiver: Receiver, fresh_seller: SandboxServer) -> Engine:
    """The engine that tells it, beside a Seller that is as new."""
    return telling
