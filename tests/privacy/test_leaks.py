"""With encryption keys set nothing of a customer can be read anywhere that the engine keeps or tells of things.

Searched are Temporal's database, its write-ahead log and its own log, what its API answers (search attributes, memos,
ids), the logs and metrics of every process, and the database of the record, the journal and the webhooks with its
write-ahead log. Each search is shown to find what is there: what a person has typed, and a customer of an engine
without keys.
"""

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, ListWorkflowExecutionsRequest
from temporalio.client import Client

from marketplace.security import EncryptionKey
from marketplace.settings import Settings
from marketplace.temporal import connect
from sandbox.server import SandboxServer
from tests.support.engine import LIMITS, Engine, new_order
from tests.support.http_server import free_port
from tests.support.postgres import PostgresServer, postgres_programs
from tests.support.processes import EngineProcess, TemporalServer

Json = dict[str, Any]

KEY = EncryptionKey("k1", b"0123456789abcdef" * 2)
CUSTOMER = {
    "email": "quinzinho@mail.example",
    "firstName": "Quinzinho",
    "lastName": "Vasconcelos",
    "document": "52998224725",
}
STREET = "Travessa do Arvoredo"
TELLTALES = [*CUSTOMER.values(), STREET]
QUOTED = " ".join(TELLTALES)
TYPED = "Zuleika"
"""A name that somebody types where no customer's data belongs: the record keeps it, until the order is erased."""


def personal_order(**changes: Any) -> Json:
    order = new_order(payment={"status": "approved", "transactionId": "t-1"}, **changes)
    order["clientProfileData"] |= CUSTOMER
    order["shippingData"]["address"] |= {"street": STREET, "receiverName": CUSTOMER["firstName"]}
    return order


def found(kept: str | bytes, words: list[str] = TELLTALES) -> list[str]:
    text = kept.encode() if isinstance(kept, str) else kept
    return [word for word in words if word.encode() in text]


# --- the databases of the record ---

Dump = Callable[[], bytes]


@dataclass(frozen=True)
class Database:
    url: str
    dump: Dump
    """All that is in it: SQLite's files as they are, its log among them; of PostgreSQL what a dump has."""
    log: Dump = bytes
    """PostgreSQL's write-ahead log."""
    keep_plain: Callable[[], None] = lambda: None
    """Have it compress nothing from now on: where a value is compressed a search proves nothing."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL's programs initdb and postgres are not installed")
    server = PostgresServer(programs)
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty one."""
    if request.param == "sqlite":
        path = tmp_path / "record" / "orders.sqlite3"
        path.parent.mkdir()
        return Database(f"sqlite:///{path}", lambda: b"".join(file.read_bytes() for file in path.parent.iterdir()))
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.new_database()
    programs = postgres_programs()
    assert programs is not None

    def dump() -> bytes:
        command = [str(programs / "pg_dump"), "--inserts", url.replace("+psycopg", "")]
        return subprocess.run(command, capture_output=True, check=True).stdout

    name = url.rpartition("/")[2]
    return Database(url, dump, server.write_ahead_log, lambda: server.keep_plain(name))


# --- the processes ---


class Parts:
    """Worker, API and codec as processes, each logging in the one form or the other."""

    def __init__(self, own: Engine, directory: Path, temporal: str, worker_log: str, api_log: str) -> None:
        self.url, self.ports = f"http://127.0.0.1:{(port := free_port())}", [free_port() for _ in range(4)]
        common = {
            "ORDER_ENGINE_ENCRYPTION_KEYS": f"{KEY.id}:{base64.b64encode(KEY.secret).decode()}",
            "ORDER_ENGINE_PORT": str(port),
            "ORDER_ENGINE_PUBLIC_URL": self.url,
        }
        shown = [f"127.0.0.1:{number}" for number in self.ports]
        metrics = ("ORDER_ENGINE_METRICS_ADDRESS", "ORDER_ENGINE_TEMPORAL_METRICS_ADDRESS")
        changes = common | dict(zip(metrics, shown[:2], strict=True)) | {"ORDER_ENGINE_LOG_FORMAT": worker_log}
        self.worker = EngineProcess(own, directory / "worker", temporal, **changes)
        changes = common | dict(zip(metrics, shown[2:], strict=True)) | {"ORDER_ENGINE_LOG_FORMAT": api_log}
        self.api = EngineProcess(own, directory / "api", temporal, **changes)

    async def metrics(self) -> str:
        """What Prometheus would read of all of them."""
        async with httpx.AsyncClient() as http:
            pages = [await http.get(f"http://127.0.0.1:{port}/metrics") for port in self.ports]
            pages.append(await http.get(f"{self.url}/metrics"))
        assert {page.status_code for page in pages} == {200}
        return "\n".join(page.text for page in pages)


