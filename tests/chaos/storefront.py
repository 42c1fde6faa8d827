"""The storefront: posts orders, reports payments, cancels, and repeats each call until it is answered."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.chaos.plan import Fate, OrderPlan

PATIENCE: Final = 240.0
"""Seconds for which a call is repeated: longer than anything is broken."""
_AGAIN: Final = {429, 500, 502, 503, 504}
_PAID: Final = {Fate.DELIVERED, Fate.IN_PARTS, Fate.RETURNED, Fate.CUSTOMER_CANCELS, Fate.SELLER_CANCELS}


@dataclass
class Diary:
    """What the storefront knows of one order: what it was answered, and since when the money was there."""

    plan: OrderPlan
    answers: dict[str, list[int]] = field(default_factory=dict)
    """Final HTTP status of each call by its name: post, approved, denied, cancel."""
    lost: int = 0
    """Tries without an answer, or told to come again."""
    approved_at: float | None = None
    """Unix time before the first report that the money is there; None when it never was."""
    placed: asyncio.Event = field(default_factory=asyncio.Event)

    def answered(self, call: str, *statuses: int) -> bool:
        return any(status in statuses for status in self.answers.get(call, []))


class Storefront:
    """Plays the storefront's part of every order. `diaries` by marketplaceOrderId."""

    def __init__(self, url: str) -> None:
        # A new connection for each call, so that the load balancer spreads them and a lost one costs one call.
        limits = httpx.Limits(max_keepalive_connections=0, max_connections=200)
        self._http = httpx.AsyncClient(base_url=url, timeout=15, limits=limits, trust_env=False)
        self.diaries: dict[str, Diary] = {}

    async def aclose(self) -> None:
        await self._http.aclose()

    async def lead(self, plan: OrderPlan) -> None:
        """Post an order and do with it what its fate wants of storefront and customer."""
        diary = self.diaries[plan.id] = Diary(plan)
        if plan.fate is Fate.PAID_AT_ONCE:
            diary.approved_at = time.time()
        async with asyncio.TaskGroup() as group:
            for _ in range(2 if plan.posted_twice else 1):
                group.create_task(self._post(diary))
            if plan.fate is Fate.CUSTOMER_CANCELS:
                group.create_task(self._cancel(diary))
            if plan.fate in _PAID or plan.fate is Fate.DENIED:
                group.create_task(self._pay(diary))

    async def _post(self, diary: Diary) -> None:
        status = await self._call(diary, "post", "/orders", diary.plan.body, {"Prefer": "wait=2"})
        if status in {200, 201, 202}:
            diary.placed.set()

    async def _pay(self, diary: Diary) -> None:
        await diary.placed.wait()
        await asyncio.sleep(diary.plan.pays_after)
        status = "denied" if diary.plan.fate is Fate.DENIED else "approved"
        if status == "approved":
            diary.approved_at = time.time()
        body = {"status": status, "transactionId": f"t-{diary.plan.id}"}
        await self._call(diary, status, f"/orders/{diary.plan.id}/payment", body)

    async def _cancel(self, diary: Diary) -> None:
        if not diary.plan.hurried:
            await diary.placed.wait()
        await asyncio.sleep(diary.plan.cancels_after)
        body = {"reason": "changed mind", "requestedByUser": True}
        # Who is in a hurry asks before the order is known: 404 then, until the post has been answered.
        while await self._call(diary, "cancel", f"/orders/{diary.plan.id}/cancel", body) == httpx.codes.NOT_FOUND:
            diary.answers["cancel"].pop()
            await asyncio.sleep(0.2)

    async def _call(
        self, diary: Diary, name: str, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> int:
        """Repeat a call until it has an answer that says what became of it."""
        pause = 0.1
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    answer = await self._http.post(path, json=body, headers=headers)
                except httpx.TransportError:
                    diary.lost += 1
                else:
                    if answer.status_code not in _AGAIN:
                        diary.answers.setdefault(name, []).append(answer.status_code)
                        return answer.status_code
                    diary.lost += 1
                    pause = max(pause, min(float(answer.headers.get("Retry-After", 0)), 2.0))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
