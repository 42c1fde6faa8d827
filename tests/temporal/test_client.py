"""The client builder against a real development server: connection, encryption, search attributes."""

import asyncio
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import (
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from marketplace.codec import PayloadUnreadable
from marketplace.security import EncryptionKey
from marketplace.settings import Settings, SettingsError
from marketplace.temporal import (
    PLAIN,
    SearchAttributesMissing,
    TemporalUnreachable,
    connect,
    data_converter,
    ensure_search_attributes,
    reaching,
)

PROGRAM = str(Path(sys.executable).parent / "temporal")

CUSTOMER = "ana.souza@example.com"
KEY = EncryptionKey("k1", b"k" * 32)
OTHER_KEY = EncryptionKey("k2", b"o" * 32)

SELLER = SearchAttributeKey.for_keyword("Seller")
ORDER_STATUS = SearchAttributeKey.for_keyword("OrderStatus")
MARKETPLACE_ORDER_ID = SearchAttributeKey.for_keyword("MarketplaceOrderId")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")
ALL: list[SearchAttributeKey[Any]] = [SELLER, ORDER_STATUS, MARKETPLACE_ORDER_ID, NEEDS_ATTENTION]


class Customer(BaseModel):
    email: str


@activity.defn
async def refuse(customer: Customer) -> None:
    raise ApplicationError(f"{customer.email} is not known", non_retryable=True)


@workflow.defn(sandboxed=False)
class Greeting:
    """Takes a customer in every way there is: input, signal, activity, failure, result."""

    def __init__(self) -> None:
        self._signaled: list[Customer] = []

    @workflow.run
    async def run(self, customer: Customer) -> Customer:
        await workflow.wait_condition(lambda: bool(self._signaled))
        try:
            await workflow.execute_activity(
                refuse,
                customer,
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except ActivityError:
            return customer
        raise ApplicationError("the activity must have failed")

    @workflow.signal
    def greet(self, customer: Customer) -> None:
        self._signaled.append(customer)


@workflow.defn(sandboxed=False)
class Failing:
    @workflow.run
    async def run(self, customer: Customer) -> None:
        raise ApplicationError(f"no order for {customer.email}")


@pytest.fixture(scope="session")
def server_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporal")


@pytest.fixture(scope="session")
async def server(server_directory: Path) -> AsyncIterator[WorkflowEnvironment]:
    """A development server that keeps what it gets in a file."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=PROGRAM,
        dev_server_database_filename=str(server_directory / "temporal.db"),
        dev_server_log_level="error",
        dev_server_extra_args=["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"],
    )
    yield environment
    await environment.shutdown()


@pytest.fixture(autouse=True)
def no_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the developer has set for Temporal must not matter here."""
    for name in os.environ:
        if name.startswith("TEMPORAL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))


@pytest.fixture
def address(server: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server's address, also in the environment."""
    address = server.client.service_client.config.target_host
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    return address


async def greet(client: Client) -> None:
    """Run a customer through the server's history, in success and in failure."""
    queue = f"queue-{uuid.uuid4()}"
    customer = Customer(email=CUSTOMER)
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Greeting, Failing],
        activities=[refuse],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        handle = await client.start_workflow(Greeting.run, customer, id=f"greeting-{queue}", task_queue=queue)
        await handle.signal(Greeting.greet, customer)
        assert await handle.result() == customer
        with pytest.raises(WorkflowFailureError) as caught:
            await client.execute_workflow(Failing.run, customer, id=f"failing-{queue}", task_queue=queue)
        assert CUSTOMER in str(caught.value.cause)


def hits(directory: Path) -> int:
    """How often the customer stands in the server's files: database, write-ahead log and the rest."""
    return sum(path.read_bytes().count(CUSTOMER.encode()) for path in directory.iterdir())


# --- connection ---


async def test_the_client_goes_where_the_environment_says(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await connect(Settings())

    assert client.service_client.config.target_host == address
    assert client.namespace == "default"
    assert await client.service_client.check_health()
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "other")
    assert (await connect(Settings())).namespace == "other"


async def test_a_server_that_is_not_there_is_told_with_its_address_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")

    with pytest.raises(TemporalUnreachable) as caught:
        await connect(Settings())
    assert caught.value.address == "127.0.0.1:1"
    assert str(caught.value) == (
        "Temporal does not answer at 127.0.0.1:1 (Connection refused): start it, or set TEMPORAL_ADDRESS"
    )


async def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        with pytest.raises(TemporalUnreachable, match=rf"{address} \(nothing within 5 s\)"):
            await connect(Settings())


async def test_a_lazy_client_is_there_before_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    client = await connect(Settings(), lazy=True)

    with pytest.raises(TemporalUnreachable, match=r"127\.0\.0\.1:1 .*set TEMPORAL_ADDRESS"):
        await ensure_search_attributes(client, ALL)


@pytest.mark.parametrize("lazy", [True, False])
async def test_nobody_speaks_to_a_server_elsewhere_without_encryption(
    monkeypatch: pytest.MonkeyPatch, lazy: bool
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.invalid:7233")
    with pytest.raises(SettingsError, match=r"^ORDER_ENGINE_ENCRYPTION_KEYS is not set, and TEMPORAL_ADDRESS leads"):
        await connect(Settings(), lazy=lazy)
    if lazy:
        await connect(Settings(encryption_keys=(KEY,)), lazy=True)


async def test_a_server_that_went_away_is_told_like_one_that_never_came(monkeypatch: pytest.MonkeyPatch) -> None:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=PROGRAM, dev_server_log_level="error"
    ) as gone:
        address = gone.client.service_client.config.target_host
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        client = await connect(Settings())
        with reaching(client):
            await client.service_client.check_health(retry=False)

    with pytest.raises(TemporalUnreachable, match=address), reaching(client):
        await client.service_client.check_health(retry=False)


async def test_every_other_failure_of_a_call_stays_as_it_is(address: str) -> None:
    client = await connect(Settings())

    with pytest.raises(RPCError, match="not found"), reaching(client):
        await client.get_workflow_handle("nothing").describe()
    with pytest.raises(RuntimeError, match="a bug"), reaching(client):
        raise RuntimeError("a bug")


async def test_without_any_variable_the_client_looks_on_this_machine() -> None:
    client = await connect(Settings(), lazy=True)

    assert (client.service_client.config.target_host, client.namespace) == ("127.0.0.1:7233", "default")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TEMPORAL_PROFILE", "nowhere", "Profile 'nowhere' not found"),
        ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "/nowhere.pem", "/nowhere.pem"),
    ],
)
async def test_a_wrong_variable_of_temporal_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=expected):
        await connect(Settings())