@asynccontextmanager
async def running(
    server: TemporalServer, seller: str, directory: Path, database_url: str, formats: tuple[str, str]
) -> AsyncIterator[tuple[Engine, Parts]]:
    client = await connect(Settings(encryption_keys=(KEY,)))
    settings = {"database_url": database_url, "encryption_keys": (KEY,)}
    own = Engine(client, seller, directory, run_worker=False, **settings)
    parts = Parts(own, directory, server.address, *formats)
    # Its own API shares this process and so its log: the one that is asked is the other.
    async with (
        own as engine,
        parts.worker,
        parts.api,
        httpx.AsyncClient(base_url=parts.url, timeout=40, limits=LIMITS) as http,
    ):
        await asyncio.gather(parts.worker.start_worker(), parts.api.start_api(parts.url))
        engine.http = http
        yield engine, parts


async def told_by_temporal(client: Client) -> bytes:
    """What Temporal's API answers to whoever may look: lists and descriptions of all workflows, as they are sent."""
    listed = await client.workflow_service.list_workflow_executions(ListWorkflowExecutionsRequest(namespace="default"))
    told = [listed.SerializeToString()]
    for one in listed.executions:
        run = WorkflowExecution(workflow_id=one.execution.workflow_id)
        asked = DescribeWorkflowExecutionRequest(namespace="default", execution=run)
        told.append((await client.workflow_service.describe_workflow_execution(asked)).SerializeToString())
    return b"".join(told)


async def live(engine: Engine) -> list[str]:
    """Take orders through what may happen to them, with everybody quoting the customer; the ids."""
    order = personal_order()
    await engine.fault("place", "error", order, httpStatus=500, message=QUOTED, times=2)
    answer = await engine.post(order)
    assert answer.status_code == 201, answer.text
    await engine.until(order, status="handling")
    for what in ("invoice", "tracking", "delivery"):
        for sent in await engine.seller_sends(order, what):
            assert sent["status"] == 200
    await engine.until(order, status="delivered")
    assert found(str((await engine.ledger(order))["received"])) == TELLTALES

    refused = personal_order()
    await engine.fault("place", "error", refused, code="CHK003", message=QUOTED)
    assert (await engine.post(refused)).json()["status"] == "rejected"
    dearer = personal_order()
    dearer["items"][0]["price"] += 1
    dearer["marketplacePaymentValue"] += 2
    assert (await engine.post(dearer)).json()["status"] == "rejected"
    parked = personal_order()
    await engine.fault("place", "forbidden", parked, message=QUOTED)
    assert (await engine.post(parked, wait=1)).status_code in {201, 202}
    await engine.until(parked, needsAttention=True)
    malformed = {**personal_order(), "unknown": QUOTED}
    answer = await engine.post(malformed)
    assert (answer.status_code, found(answer.text)) == (422, [])
    return [one["marketplaceOrderId"] for one in (order, refused, dearer, parked)]


async def test_nothing_of_a_customer_can_be_read_anywhere(
    database: Database, fresh_seller: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, on_sqlite = database.url, database.url.startswith("sqlite")
    formats = ("text", "json") if on_sqlite else ("json", "text")
    async with TemporalServer(tmp_path / "temporal") as server:
        await server.start()
        monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)
        stranger = await server.client()
        async with running(server, fresh_seller.url, tmp_path, url, formats) as (engine, parts):
            database.keep_plain()
            ids = await live(engine)
            typed = await engine.placed()
            path = f"/orders/{typed['marketplaceOrderId']}/cancel"
            await engine.http.post(path, json={"reason": f"{TYPED} is ill", "requestedByUser": True})
            await engine.workflow(typed).result()

            places = {
                "record": database.dump(),
                "record's log": database.log(),
                "Temporal's answers": await told_by_temporal(stranger),
                "metrics": (await parts.metrics()).encode(),
                "worker's log": parts.worker.log.read_bytes(),
                "API's log": parts.api.log.read_bytes(),
            }
            hits = {place: hit for place, kept in places.items() if (hit := found(kept, [*TELLTALES, TYPED]))}
            records = ["record"] if on_sqlite else ["record", "record's log"]
            assert hits == {place: [TYPED] for place in records}
            # That there was something to be searched.
            for place in (*records, "Temporal's answers"):
                assert found(places[place], ids) == ids
            told = {"worker's log": "worker runs", "API's log": "api listens", "metrics": "order_engine_"}
            assert [place for place, word in told.items() if not found(places[place], [word])] == []
            erased = await engine.http.post(f"/orders/{typed['marketplaceOrderId']}/erase")
            assert erased.status_code == 200, erased.text
            assert found(database.dump(), [TYPED]) == []

        words = [*TELLTALES, TYPED]
        assert {word: server.hits(word) for word in words} == dict.fromkeys(words, 0)
        if on_sqlite:
            # The same search in what an engine without keys leaves behind.
            async with Engine(stranger, fresh_seller.url, tmp_path) as careless:
                assert (await careless.post(personal_order())).status_code == 201
            async with asyncio.timeout(20):
                while not all(server.hits(word) for word in TELLTALES):
                    await asyncio.sleep(0.05)
