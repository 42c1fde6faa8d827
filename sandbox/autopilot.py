"""Leads every dispatched order to its delivery: handling, invoice, tracking, events, delivered.

The next step is read from the order itself, so that an unfinished life goes on after a restart where it stood.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum

from sandbox.callbacks import Callbacks
from sandbox.config import Settings
from sandbox.ledger import Ledger, LedgerInvoice, Order, Status
from sandbox.reports import DeliveryReport, InvoiceReport, TrackingReport

_WAIT_FOR_DECISION = 0.5


class Step(StrEnum):
    HANDLE = "handling"
    WAIT = "wait"
    INVOICE = "invoice"
    TRACK = "tracking"
    TRAVEL = "events"
    DELIVER = "delivered"


_BEFORE_INVOICED = {
    Status.WINDOW: Step.HANDLE,
    Status.READY: Step.HANDLE,
    Status.HANDLING: Step.INVOICE,
    Status.CANCELLATION_REQUESTED: Step.WAIT,
    Status.CANCEL: Step.WAIT,
    Status.INVOICE: Step.WAIT,
}


def next_step(order: Order) -> Step | None:
    """What the Seller does next with an order, None when there is nothing (left) to do."""
    if order.status is not Status.INVOICED:
        return _BEFORE_INVOICED.get(order.status)
    sales = [invoice for invoice in order.invoices if invoice.type == "Output"]
    if any(not invoice.tracked for invoice in sales):
        return Step.TRACK
    if any(not (invoice.traveling or invoice.delivered) for invoice in sales):
        return Step.TRAVEL
    return Step.DELIVER if any(not invoice.delivered for invoice in sales) else None


def delay(step: Step, settings: Settings) -> float:
    """Seconds before a step, `pace` included."""
    seconds = {
        Step.HANDLE: settings.handling_seconds,
        Step.INVOICE: settings.invoice_seconds,
        Step.TRACK: settings.tracking_seconds,
        Step.TRAVEL: settings.events_seconds,
        Step.DELIVER: settings.delivered_seconds,
    }
    return seconds[step] * settings.pace if step in seconds else _WAIT_FOR_DECISION


class Autopilot:
    """One task for each order that has a life to lead."""

    def __init__(self, ledger: Ledger, callbacks: Callbacks, settings: Callable[[], Settings]) -> None:
        self._ledger = ledger
        self._callbacks = callbacks
        self._settings = settings
        self._lives: dict[str, asyncio.Task[None]] = {}

    def lead(self, order: Order) -> None:
        """Take over an order, unless the autopilot is off or has it already."""
        if self._settings().autopilot and order.marketplace_order_id not in self._lives:
            task = asyncio.create_task(self._live(order))
            self._lives[order.marketplace_order_id] = task
            task.add_done_callback(lambda _: self._ended(order.marketplace_order_id, task))

    def resume(self) -> None:
        """Take over every order that has something left to do."""
        for order in self._ledger.all():
            if next_step(order) is not None:
                self.lead(order)

    async def stop(self) -> None:
        """Let go of all orders."""
        tasks = list(self._lives.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, marketplace_order_id: str, task: asyncio.Task[None]) -> None:
        if self._lives.get(marketplace_order_id) is task:
            del self._lives[marketplace_order_id]

    async def _live(self, order: Order) -> None:
        while (step := next_step(order)) is not None:
            await asyncio.sleep(delay(step, self._settings()))
            if not self._settings().autopilot:
                return
            # The order may have been canceled or invoiced by hand meanwhile.
            if step is next_step(order) and not await self._take(step, order):
                return

    async def _take(self, step: Step, order: Order) -> bool:
        """Do a step. False when the marketplace never acknowledged it: the Seller gives up."""
        if step is Step.HANDLE:
            self._ledger.start_handling(order)
        elif step is Step.INVOICE:
            invoice = next_invoice(order, partial=self._settings().partial_invoices)
            records = await self._callbacks.invoice(order, invoice)
            return records[0].acknowledged
        elif step is not Step.WAIT:
            return await self._report_packages(step, order)
        return True

    async def _report_packages(self, step: Step, order: Order) -> bool:
        for invoice in [i for i in order.invoices if i.type == "Output"]:
            number = invoice.invoice_number
            if step is Step.TRACK and not invoice.tracked:
                records = await self._callbacks.tracking(order, TrackingReport(invoice_number=number, retry=True))
            elif step is not Step.TRACK and not _has(invoice, step):
                report = DeliveryReport(invoice_number=number, is_delivered=step is Step.DELIVER, retry=True)
                records = await self._callbacks.delivery(order, report)
            else:
                continue
            if not records[0].acknowledged:
                return False
        return True


def next_invoice(order: Order, *, partial: bool) -> InvoiceReport:
    """The invoice to send next: for all that is open, or for about half of it when it is the first of two."""
    if not partial or order.invoiced_value:
        return InvoiceReport(retry=True)
    items = [
        {"id": line.id, "quantity": line.quantity // 2, "price": line.price}
        for line in order.lines
        if line.quantity > 1
    ]
    if not items and len(order.lines) > 1:
        first = order.lines[0]
        items = [{"id": first.id, "quantity": first.quantity, "price": first.price}]
    if not items:
        # One unit cannot be split, only its value.
        return InvoiceReport(retry=True, items=[], invoice_value=order.value // 2)
    return InvoiceReport(retry=True, items=items)


def _has(invoice: LedgerInvoice, step: Step) -> bool:
    return invoice.delivered if step is Step.DELIVER else invoice.traveling or invoice.delivered
