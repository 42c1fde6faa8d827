"""`POST /orders`: how long it waits, what it answers, and that one id is one order."""

import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import make_url

from api.deps import DEFAULT_WAIT, LONGEST_WAIT, prefer_wait
from marketplace.orders import OrderRequest
from tests.api.answers import SENT, problem
from tests.conftest import MakeEngine
from tests.support.engine import Engine, new_order
from workflows.messages import OrderInput, OrderPolicy
from workflows.policies import ORDER_WORKFLOW, order_workflow_id


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_keys(value[name]) for name in reversed(value)}
    return [reversed_keys(inner) for inner in value] if isinstance(value, list) else value


async def test_the_first_post_is_201_and_the_same_content_200_however_it_is_written(engine: Engine) -> None:
    order = new_order()
    first = await engine.post(order)
    assert first.status_code == 201
    repeats = [
        order,
        reversed_keys(order),
        {**order, "payment": {"status": "pending"}},
        {**order, "marketplaceOrderGroup": None},
    ]
    for repeat in repeats:
        answer = await engine.post(repeat)
        assert (answer.status_code, answer.json()) == (200, first.json())
        assert answer.headers["location"] == f"/orders/{order['marketplaceOrderId']}"
    assert (await engine.get(order)) == first.json()
    assert (await engine.ledger(order))["calls"]["place"] == 1


async def test_of_many_posts_at_once_one_is_201(engine: Engine) -> None:
    order = new_order()
    answers = await asyncio.gather(*(engine.post(order) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert (await engine.ledger(order))["calls"]["place"] == 1


@pytest.mark.parametrize("change", ["price", "profile", "payment", "group"])
async def test_other_content_under_the_same_id_is_a_409(engine: Engine, change: str) -> None:
    order = new_order()
    assert (await engine.post(order)).status_code == 201
    changes: dict[str, dict[str, Any]] = {
        "price": {"items": [{"id": "2001", "quantity": 1, "price": 7980}]},
        "profile": {"clientProfileData": {**order["clientProfileData"], "email": f"{SENT}@mail.example"}},
        "payment": {"payment": {"status": "approved", "transactionId": "t-1"}},
        "group": {"marketplaceOrderGroup": "G-1"},
    }
    body = problem(await engine.post({**order, **changes[change]}), 409)
    assert "use a new id" in body["detail"]
    assert (await engine.get(order))["status"] == "payment-pending"


async def test_a_rejected_order_is_a_result_and_stays_what_it_is(engine: Engine) -> None:
    order = new_order(items=[{"id": "2001", "quantity": 2, "price": 3000}], marketplacePaymentValue=7490)
    first = await engine.post(order)
    assert (first.status_code, first.json()["status"]) == (201, "rejected")
    assert first.json()["reason"]["code"] == "price-divergence"
    await engine.workflow(order).result()
    again = await engine.post(order)
    assert (again.status_code, again.json()) == (200, first.json())


async def test_an_unknown_seller_is_a_404_that_names_the_known_ones(engine: Engine) -> None:
    order = new_order(seller="nobody")
    assert "acme" in problem(await engine.post(order), 404)["detail"]
    problem(await engine.http.get(f"/orders/{order['marketplaceOrderId']}"), 404)


async def test_the_id_of_another_sellers_order_is_a_409(make_engine: MakeEngine) -> None:
    async with make_engine(more_sellers={"bolt": {}}) as engine:
        order = await engine.placed()
        problem(await engine.post({**new_order(seller="bolt"), "marketplaceOrderId": order["marketplaceOrderId"]}), 409)
        assert (await engine.get(order))["seller"] == "acme"


async def test_without_a_worker_the_post_waits_as_long_as_asked_and_is_202(make_engine: MakeEngine) -> None:
    async with make_engine() as engine:
        await engine.stop_worker()
        orders = [new_order(), new_order()]
        for order, wait in zip(orders, (0, 1), strict=True):
            started = time.monotonic()
            answer = await engine.post(order, wait)
            assert answer.status_code == 202
            assert answer.json()["status"] == "simulating"
            assert answer.headers["location"] == f"/orders/{order['marketplaceOrderId']}"
            assert wait <= time.monotonic() - started < wait + 4
            # Durable, and the same one: nobody has to wait to learn that the content differs.
            assert (await engine.get(order))["status"] == "simulating"
            problem(await engine.post({**order, "marketplaceOrderGroup": "G-1"}, 0), 409)
            assert (await engine.post(order, 0)).status_code == 202
        await engine.start_worker()
        for order in orders:
            await engine.until(order, status="payment-pending")
            assert (await engine.post(order, 0)).status_code == 200


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, DEFAULT_WAIT),
        ("", DEFAULT_WAIT),
        ("wait=0", 0),
        ("wait=7", 7),
        ("WAIT = 7", 7),
        ('wait="7"', 7),
        ("wait=7; foo=bar", 7),
        ("respond-async, wait=7", 7),
        ("wait=7, wait=9", 7),
        ("wait=30", 30),
        ("wait=31", LONGEST_WAIT),
        ("wait=99999999999999999999", LONGEST_WAIT),
        ("wait=-1", DEFAULT_WAIT),
        ("wait=1.5", DEFAULT_WAIT),
        ("wait=1e9", DEFAULT_WAIT),
        ("wait=", DEFAULT_WAIT),
        ("wait", DEFAULT_WAIT),
        ("wait=soon", DEFAULT_WAIT),
        ("wait=nan", DEFAULT_WAIT),
        ("waiting=7", DEFAULT_WAIT),
        ("=;,=,;", DEFAULT_WAIT),
    ],
)
def test_prefer_is_read_as_rfc_7240_writes_it_and_nonsense_is_no_preference(prefer: str | None, seconds: float) -> None:
    assert prefer_wait(prefer) == seconds


