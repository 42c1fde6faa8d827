"""Operators see what the storefront was told, and tell it again: by the API and from a terminal."""

import asyncio
import json
from pathlib import Path

import pytest

from marketplace.webhooks import DeliveryState
from tests.cli.terminal import enter, order_engine
from tests.conftest import MakeEngine
from tests.support.engine import Engine
from tests.support.scripted_server import answer

from .receiver import FAST, SECRET, Receiver, log, placed_and_told, signed_by, statuses, until_state


@pytest.fixture
def entered(engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """The engine, and its worker's environment."""
    url = str(engine.settings.webhook_url)
    enter(monkeypatch, engine, tmp_path, ORDER_ENGINE_WEBHOOK_URL=url, ORDER_ENGINE_WEBHOOK_SECRETS=SECRET)
    return engine


async def test_a_late_event_is_known_by_its_sequence_and_brings_the_order_as_it_is(
    engine: Engine, receiver: Receiver
) -> None:
    order = await placed_and_told(engine)
    [first, *_] = await log(engine.stores, order)
    again = await engine.http.post(f"/webhooks/{first.id}/resend")
    assert (again.status_code, again.json()["id"]) == (202, first.id)
    told = await receiver.until(order, lambda told: len(told) == 4)

    # What a receiver does with it: one id twice is a repeat, and a sequence that is not above the last is late.
    seen: set[str] = set()
    last, taken = 0, []
    for event in told:
        if event["id"] not in seen and event["sequence"] > last:
            last = event["sequence"]
            taken.append(event["data"]["status"])
        seen.add(event["id"])
    assert taken == ["simulating", "placing", "payment-pending"]
    assert (told[3]["id"], told[3]["data"]["status"]) == (first.id, "simulating")
    assert told[3]["data"]["order"]["status"] == "payment-pending"


async def test_the_log_is_read_by_order_and_state(engine: Engine, receiver: Receiver) -> None:
    receiver.answer(answer(410))
    order = await engine.placed()
    await receiver.until_status(order, "payment-pending")
    by_order = {"order": order["marketplaceOrderId"]}
    async with asyncio.timeout(10):
        while (await engine.http.get("/webhooks", params={**by_order, "state": "pending"})).json()["deliveries"]:
            await asyncio.sleep(0.02)
    page = (await engine.http.get("/webhooks", params={**by_order, "limit": 2})).json()
    rest = (await engine.http.get("/webhooks", params={**by_order, "cursor": page["nextCursor"]})).json()
    found = [*page["deliveries"], *rest["deliveries"]]
    assert [one["status"] for one in found] == ["payment-pending", "placing", "simulating"]
    assert [one["state"] for one in found] == ["delivered", "delivered", "failed"]
    assert rest["nextCursor"] is None
    assert (await engine.http.get(f"/webhooks/{found[2]['id']}")).json() == found[2]
    assert found[2]["lastError"] == "answered HTTP 410"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/webhooks/evt_unknown", 404),
        ("GET", "/webhooks/%2e%2e", 404),
        ("POST", "/webhooks/evt_unknown/resend", 404),
        ("GET", "/webhooks?cursor=no", 422),
        ("GET", "/webhooks?status=failed", 422),
    ],
)
async def test_what_is_not_there_is_told_as_a_problem(engine: Engine, method: str, path: str, status: int) -> None:
    problem = await engine.http.request(method, path)
    assert (problem.status_code, problem.headers["content-type"]) == (status, "application/problem+json")


async def test_operators_see_and_resend_from_a_terminal(entered: Engine, receiver: Receiver) -> None:
    receiver.answer(answer(410))
    order = await entered.placed()
    name = order["marketplaceOrderId"]
    await receiver.until_status(order, "payment-pending")
    async with asyncio.timeout(10):
        while (await log(entered.stores, order))[-1].state is DeliveryState.PENDING:
            await asyncio.sleep(0.02)

    listed = await order_engine("webhooks", "list", "--order", name)
    heading, *lines = listed.out.splitlines()
    assert heading.split()[:4] == ["TIME", "(UTC)", "ORDER", "SEQUENCE"]
    assert [line.split()[4:6] for line in lines] == [
        ["payment-pending", "delivered"],
        ["placing", "delivered"],
        ["simulating", "failed"],
    ]
    failed = await order_engine("webhooks", "list", "--order", name, "--failed", "--json")
    [event] = json.loads(failed.out)["deliveries"]
    shown = await order_engine("webhooks", "show", event["id"])
    assert "answered HTTP 410" in shown.out
    assert f"order-engine webhooks resend {event['id']}" in shown.out

    resent = await order_engine("webhooks", "resend", "--order", name, "--failed", "--since", "1h")
    assert resent.out == "To be sent: 1 webhook.\n"
    await until_state(entered, order, DeliveryState.DELIVERED)
    one = await order_engine("webhooks", "resend", event["id"])
    assert one.out == f"To be sent: event 2 of order {name}.\n"
    told = await receiver.until(order, lambda told: len(told) == 5)
    assert statuses(told) == ["simulating", "placing", "payment-pending", "simulating", "simulating"]
    assert (await order_engine("webhooks", "resend", "--order", name, "--pending")).out == "There is nothing to send.\n"


async def test_a_ping_is_signed_and_tells_whether_it_was_taken(entered: Engine, receiver: Receiver) -> None:
    assert (await order_engine("webhooks", "test")).out == "The storefront took it (HTTP 204).\n"
    ping = receiver.server.last
    assert signed_by(ping, SECRET)
    assert (ping.json["type"], ping.json["sequence"], ping.json["data"]) == ("webhook.ping", 0, {})
    receiver.answer(answer(401))
    assert (await order_engine("webhooks", "test")).problem.endswith("did not take it: answered HTTP 401")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["resend"], "name one event, or some"),
        (["resend", "evt_1", "--failed"], "name one event, or some"),
        (["resend", "--failed", "--pending"], "not both"),
        (["list", "--since", "yesterday"], "must be a number with"),
        (["list", "--cursor", "no"], "start without one"),
    ],
)
async def test_a_wrong_call_is_told_beside_the_usage(entered: Engine, arguments: list[str], said: str) -> None:
    ran = await order_engine("webhooks", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in " ".join(ran.err.replace("│", " ").split())


async def test_without_an_address_nothing_can_be_sent(
    make_engine: MakeEngine, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with make_engine(**FAST, webhook_url=receiver.server.url) as engine:
        order = await placed_and_told(engine)
        enter(monkeypatch, engine, tmp_path)
        for command in (["test"], ["resend", "--order", order["marketplaceOrderId"]]):
            assert "ORDER_ENGINE_WEBHOOK_URL is not set" in (await order_engine("webhooks", *command)).problem
        unknown = await order_engine("webhooks", "show", "evt_unknown")
        assert "`order-engine webhooks list` shows" in unknown.problem
