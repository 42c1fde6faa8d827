"""A storefront that is down, slow, wrong or forgetful hears of everything in the end, and keeps no order waiting."""

import asyncio
import signal
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from marketplace.storefront import Storefront
from marketplace.temporal import PLAIN
from marketplace.webhooks import DeliveryState
from sandbox.server import SandboxServer
from tests.conftest import MakeEngine
from tests.support.engine import TEST_SERVER, Engine
from tests.support.http_server import free_port
from tests.support.processes import EngineProcess
from tests.support.scripted_server import ScriptedServer, Step, answer
from workflows.policies import SEARCH_ATTRIBUTES, order_workflow_id

from .receiver import FAST, TAKEN, Receiver, changes, log, statuses, until_state

PLACED = ["simulating", "placing", "payment-pending"]


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (answer(500, "oops"), "answered HTTP 500"),
        (answer(404), "answered HTTP 404"),
        (answer(302, headers={"Location": "/elsewhere"}), "redirects are not followed"),
        (Step(then="close"), "the connection broke"),
        (Step(then="reset"), "the connection broke"),
        (Step(b"HTTP/1.1 not http\r\n\r\n", then="close"), "the connection broke"),
        (answer(204, delay=1.5), "no answer within 1 s"),
        (answer(200, "x" * 1_000_000), None),
        (Step(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", then="close"), None),
    ],
    ids=["500", "404", "redirect", "closed", "reset", "nonsense", "slow", "long answer", "cut answer"],
)
async def test_what_was_not_answered_well_comes_again_under_its_id(
    engine: Engine, receiver: Receiver, trouble: Step, error: str | None
) -> None:
    receiver.answer(TAKEN, trouble)
    order = await engine.placed()
    told = await receiver.until_status(order, "payment-pending")
    events = await until_state(engine, order, DeliveryState.DELIVERED)

    assert [one.attempts for one in events] == ([1, 2, 1] if error else [1, 1, 1])
    assert statuses(told) == ([PLACED[0], PLACED[1], *PLACED[1:]] if error else PLACED)
    assert len({event["id"] for event in told}) == len(PLACED)
    assert {request.path for request in receiver.server.requests} == {"/hooks"}
    assert [one.last_error for one in events] == [None] * 3


async def test_a_storefront_that_dribbles_is_cut_off_in_time() -> None:
    async def dribble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(30):
                writer.write(b"X-More: yes\r\n")
                await writer.drain()
                await asyncio.sleep(0.1)
        writer.close()

    async with await asyncio.start_server(dribble, "127.0.0.1", 0) as server:
        storefront = Storefront(
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", [SecretStr(FAST["webhook_secrets"])], 0.3
        )
        async with asyncio.timeout(2):
            attempt = await storefront.send("evt_1", "{}")
        await storefront.aclose()
    assert attempt.error == "no answer within 0.3 s"


async def test_what_the_storefront_does_not_want_is_not_sent_again(engine: Engine, receiver: Receiver) -> None:
    receiver.answer(TAKEN, answer(410))
    order = await engine.placed()
    assert statuses(await receiver.until_status(order, "payment-pending")) == PLACED
    async with asyncio.timeout(10):
        while (events := await log(engine.stores, order))[-1].state is DeliveryState.PENDING:
            await asyncio.sleep(0.02)
    assert [one.state for one in events] == ["delivered", "failed", "delivered"]
    assert (events[1].last_status, events[1].attempts) == (410, 1)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_storefront_that_wants_a_pause_gets_it(engine: Engine, receiver: Receiver, status: int) -> None:
    receiver.answer(answer(status, headers={"Retry-After": "2"}))
    order = await engine.placed()
    told = await receiver.until_status(order, "payment-pending")
    first, second = (int(request.headers["webhook-timestamp"]) for request in receiver.server.requests[:2])
    assert told[0]["id"] == told[1]["id"]
    assert second - first >= 2


async def test_a_storefront_that_is_down_delays_no_order_and_hears_of_all_when_it_is_back(
    make_engine: MakeEngine,
) -> None:
    port = free_port()
    async with make_engine(**{**FAST, "webhook_backoff": "200ms"}, webhook_url=f"http://127.0.0.1:{port}") as engine:
        order = await engine.dispatched()
        [first, *_] = await log(engine.stores, order)
        assert first.state is DeliveryState.PENDING
        scripted = ScriptedServer()
        receiver = Receiver(scripted)
        server = await asyncio.start_server(scripted.serve, "127.0.0.1", port)
        try:
            told = await receiver.until_status(order, "handling")
            events = await until_state(engine, order, DeliveryState.DELIVERED)
        finally:
            await engine.stop_worker()
            server.close()
    assert statuses(told) == changes(order)
    assert events[0].attempts > 1
    assert [one.attempts for one in events[1:]] == [1] * (len(events) - 1)


@pytest.mark.slow
async def test_a_worker_killed_before_the_delivery_is_told_of_by_the_next_one(
    make_engine: MakeEngine, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answer(Step(then="hang"))
    async with make_engine(run_worker=False) as engine:
        address = engine.client.service_client.config.target_host
        environment = {f"ORDER_ENGINE_{name.upper()}": value for name, value in FAST.items()}
        environment["ORDER_ENGINE_WEBHOOK_URL"] = f"{receiver.server.url}/hooks"
        async with EngineProcess(engine, tmp_path / "worker", address, **environment) as worker:
            await worker.start_worker()
            order = await engine.placed()
            # Taken by the storefront, which never said so: the record is written, and the worker dies.
            await receiver.until(order, lambda told: len(told) == 1)
            await worker.end(signal.SIGKILL)
            await worker.start_worker()
            told = await receiver.until_status(order, "payment-pending", seconds=60)
            await until_state(engine, order, DeliveryState.DELIVERED)
            log_text = worker.log.read_text()
    assert statuses(told) == [PLACED[0], *PLACED]
    assert told[0]["id"] == told[1]["id"]
    assert FAST["webhook_secrets"].removeprefix("whsec_") not in log_text
    assert receiver.server.url not in log_text


@pytest.mark.slow
async def test_after_a_day_an_event_is_given_up_and_the_later_ones_are_told(
    fresh_seller: SandboxServer, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answer(then=answer(500))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=TEST_SERVER, data_converter=PLAIN
    ) as clock:
        attributes = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES}
        await clock.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=attributes)
        )
        settings = {
            **FAST,
            "webhook_backoff": "5s",
            "webhook_url": f"{receiver.server.url}/hooks",
            "payment_deadline": "365d",
        }
        async with Engine(clock.client, fresh_seller.url, tmp_path, **settings) as engine:
            order = await engine.placed()
            await clock.sleep(timedelta(hours=20))
            [first, *later] = await log(engine.stores, order)
            assert first.state is DeliveryState.PENDING
            # 5 s, doubled up to half an hour: some nine tries in the first half an hour, and two an hour from then on.
            assert 40 <= first.attempts <= 50
            assert [one.attempts for one in later] == [0, 0]
            await clock.sleep(timedelta(hours=5))
            events = await until_state(engine, order, DeliveryState.FAILED)
            assert 45 <= events[0].attempts <= 60
            # Their day was all but over too: each had what was left of it, in its turn.
            assert all(1 <= one.attempts <= 15 for one in events[1:])

            receiver.answer()
            assert (await engine.pay(order)).status_code == 200
            await receiver.until_status(order, "handling")
            with suppress(RPCError):
                await clock.client.get_workflow_handle(
                    order_workflow_id("acme", order["marketplaceOrderId"])
                ).terminate()