@pytest.mark.parametrize("prefer", ["wait=99", "wait=soon", "wait=-1", "\xff"])
async def test_an_odd_preference_refuses_no_order(engine: Engine, prefer: str) -> None:
    headers = [(b"Prefer", prefer.encode("latin-1"))]
    assert (await engine.http.post("/orders", json=new_order(), headers=headers)).status_code == 201


async def test_an_order_that_ends_while_it_is_asked_is_answered_from_its_record(engine: Engine) -> None:
    order = new_order()
    request = OrderRequest.model_validate(order)
    policy = OrderPolicy(payment_deadline=timedelta(hours=1), return_window=timedelta(days=1))
    # Started by an API that went away before it could ask for the placement.
    handle = await engine.client.start_workflow(
        ORDER_WORKFLOW,
        OrderInput(request=request, policy=policy, submission_id="1"),
        id=order_workflow_id("acme", request.marketplace_order_id),
        task_queue=engine.settings.task_queue,
        memo={"digest": request.digest()},
    )
    await engine.until(order, status="payment-pending")
    assert (await engine.cancel(order)).status_code == 200
    await handle.result()
    # The record as it was read a moment before the workflow closed.
    database = make_url(engine.settings.database_url.get_secret_value()).database
    assert database is not None
    earlier = "UPDATE orders SET \"order\" = json_set(\"order\", '$.status', 'placing') WHERE marketplace_order_id = ?"
    with closing(sqlite3.connect(database)) as connection, connection:
        assert connection.execute(earlier, [request.marketplace_order_id]).rowcount == 1
    for wait in (0, 5):
        answer = await engine.post(order, wait)
        assert (answer.status_code, answer.json()["history"][-1]["status"]) == (200, "canceled")
        problem(await engine.post({**order, "marketplaceOrderGroup": "G-1"}, wait), 409)


async def test_an_order_stopped_by_force_takes_nothing_more_and_says_so(engine: Engine) -> None:
    order = await engine.placed()
    await engine.workflow(order).terminate()
    answers = [
        await engine.pay(order),
        await engine.pay(order, "denied"),
        await engine.cancel(order),
        await engine.resume(order, "retry"),
        await engine.callback(order, f"/pvt/orders/{order['marketplaceOrderId']}/cancel"),
    ]
    for answer in answers:
        assert "stopped by force" in problem(answer, 409)["detail"]
    assert (await engine.get(order))["status"] == "payment-pending"
