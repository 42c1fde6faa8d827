"""The operator: looks for orders that need attention, during the run and after it, and says what the plan wants."""

import asyncio
from collections import Counter
from typing import Any, Final

import httpx

from tests.chaos.plan import OrderPlan

Json = dict[str, Any]

_EVERY: Final = 1.5
"""Seconds between two looks while everything is broken."""


class Operator:
    """Says retry or abort. `said` and `reasons` by marketplaceOrderId: what, and to what codes."""

    def __init__(self, url: str, plans: list[OrderPlan]) -> None:
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=30)
        self._plans = {plan.id: plan for plan in plans}
        self.said: dict[str, list[str]] = {}
        self.reasons: dict[str, set[str]] = {}
        self.skus: set[str] = set()
        """SKUs that had used up their tries."""

    async def aclose(self) -> None:
        await self._http.aclose()

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many orders and SKUs were parked, by reason, and how often each word was said."""
        reasons = Counter(code for codes in self.reasons.values() for code in codes)
        if self.skus:
            reasons["SKU failed"] = len(self.skus)
        return dict(reasons), dict(Counter(word for words in self.said.values() for word in words))

    async def attend(self) -> None:
        """Look after the orders that are not left for the end, while nothing can be relied on."""
        while True:
            await asyncio.sleep(_EVERY)
            try:
                await self.decide(all_of_them=False)
            except httpx.HTTPError:
                continue

    async def decide(self, *, all_of_them: bool = True) -> bool:
        """Say a word to each order that needs one, and drive failed SKUs anew; whether there was any.

        Raises httpx.HTTPError when the engine does not answer.
        """
        for order in (found := await self._needing_attention()):
            one = order["marketplaceOrderId"]
            self.reasons.setdefault(one, set()).add(order["reason"]["code"])
            plan = self._plans[one]
            if all_of_them or plan.attended:
                word = "abort" if plan.aborts and "abort" in order["allowedActions"] else "retry"
                # Before it is sent: the answer may be lost.
                self.said.setdefault(one, []).append(word)
                body = {"action": word, "note": "as planned"}
                await self._http.post(f"/orders/{one}/resume", json=body)
        if all_of_them and (skus := await self._given_up()):
            self.skus.update(skus)
            await self._http.post("/catalog/acme/import", params={"source": "failed"})
            return True
        return bool(found)

    async def _needing_attention(self) -> list[Json]:
        answer = await self._http.get("/orders", params={"needsAttention": "true", "limit": 100})
        found: list[Json] = answer.raise_for_status().json()["orders"]
        return found

    async def _given_up(self) -> list[str]:
        answer = await self._http.get("/catalog/acme/skus", params={"status": "failed", "limit": 100})
        return [offer["id"] for offer in answer.raise_for_status().json()["offers"]]
