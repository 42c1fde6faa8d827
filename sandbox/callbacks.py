"""Sends the Seller's callbacks to the marketplace, with retries, and lets the ledger follow what was acknowledged.

Source: contract section B5: the path is inserted into `marketplaceServicesEndpoint`, before its query string.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import quote

from sandbox.config import Settings
from sandbox.ledger import INVOICEABLE, CallbackRecord, Ledger, Order, Status
from sandbox.protocol import Json
from sandbox.reports import (
    CancelReport,
    DeliveryReport,
    InvoiceReport,
    Report,
    TrackingReport,
    delivery_body,
    invoice_body,
    invoice_of,
    last_number,
    tracking_body,
)
from sandbox.sending import Sender, insert_path

_OK = 200


def callback_url(endpoint: str, prefix: str, order_id: str, tail: str, *, doubled_slash: bool = False) -> str:
    """Insert `/{prefix}/orders/{order_id}/{tail}` into the endpoint, before its query string."""
    slash = "//" if doubled_slash else "/"
    return insert_path(endpoint, f"{slash}{prefix}/orders/{quote(order_id, safe='')}/{tail}")


class Callbacks:
    """The Seller as a caller. Every method sends, records each try in the ledger, and answers the records."""

    def __init__(self, ledger: Ledger, sender: Sender, settings: Callable[[], Settings]) -> None:
        self._ledger = ledger
        self._sender = sender
        self._settings = settings

    async def invoice(self, order: Order, report: InvoiceReport) -> list[CallbackRecord]:
        """Send an invoice. While a sale is being sent the order is in `invoice`, where VTEX allows no cancellation."""
        body = _body(report, invoice_body(order, report, self._settings()))
        entry = invoice_of(body)
        before = Status.HANDLING if order.status is Status.INVOICE else order.status
        sale = entry is not None and entry.type == "Output" and order.status in INVOICEABLE
        if sale:
            self._ledger.move(order, Status.INVOICE)
        acknowledged = False
        try:
            records = await self._send(order, "invoice", "invoice", body, report)
            acknowledged = any(record.acknowledged for record in records)
        finally:
            if sale and not acknowledged and order.status is Status.INVOICE:
                self._ledger.move(order, before)
        if entry is not None and acknowledged and (sale or entry.type == "Input"):
            self._ledger.record_invoice(order, entry)
        return records

    async def tracking(self, order: Order, report: TrackingReport) -> list[CallbackRecord]:
        """Send the tracking of an invoice, on the older or the newer route."""
        number = report.invoice_number or last_number(order)
        older = (report.route or self._settings().tracking_route) == "invoice"
        tail = "invoice" if older else f"invoice/{quote(number, safe='')}"
        body = _body(report, tracking_body(order, report, number, self._settings()))
        records = await self._send(order, "tracking", tail, body, report)
        invoice = order.invoice(number)
        if invoice is not None and isinstance(body, dict) and any(record.acknowledged for record in records):
            invoice.tracked = True
            invoice.courier = body.get("courier") or body.get("carrier")
            invoice.tracking_number, invoice.tracking_url = body.get("trackingNumber"), body.get("trackingUrl")
            self._ledger.changed(order)
        return records

    async def delivery(self, order: Order, report: DeliveryReport) -> list[CallbackRecord]:
        """Send tracking events, which say at last that the package is delivered."""
        number = report.invoice_number or last_number(order)
        body = _body(report, delivery_body(order, report))
        tail = f"invoice/{quote(number, safe='')}/tracking"
        records = await self._send(order, "tracking-events", tail, body, report)
        invoice = order.invoice(number)
        if invoice is not None and any(record.acknowledged for record in records):
            invoice.traveling = True
            invoice.delivered = invoice.delivered or report.is_delivered
            self._ledger.changed(order)
        return records

    async def cancel(self, order: Order, report: CancelReport, *, by: str = "seller") -> list[CallbackRecord]:
        """Send the cancel callback. Only a 200 with a receipt cancels the order (contract section B5)."""
        body = _body(report, {"reason": report.reason} if self._settings().cancel_body == "reason" else None)
        records = await self._send(order, "cancel", "cancel", body, report)
        effective = any(record.receipt and _last_status(record) == _OK for record in records)
        if effective and (order.status is Status.CANCEL or self._ledger.may_cancel(order)):
            self._ledger.cancel(order, reason=report.reason, by=by)
        return records

    async def _send(
        self, order: Order, kind: str, tail: str, body: Json | str | None, report: Report
    ) -> list[CallbackRecord]:
        settings = self._settings()
        path_id = report.path_id or settings.callback_id
        doubled = settings.callback_doubled_slash if report.doubled_slash is None else report.doubled_slash
        url = callback_url(
            order.endpoint,
            report.prefix or settings.callback_prefix,
            order.order_id if path_id == "orderId" else order.marketplace_order_id,
            tail,
            doubled_slash=doubled,
        )
        records = [CallbackRecord(kind=kind, method=report.method, url=url, body=body) for _ in range(report.times)]
        if report.together:
            await asyncio.gather(*(self._deliver(order, record, report) for record in records))
        else:
            for record in records:
                await self._deliver(order, record, report)
        return records

    async def _deliver(self, order: Order, record: CallbackRecord, report: Report) -> None:
        order.callbacks.append(record)
        settings = self._settings()
        allowed = settings.callback_attempts if report.retry or report.background else 1
        pause = settings.callback_backoff_seconds
        tries = self._sender.tries(record.method, record.url, record.body, allowed=allowed, pause=pause)
        async for attempt in tries:
            record.attempts.append(attempt)
            record.acknowledged = attempt.acknowledged
            if record.acknowledged and isinstance(attempt.body, dict):
                receipt = attempt.body.get("receipt")
                record.receipt = receipt if isinstance(receipt, str) else None
            self._ledger.changed(order)


def _body(report: Report, usual: Json | None) -> Json | str | None:
    if report.raw_body is not None:
        return report.raw_body
    return report.body if "body" in report.model_fields_set else usual


def _last_status(record: CallbackRecord) -> int | None:
    return record.attempts[-1].status if record.attempts else None
