"""Invoices, tracking and deliveries of one order: the same facts in any order and number give the same result.

What arrives is kept as a set of distinct reports. Everything else is computed from that set, read in the order in
which each report first came; so repeats change nothing and shuffled reports end alike. A report changes what is known
of its own invoice number alone, so only that is computed anew: an order may have thousands. Rules, with their source:

- one invoice per number and type; the first content counts, another content for it is a conflict (contract B5);
- a later non-empty tracking value replaces an earlier one, an empty one never erases (contract B5);
- every sale invoice is a package; reports about an invoice not yet known wait for it;
- invoiced, shipped, delivered and returned are reached when the invoices for which it is true sum to the order's
  value, which is the same as "every package" unless more was invoiced than ordered. Of an invoice with two contents
  the larger value counts here, or an earlier one that arrives later would take progress back.
"""

from bisect import bisect
from collections.abc import Iterable

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

MAX_REPORTS = 5_000
MAX_REPORT_BYTES = 1_000_000
"""How many distinct reports an order holds, and bytes of them as JSON: an order as a whole must fit into one of
Temporal's payloads, of at most 2 MiB. No real order comes near.
"""


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
    larger: dict[str, int] = {}
    """Of invoices with two contents, by type and number: the larger value, which counts for `progress`."""
    progress: OrderStatus = OrderStatus.HANDLING

    @property
    def has_open_invoice(self) -> bool:
        return has_open_invoice(self.invoices)


def add_report(reports: list[Report], report: Report) -> list[Report]:
    """Add a report to the set: a repeat keeps the earliest time, so that it counts from when it first came."""
    others = reports
    for place, known in enumerate(reports):
        if known.event_id == report.event_id:
            if known.received_at <= report.received_at:
                return reports
            others = [*reports[:place], *reports[place + 1 :]]
            break
    place = bisect(others, _first_come(report), key=_first_come)
    return [*others[:place], report, *others[place:]]


def _first_come(report: SellerReport) -> tuple[object, str]:
    return report.received_at, report.event_id


def fold(reports: Iterable[Report], items: list[OrderItem], value: int) -> Fulfillment:
    """Compute what the reports amount to for an order of these items and this value in cents."""
    invoices: dict[str, Invoice] = {}
    larger: dict[str, int] = {}
    conflicts: set[str] = set()
    tracking: dict[str, Tracking] = {}
    delivered: set[str] = set()
    # As keys: a report may hold thousands, and comparing each with each would block the workflow for seconds.
    events: dict[str, dict[TrackingEvent, None]] = {}
    for report in reports:
        match report:
            case InvoiceReport(invoice=invoice):
                number, valued = invoice.invoice_number, _valued(invoice, items, value)
                first = invoices.setdefault(_key(invoice), valued)
                if _money(first) != _money(valued):
                    conflicts.add(number)
                    known = larger.get(_key(invoice), first.invoice_value or 0)
                    larger[_key(invoice)] = max(known, valued.invoice_value or 0)
                if invoice.type is InvoiceType.OUTPUT:
                    tracking[number] = _merged(tracking.get(number), report.tracking)
            case TrackingReport(invoice_number=number):
                tracking[number] = _merged(tracking.get(number), report.tracking)
            case DeliveryReport(invoice_number=number):
                if report.is_delivered:
                    delivered.add(number)
                events.setdefault(number, {}).update(dict.fromkeys(report.events))

    numbers = [one.invoice_number for one in invoices.values() if one.type is InvoiceType.OUTPUT]
    packages = [
        _package(number, tracking[number], list(events.get(number, {})), is_delivered=number in delivered)
        for number in numbers
    ]
    waiting = ({*tracking, *events} | delivered) - set(numbers)
    return _summed(list(invoices.values()), packages, conflicts, waiting, larger, value)


def fold_again(
    known: Fulfillment, reports: list[Report], changed: Report, items: list[OrderItem], value: int
) -> Fulfillment:
    """Compute the same as `fold` over all reports, from what they amounted to before `changed` was added to them."""
    number = invoice_number(changed)
    part = fold((one for one in reports if invoice_number(one) == number), items, value)
    invoices = {_key(one): one for one in (*known.invoices, *part.invoices)}
    packages = {one.invoice_number: one for one in (*known.packages, *part.packages)}
    listed = list(invoices.values())
    if reports[-1] is not changed:
        # In the order in which their numbers first came, which a report from before may have changed.
        in_order = dict.fromkeys(_key(one.invoice) for one in reports if isinstance(one, InvoiceReport))
        listed = [invoices[key] for key in in_order]
    return _summed(
        listed,
        [packages[one.invoice_number] for one in listed if one.type is InvoiceType.OUTPUT],
        {*known.conflicts, *part.conflicts},
        {*known.waiting} - {number} | {*part.waiting},
        known.larger | part.larger,
        value,
    )


def invoice_number(report: Report) -> str:
    """The number of the invoice that a report is, or is about."""
    return report.invoice.invoice_number if isinstance(report, InvoiceReport) else report.invoice_number


def _summed(
    invoices: list[Invoice],
    packages: list[Package],
    conflicts: set[str],
    waiting: set[str],
    larger: dict[str, int],
    value: int,
) -> Fulfillment:
    """Add up invoices and the packages of the sales among them, in the same order."""
    sales = [one for one in invoices if one.type is InvoiceType.OUTPUT]
    returns = [one for one in invoices if one.type is InvoiceType.INPUT]
    pairs = list(zip(sales, packages, strict=True))

    def covered(some: list[Invoice]) -> bool:
        return bool(some) and sum(larger.get(_key(one), one.invoice_value or 0) for one in some) >= value

    progress = OrderStatus.HANDLING
    if covered(sales):
        if covered(returns):
            progress = OrderStatus.RETURNED
        elif covered([sale for sale, package in pairs if package.is_delivered]):
            progress = OrderStatus.DELIVERED
        elif covered([sale for sale, package in pairs if _is_shipped(package)]):
            progress = OrderStatus.SHIPPED
        else:
            progress = OrderStatus.INVOICED
    return Fulfillment(
        invoices=invoices,
        packages=packages,
        invoiced_value=_sum(sales),
        returned_value=_sum(returns),
        conflicts=[one for one in dict.fromkeys(each.invoice_number for each in invoices) if one in conflicts],
        waiting=sorted(waiting),
        larger=larger,
        progress=progress,
    )


def _key(invoice: Invoice) -> str:
    return f"{invoice.type} {invoice.invoice_number}"


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
