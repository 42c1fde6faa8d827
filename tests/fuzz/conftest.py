"""One engine for all fuzz tests, and a watch over each: no unhandled error in a log, no workflow task that failed."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from sandbox.server import SandboxServer
from tests.fuzz.openapi import FUZZED, OPERATOR, restock
from tests.fuzz.watch import failed_tasks, watching
from tests.support.engine import Engine
from workflows.catalog_policies import catalog_queue


@pytest.fixture(scope="session")
async def fuzzed_engine(
    temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    async with Engine(temporal, seller.url, tmp_path_factory.mktemp("fuzz"), **FUZZED) as running:
        running.http.headers["Authorization"] = f"Bearer {OPERATOR}"
        yield running


@pytest.fixture
async def engine(fuzzed_engine: Engine, fresh_seller: SandboxServer) -> AsyncIterator[Engine]:
    """An engine with keys and a catalog; the test fails when anything in it has broken."""
    await restock(fuzzed_engine)
    with watching() as watch:
        yield fuzzed_engine
        queue = fuzzed_engine.settings.task_queue
        assert await failed_tasks(fuzzed_engine.client, queue, catalog_queue(queue)) == []
    assert watch.findings == []
