"""A scripted Seller and a client that talks to it."""

from collections.abc import AsyncIterator

import pytest

from marketplace.seller.client import VtexSeller
from tests.seller.calls import QUICK
from tests.seller.samples import config
from tests.support.scripted_server import ScriptedServer, scripted_server


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as scripted:
        yield scripted


@pytest.fixture
async def seller(server: ScriptedServer) -> AsyncIterator[VtexSeller]:
    client = VtexSeller(config(server.url), QUICK)
    yield client
    await client.aclose()
