"""An order that its Seller tells much about, and what that leaves in Temporal."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from temporalio.api.enums.v1 import EventType

from tests.support.engine import Engine

Json = dict[str, Any]
Call = tuple[str, Json]
PRICE, SHIPPING = 3990, 1490


async def order_of_parts(engine: Engine, parts: int) -> Json:
    """A dispatched order that can be invoiced in so many parts."""
    return await engine.dispatched(
        items=[{"id": "2001", "quantity": parts, "price": PRICE}],
        marketplacePaymentValue=parts * PRICE + SHIPPING,
    )


def part_value(order: Json, part: int, parts: int) -> int:
    """The parts sum to the order's value; the last one has what division leaves over."""
    value: int = order["marketplacePaymentValue"]
    return value // parts + (value % parts if part == parts - 1 else 0)


def reports(order: Json, parts: int) -> Iterator[Call]:
    """Four callbacks for each part: its invoice, its tracking, one event on its way, and its arrival."""
    for part in range(parts):
        number = f"N-{part}"
        yield (
            "/invoice",
            {
                "type": "Output",
                "invoiceNumber": number,
                "invoiceValue": part_value(order, part, parts),
                "issuanceDate": "2026-03-10T12:28:00Z",
                "items": [{"id": "2001", "quantity": 1, "price": PRICE}],
                "invoiceUrl": f"https://invoices.example/{number}",
            },
        )
        tracking = {"courier": "Rapido Sul", "trackingNumber": f"RS-{part}", "trackingUrl": f"https://r.example/{part}"}
        yield f"/invoice/{number}", tracking
        for event in (
            {"description": "On its way", "date": "2026-03-13T16:20:00Z"},
            {"description": "Delivered", "date": "2026-03-14T16:20:00Z"},
        ):
            arrived = event["description"] == "Delivered"
            body = {"isDelivered": arrived, "events": [{"city": "Curitiba", "state": "PR", **event}]}
            yield f"/invoice/{number}/tracking", body


async def send(engine: Engine, order: Json, calls: list[Call], at_once: int = 20) -> list[httpx.Response]:
    """Call back so many at a time, as the order's Seller; what a crowded machine refuses is sent again when it says."""
    base = f"{(await engine.ledger(order))['endpoint']}/pvt/orders/{order['marketplaceOrderId']}"
    free = asyncio.Semaphore(at_once)

    async def one(path: str, body: Json) -> httpx.Response:
        async with free:
            answer = await engine.http.post(f"{base}{path}", json=body)
            for _ in range(5):
                if answer.status_code != 503:
                    break
                await asyncio.sleep(float(answer.headers["retry-after"]))
                answer = await engine.http.post(f"{base}{path}", json=body)
            return answer

    return list(await asyncio.gather(*(one(*call) for call in calls)))


def complete(found: Json) -> bool:
    """Whether the record has caught up with all that was reported: the order is delivered before the last of it."""
    packages = found["packages"]
    told = all(package["trackingNumber"] and len(package["events"]) == 2 for package in packages)
    return found["status"] == "delivered" and told


def check_reflected(found: Json, order: Json, parts: int) -> None:
    """Everything reported is there, and there once."""
    numbers = sorted(f"N-{part}" for part in range(parts))
    assert sorted(one["invoiceNumber"] for one in found["invoices"]) == numbers
    assert sorted(one["invoiceNumber"] for one in found["packages"]) == numbers
    assert found["invoicedValue"] == order["marketplacePaymentValue"]
    for package in found["packages"]:
        part = package["invoiceNumber"].removeprefix("N-")
        assert (package["trackingNumber"], package["isDelivered"]) == (f"RS-{part}", True)
        assert [event["description"] for event in package["events"]] == ["On its way", "Delivered"]
    details = [entry["detail"] for entry in found["history"]]
    assert len([one for one in details if "invoice N-" in one]) == len({one for one in details if "invoice N-" in one})


@dataclass
class Footprint:
    """What an order has left in Temporal: of its largest run each, and the number of runs."""

    runs: int = 0
    events: int = 0
    history_bytes: int = 0
    largest_payload: int = 0
    signals: int = 0
    updates: int = 0

    LIMITS = {"events": 51_200, "history_bytes": 50 * 2**20, "largest_payload": 2 * 2**20}
    LIMITS |= {"signals": 10_000, "updates": 2_000}

    def __str__(self) -> str:
        parts = [f"{name} {getattr(self, name):,} of {limit:,}" for name, limit in self.LIMITS.items()]
        return f"{self.runs} run(s); in the largest: {', '.join(parts)}"

    def check(self, share: float = 1.0) -> None:
        """Nothing has come near a limit of Temporal: nearer than this share of it."""
        for name, limit in self.LIMITS.items():
            assert getattr(self, name) <= share * limit, (name, str(self))


async def footprint(engine: Engine, order: Json) -> Footprint:
    """Count what an order has left, over all the runs of its workflow."""
    found = Footprint()
    run_id = (await engine.workflow(order).describe()).run_id
    while run_id:
        handle = engine.client.get_workflow_handle(engine.workflow(order).id, run_id=run_id)
        run, run_id = Footprint(), ""
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                run_id = event.workflow_execution_started_event_attributes.continued_execution_run_id
            size = event.ByteSize()
            run.events += 1
            run.history_bytes += size
            # Every payload is part of an event: none is larger than the largest event.
            run.largest_payload = max(run.largest_payload, size)
            run.signals += event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
            run.updates += event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
        for name in found.LIMITS:
            setattr(found, name, max(getattr(found, name), getattr(run, name)))
        found.runs += 1
    return found
