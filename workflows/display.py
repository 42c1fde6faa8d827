"""What an operator reads about an order in Temporal's UI: where it stands, and what it waits for until when."""

from datetime import datetime

from marketplace.money import as_text
from marketplace.orders import InvoiceType, OrderStatus
from workflows.order_events import CancelState
from workflows.order_state import OrderState

_WAITS = {
    OrderStatus.SIMULATING: "the Seller's answer to the simulation",
    OrderStatus.PLACING: "the Seller's answer to the placement",
    OrderStatus.PAYMENT_PENDING: "the marketplace's word about the payment",
    OrderStatus.PAYMENT_APPROVED: "the Seller's answer to the dispatch authorization",
    OrderStatus.AUTHORIZING_FULFILLMENT: "the Seller's answer to the dispatch authorization",
    OrderStatus.HANDLING: "the Seller's invoice",
    OrderStatus.INVOICED: "the Seller's tracking",
    OrderStatus.SHIPPED: "the delivery",
    OrderStatus.DELIVERED: "the end of the return window",
}

_MOST_INVOICES = 20
"""Invoices that are listed: this is written anew at each event of the order."""


def waits_for(state: OrderState) -> str:
    """Say in a few words what an order waits for."""
    if state.needs_attention:
        return f"an operator: {' or '.join(state.allowed_actions)}"
    if state.ended:
        return "nothing: the order has ended"
    if (cancellation := state.cancellation) is not None and cancellation.state is not CancelState.REFUSED:
        asked = cancellation.state is CancelState.DECIDING
        return "the Seller's decision about the cancellation" if asked else "the Seller's answer to the cancellation"
    # An unpaid order whose cancellation was refused is about to be parked.
    return _WAITS.get(state.status, "an operator")


def details(state: OrderState, until: datetime | None) -> str:
    """Render an order's current details as markdown. `until` is when the present wait ends by itself."""
    lines = [
        f"**{state.status}**" + (" — **needs attention**" if state.needs_attention else ""),
        "",
        f"Waits for {waits_for(state)}" + (f", until {until:%Y-%m-%d %H:%M:%S} UTC" if until else "") + ".",
        "",
        "| | |",
        "|---|---|",
        f"| Seller | {state.seller} |",
        f"| Seller's order id | {state.order_id or 'not placed yet'} |",
        f"| Value | {as_text(state.value)} |",
        f"| Payment | {state.payment.status if state.payment else 'pending'} |",
        f"| Invoiced | {as_text(state.fulfillment.invoiced_value)} |",
    ]
    if state.fulfillment.returned_value:
        lines.append(f"| Returned | {as_text(state.fulfillment.returned_value)} |")
    if state.reason:
        lines.append(f"| Reason | `{state.reason.code}` {_cell(state.reason.message)} |")
    if state.fulfillment.waiting:
        lines.append(f"| Reports waiting for their invoice | {_cell(', '.join(state.fulfillment.waiting))} |")
    if state.fulfillment.invoices:
        lines += ["", "| Invoice | Type | Value | Tracking | Delivered |", "|---|---|---|---|---|"]
        packages = {package.invoice_number: package for package in state.fulfillment.packages}
        for invoice in state.fulfillment.invoices[:_MOST_INVOICES]:
            package = packages.get(invoice.invoice_number) if invoice.type is InvoiceType.OUTPUT else None
            tracking = _cell(package.tracking_number or "") if package else ""
            delivered = "yes" if package and package.is_delivered else ""
            value = as_text(invoice.invoice_value or 0)
            kind = "sale" if invoice.type is InvoiceType.OUTPUT else "return"
            lines.append(f"| {_cell(invoice.invoice_number)} | {kind} | {value} | {tracking} | {delivered} |")
        if (more := len(state.fulfillment.invoices) - _MOST_INVOICES) > 0:
            lines.append(f"| and {more} more | | | | |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A Seller's words in a table: no cell or line may end early."""
    return text.replace("|", "\\|").replace("\n", " ")
