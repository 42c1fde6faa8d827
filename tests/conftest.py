"""What tests of the whole engine share: one Temporal server, one sandbox Seller, one engine between them."""

import atexit
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from temporalio.client import Client

from marketplace.temporal import ensure_search_attributes
from sandbox.config import SandboxConfig
from sandbox.server import SandboxServer
from tests.support.engine import SERVER_FLAGS, Engine
from tests.support.temporal import development_server
from workflows.catalog_policies import SKU_ID
from workflows.policies import SEARCH_ATTRIBUTES


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        # A worker of xdist, at the end of its process; see `marketplace.process.leave`.
        atexit.register(os._exit, 0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The longest test waits most of its time: begun first, the others are done beside it.
    items.sort(key=lambda item: item.path.name != "test_chaos.py")


# A machine may be busy with something else: how long an example takes says nothing about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

MakeEngine = Callable[..., AbstractAsyncContextManager[Engine]]


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    async with await development_server(SERVER_FLAGS) as environment:
        await ensure_search_attributes(environment.client, [*SEARCH_ATTRIBUTES, SKU_ID])
        yield environment.client


@pytest.fixture(scope="session")
async def seller() -> AsyncIterator[SandboxServer]:
    async with SandboxServer(SandboxConfig()) as server:
        yield server


@pytest.fixture
async def fresh_seller(seller: SandboxServer) -> AsyncIterator[SandboxServer]:
    """The Seller without orders, faults or changed switches; and so it is left to those who use it as it is."""
    async with httpx.AsyncClient() as client:
        (await client.post(f"{seller.url}/sandbox/reset")).raise_for_status()
        yield seller
        (await client.post(f"{seller.url}/sandbox/reset")).raise_for_status()


@pytest.fixture(scope="session")
async def shared_engine(
    temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    async with Engine(temporal, seller.url, tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
def engine(shared_engine: Engine, fresh_seller: SandboxServer) -> Engine:
    """The one engine that all tests share, beside a Seller that is as new."""
    return shared_engine


@pytest.fixture
def make_engine(temporal: Client, fresh_seller: SandboxServer, tmp_path: Path) -> MakeEngine:
    """Makes engines with other settings, such as a payment_deadline of 1s."""

    def make(**changes: Any) -> Engine:
        return Engine(temporal, fresh_seller.url, tmp_path, **changes)

    return make
