"""The Seller's side, played through the sandbox's control API: faults, callbacks in disorder, changes of SKUs."""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from tests.chaos.plan import ITEM, PRICE, Fate, OrderPlan, Trouble

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
_DISPATCHED: Final = ("window-to-cancel", "ready-for-handling")
_UNDISPATCHED: Final = 20.0
"""Seconds after which a Seller goes on with what it has invoiced, authorized or not."""
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
        self.sending = 0
        """Reports that are under way, and repeated until they are answered."""
        self.changed: set[str] = set()
        """SKUs that were changed, and told of."""

    async def aclose(self) -> None:
        await self._http.aclose()

    async def prepare(self, notification_endpoint: str, drawn: Json) -> None:
        """Set the switches, those of the plan among them."""
        switches = {
            **drawn,
            "notificationEndpoint": notification_endpoint,
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

    async def expect(self, plan: OrderPlan) -> None:
        """Get ready for an order that is about to be posted: its trouble, and its units."""
        if plan.item != ITEM:
            sku = {"name": f"The last of {plan.id}", "price": PRICE, "stock": plan.quantity}
            (await self._http.put(f"/skus/{plan.item}", json=sku)).raise_for_status()
        for fault in plan.faults:
            (await self._http.post("/faults", json=fault)).raise_for_status()

    async def down(self, seconds: float, *, forbidden: bool = False) -> None:
        """Answer nothing for a while, or 403."""
        how = "forbidden" if forbidden else self._dice.choice(["unavailable", "reset"])
        (await self._http.put("/settings", json={"down": how})).raise_for_status()
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
        ids = [sku["id"] for sku in (await self._http.get("/skus")).json() if "100001" < sku["id"] < "2"]
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
            await self._until(plan, "waiting-ffmt-authorization", *_DISPATCHED)
        elif plan.trouble is Trouble.EARLY_INVOICE:
            await self._until(plan, "waiting-ffmt-authorization", *_DISPATCHED)
            for number, value in self._parts(plan).items():
                await self._send(plan, *_invoice(number, value))
            with suppress(TimeoutError):
                # What is invoiced the engine needs not dispatch any more, should that be refused.
                async with asyncio.timeout(_UNDISPATCHED):
                    await self._until(plan, *_DISPATCHED)
        else:
            await self._until(plan, *_DISPATCHED)
        if plan.fate is Fate.SELLER_CANCELS:
            await asyncio.sleep(plan.cancels_after)
            await self._send(plan, "cancel", {"reason": "damaged in the warehouse"})
            return
        await asyncio.sleep(self._dice.uniform(0, 2))
        await self._http.post(f"/orders/{plan.id}/handling")
        reports = self._reports(plan)
        if plan.shuffled:
            self._dice.shuffle(reports)
        for kind, body in reports:
            await self._send(plan, kind, body)

    def _reports(self, plan: OrderPlan) -> list[tuple[str, Json]]:
        """What there is to tell of an order that is delivered, or returned."""
        parts, reports = self._parts(plan), list[tuple[str, Json]]()
        for number, value in parts.items():
            both = [_invoice(number, value), ("tracking", {"invoiceNumber": number, "route": "number"})]
            reports += reversed(both) if plan.early_tracking else both
        reports += [("delivery", {"invoiceNumber": number, "isDelivered": True}) for number in parts]
        if plan.fate is Fate.RETURNED:
            reports.append(_invoice(f"R-{plan.id}", sum(parts.values()), "Input"))
        return reports

    def _parts(self, plan: OrderPlan) -> dict[str, int]:
        """Invoice numbers and values in cents: the whole order, or two parts of it."""
        value = int(plan.body["marketplacePaymentValue"])
        if plan.fate is not Fate.IN_PARTS:
            return {f"NF-{plan.id}-1": value}
        first = random.Random(plan.id).randint(1, value - 1)
        return {f"NF-{plan.id}-1": first, f"NF-{plan.id}-2": value - first}

    async def _until(self, plan: OrderPlan, *statuses: str) -> None:
        async with self._seen:
            await self._seen.wait_for(lambda: self._status.get(plan.id) in statuses)

    async def _send(self, plan: OrderPlan, kind: str, body: Json) -> None:
        """Send a callback as often as planned, until one of them is answered for good."""
        self.sending += 1
        try:
            await self._repeat(plan, kind, {**body, "times": plan.repeats, "together": True})
        finally:
            self.sending -= 1

    async def _repeat(self, plan: OrderPlan, kind: str, body: Json) -> None:
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


def _invoice(number: str, value: int, kind: str = "Output") -> tuple[str, Json]:
    """An invoice that is the very same however often it is repeated."""
    dated = {"issuanceDate": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    return "invoice", {"type": kind, "invoiceNumber": number, "invoiceValue": value, "items": [], **dated}
