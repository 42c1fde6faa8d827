"""A Seller that answers nonsense for a while: no order is wedged by it, and each goes on or waits for an operator."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from sandbox.server import SandboxServer
from tests.fuzz.distorter import Distorter
from tests.fuzz.openapi import FUZZED, OPERATOR
from tests.fuzz.thoroughness import THOROUGHNESS
from tests.fuzz.watch import failed_tasks, watching
from tests.support.engine import Engine, new_order
from tests.support.http_server import free_port, http_server
from workflows.catalog_policies import catalog_queue

SKUS = ("2001", "2002", "2003")
ORDERS = 8
CALLS = {"simulation", "orders", "fulfill", "cancel"}
"""Of each kind at least one must be answered with nonsense."""
ROUNDS = 8
"""At most, until chance has met the last kind."""


@pytest.fixture
async def distorter(fresh_seller: SandboxServer) -> AsyncIterator[tuple[Distorter, str]]:
    distorter = Distorter(fresh_seller.url, seed=7)
    async with http_server(distorter, free_port()) as url:
        yield distorter, url


async def life(engine: Engine, number: int) -> dict[str, Any]:
    """An order that is paid, or canceled, whatever has come of it."""
    order = new_order()
    posted = await engine.post(order, wait=2)
    assert posted.status_code in {201, 202}, posted.text
    for answer in (await engine.pay(order), await engine.cancel(order) if number % 2 else posted):
        assert answer.status_code in {200, 201, 202, 409}, answer.text
    return order


async def settled(engine: Engine, order: dict[str, Any]) -> dict[str, Any]:
    """The order, once nothing is tried for it any more: it has ended, waits for the Seller, or for an operator."""
    resting = {"handling", "rejected", "canceled", "payment-denied", "cancellation-requested"}
    return await engine.until(order, lambda found: found["needsAttention"] or found["status"] in resting, seconds=40)


async def test_answers_that_make_no_sense_wedge_no_order_and_no_sku(
    temporal: Client, fresh_seller: SandboxServer, distorter: tuple[Distorter, str], tmp_path: Path
) -> None:
    distorting, url = distorter
    changes = {**FUZZED, "seller": {"base_url": url}, "seller_backoff": "10ms"}
    async with Engine(temporal, fresh_seller.url, tmp_path, **changes) as engine:
        engine.http.headers["Authorization"] = f"Bearer {OPERATOR}"
        with watching() as watch:
            orders = []
            for played in range(max(ROUNDS, THOROUGHNESS)):
                if played >= THOROUGHNESS and set(distorting.distorted) >= CALLS:
                    break
                orders += await asyncio.gather(*(life(engine, number) for number in range(ORDERS)))
                await asyncio.gather(*(read(engine, sku) for sku in SKUS))
            distorting.share = 0
            for order in orders:
                found = await settled(engine, order)
                if found["needsAttention"]:
                    assert found["allowedActions"], found
                    resumed = await engine.resume(order, "retry")
                    assert resumed.status_code in {200, 409}, resumed.text
                    await settled(engine, order)
            for sku in SKUS:
                await read(engine, sku)
                await listed(engine, sku)
            queue = engine.settings.task_queue
            assert await failed_tasks(temporal, queue, catalog_queue(queue)) == []
        assert watch.findings == []
    assert set(distorting.distorted) >= CALLS


async def read(engine: Engine, sku: str) -> None:
    """Let a SKU be read, and a cart with it simulated."""
    cart = {"seller": "acme", "items": [{"id": sku, "quantity": 1}], "postalCode": "80240-210", "country": "BRA"}
    simulated = await engine.http.post("/carts/simulation", json=cart)
    assert simulated.status_code in {200, 502, 504}, simulated.text
    started = await engine.http.post("/catalog/acme/import", params={"source": "assortment"})
    assert started.status_code in {202, 409}, started.text


async def listed(engine: Engine, sku: str) -> None:
    async with asyncio.timeout(40):
        while True:
            offer = await engine.http.get(f"/catalog/acme/skus/{sku}")
            if offer.status_code == 200 and offer.json()["status"] == "listed":
                return
            await read(engine, sku)
            await asyncio.sleep(0.1)
