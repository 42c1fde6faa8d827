"""What is too much is refused before any work is done for it, tells when to come again, and harms nobody else."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from marketplace.security import AffiliateTokens, CallbackTokens
from marketplace.settings import secret_keys
from sandbox.server import SandboxServer
from tests.api.answers import problem
from tests.api.callback_line import INVOICE
from tests.conftest import MakeEngine
from tests.support.engine import Engine

BUSY, OTHER, OPERATOR = "busy-key-zqx-1", "other-key-zqx-1", "operator-key-zqx-1"
KEYS: dict[str, Any] = {"storefront_keys": [BUSY, OTHER], "operator_keys": [OPERATOR]}
CART = {"seller": "acme", "items": [{"id": "2001", "quantity": 1}]}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
async def limited(
    temporal: Client, seller: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    """An engine of two Sellers that takes four requests at once of each caller, and then two a second."""
    changes = {"rate_limit": 2, "seller_rate_limit": 2, "more_sellers": {"other": {}}, "run_worker": False}
    async with Engine(temporal, seller.url, tmp_path_factory.mktemp("limited"), **KEYS, **changes) as running:
        yield running


async def flood(send: Callable[[], Coroutine[Any, Any, httpx.Response]], times: int = 12) -> list[httpx.Response]:
    return list(await asyncio.gather(*(send() for _ in range(times))))


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def check_too_many(answers: list[httpx.Response], allowed: int) -> None:
    """Some were taken, the others refused in the way of a 429."""
    found = statuses(answers)
    assert set(found) == {allowed, 429}
    assert 4 <= found[allowed] <= 8
    for answer in answers:
        if answer.status_code == 429:
            body = problem(answer, 429)
            assert body["type"] == "urn:order-engine:problem:rate-limit"
            assert "nothing was done" in body["detail"]
            assert int(answer.headers["retry-after"]) >= 1
            assert re.fullmatch(r'"\w+";q=4;w=2', answer.headers["ratelimit-policy"])
            assert re.fullmatch(r'"\w+";r=0;t=\d', answer.headers["ratelimit"])


async def test_one_keys_flood_is_refused_and_the_other_keys_are_served(limited: Engine) -> None:
    check_too_many(await flood(lambda: limited.http.get("/orders", headers=bearer(BUSY))), 200)
    assert (await limited.http.get("/orders", headers=bearer(OTHER))).status_code == 200
    metrics = await limited.http.get("/metrics", headers=bearer(OPERATOR))
    assert 'order_engine_refused_requests_total{kind="key",limit="rate"}' in metrics.text
    assert "zqx" not in metrics.text


async def test_a_refused_caller_is_served_again_when_it_was_told_to_come(limited: Engine) -> None:
    answers = await flood(lambda: limited.http.get("/orders", headers=bearer(OTHER)))
    answer = next(one for one in answers if one.status_code == 429)
    await asyncio.sleep(int(answer.headers["retry-after"]))
    assert (await limited.http.get("/orders", headers=bearer(OTHER))).status_code == 200


async def test_guessing_keys_or_tokens_is_slowed_and_keeps_out_nobody_with_a_valid_one(limited: Engine) -> None:
    check_too_many(await flood(lambda: limited.http.get("/orders", headers=bearer("guess"))), 401)
    guessed = ("/callbacks/acme/T-1/guess/pvt/orders/T-1/cancel", "/affiliates/acme/guess/api/notification")
    for path in guessed:
        assert 429 in statuses(await flood(lambda path=path: limited.http.post(path)))  # type: ignore[misc]
    assert (await limited.http.get("/logs?seller=acme", headers=bearer(OPERATOR))).status_code == 200


def callback_path(engine: Engine, seller: str) -> str:
    token = CallbackTokens(secret_keys(engine.settings)).mint(seller, "T-1")
    return f"/callbacks/{seller}/T-1/{token}/pvt/orders/T-1/invoice"


def notice_path(engine: Engine, seller: str) -> str:
    return f"/affiliates/{seller}/{AffiliateTokens(secret_keys(engine.settings)).mint(seller)}/api/notification"


async def test_one_sellers_flood_is_refused_and_the_other_sellers_calls_are_taken(limited: Engine) -> None:
    """None of these has an order or a good body: what matters is whether they come that far."""
    for path in (callback_path, notice_path):
        ours, others = path(limited, "acme"), path(limited, "other")
        check_too_many(await flood(lambda ours=ours: limited.http.post(ours)), 400)  # type: ignore[misc]
        problem(await limited.http.post(others), 400)


async def test_zero_is_no_limit(make_engine: MakeEngine) -> None:
    async with make_engine(rate_limit=0, seller_rate_limit=0, run_worker=False, **KEYS) as engine:
        answers = await flood(lambda: engine.http.get("/orders", headers=bearer(BUSY)), 30)
        answers += await flood(lambda: engine.http.post(callback_path(engine, "acme")), 30)
        assert statuses(answers) == {200: 30, 400: 30}


async def test_what_finds_no_place_is_refused_at_once_while_other_kinds_are_served(make_engine: MakeEngine) -> None:
    async with make_engine(max_requests=2) as engine:
        for _ in range(2):
            await engine.fault("simulate", "slow", seconds=1)
        served = [asyncio.create_task(engine.http.post("/carts/simulation", json=CART)) for _ in range(2)]
        async with asyncio.timeout(10):
            while (await engine.sandbox.get("/faults")).json():
                await asyncio.sleep(0.01)
        refused = await engine.http.post("/carts/simulation", json=CART)
        body = problem(refused, 503)
        assert (body["type"], int(refused.headers["retry-after"]) >= 1) == ("urn:order-engine:problem:busy", True)
        assert "nothing was done" in body["detail"]
        assert (await engine.http.get("/orders")).status_code == 200
        assert (await engine.http.get("/health/ready")).status_code == 200
        metrics = (await engine.http.get("/metrics")).text
        assert 'order_engine_refused_requests_total{kind="carts",limit="places"}' in metrics
        assert not any(cart.done() for cart in served)
        assert statuses(list(await asyncio.gather(*served))) == {200: 2}
        assert (await engine.http.post("/carts/simulation", json=CART)).status_code == 200


async def test_a_sellers_callbacks_wait_for_their_turn_but_not_without_end(make_engine: MakeEngine) -> None:
    async with make_engine(max_requests=1) as engine:
        order = await engine.dispatched()
        path = f"{(await engine.ledger(order))['endpoint']}/pvt/orders/{order['marketplaceOrderId']}/invoice"

        async def call(number: int) -> httpx.Response:
            return await engine.http.post(path, json={**INVOICE, "invoiceNumber": f"N-{number}"})

        few = await asyncio.gather(*(call(number) for number in range(11)))
        assert statuses(few) == {200: 11}
        many = await asyncio.gather(*(call(number) for number in range(11, 60)))
        assert set(statuses(many)) == {200, 503}
        found = await engine.until(order, lambda found: len(found["invoices"]) >= 11 + statuses(many)[200])
        assert len(found["invoices"]) == 11 + statuses(many)[200]
