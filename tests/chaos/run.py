"""One run from beginning to end: start, load and break, heal, settle, collect, check."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from temporalio.client import Client

from tests.chaos.evidence import collect
from tests.chaos.invariants import Violation, check
from tests.chaos.nemesis import Nemesis
from tests.chaos.plan import OrderPlan, Plan
from tests.chaos.shop import Shop
from tests.chaos.stack import Stack
from tests.chaos.storefront import Storefront

SETTLE_SECONDS: Final = 300.0
_RUNNING: Final = (
    'ExecutionStatus = "Running" AND WorkflowType IN ("OrderWorkflow", "SkuSyncWorkflow", "CatalogImportWorkflow")'
)
STILL_BROKEN_SECONDS: Final = 60.0
NETWORK_FAULTS: Final = 0.02
"""Share of what passes the load balancer that is lost, each with its connection."""


@dataclass
class Report:
    """What a run has shown."""

    seed: int
    orders: int
    seconds: float
    database: str
    blows: dict[str, int]
    kills: int
    seller_answers: int
    faulty_answers: int
    network: dict[str, int]
    storefront_repeats: int
    statuses: dict[str, int]
    callbacks: int
    parked: dict[str, int]
    sku_changes: int
    violations: list[Violation] = field(default_factory=list)


async def run(plan: Plan, directory: Path, seller_faults: float) -> Report:
    """Carry out a plan. `seller_faults`: the share of the Seller's answers that go wrong."""
    began = time.monotonic()
    async with Stack(directory, NETWORK_FAULTS, plan) as stack:
        shop, storefront = Shop(stack.sandbox_url, plan.seed), Storefront(stack.url)
        nemesis = Nemesis(stack, shop)
        try:
            await shop.prepare(stack.notification_endpoint, plan.cancel_late)
            await shop.misbehave(seller_faults)
            watching = [asyncio.create_task(shop.watch()), asyncio.create_task(nemesis.keep_running())]
            sellers = await _under_fire(plan, shop, storefront, nemesis)
            client = await stack.temporal.client()
            await _mostly_ended(client, len(plan.orders))
            await shop.misbehave(0)
            stack.proxy.heal()
            parked = await _settle(stack, client)
            for task in [*watching, *sellers]:
                task.cancel()
            await asyncio.gather(*watching, *sellers, return_exceptions=True)
            evidence = await collect(stack, shop.changed, storefront.diaries, client)
            answers = await _traffic(stack)
        finally:
            await storefront.aclose()
            await shop.aclose()
        return Report(
            seed=plan.seed,
            orders=len(plan.orders),
            seconds=round(time.monotonic() - began, 1),
            database=stack.database,
            blows={f"{part}: {blow}": count for (part, blow), count in sorted(nemesis.counts.items())},
            kills=nemesis.kills,
            seller_answers=answers["all"],
            faulty_answers=answers["faulty"],
            network=dict(stack.proxy.counts),
            storefront_repeats=sum(diary.lost for diary in storefront.diaries.values()),
            statuses=dict(Counter(order["status"] for order in evidence.orders.values())),
            callbacks=sum(len(kept["callbacks"]) for kept in evidence.ledger.values()),
            parked=parked,
            sku_changes=len(shop.changed),
            violations=check(evidence),
        )


async def _under_fire(plan: Plan, shop: Shop, storefront: Storefront, nemesis: Nemesis) -> list[asyncio.Task[None]]:
    """Post all orders while everything is broken; the tasks that still play the Seller's part."""
    start = time.monotonic()
    sellers: list[asyncio.Task[None]] = []

    async def order(one: OrderPlan) -> None:
        await asyncio.sleep(max(0.0, one.at - (time.monotonic() - start)))
        sellers.append(asyncio.create_task(shop.lead(one)))
        await storefront.lead(one)

    async with asyncio.TaskGroup() as group:
        group.create_task(nemesis.rage(plan))
        group.create_task(shop.change_skus(len(plan.orders) // 4, 4 * plan.seconds / len(plan.orders)))
        for one in plan.orders:
            group.create_task(order(one))
    return sellers


async def _mostly_ended(client: Client, orders: int) -> None:
    """Wait until most orders have ended, or for a while: what is late meets faults like the rest."""
    give_up = time.monotonic() + STILL_BROKEN_SECONDS
    while time.monotonic() < give_up and (await client.count_workflows(_RUNNING)).count > orders / 20:
        await asyncio.sleep(0.5)


async def _settle(stack: Stack, client: Client) -> dict[str, int]:
    """Wait until no workflow runs any more; drive anew what is parked or was given up; how many were, by reason."""
    parked: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=stack.url, trust_env=False, timeout=30) as engine:
        give_up = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < give_up:
            running = await client.count_workflows(_RUNNING)
            given_up = await _given_up(engine)
            if not running.count and not given_up:
                break
            if given_up:
                parked |= dict.fromkeys(given_up, "SKU failed")
                await engine.post("/catalog/acme/import", params={"source": "failed"})
            for order in await _needing_attention(engine):
                parked[order["marketplaceOrderId"]] = order["reason"]["code"]
                body = {"action": "retry", "note": "the run is over"}
                await engine.post(f"/orders/{order['marketplaceOrderId']}/resume", json=body)
            await asyncio.sleep(1)
    return dict(Counter(parked.values()))


async def _needing_attention(engine: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await engine.get("/orders", params={"needsAttention": "true", "limit": 100})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["orders"]
    return found


async def _given_up(engine: httpx.AsyncClient) -> list[str]:
    """SKUs that used up their tries."""
    answer = await engine.get("/catalog/acme/skus", params={"status": "failed", "limit": 100})
    return [offer["id"] for offer in answer.raise_for_status().json()["offers"]]


async def _traffic(stack: Stack) -> Counter[str]:
    """How many calls of the engine the Seller answered, and how many of them wrongly."""
    async with httpx.AsyncClient(base_url=f"{stack.sandbox_url}/sandbox", trust_env=False, timeout=60) as seller:
        requests = (await seller.get("/requests", params={"limit": 100_000})).json()
    return Counter(all=len(requests), faulty=sum(bool(request["fault"]) for request in requests))
