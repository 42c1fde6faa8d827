"""The two stages of the races: with a Seller that is waited for, and with a payment that must come at once."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from sandbox.server import SandboxServer
from tests.races.stage import Stage


@pytest.fixture(scope="session")
async def patient(
    temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with Stage(temporal, seller, tmp_path_factory.mktemp("races")) as stage:
        yield stage


@pytest.fixture(scope="session")
async def impatient(
    temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with Stage(temporal, seller, tmp_path_factory.mktemp("expiring"), payment_deadline="50ms") as stage:
        yield stage
