"""What is known at the end of a run, from three sides: storefront, Seller, and engine with its histories."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client

from tests.chaos.stack import Stack
from tests.chaos.storefront import Diary

Json = dict[str, Any]

_AT_ONCE: Final = 16
_BUGS: Final = {
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
}
_ALARMS: Final = re.compile(
    r"Traceback|non-?determinis|never awaited|Task exception was never retrieved", re.IGNORECASE
)


@dataclass
class Evidence:
    """Everything that the invariants are checked against."""

    diaries: dict[str, Diary]
    orders: dict[str, Json]
    """The engine's answer to GET /orders/{id}, by id."""
    ledger: dict[str, Json]
    """The Seller's own account of each order it ever took."""
    skus: dict[str, Json] = field(default_factory=dict)
    """By id, of each SKU that was changed: what the Seller says now, whether the last read told that, and our offer."""
    bugs: list[str] = field(default_factory=list)
    """Workflow tasks that failed by a defect of ours, and alarming lines of logs."""
    shown: dict[str, list[str]] = field(default_factory=dict)
    """The statuses that were answered to who read an order during the run, in that order."""
    said: dict[str, list[str]] = field(default_factory=dict)
    """What an operator said to an order that was parked or flagged."""
    reasons: dict[str, set[str]] = field(default_factory=dict)
    """The codes for which it was."""


async def collect(stack: Stack, shop_changed: set[str], diaries: dict[str, Diary], client: Client) -> Evidence:
    """Ask everybody. The engine is whole again and nothing is lost on the way any more."""
    async with (
        httpx.AsyncClient(base_url=stack.url, trust_env=False, timeout=30) as engine,
        httpx.AsyncClient(base_url=f"{stack.sandbox_url}/sandbox", trust_env=False, timeout=60) as seller,
    ):
        orders = {one: await _order(engine, one) for one in diaries}
        known = {order["marketplaceOrderId"] for order in (await seller.get("/orders?limit=100000")).json()}
        evidence = Evidence(
            diaries=diaries,
            orders={one: order for one, order in orders.items() if order},
            ledger={one: (await seller.get(f"/orders/{one}")).json() for one in known},
            skus={one: await _sku(engine, seller, one) for one in sorted(shop_changed)},
        )
    evidence.bugs = await _bugs(client) + [f"{name}: {line}" for name, line in _alarms(stack)]
    return evidence


async def _order(engine: httpx.AsyncClient, order_id: str) -> Json | None:
    answer = await engine.get(f"/orders/{order_id}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    order: Json = answer.raise_for_status().json()
    return order


async def _sku(engine: httpx.AsyncClient, seller: httpx.AsyncClient, sku_id: str) -> Json:
    offer = await engine.get(f"/catalog/acme/skus/{sku_id}")
    return {
        "seller": (await seller.get(f"/skus/{sku_id}")).json(),
        "upToDate": (await seller.get(f"/reads/{sku_id}")).json()["upToDate"],
        "offer": offer.json() if offer.is_success else None,
    }


async def _bugs(client: Client) -> list[str]:
    """Workflow tasks that failed by a defect, in every history there is."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def of(workflow_id: str, run_id: str) -> list[str]:
        async with places:
            history = client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history_events()
            failed = [
                event.workflow_task_failed_event_attributes
                async for event in history
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
            ]
            return [f"{workflow_id}: {one.failure.message}" for one in failed if one.cause in _BUGS]

    found = [of(one.id, one.run_id) async for one in client.list_workflows("")]
    return [bug for bugs in await asyncio.gather(*found) for bug in bugs]


def _alarms(stack: Stack) -> list[tuple[str, str]]:
    return [
        (name, line.strip()[:300])
        for name, text in stack.logs().items()
        for line in text.splitlines()
        if _ALARMS.search(line)
    ]
