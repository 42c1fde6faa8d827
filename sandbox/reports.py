"""What the Seller tells the marketplace: the body of each callback, with everything about it open to overriding.

Source: contract section B5.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from sandbox.base import Model, now
from sandbox.config import Settings
from sandbox.ledger import LedgerInvoice, Order
from sandbox.protocol import Json

COURIER = "Rota Sul"


class SendOptions(Model):
    """How to send something to the marketplace."""

    method: Literal["POST", "PUT", "PATCH"] = "POST"
    times: Annotated[int, Field(ge=1, le=100)] = 1
    """Send it so often."""
    together: bool = False
    """Send all of them at once instead of one after the other."""
    retry: bool = False
    """Try again after a failure, as the autopilot does."""
    background: bool = False
    """Answer at once and send with retries meanwhile."""
    body: Any = None
    """Send this JSON instead of the usual body."""
    raw_body: str | None = None
    """Send this text instead, whether it is JSON or not."""


class Report(SendOptions):
    """How to send a callback. What is left out follows the settings."""

    prefix: Literal["pvt", "pub"] | None = None
    path_id: Literal["marketplaceOrderId", "orderId"] | None = None
    doubled_slash: bool | None = None


class InvoiceReport(Report):
    """An invoice. Without `items` it is for all that is not invoiced yet; `invoiceValue` in cents."""

    type: Literal["Output", "Input"] = "Output"
    invoice_number: str | None = None
    invoice_value: int | None = None
    items: list[dict[str, Any]] | None = None
    issuance_date: str | None = None
    courier: str = ""
    tracking_number: str = ""
    tracking_url: str = ""
    invoice_key: str | None = None
    invoice_url: str | None = None
    dispatched_date: str | None = None


class TrackingReport(Report):
    """Tracking of an invoice, by default the last one. `route` as the setting `trackingRoute`."""

    invoice_number: str | None = None
    courier: str = COURIER
    tracking_number: str | None = None
    tracking_url: str | None = None
    dispatched_date: str | None = None
    route: Literal["invoice", "number"] | None = None


class DeliveryReport(Report):
    """Tracking events of an invoice, by default the last one."""

    invoice_number: str | None = None
    is_delivered: bool = True
    events: list[dict[str, Any]] | None = None


class CancelReport(Report):
    """The Seller cancels by itself, or agrees to a cancellation it was asked for."""

    reason: str = "Item damaged in the warehouse"


def next_number(order: Order, kind: str) -> str:
    """The number the next invoice of this type gets; the same until that invoice has been acknowledged."""
    count = sum(1 for invoice in order.invoices if invoice.type == kind)
    return f"{'NF' if kind == 'Output' else 'NFR'}-{order.marketplace_order_id}-{count + 1}"


def last_number(order: Order) -> str:
    """The number of the last sale invoice, or of the one to come when there is none."""
    sales = [invoice.invoice_number for invoice in order.invoices if invoice.type == "Output"]
    return sales[-1] if sales else next_number(order, "Output")


def invoice_body(order: Order, report: InvoiceReport, settings: Settings) -> Json:
    """The body of an invoice callback."""
    items = report.items if report.items is not None else _open_items(order, report.type)
    value = report.invoice_value
    if value is None and report.items is not None:
        value = sum(_count(item.get("price")) * _count(item.get("quantity")) for item in items)
    if value is None:
        sold = order.invoiced_value
        value = order.value - sold if report.type == "Output" else sold - order.returned_value
    body: Json = {
        "type": report.type if settings.invoice_type == "capitalized" else report.type.lower(),
        "invoiceNumber": report.invoice_number or next_number(order, report.type),
        settings.courier_field: report.courier,
        "trackingNumber": report.tracking_number,
        "trackingUrl": report.tracking_url,
        "items": items,
        "issuanceDate": report.issuance_date or now().strftime("%Y-%m-%dT%H:%M:%S"),
        "invoiceValue": max(0, value) if settings.invoice_value == "integer" else str(max(0, value)),
    }
    extra = {
        "invoiceKey": report.invoice_key,
        "invoiceUrl": report.invoice_url,
        "dispatchedDate": report.dispatched_date,
    }
    return body | {key: text for key, text in extra.items() if text is not None}


def invoice_of(body: object) -> LedgerInvoice | None:
    """Read back from a body what the ledger has to remember; None when it is no invoice."""
    if not isinstance(body, dict) or not body.get("invoiceNumber") or not body.get("type"):
        return None
    value = body.get("invoiceValue")
    items = body.get("items")
    return LedgerInvoice(
        type=str(body["type"]).capitalize(),
        invoice_number=str(body["invoiceNumber"]),
        value=int(str(value)) if str(value).isdecimal() else 0,
        items=[item for item in items if isinstance(item, dict)] if isinstance(items, list) else [],
        tracked=bool(body.get("trackingNumber")),
        courier=body.get("courier") or body.get("carrier") or None,
        tracking_number=body.get("trackingNumber") or None,
        tracking_url=body.get("trackingUrl") or None,
    )


def tracking_body(order: Order, report: TrackingReport, number: str, settings: Settings) -> Json:
    """The body of a tracking callback: the four fields, with the whole invoice around them on the older route."""
    code = report.tracking_number or f"RS{abs(hash_of(number)):09d}"
    tracking: Json = {
        settings.courier_field: report.courier,
        "trackingNumber": code,
        "trackingUrl": report.tracking_url or f"https://track.rotasul.example/{code}",
        "dispatchedDate": report.dispatched_date or now().date().isoformat(),
    }
    if (report.route or settings.tracking_route) == "number":
        return tracking
    invoice = order.invoice(number)
    known = InvoiceReport(
        invoice_number=number,
        invoice_value=invoice.value if invoice else None,
        items=invoice.items if invoice else None,
    )
    return invoice_body(order, known, settings) | tracking


def delivery_body(order: Order, report: DeliveryReport) -> Json:
    """The body of a tracking-events callback."""
    address = order.received.get("shippingData", {}).get("address", {})
    place = {"city": address.get("city"), "state": address.get("state")}
    today = now().date().isoformat()
    events = report.events
    if events is None:
        events = [place | {"description": "Parcel left the hub", "date": today}]
        if report.is_delivered:
            events.append(place | {"description": "Delivered to recipient", "date": today})
    return {"isDelivered": report.is_delivered, "events": events}


def hash_of(text: str) -> int:
    """A number for a text that is the same in every process."""
    return sum((index + 1) * ord(char) for index, char in enumerate(text)) * 7919 % 1_000_000_000


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _open_items(order: Order, kind: str) -> list[Json]:
    """The lines with the units that no invoice of this type names yet; for a return, those that were sold."""
    done: dict[str, int] = {}
    for invoice in order.invoices:
        if invoice.type == kind:
            for item in invoice.items:
                done[str(item.get("id"))] = done.get(str(item.get("id")), 0) + _count(item.get("quantity"))
    items = []
    for line in order.lines:
        covered = min(line.quantity, done.get(line.id, 0))
        done[line.id] = done.get(line.id, 0) - covered
        if line.quantity > covered:
            items.append({"id": line.id, "quantity": line.quantity - covered, "price": line.price})
    return items
