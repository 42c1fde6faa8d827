"""An engine for `doctor` to look at, with a Temporal server of its own."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from activities.schedules import ensure_schedules
from marketplace.temporal import ensure_search_attributes
from sandbox.server import SandboxServer
from tests.cli.terminal import enter
from tests.support.engine import SERVER_FLAGS, Engine
from tests.support.temporal import development_server
from workflows.catalog_policies import SKU_ID, catalog_queue
from workflows.policies import SEARCH_ATTRIBUTES


@pytest.fixture(scope="package")
async def own_temporal() -> AsyncIterator[Client]:
    """A Temporal server of our own: with namespaces that lack what is needed, and quick to tell of failing tasks."""
    namespaces = [part for name in ("bare", "wrong") for part in ("--namespace", name)]
    at_once = ["--dynamic-config-value", "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=1"]
    async with await development_server([*SERVER_FLAGS, *namespaces, *at_once]) as environment:
        await ensure_search_attributes(environment.client, [*SEARCH_ATTRIBUTES, SKU_ID])
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace="wrong",
                search_attributes={"NeedsAttention": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD},
            )
        )
        yield environment.client


@pytest.fixture(scope="package")
async def well(
    own_temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    async with Engine(own_temporal, seller.url, tmp_path_factory.mktemp("doctor"), catalog=True) as engine:
        await ensure_schedules(own_temporal, engine.settings, engine.sellers)
        kinds = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
        names = (engine.settings.task_queue, catalog_queue(engine.settings.task_queue))
        async with asyncio.timeout(30):
            for queue, kind in itertools.product([TaskQueue(name=name) for name in names], kinds):
                asked = DescribeTaskQueueRequest(namespace="default", task_queue=queue, task_queue_type=kind)
                while not (await own_temporal.workflow_service.describe_task_queue(asked)).pollers:
                    await asyncio.sleep(0.02)
        yield engine


@pytest.fixture
def examined(well: Engine, fresh_seller: SandboxServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """The engine that `doctor` examines, and its worker's environment."""
    enter(monkeypatch, well, tmp_path)
    return well
