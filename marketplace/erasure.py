"""What remains of an order once its customer's data is erased. Pure.

The order itself holds no name and no address, but texts of others, who may write anything: cancel reasons, notes, the
Seller's words, and numbers and URLs that lead to the customer's parcel or invoice. All of them go. What accounts need
stays: ids, Seller, statuses with their times, SKUs with quantities and prices, values and dates of invoices.
"""

from datetime import datetime
from typing import Final

from marketplace.orders import HistoryEntry, Invoice, Order, Package, PaymentReport, Reason

ERASED: Final = "erased"
"""Stands where a text was. As the transaction of a payment it fits no report."""


def erase_order(order: Order, at: datetime) -> Order:
    """The order without what is personal, or could be. A last line of its history tells that, and when."""
    numbers = [invoice.invoice_number for invoice in order.invoices] + [one.invoice_number for one in order.packages]
    # Invoices and packages still belong together.
    names = {number: f"{ERASED}-{place}" for place, number in enumerate(dict.fromkeys(numbers), start=1)}
    skus = {item.id for item in order.items}
    history = [HistoryEntry(at=line.at, status=line.status, detail=ERASED) for line in order.history]
    # Named one by one what stays, here and below: a new field is erased until somebody decides otherwise. Nobody is to
    # act on the order any more, since its workflow is gone.
    return Order(
        marketplace_order_id=order.marketplace_order_id,
        seller=order.seller,
        order_id=order.order_id,
        status=order.status,
        reason=order.reason and Reason(code=order.reason.code, message=ERASED),
        expires_at=order.expires_at,
        items=order.items,
        marketplace_payment_value=order.marketplace_payment_value,
        invoiced_value=order.invoiced_value,
        invoices=[_erase_invoice(invoice, names, skus) for invoice in order.invoices],
        packages=[_erase_package(package, names) for package in order.packages],
        history=[*history, HistoryEntry(at=at, status=order.status, detail="the customer's data was erased")],
    )


def erase_payment(payment: PaymentReport | None) -> PaymentReport | None:
    """How the payment ended, without the transaction that leads to who paid."""
    return payment and payment.model_copy(update={"transaction_id": ERASED})


def _erase_invoice(invoice: Invoice, names: dict[str, str], skus: set[str]) -> Invoice:
    return Invoice(
        type=invoice.type,
        invoice_number=names[invoice.invoice_number],
        invoice_value=invoice.invoice_value,
        issuance_date=invoice.issuance_date,
        items=[item for item in invoice.items if item.id in skus],
    )


def _erase_package(package: Package, names: dict[str, str]) -> Package:
    return Package(
        invoice_number=names[package.invoice_number],
        dispatched_date=package.dispatched_date,
        is_delivered=package.is_delivered,
    )
