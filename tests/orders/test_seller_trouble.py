"""Seller calls that fail, or whose answer is lost: tried again, done once, and no order is given up for it."""

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from sandbox.server import SandboxServer
from tests.conftest import MakeEngine
from tests.support.engine import FAST, Engine, effective, new_order
from tests.support.http_server import free_port

NOTHING_DONE: dict[str, dict[str, Any]] = {
    "connection reset": {"kind": "reset", "times": 2},
    "503": {"kind": "server-error", "httpStatus": 503, "times": 2},
    "429 without Retry-After": {"kind": "rate-limited", "times": 2},
    "an HTML page with 404": {"kind": "html", "times": 2},
    "unexpected creation error": {"kind": "error", "code": "ORD008", "times": 2},
}
DONE_BUT_NOT_TOLD: dict[str, dict[str, Any]] = {
    "connection cut": {"kind": "answer-lost"},
    "half a body": {"kind": "half-body"},
    "no JSON": {"kind": "not-json"},
    "500, twice": {"kind": "server-error", "commit": True, "times": 2},
    "an HTML page with 404": {"kind": "html", "commit": True},
    "429": {"kind": "rate-limited", "commit": True},
}
STEPS = ("place", "dispatch", "cancel")


async def through_each_step(
    engine: Engine, fault: dict[str, Any], steps: Sequence[str] = STEPS, look: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Place, pay and cancel one order while `fault` hits the call of each step; it must take effect once at each.

    `look` is a fault of the next look at the order after it.
    """
    posted = new_order()

    async def trouble(step: str) -> None:
        if step in steps:
            await engine.fault(step, order=posted, **fault)
        if look and step in steps:
            await engine.fault("read", **look)

    await trouble("place")
    answer = await engine.post(posted)
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()
    assert (order["status"], order["reason"], order["needsAttention"]) == ("payment-pending", None, False)
    ledger = await engine.ledger(order)
    assert order["orderId"] == ledger["orderId"] == f"MKP-{order['marketplaceOrderId']}"

    await trouble("dispatch")
    assert (await engine.pay(order)).status_code == 200
    await engine.until(order, status="handling", needsAttention=False)
    assert (await engine.ledger(order))["status"] == "window-to-cancel"

    await trouble("cancel")
    assert (await engine.cancel(order)).status_code in {200, 202}
    canceled = await engine.until(order, status="canceled", needsAttention=False)
    await engine.workflow(order).result()
    ledger = await engine.ledger(order)
    assert [entry["status"] for entry in ledger["history"]] == [
        "waiting-ffmt-authorization",
        "window-to-cancel",
        "canceled",
    ]
    assert {step: effective(ledger, step) for step in STEPS} == dict.fromkeys(STEPS, 1)
    return canceled


@pytest.mark.parametrize("fault", NOTHING_DONE.values(), ids=NOTHING_DONE)
async def test_a_call_that_did_nothing_is_tried_again_until_it_works(engine: Engine, fault: dict[str, Any]) -> None:
    await through_each_step(engine, fault)
    assert (await engine.sandbox.get("/faults")).json() == []


@pytest.mark.parametrize("fault", DONE_BUT_NOT_TOLD.values(), ids=DONE_BUT_NOT_TOLD)
async def test_what_a_lost_answer_has_done_is_not_done_again(engine: Engine, fault: dict[str, Any]) -> None:
    order = await through_each_step(engine, fault)
    assert any("placed by an earlier try whose answer was lost" in entry["detail"] for entry in order["history"])


@pytest.mark.parametrize("kind", ["slow", "slow-after"])
async def test_an_answer_later_than_the_timeout_is_not_waited_for(make_engine: MakeEngine, kind: str) -> None:
    hasty = replace(FAST, read=0.3, read_change=0.3)
    async with make_engine(timeouts=hasty, seller_attempts=10) as engine:
        await through_each_step(engine, {"kind": kind, "seconds": 0.6})


async def test_a_rate_limited_call_waits_as_long_as_the_seller_asks(engine: Engine) -> None:
    await through_each_step(engine, {"kind": "rate-limited", "retryAfter": 1}, ["place", "dispatch"])
    requests = (await engine.sandbox.get("/requests")).json()
    for route in ("place", "dispatch"):
        limited, again, *_ = [request for request in requests if request["route"] == route]
        assert (limited["status"], again["status"]) == (429, 200)
        assert again["at"] >= (datetime.fromisoformat(limited["at"]) + timedelta(seconds=1)).isoformat()


async def test_the_simulation_is_tried_again_too(engine: Engine) -> None:
    await engine.fault("simulate", "server-error")
    await engine.fault("simulate", "not-json")
    await engine.placed()


async def test_a_post_that_is_answered_before_the_seller_is_no_error(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    posted = new_order()
    await engine.fault("place", "slow", posted, seconds=0.5)
    assert (await engine.post(posted, wait=0)).status_code == 202
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
    await engine.until(posted, status="payment-pending")


async def test_an_order_that_the_seller_s_store_does_not_show_yet_is_recovered(make_engine: MakeEngine) -> None:
    async with make_engine(seller_attempts=12) as engine:
        await engine.switch(readLagSeconds=0.4)
        order = await through_each_step(engine, {"kind": "answer-lost"}, ["place"])
        assert (await engine.ledger(order))["calls"]["readRejected"] >= 1


LOOKS: dict[str, dict[str, Any]] = {
    "an HTML page": {"kind": "html"},
    "not found yet": {"kind": "error", "httpStatus": 404, "code": "OMS007"},
    "500": {"kind": "server-error"},
    "no JSON": {"kind": "not-json"},
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
async def test_a_look_at_the_order_that_fails_too_decides_nothing(engine: Engine, look: dict[str, Any]) -> None:
    await through_each_step(engine, {"kind": "answer-lost"}, look=look)
    assert (await engine.sandbox.get("/faults")).json() == []


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("step", ["dispatch", "cancel"])
async def test_the_refusal_of_a_repeat_counts_only_once_the_order_was_seen(
    engine: Engine, step: str, look: dict[str, Any]
) -> None:
    # One look after the lost answer, and one after the repeat was refused.
    await through_each_step(engine, {"kind": "answer-lost"}, [step], look={**look, "times": 2})


async def test_orders_wait_for_a_seller_that_is_away(temporal: Client, tmp_path: Path) -> None:
    server = SandboxServer(port=free_port())
    async with server:
        pass
    async with Engine(temporal, server.url, tmp_path, seller_attempts=60, seller_backoff="50ms") as engine:
        posting = asyncio.create_task(engine.post(new_order(payment={"status": "approved"}), wait=25))
        async with asyncio.timeout(20):
            while not await tries(engine, "check_cart"):
                await asyncio.sleep(0.05)
        async with server:
            answer = await posting
            assert answer.status_code == 201, answer.text
            order = await engine.until(answer.json(), status="handling")
            assert effective(await engine.ledger(order), "dispatch") == 1


async def tries(engine: Engine, activity: str) -> int:
    """How often the one order of an engine has failed in this activity, so far."""
    query = f"TaskQueue = '{engine.settings.task_queue}'"
    async for order in engine.client.list_workflows(query):
        described = await engine.client.get_workflow_handle(order.id).describe()
        for pending in described.raw_description.pending_activities:
            if pending.activity_type.name == activity and "could not connect" in pending.last_failure.message:
                return pending.attempt
    return 0
