"""What may be asked of an order, and what not any more: the rules that both its workflow and the API answer by.

The workflow decides while it lives; of an order whose workflow has closed, the API decides by the same rules from
the order record.
"""

from collections.abc import Iterable

from marketplace.orders import Invoice, InvoiceType, OrderStatus, PaymentReport, PaymentStatus

PROGRESS = (
    OrderStatus.HANDLING,
    OrderStatus.INVOICED,
    OrderStatus.SHIPPED,
    OrderStatus.DELIVERED,
    OrderStatus.RETURNED,
)
"""How an order advances by its Seller's reports."""
ENDS = frozenset(
    {
        OrderStatus.DELIVERED,
        OrderStatus.REJECTED,
        OrderStatus.PAYMENT_DENIED,
        OrderStatus.EXPIRED,
        OrderStatus.CANCELED,
        OrderStatus.RETURNED,
    }
)
"""Where an order's workflow may close; of one that has closed anywhere else somebody has stopped it by force."""


def has_open_invoice(invoices: Iterable[Invoice]) -> bool:
    """Whether something is invoiced and not returned: as long as it is, nothing can be canceled."""
    known = list(invoices)
    sold = [invoice.invoice_value or 0 for invoice in known if invoice.type is InvoiceType.OUTPUT]
    returned = [invoice.invoice_value or 0 for invoice in known if invoice.type is InvoiceType.INPUT]
    return bool(sold) and not (returned and sum(returned) >= sum(sold))


def payment_conflict(status: OrderStatus, known: PaymentReport | None, report: PaymentReport) -> str | None:
    """Why a payment report contradicts what is known; None when it may be taken, or was before."""
    if known is not None:
        if known == report:
            return None
        if known.transaction_id != report.transaction_id:
            return f"the order's payment is transaction {known.transaction_id}, not {report.transaction_id}"
        return f"the payment was reported as {known.status} before; that is final"
    gone = {OrderStatus.PAYMENT_DENIED, OrderStatus.EXPIRED, OrderStatus.CANCELED, OrderStatus.REJECTED}
    if status in gone and report.status is PaymentStatus.APPROVED:
        return f"the order is {status}: refund the payment, or place a new order"
    return None


def cancel_conflict(status: OrderStatus, *, has_open_invoice: bool) -> str | None:
    """Why an order cannot be canceled any more, with the way out; None when it can, or already is."""
    if status in {OrderStatus.CANCELED, OrderStatus.CANCELLATION_REQUESTED}:
        return None
    if status in {OrderStatus.REJECTED, OrderStatus.PAYMENT_DENIED, OrderStatus.EXPIRED, OrderStatus.RETURNED}:
        return f"the order has already ended as {status}; nothing is left to cancel"
    if has_open_invoice or status in PROGRESS[1:]:
        return "the Seller has invoiced the order: it can only be returned, by a return invoice of the Seller"
    return None


def seller_cancel_conflict(status: OrderStatus, *, has_open_invoice: bool) -> str | None:
    """Why the Seller's own cancellation is refused; None when it may be taken, or the order has ended without sale."""
    ended_unsold = {
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.PAYMENT_DENIED,
        OrderStatus.EXPIRED,
        OrderStatus.RETURNED,
    }
    if status not in ended_unsold and (has_open_invoice or status in PROGRESS[1:]):
        return "an invoice is recorded: send a return invoice (type Input) first, then cancel"
    return None
