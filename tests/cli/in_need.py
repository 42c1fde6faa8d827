"""An order of each kind that waits for an operator, and what is known of each kind without making it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from marketplace.errors import Cause, SellerFailure, Verdict
from tests.orders.parking import NO_ENTRY, OTHER_AFFILIATE, REFUSED, parked
from tests.orders.reports import VALUE, invoice
from tests.support.engine import Engine, new_order
from workflows.order_events import Step
from workflows.parking import parking_reason

Json = dict[str, Any]
DOWN: Final = {"kind": "server-error", "httpStatus": 503}
_KEYS: Final = {"X-VTEX-API-AppKey": "sandbox-key", "X-VTEX-API-AppToken": "sandbox-token"}
_SELLER_STEPS: Final = {
    "simulate": Step.SIMULATE,
    "place": Step.PLACE,
    "dispatch": Step.AUTHORIZE_DISPATCH,
    "cancel": Step.CANCEL,
}


@dataclass(frozen=True)
class Kind:
    """One way to need attention: the reason's code, and the step that is parked; no step where a report is flagged."""

    code: str
    step: Step | None
    make: Callable[[Engine], Awaitable[Json]]

    @property
    def name(self) -> str:
        return f"{self.code}, {self.step or 'flagged'}"


def _at(step: str, code: str, fault: Json) -> Kind:
    return Kind(code, _SELLER_STEPS[step], lambda engine: parked(engine, step, fault))


async def _another_order_under_its_id(engine: Engine) -> Json:
    story, other = new_order(), await engine.placed()
    received = {**(await engine.ledger(other))["received"], "marketplaceOrderId": story["marketplaceOrderId"]}
    body = {**received, "items": [{**received["items"][0], "quantity": 1}], "marketplacePaymentValue": 5480}
    async with httpx.AsyncClient(base_url=engine.sandbox_url, headers=_KEYS) as seller:
        (await seller.post("/api/fulfillment/pvt/orders?sc=1&affiliateId=MKP", json=[body])).raise_for_status()
    await engine.post(story, wait=0)
    await engine.until_known(story)
    return story


async def _denied_and_kept(engine: Engine) -> Json:
    story = await engine.placed()
    await engine.fault("cancel", "error", story, code="CHK0202", message="Order cannot be canceled")
    await engine.pay(story, "denied")
    return story


async def _invoiced_above(engine: Engine) -> Json:
    story = await engine.dispatched()
    await invoice(engine, story, "NF-1")
    await invoice(engine, story, "NF-2", 1000)
    return story


async def _invoiced_twice(engine: Engine) -> Json:
    story = await engine.dispatched()
    await invoice(engine, story, "NF-1")
    await invoice(engine, story, "NF-1", 5000)
    return story


async def _invoiced_after_its_end(engine: Engine) -> Json:
    story = await engine.placed()
    await engine.fault("cancel", "hold", story)
    canceling = asyncio.create_task(engine.cancel(story))
    await engine.until(story, status="cancellation-requested")
    # While one of its people answers our call, another cancels, and its warehouse invoices.
    await engine.workflow(story).signal("seller_cancel_reported", _report())
    await engine.until(story, status="canceled")
    await invoice(engine, story, "NF-1")
    (await engine.sandbox.post("/held/release")).raise_for_status()
    await canceling
    return story


async def _canceled_after_its_invoice(engine: Engine) -> Json:
    story = await engine.dispatched()
    await invoice(engine, story, "NF-1", VALUE)
    await engine.until(story, status="invoiced")
    # As the API does it while no worker can answer.
    await engine.workflow(story).signal("seller_cancel_reported", _report())
    return story


async def _reported_too_often(engine: Engine) -> Json:
    story = await engine.dispatched()
    path = f"/pvt/orders/{story['marketplaceOrderId']}/invoice/NF-1/tracking"
    for number in range(3):
        events = [{"city": str(number), "description": "x" * 1900}] * 300
        assert (await engine.callback(story, path, {"isDelivered": False, "events": events})).status_code == 200
    return story


def _report() -> Json:
    return {"eventId": "c-1", "receivedAt": "2026-03-02T10:00:00Z", "reason": "no stock"}


KINDS: Final = [
    # The simulation's fault hits whichever order comes next: these are made one after another, before all others.
    *(_at("simulate", *one) for one in (("seller-unavailable", DOWN), ("seller-credentials", NO_ENTRY))),
    _at("simulate", "seller-misconfigured", OTHER_AFFILIATE),
    *(_at(step, "seller-unavailable", DOWN) for step in ("place", "dispatch", "cancel")),
    *(_at(step, "seller-credentials", NO_ENTRY) for step in ("place", "dispatch", "cancel")),
    *(_at(step, "seller-misconfigured", OTHER_AFFILIATE) for step in ("place", "dispatch", "cancel")),
    Kind("seller-order-mismatch", Step.PLACE, _another_order_under_its_id),
    _at("dispatch", "dispatch-refused", REFUSED),
    Kind("cancellation-refused", Step.CANCEL, _denied_and_kept),
    Kind("invoiced-above-value", None, _invoiced_above),
    Kind("invoice-conflict", None, _invoiced_twice),
    Kind("invoiced-after-end", None, _invoiced_after_its_end),
    Kind("canceled-after-invoice", None, _canceled_after_its_invoice),
    Kind("too-many-reports", None, _reported_too_often),
]
ONE_BY_ONE: Final = [kind for kind in KINDS if kind.step is Step.SIMULATE]


def steps_of(code: str) -> set[Step]:
    """The steps that can be parked with this code, by all failures that a Seller call can have."""
    found = {
        step
        for step in _SELLER_STEPS.values()
        for verdict in Verdict
        for cause in Cause
        # A simulation reads no order that could be another's.
        if (step, cause) != (Step.SIMULATE, Cause.MISMATCH)
        and parking_reason(step, SellerFailure(verdict=verdict, cause=cause)).code == code
    }
    return found | {kind.step for kind in KINDS if kind.code == code and kind.step}
