"""An order that its Seller tells very much about: all of it is kept once, and no limit of Temporal comes near."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from marketplace.temporal import ensure_search_attributes
from sandbox.server import SandboxServer
from tests.overload.callbacks import check_reflected, complete, footprint, order_of_parts, reports, send
from tests.support.engine import SERVER_FLAGS, Engine, new_order
from tests.support.temporal import development_server
from workflows.catalog_policies import SKU_ID
from workflows.policies import SEARCH_ATTRIBUTES

PARTS = 50


async def test_an_order_with_hundreds_of_callbacks_keeps_each_once_far_from_every_limit(engine: Engine) -> None:
    order = await order_of_parts(engine, PARTS)
    calls = list(reports(order, PARTS))
    calls += random.Random(4).sample(calls, 40)
    random.Random(5).shuffle(calls)
    answers = await send(engine, order, calls)
    assert {answer.status_code for answer in answers} == {200}
    receipts = {(path, str(body)): set[str]() for path, body in calls}
    for (path, body), answer in zip(calls, answers, strict=True):
        receipts[path, str(body)].add(answer.json()["receipt"])
    assert {len(found) for found in receipts.values()} == {1}
    found = await engine.until(order, complete, seconds=60)
    check_reflected(found, order, PARTS)
    left = await footprint(engine, order)
    print(f"{len(calls)} callbacks: {left}")  # noqa: T201 - the figures are part of the result
    left.check(share=0.1)


@pytest.fixture
async def short_runs(fresh_seller: SandboxServer, tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine beside a Temporal server that suggests a new run after a few events already."""
    flags = [*SERVER_FLAGS, "--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40"]
    async with await development_server(flags) as environment:
        await ensure_search_attributes(environment.client, [*SEARCH_ATTRIBUTES, SKU_ID])
        async with Engine(environment.client, fresh_seller.url, tmp_path) as engine:
            yield engine


async def test_an_order_with_a_long_history_goes_on_in_new_runs_and_forgets_nothing(short_runs: Engine) -> None:
    engine, parts = short_runs, 20
    posted = new_order(
        items=[{"id": "2001", "quantity": parts, "price": 3990}], marketplacePaymentValue=parts * 3990 + 1490
    )
    answer = await engine.post(posted)
    assert answer.status_code == 201
    assert (await engine.pay(posted)).status_code == 200
    order = await engine.until(posted, status="handling")
    calls = list(reports(order, parts))
    for some in (calls[:40], calls[40:], calls[:20]):
        assert {answer.status_code for answer in await send(engine, order, some, at_once=4)} == {200}
    found = await engine.until(order, complete, seconds=30)
    check_reflected(found, order, parts)
    assert (await footprint(engine, order)).runs > 1
    # It is the same order to everybody: repeats are known, contradictions refused, searches find it.
    assert (await engine.post(posted)).status_code == 200
    assert (await engine.pay(order)).status_code == 200
    assert (await engine.pay(order, "denied")).status_code == 409
    assert (await engine.cancel(order)).status_code == 409
    assert [entry["detail"] for entry in found["history"][:2]] == [
        "received from the storefront",
        "the Seller's simulation agrees",
    ]
    assert (await engine.ledger(order))["calls"] == {"place": 1, "dispatch": 1}


async def test_a_parked_order_stays_parked_in_its_new_run_and_obeys_its_operator(short_runs: Engine) -> None:
    engine = short_runs
    order = await engine.placed()
    await engine.fault("dispatch", "forbidden", order, times=9)
    assert (await engine.pay(order)).status_code == 200
    await engine.until(order, needsAttention=True)
    # Invoices would say that the Seller dispatches: these leave the order parked.
    calls = [call for call in reports(order, 20) if call[0].startswith("/invoice/")]
    for some in (calls[:30], calls[30:]):
        assert {answer.status_code for answer in await send(engine, order, some, at_once=4)} == {200}
    parked = await engine.until(order, lambda found: len(found["history"]) > 60)
    assert (parked["needsAttention"], parked["status"]) == (True, "authorizing-fulfillment")
    assert (await footprint(engine, order)).runs > 1
    # The new run has not tried the step again, to be parked once more.
    assert len([entry for entry in parked["history"] if "needs attention" in entry["detail"]]) == 1
    tried = (await engine.ledger(order))["calls"]
    assert (await engine.resume(order, "abort", "gone")).status_code == 200
    await engine.until(order, status="canceled")
    assert {**(await engine.ledger(order))["calls"], "cancel": 0} == {**tried, "cancel": 0}
