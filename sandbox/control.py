"""The control API under /sandbox, about orders and behaviour: for tests, development and people who integrate.

No keys: the sandbox listens on the loopback address alone.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query, Response

from sandbox.base import Model
from sandbox.config import Settings
from sandbox.faults import Fault
from sandbox.holds import HeldCall, HeldFilter, HeldQuery
from sandbox.ledger import CallbackRecord, Order, Status
from sandbox.reports import CancelReport, DeliveryReport, InvoiceReport, Report, TrackingReport
from sandbox.seller import Seller
from sandbox.traffic import RequestEntry


class OrderSummary(Model):
    marketplace_order_id: str
    order_id: str
    status: Status
    value: int
    invoiced_value: int


class SentCallback(Model):
    """What the marketplace answered to one callback: the last try's status and body, and how many tries it took."""

    url: str
    status: int | None
    body: Any
    error: str | None
    attempts: int


class CallbacksSent(Model):
    """The order's status afterwards, and one entry for each callback sent. None were awaited with `background`."""

    status: Status
    callbacks: list[SentCallback]


_INVOICES: Any = {
    "all": {"summary": "Invoice all that is open", "value": {}},
    "partial": {
        "summary": "A partial invoice",
        "value": {"invoiceNumber": "NF-1-A", "items": [{"id": "2001", "quantity": 1, "price": 3990}]},
    },
    "return": {"summary": "A return", "value": {"type": "Input"}},
    "repeated": {"summary": "The same invoice three times at once", "value": {"times": 3, "together": True}},
}
_FAULTS: Any = {
    "lost": {"summary": "The order is placed, its answer is lost", "value": {"route": "place", "kind": "answer-lost"}},
    "held": {"summary": "A call waits until it is released", "value": {"route": "dispatch", "kind": "hold"}},
    "limited": {
        "summary": "Two calls are rate limited",
        "value": {"route": "any", "kind": "rate-limited", "times": 2, "retryAfter": 1},
    },
    "refused": {
        "summary": "An error of VTEX",
        "value": {"route": "dispatch", "kind": "error", "code": "FMT0084", "httpStatus": 400},
    },
}


def control_router(seller: Seller) -> APIRouter:
    """The routes under /sandbox for one Seller."""
    router = APIRouter(prefix="/sandbox")
    _add_orders(router, seller)
    _add_callbacks(router, seller)
    _add_behaviour(router, seller)
    return router


def _order(seller: Seller, order_id: str) -> Order:
    order = seller.ledger.get(order_id) or seller.ledger.by_order_id(order_id)
    if order is None:
        raise HTTPException(404, f"no order {order_id} was placed here")
    return order


def _add_orders(router: APIRouter, seller: Seller) -> None:
    @router.get("/orders", tags=["orders"])
    async def list_orders(
        status: Status | None = None, limit: Annotated[int, Query(ge=1, le=100_000)] = 1000
    ) -> list[OrderSummary]:
        """The orders, in the order in which they were placed; with `limit` the last ones."""
        found = [order for order in seller.ledger.all() if status in {None, order.status}]
        return [OrderSummary.model_validate(order, from_attributes=True) for order in found[-limit:]]

    @router.get("/orders/{order_id}", tags=["orders"])
    async def show_order(order_id: str) -> Order:
        """All about one order: what was received, status, reservations, callbacks, invoices, counts of calls."""
        return _order(seller, order_id)

    @router.post("/orders/{order_id}/approve", tags=["orders"])
    async def approve_order(order_id: str) -> Order:
        """Let the Seller's person take an order that is held for its prices."""
        order = _order(seller, order_id)
        if not seller.ledger.approve(order):
            raise HTTPException(409, f"the order is {order.status}, not {Status.HELD}")
        return order

    @router.post("/orders/{order_id}/handling", tags=["orders"])
    async def start_handling(order_id: str) -> Order:
        """Start packing: ends the cancellation window, and denies a cancellation that waits for a decision."""
        order = _order(seller, order_id)
        if not seller.ledger.start_handling(order):
            raise HTTPException(409, f"the order is {order.status}: nothing to pack")
        return order

    @router.get("/requests", tags=["orders"])
    async def list_requests(path: str = "", limit: Annotated[int, Query(ge=1, le=100_000)] = 100) -> list[RequestEntry]:
        """The last requests of the marketplace whose path contains `path`, oldest first."""
        found = [entry for entry in seller.traffic.requests if path in entry.path]
        return found[-limit:]


