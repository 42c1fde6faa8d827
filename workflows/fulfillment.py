"""Invoices, tracking and deliveries of one order: the same facts in any order and number give the same result.

What arrives is kept as a set of distinct reports. Everything else is computed from that set, read in the order in
which each report first came; so repeats change nothing and shuffled reports end alike. Rules, with their source:

- one invoice per number and type; the first content counts, another content for it is a conflict (contract B5);
- a later non-empty tracking value replaces an earlier one, an empty one never erases (contract B5);
- every sale invoice is a package; reports about an invoice not yet known wait for it;
- invoiced, shipped, delivered and returned are reached when the invoices for which it is true sum to the order's
  value, which is the same as "every package" unless more was invoiced than ordered. Of an invoice with two contents
  the larger value counts here, or an earlier one that arrives later would take progress back.
"""

from collections.abc import Callable, Iterable

from marketplace.orders import (
    Invoice,
    InvoiceType,
    Model,
    OrderItem,
    OrderStatus,
    Package,
    Tracking,
    TrackingEvent,
)
from marketplace.rules import has_open_invoice
from workflows.messages import DeliveryReport, InvoiceReport, SellerReport, TrackingReport

Report = InvoiceReport | TrackingReport | DeliveryReport


class Fulfillment(Model):
    """What a set of reports amounts to. Amounts in cents."""

    invoices: list[Invoice] = []
    packages: list[Package] = []
    invoiced_value: int = 0
    returned_value: int = 0
    conflicts: list[str] = []
    """Invoice numbers that came again with another value or other items."""
    waiting: list[str] = []
    """Invoice numbers of tracking and delivery reports whose sale invoice has not come yet."""
    progress: OrderStatus = OrderStatus.HANDLING

    @property
    def has_open_invoice(self) -> bool:
        return has_open_invoice(self.invoices)


def add_report(reports: list[Report], report: Report) -> list[Report]:
    """Add a report to the set: a repeat keeps the earliest time, so that it counts from when it first came."""
    known = {one.event_id: one for one in reports}
    earlier = known.get(report.event_id)
    if earlier is not None and earlier.received_at <= report.received_at:
        return reports
    known[report.event_id] = report
    return sorted(known.values(), key=_first_come)


def _first_come(report: SellerReport) -> tuple[object, str]:
    return report.received_at, report.event_id


def fold(reports: Iterable[Report], items: list[OrderItem], value: int) -> Fulfillment:
    """Compute what the reports amount to for an order of these items and this value in cents."""
    invoices: dict[tuple[InvoiceType, str], Invoice] = {}
    largest: dict[tuple[InvoiceType, str], int] = {}
    conflicts: list[str] = []
    tracking: dict[str, Tracking] = {}
    delivered: set[str] = set()
    events: dict[str, list[TrackingEvent]] = {}
    for report in reports:
        match report:
            case InvoiceReport(invoice=invoice):
                number, valued = invoice.invoice_number, _valued(invoice, items, value)
                key = (invoice.type, number)
                first = invoices.setdefault(key, valued)
                largest[key] = max(largest.get(key, 0), valued.invoice_value or 0)
                if _money(first) != _money(valued) and number not in conflicts:
                    conflicts.append(number)
                if invoice.type is InvoiceType.OUTPUT:
                    tracking[number] = _merged(tracking.get(number), report.tracking)
            case TrackingReport(invoice_number=number):
                tracking[number] = _merged(tracking.get(number), report.tracking)
            case DeliveryReport(invoice_number=number):
                if report.is_delivered:
                    delivered.add(number)
                known = events.setdefault(number, [])
                known.extend(event for event in report.events if event not in known)

    sales = [invoice for (kind, _), invoice in invoices.items() if kind is InvoiceType.OUTPUT]
    returns = [invoice for (kind, _), invoice in invoices.items() if kind is InvoiceType.INPUT]
    packages = {
        sale.invoice_number: _package(
            sale.invoice_number,
            tracking[sale.invoice_number],
            events.get(sale.invoice_number, []),
            is_delivered=sale.invoice_number in delivered,
        )
        for sale in sales
    }

    def covered(some: list[Invoice], holds: Callable[[Package], bool] | None = None) -> bool:
        chosen = [one for one in some if holds is None or holds(packages[one.invoice_number])]
        return bool(chosen) and sum(largest[one.type, one.invoice_number] for one in chosen) >= value

    reached = [
        (OrderStatus.RETURNED, covered(sales) and covered(returns)),
        (OrderStatus.DELIVERED, covered(sales, lambda package: package.is_delivered)),
        (OrderStatus.SHIPPED, covered(sales, _is_shipped)),
        (OrderStatus.INVOICED, covered(sales)),
    ]
    return Fulfillment(
        invoices=list(invoices.values()),
        packages=list(packages.values()),
        invoiced_value=_sum(sales),
        returned_value=_sum(returns),
        conflicts=conflicts,
        waiting=sorted(({*tracking, *events} | delivered) - set(packages)),
        progress=next((status for status, is_reached in reached if is_reached), OrderStatus.HANDLING),
    )


def _sum(invoices: list[Invoice]) -> int:
    return sum(invoice.invoice_value or 0 for invoice in invoices)


def _valued(invoice: Invoice, items: list[OrderItem], value: int) -> Invoice:
    """Give an invoice without a value one: the order's when it covers every item, else the sum of its own lines."""
    if invoice.invoice_value is not None:
        return invoice
    ordered: dict[str, int] = {}
    for item in items:
        ordered[item.id] = ordered.get(item.id, 0) + item.quantity
    billed: dict[str, int] = {}
    for line in invoice.items:
        billed[line.id] = billed.get(line.id, 0) + line.quantity
    # Shipping is not a line of an invoice, so the lines of a complete one do not sum to the order's value.
    own = value if billed == ordered else sum(line.price * line.quantity for line in invoice.items)
    return invoice.model_copy(update={"invoice_value": own})


def _money(invoice: Invoice) -> tuple[object, ...]:
    return invoice.invoice_value, sorted((line.id, line.quantity, line.price) for line in invoice.items)


def _merged(known: Tracking | None, new: Tracking) -> Tracking:
    if known is None:
        return new
    return known.model_copy(update={name: getattr(new, name) for name in new.model_fields_set if getattr(new, name)})


def _package(number: str, tracking: Tracking, events: list[TrackingEvent], *, is_delivered: bool) -> Package:
    # Couriers report late; the customer reads the events as they happened. Undated ones stay where they came.
    dated = sorted((event for event in events if event.date), key=lambda event: str(event.date))
    undated = [event for event in events if not event.date]
    return Package(
        invoice_number=number,
        courier=tracking.courier,
        tracking_number=tracking.tracking_number,
        tracking_url=tracking.tracking_url,
        dispatched_date=tracking.dispatched_date,
        is_delivered=is_delivered,
        events=dated + undated,
    )


def _is_shipped(package: Package) -> bool:
    return bool(package.is_delivered or package.tracking_number or package.tracking_url or package.dispatched_date)
