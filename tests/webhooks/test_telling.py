"""The storefront is told of every status of an order, in order and signed; who wants no webhooks pays nothing."""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType

from marketplace.settings import Settings
from marketplace.webhooks import DeliveryState, WebhookEvent
from tests.conftest import MakeEngine
from tests.support.engine import Engine, new_order
from workflows.webhook_policies import webhook_workflow_id

from .receiver import (
    FAST,
    SECRET,
    Json,
    Receiver,
    changes,
    log,
    placed_and_told,
    secret,
    signed_by,
    statuses,
    until_state,
)

OTHER = secret("b")


async def delivered(engine: Engine) -> Json:
    """An order that has gone its whole way."""
    order = await engine.dispatched()
    for what, status in (("invoice", "invoiced"), ("tracking", "shipped"), ("delivery", "delivered")):
        await engine.seller_sends(order, what)
        order = await engine.until(order, status=status)
    return order


async def test_a_whole_life_arrives_status_by_status(engine: Engine, receiver: Receiver) -> None:
    order = await delivered(engine)
    told = await receiver.until_status(order, "delivered")

    assert statuses(told) == changes(order)
    assert len({event["id"] for event in told}) == len(told)
    sequences = [event["sequence"] for event in told]
    assert sequences == sorted(set(sequences))
    assert {event["type"] for event in told} == {"order.status-changed"}
    assert told[-1]["data"]["order"] == order
    assert told[-1]["timestamp"] == order["history"][-1]["at"]
    assert [one.attempts for one in await until_state(engine, order, DeliveryState.DELIVERED)] == [1] * len(told)


async def test_nothing_of_the_customer_is_told(engine: Engine, receiver: Receiver) -> None:
    order = await engine.placed()
    await receiver.until_status(order, "payment-pending")
    bodies = b"".join(request.body for request in receiver.server.requests).decode()
    posted = new_order()
    personal = [*posted["clientProfileData"].values(), posted["shippingData"]["address"]["street"]]
    assert [value for value in personal if value in bodies] == []


async def test_the_page_for_developers_shows_a_receiver_that_works(engine: Engine, receiver: Receiver) -> None:
    order = await placed_and_told(engine)
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    code: Json = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], code)
    requests = receiver.about(order)
    for request in [*requests, requests[0]]:
        assert code["take"](SECRET, request.headers, request.body) == 204
        assert code["take"](OTHER, request.headers, request.body) == 401
    events = await log(engine.stores, order)
    assert code["last_sequence"] == {order["marketplaceOrderId"]: events[-1].sequence}

    sample = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    sample["data"]["order"] = order
    assert set(sample) == set(json.loads(requests[0].body))
    WebhookEvent.model_validate(sample)


async def test_many_events_share_few_connections(engine: Engine, receiver: Receiver) -> None:
    orders = await asyncio.gather(*(engine.placed() for _ in range(5)))
    for order in orders:
        await receiver.until_status(order, "payment-pending")
    assert receiver.server.connections < len(receiver.server.requests) / 2


async def test_an_order_that_needs_an_operator_is_told_until_it_needs_none(engine: Engine, receiver: Receiver) -> None:
    order = new_order()
    await engine.fault("place", "forbidden", order, times=1)
    await engine.post(order, wait=1)
    await engine.until(order, needsAttention=True)
    alarm = (await receiver.until_type(order, "order.needs-attention"))[-1]
    assert alarm["data"]["order"]["reason"]["code"] == "seller-credentials"

    await engine.resume(order, "retry")
    await receiver.until_status(order, "payment-pending")
    told = await receiver.until_type(order, "order.attention-resolved")
    changed = [event for event in told if event["type"] == "order.status-changed"]
    assert statuses(changed) == ["simulating", "placing", "payment-pending"]
    [resolved] = [event for event in told if event["type"] == "order.attention-resolved"]
    assert resolved["data"]["order"]["needsAttention"] is False
    assert resolved["sequence"] > alarm["sequence"]


async def test_while_secrets_are_rotated_either_verifies(make_engine: MakeEngine, receiver: Receiver) -> None:
    secrets = {"webhook_secrets": f"{SECRET}, {OTHER}"}
    async with make_engine(**{**FAST, **secrets}, webhook_url=f"{receiver.server.url}/hooks") as engine:
        order = await engine.placed()
        await receiver.until_status(order, "payment-pending")
    requests = receiver.about(order)
    assert len(requests) == 3
    for request in requests:
        assert [signed_by(request, key) for key in (SECRET, OTHER, secret("c"))] == [True, True, False]


async def test_without_an_address_nothing_is_kept_or_started(
    engine: Engine, shared_engine: Engine, receiver: Receiver
) -> None:
    silent, loud = await shared_engine.placed(), await engine.placed()
    await receiver.until_status(loud, "payment-pending")
    assert await log(shared_engine.stores, silent) == []
    query = f"WorkflowId = '{webhook_workflow_id('acme', silent['marketplaceOrderId'])}'"
    assert [one async for one in shared_engine.client.list_workflows(query)] == []

    # The order's own history is the same in kind and number: its record alone does more.
    kinds = []
    for engine_of, order in ((shared_engine, silent), (engine, loud)):
        events = [event.event_type async for event in engine_of.workflow(order).fetch_history_events()]
        kinds.append(Counter(kind for kind in events if "WORKFLOW_TASK" not in EventType.Name(kind)))
    assert {*kinds[0]} == {*kinds[1]}
    assert EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED not in kinds[1]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"webhook_url": "http://shop.example/hooks"}, "must begin with https://"),
        ({"webhook_url": "ftp://shop.example/hooks"}, "must be a URL"),
        ({"webhook_url": "https://shop.example/hooks?key=1"}, "must have no user, query or fragment"),
        ({"webhook_url": "https://a:b@shop.example/hooks"}, "must have no user, query or fragment"),
        ({"webhook_url": "https://shop.example/hooks", "webhook_secrets": ""}, "WEBHOOK_SECRETS is not set"),
        ({"webhook_secrets": "correct-horse"}, "each must be whsec_"),
        ({"webhook_secrets": "whsec_c2hvcnQ="}, "random bytes"),
        ({"webhook_secrets": f"{SECRET},whsec_not base64"}, "random bytes"),
        ({"webhook_timeout": "5m"}, "must be from 100ms to 60s"),
    ],
)
def test_a_wrong_setting_stops_the_process_at_its_start(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        Settings.model_validate({"webhook_secrets": SECRET, **changes})
    assert SECRET not in str(caught.value)


def test_an_address_on_this_machine_may_do_without_https() -> None:
    for url in ("http://127.0.0.1:9000/hooks", "http://localhost/hooks", "https://shop.example/hooks"):
        assert Settings.model_validate({"webhook_url": url, "webhook_secrets": SECRET}).webhook_url == url