# --- encryption ---


def test_without_keys_payloads_are_plain_pydantic_json() -> None:
    assert data_converter(Settings()) is PLAIN


def test_all_workflows_of_a_process_share_what_turns_values_into_payloads() -> None:
    made = [
        converter.payload_converter_class() for converter in (PLAIN, data_converter(Settings(encryption_keys=(KEY,))))
    ]
    assert made[0] is made[1]


async def test_with_keys_nothing_of_a_customer_is_in_the_servers_files(address: str, server_directory: Path) -> None:
    """Encrypted first: what the control writes afterwards would be found too."""
    before = hits(server_directory)
    await greet(await connect(Settings(encryption_keys=(KEY,))))
    assert hits(server_directory) == before

    await greet(await connect(Settings()))
    assert hits(server_directory) > before + 3


async def test_a_result_stays_readable_after_the_keys_were_rotated(address: str) -> None:
    client = await connect(Settings(encryption_keys=(KEY,)))
    rotated = await connect(Settings(encryption_keys=(OTHER_KEY, KEY)))
    stranger = await connect(Settings(encryption_keys=(OTHER_KEY,)))
    queue = f"queue-{uuid.uuid4()}"
    handle = await client.start_workflow(
        Greeting.run, Customer(email=CUSTOMER), id=f"rotated-{queue}", task_queue=queue
    )

    # The worker has the new key first, the order was started under the old one.
    async with Worker(
        rotated,
        task_queue=queue,
        workflows=[Greeting],
        activities=[refuse],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await handle.signal(Greeting.greet, Customer(email=CUSTOMER))
        result = await rotated.get_workflow_handle_for(Greeting.run, handle.id).result()
    assert result == Customer(email=CUSTOMER)
    with pytest.raises(PayloadUnreadable, match="with key 'k2'"):
        await client.get_workflow_handle_for(Greeting.run, handle.id).result()
    assert await stranger.get_workflow_handle_for(Greeting.run, handle.id).result() == result


# --- search attributes ---


async def listed(client: Client) -> dict[str, int]:
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return {name: int(kind) for name, kind in answer.custom_attributes.items()}


async def test_search_attributes_are_there_after_any_number_of_processes_asked_at_once(address: str) -> None:
    clients = [await connect(Settings()) for _ in range(4)]
    assert "OrderStatus" not in await listed(clients[0])

    await asyncio.gather(*(ensure_search_attributes(client, ALL) for client in clients))
    await ensure_search_attributes(clients[0], ALL)

    there = await listed(clients[0])
    assert {key.name: int(key.indexed_value_type) for key in ALL}.items() <= there.items()
    # And they can be used at once.
    attributes = TypedSearchAttributes(
        [SearchAttributePair(SELLER, "acme"), SearchAttributePair(NEEDS_ATTENTION, True)]
    )
    await clients[1].start_workflow(
        Greeting.run, Customer(email="-"), id=f"found-{uuid.uuid4()}", task_queue="nobody", search_attributes=attributes
    )


async def test_an_attribute_of_another_type_is_told(address: str) -> None:
    client = await connect(Settings())
    await ensure_search_attributes(client, [SearchAttributeKey.for_int("Taken")])

    with pytest.raises(SearchAttributesMissing, match=r"Taken \(KEYWORD\): others of the same name"):
        await ensure_search_attributes(client, [SearchAttributeKey.for_keyword("Taken")])


async def test_attributes_that_the_server_refuses_are_told_with_its_reason(address: str) -> None:
    client = await connect(Settings())
    keys = [SearchAttributeKey.for_int(f"Number{n}") for n in range(9)]

    with pytest.raises(SearchAttributesMissing, match=r"Number0 \(INT\), .*: cannot have more than"):
        await ensure_search_attributes(client, keys)


async def test_attributes_that_take_too_long_are_told(address: str) -> None:
    with pytest.raises(SearchAttributesMissing, match="does not list them in time"):
        await ensure_search_attributes(await connect(Settings()), ALL, patience=timedelta(0))


async def test_a_namespace_that_is_not_there_is_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "nowhere")
    client = await connect(Settings())

    with pytest.raises(
        SearchAttributesMissing, match=r"^namespace nowhere needs .*NeedsAttention \(BOOL\): .*not found"
    ):
        await ensure_search_attributes(client, ALL)
