"""One run from beginning to end: start, load and break, heal, settle, collect, check."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from temporalio.client import Client

from tests.chaos.evidence import collect
from tests.chaos.invariants import Violation, check
from tests.chaos.nemesis import Nemesis
from tests.chaos.onlooker import Onlooker
from tests.chaos.operator import Operator
from tests.chaos.plan import OrderPlan, Plan
from tests.chaos.shop import Shop
from tests.chaos.stack import Stack
from tests.chaos.storefront import Storefront

SETTLE_SECONDS: Final = 300.0
_RUNNING: Final = (
    'ExecutionStatus = "Running" AND WorkflowType IN ("OrderWorkflow", "SkuSyncWorkflow", "CatalogImportWorkflow")'
)
_PARKED: Final = 'ExecutionStatus = "Running" AND WorkflowType = "OrderWorkflow" AND NeedsAttention = true'
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
    kills_of: dict[str, int]
    """By part; of the database its crashes."""
    seller: dict[str, Any]
    """Its switches, as drawn."""
    seller_answers: int
    faulty_answers: int
    answers_until_healed: int
    """While all was broken; without those to calls that came while the Seller was down."""
    faulty_until_healed: int
    faulty_share_until_healed: float
    answers_while_down: int
    network: dict[str, int]
    storefront_repeats: int
    statuses: dict[str, int]
    callbacks: int
    refused_callbacks: dict[str, int]
    """Reports that were answered 4xx, by kind: the Seller gave up on them."""
    parked: dict[str, int]
    """Orders that needed attention, by reason, and SKUs."""
    operator: dict[str, int]
    """How often an operator said retry or abort."""
    watched: int
    """Orders that were read during the run, again and again."""
    statuses_shown: int
    sku_changes: int
    violations: list[Violation] = field(default_factory=list)


async def run(plan: Plan, directory: Path, seller_faults: float) -> Report:
    """Carry out a plan. `seller_faults`: the share of the Seller's answers that go wrong."""
    began = time.monotonic()
    async with Stack(directory, NETWORK_FAULTS, plan) as stack:
        shop, storefront = Shop(stack.sandbox_url, plan.seed), Storefront(stack.url)
        nemesis, operator, onlooker = Nemesis(stack, shop), Operator(stack.url, plan.orders), Onlooker(stack.url)
        try:
            await shop.prepare(stack.notification_endpoint, plan.switches)
            await shop.misbehave(seller_faults)
            watching = [asyncio.create_task(shop.watch()), asyncio.create_task(nemesis.keep_running())]
            attending = asyncio.create_task(operator.attend())
            others = await _under_fire(plan, shop, storefront, nemesis, onlooker)
            client = await stack.temporal.client()
            await _mostly_ended(client, len(plan.orders))
            attending.cancel()
            await asyncio.gather(attending, return_exceptions=True)
            await shop.misbehave(0)
            healed = datetime.now(UTC)
            stack.proxy.heal()
            await _settle(client, shop, operator)
            for task in [*watching, *others]:
                task.cancel()
            await asyncio.gather(*watching, *others, return_exceptions=True)
            evidence = await collect(stack, shop.changed, storefront.diaries, client)
            evidence.shown, evidence.said, evidence.reasons = onlooker.shown, operator.said, operator.reasons
            answers = await _traffic(stack, healed)
        finally:
            for one in (storefront, shop, operator, onlooker):
                await one.aclose()
        parked, said = operator.counts()
        return Report(
            seed=plan.seed,
            orders=len(plan.orders),
            seconds=round(time.monotonic() - began, 1),
            database=stack.database,
            blows={f"{part}: {blow}": count for (part, blow), count in sorted(nemesis.counts.items())},
            kills=nemesis.kills,
            kills_of=nemesis.kills_of,
            seller=plan.switches,
            seller_answers=answers["all"],
            faulty_answers=answers["faulty"],
            answers_until_healed=answers["all until healed"],
            faulty_until_healed=answers["faulty until healed"],
            faulty_share_until_healed=round(answers["faulty until healed"] / max(answers["all until healed"], 1), 3),
            answers_while_down=answers["down"],
            network=dict(stack.proxy.counts),
            storefront_repeats=sum(diary.lost for diary in storefront.diaries.values()),
            statuses=dict(Counter(order["status"] for order in evidence.orders.values())),
            callbacks=sum(len(kept["callbacks"]) for kept in evidence.ledger.values()),
            refused_callbacks=dict(shop.conflicts),
            parked=parked,
            operator=said,
            watched=len(onlooker.shown),
            statuses_shown=sum(len(statuses) for statuses in onlooker.shown.values()),
            sku_changes=len(shop.changed),
            violations=check(evidence),
        )


async def _under_fire(
    plan: Plan, shop: Shop, storefront: Storefront, nemesis: Nemesis, onlooker: Onlooker
) -> list[asyncio.Task[None]]:
    """Post all orders while everything is broken; the tasks that still play the Seller's part, or look on."""
    start = time.monotonic()
    others: list[asyncio.Task[None]] = []

    async def order(one: OrderPlan) -> None:
        await asyncio.sleep(max(0.0, one.at - (time.monotonic() - start)))
        await shop.expect(one)
        others.append(asyncio.create_task(shop.lead(one)))
        if one.watched:
            others.append(asyncio.create_task(onlooker.watch(one.id)))
        await storefront.lead(one)

    async with asyncio.TaskGroup() as group:
        group.create_task(nemesis.rage(plan))
        group.create_task(shop.change_skus(len(plan.orders) // 4, 4 * plan.seconds / len(plan.orders)))
        for one in plan.orders:
            group.create_task(order(one))
    return others


async def _mostly_ended(client: Client, orders: int) -> None:
    """Wait until most orders have ended or wait for an operator, or for a while: the late meet faults like the rest."""
    give_up = time.monotonic() + STILL_BROKEN_SECONDS
    while time.monotonic() < give_up:
        running, parked = [(await client.count_workflows(query)).count for query in (_RUNNING, _PARKED)]
        if running - parked <= orders / 20:
            return
        await asyncio.sleep(0.5)


async def _settle(client: Client, shop: Shop, operator: Operator) -> None:
    """Wait until no workflow runs and no report is under way any more; drive what is parked or was given up."""
    give_up = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < give_up:
        running = await client.count_workflows(_RUNNING)
        if not await operator.decide() and not running.count and not shop.sending:
            break
        await asyncio.sleep(1)


async def _traffic(stack: Stack, healed: datetime) -> Counter[str]:
    """How many calls of the engine the Seller answered, and how many of them wrongly, in all and until the healing."""
    async with httpx.AsyncClient(base_url=f"{stack.sandbox_url}/sandbox", trust_env=False, timeout=60) as seller:
        requests = (await seller.get("/requests", params={"limit": 100_000})).json()
    counts: Counter[str] = Counter()
    for request in requests:
        names = ["all", "faulty"] if request["fault"] else ["all"]
        counts.update(names)
        if request["fault"] == "down":
            counts["down"] += 1
        elif datetime.fromisoformat(request["at"]) < healed:
            counts.update(f"{name} until healed" for name in names)
    return counts
