"""The Seller's side, played through the sandbox's control API: faults, callbacks in disorder, changes of SKUs."""

import asyncio
import random
from collections import Counter
from typing import Any, Final

import httpx

from tests.chaos.plan import ITEM, Fate, OrderPlan

Json = dict[str, Any]

# Kind of fault and its share of all answers. Above all: it did it, but the answer was lost.
_FAULTS: Final[list[Json]] = [
    {"kind": "answer-lost", "percent": 10},
    {"kind": "half-body", "percent": 3},
    {"kind": "not-json", "percent": 2},
    {"kind": "server-error", "percent": 2, "commit": True},
    {"kind": "html", "percent": 2, "httpStatus": 502, "commit": True},
    {"kind": "slow-after", "percent": 3, "seconds": 1.5},
    {"kind": "reset", "percent": 4},
    {"kind": "server-error", "percent": 4, "httpStatus": 503},
    {"kind": "rate-limited", "percent": 3},
    {"kind": "html", "percent": 1},
]
_TRIES: Final = 400
_LEDGER_EVERY: Final = 0.3


class Shop:
    """Plays the Seller of a run."""

    def __init__(self, sandbox_url: str, seed: int) -> None:
        # Hundreds of orders are led at once, and each call lasts as long as the callback that it sends.
        transport = httpx.AsyncHTTPTransport(retries=5, limits=httpx.Limits(max_connections=200))
        patience = httpx.Timeout(60, pool=None)
        self._http = httpx.AsyncClient(
            base_url=f"{sandbox_url}/sandbox", timeout=patience, transport=transport, trust_env=False
        )
        self._dice = random.Random(seed)
        self._status: dict[str, str] = {}
        self._seen = asyncio.Condition()
        self.conflicts: Counter[str] = Counter()
        """Callbacks that the engine has refused by 4xx, by kind: the Seller gives up on those."""
        self.changed: set[str] = set()
        """SKUs that were changed, and told of."""

    async def aclose(self) -> None:
        await self._http.aclose()

    async def prepare(self, notification_endpoint: str, cancel_late: str) -> None:
        """Set the switches."""
        switches = {
            "notificationEndpoint": notification_endpoint,
            "cancelLate": cancel_late,
            "cancelWindowSeconds": 1.0,
            "noticeAttempts": 500,
            "callbackBackoffMaxSeconds": 1.0,
        }
        (await self._http.put("/settings", json=switches)).raise_for_status()

    async def misbehave(self, share: float) -> None:
        """Answer this share of the calls wrongly, from 0 to 1."""
        (await self._http.delete("/faults")).raise_for_status()
        whole, spared = sum(fault["percent"] for fault in _FAULTS), 1.0
        for fault in _FAULTS if share else []:
            # Each fault is drawn only for the calls that the ones before it have spared.
            own = fault["percent"] * share / whole
            scaled = {**fault, "percent": 100 * own / spared, "times": 100_000}
            spared -= own
            (await self._http.post("/faults", json=scaled)).raise_for_status()

    async def down(self, seconds: float) -> None:
        """Answer nothing for a while."""
        (
            await self._http.put("/settings", json={"down": self._dice.choice(["unavailable", "reset"])})
        ).raise_for_status()
        await asyncio.sleep(seconds)
        (await self._http.put("/settings", json={"down": "no"})).raise_for_status()

    async def watch(self) -> None:
        """Keep an eye on the ledger, for those who wait for an order to be placed or dispatched."""
        while True:
            try:
                orders = (await self._http.get("/orders", params={"limit": 100_000})).json()
            except httpx.TransportError:
                # A sandbox too busy to answer is asked again: whoever waits for an order must not wait for ever.
                continue
            async with self._seen:
                self._status = {order["marketplaceOrderId"]: order["status"] for order in orders}
                self._seen.notify_all()
            await asyncio.sleep(_LEDGER_EVERY)

    async def change_skus(self, changes: int, every: float) -> None:
        """Change some SKUs again and again; the sandbox tells the engine of each, until it is told that it heard."""
        ids = [sku["id"] for sku in (await self._http.get("/skus")).json() if sku["id"] != ITEM]
        for _ in range(changes):
            sku_id = self._dice.choice(ids)
            change: Json = self._dice.choice(
                [
                    {"price": self._dice.randint(500, 9000)},
                    {"stock": self._dice.randint(0, 99)},
                    {"name": f"Bowl {self._dice.randint(1, 999)}"},
                    {"active": self._dice.random() < 0.7},
                ]
            )
            (await self._http.patch(f"/skus/{sku_id}", json={**change, "background": True})).raise_for_status()
            self.changed.add(sku_id)
            await asyncio.sleep(every)

    async def lead(self, plan: OrderPlan) -> None:
        """Do with an order what its fate wants of the Seller; ends with nothing done when it is never dispatched."""
        if plan.fate is Fate.SELLER_CANCELS and plan.hurried:
            await self._until(plan, "waiting-ffmt-authorization", "window-to-cancel", "ready-for-handling")
        else:
            await self._until(plan, "window-to-cancel", "ready-for-handling")
        if plan.fate is Fate.SELLER_CANCELS:
            await asyncio.sleep(plan.cancels_after)
            await self._send(plan, "cancel", {"reason": "damaged in the warehouse"})
            return
        await asyncio.sleep(self._dice.uniform(0, 2))
        await self._http.post(f"/orders/{plan.id}/handling")
        parts = self._parts(plan)
        for number, value in parts.items():
            invoice = {"invoiceNumber": number, "invoiceValue": value, "items": []}
            tracking = {"invoiceNumber": number, "route": "number"}
            reports: list[tuple[str, Json]] = [("invoice", invoice), ("tracking", tracking)]
            if plan.early_tracking:
                reports.reverse()
            for kind, body in reports:
                await self._send(plan, kind, body)
        for number in parts:
            await self._send(plan, "delivery", {"invoiceNumber": number, "isDelivered": True})
        if plan.fate is Fate.RETURNED:
            value = sum(parts.values())
            await self._send(plan, "invoice", {"type": "Input", "invoiceNumber": f"R-{plan.id}", "invoiceValue": value})

    def _parts(self, plan: OrderPlan) -> dict[str, int]:
        """Invoice numbers and values in cents: the whole order, or two parts of it."""
        value = int(plan.body["marketplacePaymentValue"])
        if plan.fate is not Fate.IN_PARTS:
            return {f"NF-{plan.id}-1": value}
        first = self._dice.randint(1, value - 1)
        return {f"NF-{plan.id}-1": first, f"NF-{plan.id}-2": value - first}

    async def _until(self, plan: OrderPlan, *statuses: str) -> None:
        async with self._seen:
            await self._seen.wait_for(lambda: self._status.get(plan.id) in statuses)

    async def _send(self, plan: OrderPlan, kind: str, body: Json) -> None:
        """Send a callback as often as planned, until one of them is answered for good."""
        body = {**body, "times": plan.repeats, "together": True}
        for _ in range(_TRIES):
            try:
                answer = await self._http.post(f"/orders/{plan.id}/{kind}", json=body)
            except httpx.TransportError:
                continue
            answer.raise_for_status()
            statuses = [sent["status"] for sent in answer.json()["callbacks"]]
            if any(status is not None and status < 500 and status != 429 for status in statuses):
                if not any(status is not None and status < 300 for status in statuses):
                    self.conflicts[kind] += 1
                return
            await asyncio.sleep(0.3)