def _add_callbacks(router: APIRouter, seller: Seller) -> None:
    async def send(order_id: str, report: Report, response: Response) -> CallbacksSent:
        order = _order(seller, order_id)
        if isinstance(report, InvoiceReport):
            work = seller.callbacks.invoice(order, report)
        elif isinstance(report, TrackingReport):
            work = seller.callbacks.tracking(order, report)
        elif isinstance(report, DeliveryReport):
            work = seller.callbacks.delivery(order, report)
        else:
            assert isinstance(report, CancelReport)
            work = seller.callbacks.cancel(order, report)
        if report.background:
            seller.spawn(work)
            response.status_code = 202
            return CallbacksSent(status=order.status, callbacks=[])
        return _sent(order, await work)

    @router.post("/orders/{order_id}/invoice", tags=["callbacks"])
    async def send_invoice(
        order_id: str,
        response: Response,
        report: Annotated[InvoiceReport | None, Body(openapi_examples=_INVOICES)] = None,
    ) -> CallbacksSent:
        """Send an invoice now; sale invoices that sum to the value make the order `invoiced`."""
        return await send(order_id, report or InvoiceReport(), response)

    @router.post("/orders/{order_id}/tracking", tags=["callbacks"])
    async def send_tracking(order_id: str, response: Response, report: TrackingReport | None = None) -> CallbacksSent:
        """Send the tracking of an invoice now."""
        return await send(order_id, report or TrackingReport(), response)

    @router.post("/orders/{order_id}/delivery", tags=["callbacks"])
    async def send_delivery(order_id: str, response: Response, report: DeliveryReport | None = None) -> CallbacksSent:
        """Send tracking events now; `isDelivered` is true unless said otherwise."""
        return await send(order_id, report or DeliveryReport(), response)

    @router.post("/orders/{order_id}/cancel", tags=["callbacks"])
    async def send_cancel(order_id: str, response: Response, report: CancelReport | None = None) -> CallbacksSent:
        """Send a cancel callback now; a 200 with a receipt makes the order `canceled`."""
        return await send(order_id, report or CancelReport(), response)


def _sent(order: Order, records: list[CallbackRecord]) -> CallbacksSent:
    return CallbacksSent(
        status=order.status,
        callbacks=[
            SentCallback(
                url=record.url,
                status=record.attempts[-1].status,
                body=record.attempts[-1].body,
                error=record.attempts[-1].error,
                attempts=len(record.attempts),
            )
            for record in records
        ],
    )


def _add_behaviour(router: APIRouter, seller: Seller) -> None:
    @router.get("/settings", tags=["behaviour"])
    async def show_settings() -> Settings:
        """All switches as they are now."""
        return seller.settings

    @router.put("/settings", tags=["behaviour"])
    async def change_settings(change: Settings) -> Settings:
        """Set the switches that the body names; the others stay."""
        seller.change_settings(seller.settings.model_copy(update=change.model_dump(exclude_unset=True, by_alias=False)))
        return seller.settings

    @router.post("/faults", tags=["behaviour"], status_code=201)
    async def add_fault(fault: Annotated[Fault, Body(openapi_examples=_FAULTS)]) -> list[Fault]:
        """Queue a fault; answers the queue."""
        seller.faults.add(fault)
        return seller.faults.all()

    @router.get("/faults", tags=["behaviour"])
    async def list_faults() -> list[Fault]:
        """The faults that have not happened yet."""
        return seller.faults.all()

    @router.delete("/faults", tags=["behaviour"])
    async def clear_faults() -> list[Fault]:
        """Forget all faults."""
        seller.faults.clear()
        return []

    @router.get("/held", tags=["behaviour"])
    async def list_held(query: Annotated[HeldQuery, Query()]) -> list[HeldCall]:
        """The calls that are held, oldest first. With `wait` the answer waits so many seconds until there is one."""
        return await seller.held.find(query, query.wait)

    @router.post("/held/release", tags=["behaviour"])
    async def release_held(meant: HeldFilter | None = None) -> list[HeldCall]:
        """Let held calls go on: those that the body names, or all. Answers them."""
        return seller.held.release(meant or HeldFilter())

    @router.post("/reset", tags=["behaviour"], status_code=204)
    async def reset() -> None:
        """Return to the start: no orders, faults, requests, notices and reads; the first SKUs and settings."""
        await seller.reset()
