"""docker-compose.yml's topology as processes, with settings as in production: the whole of it, and its scripts."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from marketplace.temporal import listed_search_attributes
from sandbox.catalog import Sku, seed_skus
from sandbox.config import SandboxConfig
from sandbox.server import SandboxServer
from tests.production.topology import Topology, make_namespace, new_postgres
from tests.support.postgres import PostgresServer, postgres_programs
from workflows.catalog_policies import SKU_ID
from workflows.policies import SEARCH_ATTRIBUTES

SKUS = 50


@pytest.fixture(scope="module")
async def postgres() -> AsyncIterator[tuple[PostgresServer, str]]:
    if postgres_programs() is None:
        pytest.skip("PostgreSQL's programs initdb and postgres are not installed")
    async with new_postgres() as made:
        yield made


@pytest.fixture
async def shop() -> AsyncIterator[tuple[str, str]]:
    """Account and URL of a Seller of fifty SKUs, whom no other test knows."""
    skus = seed_skus()
    more = [Sku(id=str(number), name=f"Vase {number}", price=1000, stock=10) for number in range(6001, 6100)]
    account = f"shop-{uuid4().hex[:8]}"
    async with SandboxServer(SandboxConfig(account=account, skus=[*skus, *more][:SKUS])) as server:
        yield account, server.url


@pytest.fixture
async def topology(
    temporal: Client, postgres: tuple[PostgresServer, str], shop: tuple[str, str], tmp_path: Path
) -> AsyncIterator[Topology]:
    server, password = postgres
    address = temporal.service_client.config.target_host
    async with Topology(tmp_path, server, address, shop, password) as made:
        await make_namespace(address, made.namespace)
        yield made


def ask(topology: Topology, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(topology.secrets["ORDER_ENGINE_DATABASE_URL"]) as connection:
        return connection.execute(statement.encode()).fetchall()


async def kept_for(client: Client) -> timedelta:
    """How long the client's namespace keeps what has closed."""
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return described.config.workflow_execution_retention_ttl.ToTimedelta()


@pytest.mark.slow
async def test_orders_and_catalog_live_in_postgresql_through_the_death_of_a_worker(topology: Topology) -> None:
    # All at once on an empty database: each wants to migrate it, and to add what Temporal lacks.
    await topology.start()
    started = await topology.operator.post(f"/catalog/{topology.account}/import")
    assert started.status_code == 202, started.text
    first = await topology.post()
    # It takes the work that is in its hands with it.
    second_posted = asyncio.create_task(topology.post())
    await topology.pay(first)
    await topology.processes["worker-1"].end(signal.SIGKILL)
    second = await second_posted
    await topology.pay(second)
    for order in (first, second):
        await topology.until(order, "handling")
        delivered = await topology.deliver(order)
        assert delivered["invoicedValue"] == delivered["marketplacePaymentValue"]
    report = await topology.imported()
    assert (report["state"], report["done"], report["failed"]) == ("completed", SKUS, 0), report

    assert dict(ask(topology, "SELECT status, count(*) FROM orders GROUP BY status")) == {"delivered": 2}
    assert ask(topology, "SELECT count(*) FROM offers") == [(SKUS,)]
    assert ask(topology, "SELECT count(*) FROM alembic_version") == [(1,)]
    assert not list(topology.directory.rglob("*.sqlite3*"))

    assert await topology.stop("worker-2", "api") == {"worker-2": 0, "api": 0}
    for name in topology.processes:
        lines = topology.log(name).splitlines()
        assert lines
        assert all(isinstance(json.loads(line), dict) for line in lines)
        assert not [secret for secret in topology.secrets.values() if secret in topology.log(name)]


async def test_the_namespace_job_may_run_at_every_start(temporal: Client) -> None:
    config = temporal.service_client.config
    namespace = f"orders-{uuid4().hex[:8]}"
    wanted = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in (*SEARCH_ATTRIBUTES, SKU_ID)}
    # As it is, and with another retention: longer, then shorter than the first.
    for retention, days in (("30d", 30), ("30d", 30), ("45d", 45), ("7d", 7)):
        await make_namespace(config.target_host, namespace, retention)
        client = await Client.connect(config.target_host, namespace=namespace)
        assert await kept_for(client) == timedelta(days=days)
        assert await listed_search_attributes(client) == wanted


@pytest.mark.parametrize("role", ["order_engine", "temporal"])
async def test_each_role_owns_its_databases_and_cannot_open_others(
    postgres: tuple[PostgresServer, str], role: str
) -> None:
    server, _ = postgres
    own = {"order_engine": {"order_engine"}, "temporal": {"temporal", "temporal_visibility"}}[role]
    for database in ("order_engine", "temporal", "temporal_visibility", "postgres"):
        url = f"postgresql://{role}@127.0.0.1:{server.port}/{database}"
        if database in own:
            with psycopg.connect(url) as connection:
                connection.execute("CREATE TABLE of_my_own (id int)")
                connection.rollback()
        else:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(url)


async def test_roles_have_passwords_that_are_kept_hashed(postgres: tuple[PostgresServer, str]) -> None:
    server, password = postgres
    url = server.url("postgres").replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        statement = "SELECT rolpassword FROM pg_authid WHERE rolname IN ('order_engine', 'temporal')"
        kept = [found for (found,) in connection.execute(statement).fetchall()]
    assert len(kept) == 2
    assert all(found.startswith("SCRAM-SHA-256$") and password not in found for found in kept)
