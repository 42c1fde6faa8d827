"""The orders of the sandbox Seller: what was received, what became of it, and the rules by which it may change.

Every change happens between two awaits, so an order is placed once, however many requests arrive together.
Sources: contract sections B2-B5 and E.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from pydantic import Field

from sandbox.base import Model, now
from sandbox.catalog import Catalog, Sku
from sandbox.config import Settings
from sandbox.protocol import Placement, PlacementLine, ProtocolError


class Status(StrEnum):
    """VTEX's words for where an order stands at its Seller (contract section E)."""

    HELD = "waiting-for-manual-authorization"
    PLACED = "waiting-ffmt-authorization"
    WINDOW = "window-to-cancel"
    READY = "ready-for-handling"
    HANDLING = "handling"
    CANCELLATION_REQUESTED = "cancellation-requested"
    INVOICE = "invoice"
    INVOICED = "invoiced"
    CANCEL = "cancel"
    CANCELED = "canceled"


BEFORE_DISPATCH = frozenset({Status.HELD, Status.PLACED})
INVOICEABLE = frozenset(
    {Status.WINDOW, Status.READY, Status.HANDLING, Status.CANCELLATION_REQUESTED, Status.INVOICE},
)


class LedgerLine(Model):
    """A line of an order as received; money in cents."""

    id: str
    quantity: int
    price: int
    shipping: int
    sla_id: str


class LedgerInvoice(Model):
    """An invoice that the marketplace has acknowledged. `value` in cents; `tracked` once tracking has been sent."""

    type: str
    invoice_number: str
    value: int
    items: list[dict[str, Any]]
    tracked: bool = False
    courier: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    traveling: bool = False
    delivered: bool = False


class CallbackAttempt(Model):
    """One try of a callback: what the marketplace answered, or why no answer came."""

    at: datetime
    status: int | None = None
    body: Any = None
    error: str | None = None
    seconds: float = 0.0

    @property
    def acknowledged(self) -> bool:
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - 2xx


class CallbackRecord(Model):
    """A callback to the marketplace with all its tries. `acknowledged` after a 2xx answer."""

    kind: str
    method: str
    url: str
    body: Any = None
    acknowledged: bool = False
    receipt: str | None = None
    attempts: list[CallbackAttempt] = []


class Cancellation(Model):
    """Who wanted the order canceled, and whether that is decided."""

    requested_at: datetime
    reason: str | None = None
    requested_by_user: bool = False
    by: str
    """`marketplace` or `seller`."""
    canceled_at: datetime | None = None
    receipt: str | None = None


class HistoryEntry(Model):
    at: datetime
    status: Status


class Order(Model):
    """One order in the ledger. Money in cents. `received` is the order exactly as the marketplace sent it."""

    marketplace_order_id: str
    order_id: str
    affiliate_id: str
    status: Status
    placed_at: datetime
    value: int
    divergence_percent: float = 0.0
    lines: list[LedgerLine]
    endpoint: str
    reserved: dict[str, int] = {}
    """Units of each SKU that are still held for this order."""
    authorized_at: datetime | None = None
    window_ends_at: datetime | None = None
    dispatch_receipt: str | None = None
    cancellation: Cancellation | None = None
    invoices: list[LedgerInvoice] = []
    callbacks: list[CallbackRecord] = []
    calls: dict[str, int] = {}
    """How often each route was called for this order: `place`, `placeRejected`, `dispatch`, … and `read`."""
    history: list[HistoryEntry] = []
    received: dict[str, Any] = Field(default_factory=dict)

    @property
    def invoiced_value(self) -> int:
        return sum(invoice.value for invoice in self.invoices if invoice.type == "Output")

    @property
    def returned_value(self) -> int:
        return sum(invoice.value for invoice in self.invoices if invoice.type == "Input")

    def invoice(self, number: str, kind: str = "Output") -> LedgerInvoice | None:
        return next((i for i in self.invoices if (i.invoice_number, i.type) == (number, kind)), None)


class Ledger:
    """All orders by `marketplaceOrderId`. `on_change` is told the id of every order that was changed."""

    def __init__(
        self, catalog: Catalog, orders: Iterable[Order] = (), on_change: Callable[[str], None] = lambda _: None
    ) -> None:
        self._catalog = catalog
        self._on_change = on_change
        self._orders: dict[str, Order] = {}
        self._by_order_id: dict[str, Order] = {}
        self._calls: dict[str, Counter[str]] = {}
        self.reset(orders)

    def reset(self, orders: Iterable[Order] = ()) -> None:
        """Hold these orders and no others."""
        self._orders = {order.marketplace_order_id: order for order in orders}
        self._by_order_id = {order.order_id: order for order in self._orders.values()}
        self._calls = {order.marketplace_order_id: Counter(order.calls) for order in self._orders.values()}

    def all(self) -> list[Order]:
        return [self._settled(order) for order in self._orders.values()]

    def get(self, marketplace_order_id: str) -> Order | None:
        order = self._orders.get(marketplace_order_id)
        return self._settled(order) if order else None

    def by_order_id(self, order_id: str) -> Order | None:
        order = self._by_order_id.get(order_id)
        return self._settled(order) if order else None

    def changed(self, order: Order) -> None:
        """Tell that an order was changed from outside, such as by a callback's answer."""
        self._on_change(order.marketplace_order_id)

    def count(self, marketplace_order_id: str, route: str, *, rejected: bool) -> None:
        """Count a call of a route for an order, also one that was never placed."""
        calls = self._calls.setdefault(marketplace_order_id, Counter())
        calls[route] += 1
        if rejected:
            calls[f"{route}Rejected"] += 1
        if order := self._orders.get(marketplace_order_id):
            order.calls = dict(calls)
            self.changed(order)

    # --- what the marketplace asks ---

    def place(self, placement: Placement, settings: Settings) -> Order:
        """Take an order and reserve its stock, or refuse it (contract section B2)."""
        if settings.place_repeat == "refuse":
            self._check_id(placement)
        skus = [self._check_line(line, placement.postal_code, settings) for line in placement.lines]
        _check_sum(placement)
        divergence = _divergence(placement, skus, settings)
        reserved = dict(_units((line.sku_id, line.quantity) for line in placement.lines))
        if short := self._catalog.short_of(reserved):
            raise ProtocolError("FMT002", f"Order reservation could not be done: item {short} has not enough stock")
        if settings.place_repeat == "validate-first":
            self._check_id(placement)
        self._catalog.reserve(reserved)
        order = Order(
            marketplace_order_id=placement.marketplace_order_id,
            order_id=f"{placement.affiliate_id}-{placement.marketplace_order_id}",
            affiliate_id=placement.affiliate_id,
            status=Status.PLACED,
            placed_at=now(),
            value=placement.payment_value,
            divergence_percent=divergence,
            lines=[
                LedgerLine(
                    id=line.sku_id, quantity=line.quantity, price=line.price, shipping=line.shipping, sla_id=line.sla_id
                )
                for line in placement.lines
            ],
            endpoint=placement.endpoint,
            reserved=reserved,
            received=placement.received,
        )
        self._orders[order.marketplace_order_id] = self._by_order_id[order.order_id] = order
        self.move(order, Status.HELD if divergence > settings.divergence_authorized_percent else Status.PLACED)
        return order

    def authorize(self, order: Order, settings: Settings) -> str:
        """Take note that the marketplace has the money (contract section B3). Answers the receipt."""
        if order.status is Status.HELD:
            raise ProtocolError("FMT0084", f"Workflow not found for order {order.order_id}: it waits for a person")
        if order.status is Status.PLACED:
            order.dispatch_receipt = str(uuid4())
            order.authorized_at = now()
            order.window_ends_at = order.authorized_at + timedelta(seconds=settings.cancel_window_seconds)
            self.move(order, Status.WINDOW)
            return order.dispatch_receipt
        if order.status in {Status.CANCEL, Status.CANCELED} or order.dispatch_receipt is None:
            raise ProtocolError("FMT0024", f"The reservation is not in the authorized status: order is {order.status}")
        if settings.dispatch_repeat == "refuse":
            raise ProtocolError("FMT0055", f"No receipt was produced: order {order.order_id} is {order.status}")
        return order.dispatch_receipt

    def ask_cancellation(self, order: Order, reason: str | None, *, by_user: bool) -> bool:
        """Take a wish to cancel. Answers whether it is granted without anybody deciding (contract sections B4, E).

        Raises ProtocolError (CHK0202) where VTEX allows none: canceled, canceling, invoiced, partly invoiced.
        """
        if not self.may_cancel(order):
            raise ProtocolError("CHK0202", f"Order {order.order_id} cannot be canceled in status {order.status}")
        if order.cancellation is None:
            order.cancellation = Cancellation(
                requested_at=now(), reason=reason, requested_by_user=by_user, by="marketplace"
            )
            self.changed(order)
        return order.status in BEFORE_DISPATCH or order.status is Status.WINDOW or self._is_returned(order)

    def may_cancel(self, order: Order) -> bool:
        """VTEX's `allowCancellation`: false once anything is invoiced, until all of it has been returned."""
        if order.status in {Status.CANCEL, Status.CANCELED, Status.INVOICE}:
            return False
        return not order.invoiced_value or self._is_returned(order)

    # --- what the Seller does ---

    def approve(self, order: Order) -> bool:
        """Let a person take a held order. False when it is not held."""
        if order.status is not Status.HELD:
            return False
        self.move(order, Status.PLACED)
        return True

    def start_handling(self, order: Order) -> bool:
        """Start packing, which ends the cancellation window; also how a Seller denies a cancellation.

        False when the order is not authorized or already further on.
        """
        if order.status not in {Status.WINDOW, Status.READY, Status.CANCELLATION_REQUESTED}:
            return False
        self._forget_cancellation(order)
        self.move(order, Status.HANDLING)
        return True

    def cancel(self, order: Order, *, reason: str | None = None, by: str = "marketplace") -> str:
        """Cancel for good: give the stock back. Answers the receipt."""
        if order.cancellation is None:
            order.cancellation = Cancellation(requested_at=now(), reason=reason, by=by)
        order.cancellation.canceled_at = now()
        order.cancellation.receipt = order.cancellation.receipt or str(uuid4())
        self._catalog.release(order.reserved)
        order.reserved = {}
        self.move(order, Status.CANCELED)
        return order.cancellation.receipt

    def record_invoice(self, order: Order, invoice: LedgerInvoice) -> None:
        """Record an acknowledged invoice: a sale takes its items off the shelf; all sales together end the order."""
        if order.invoice(invoice.invoice_number, invoice.type):
            return
        order.invoices.append(invoice)
        if invoice.type == "Output":
            complete = order.invoiced_value >= order.value
            units = dict(order.reserved) if complete else _held_units(order, invoice)
            self._catalog.take(units)
            order.reserved = {k: left for k, held in order.reserved.items() if (left := held - units.get(k, 0)) > 0}
            self._forget_cancellation(order)
            self.move(order, Status.INVOICED if complete else Status.HANDLING)
        self.changed(order)

    def move(self, order: Order, status: Status) -> None:
        """Set the status and its place in the history."""
        order.status = status
        order.history.append(HistoryEntry(at=now(), status=status))
        self.changed(order)

    def _settled(self, order: Order) -> Order:
        if order.status is Status.WINDOW and order.window_ends_at and now() >= order.window_ends_at:
            self.move(order, Status.READY)
        return order

    def _forget_cancellation(self, order: Order) -> None:
        if order.status is not Status.CANCELED:
            order.cancellation = None

    def _is_returned(self, order: Order) -> bool:
        return order.status is Status.INVOICED and order.returned_value >= order.invoiced_value

    def _check_id(self, placement: Placement) -> None:
        name = f"marketplace order id {placement.marketplace_order_id} for affiliate {placement.affiliate_id}"
        if existing := self._orders.get(placement.marketplace_order_id):
            if existing.status is Status.CANCELED:
                raise ProtocolError("FMT0060", f"The request order with {name} is canceled and cannot be recreated")
            raise ProtocolError("FMT009", f"The request order with {name} already exists")

    def _check_line(self, line: PlacementLine, postal_code: str, settings: Settings) -> Sku:
        sku = self._catalog.sellable(line.sku_id)
        if sku is None:
            raise ProtocolError("FMT005", f"Item {line.sku_id} is not available")
        sla = sku.sla(line.sla_id)
        if sla is None and not self._catalog.knows_sla(line.sla_id):
            raise ProtocolError("FMT003", f"There is no SLA {line.sla_id} for item {sku.id}")
        if sla is None or is_undeliverable(postal_code, settings):
            raise ProtocolError("FMT010", f"The selected SLA for item {sku.id} is not available")
        if line.channel is not None and line.channel != sla.delivery_channel:
            raise ProtocolError("FMT0095", f"The SLA for item {sku.id} is not of the given delivery channel")
        if sla.windows and line.window is None:
            raise ProtocolError("ORD046", f"Delivery window is required for item {sku.id}")
        if line.window is not None and sla.window_price(*line.window) is None:
            raise ProtocolError("ORD047", f"Invalid delivery window for item {sku.id}")
        return sku


def is_undeliverable(postal_code: str, settings: Settings) -> bool:
    """Whether no SLA reaches this postal code."""
    return any(postal_code.startswith(prefix) for prefix in settings.undeliverable_postal_codes)


def _units(pairs: Iterable[tuple[str, int]]) -> Counter[str]:
    units: Counter[str] = Counter()
    for sku_id, quantity in pairs:
        units[sku_id] += quantity
    return units


def _held_units(order: Order, invoice: LedgerInvoice) -> dict[str, int]:
    """The invoice's units, as far as they are still reserved: its items are whatever the Seller wrote on it."""
    asked = _units(
        (str(item["id"]), item["quantity"])
        for item in invoice.items
        if "id" in item and type(item.get("quantity")) is int
    )
    return {sku_id: min(count, order.reserved.get(sku_id, 0)) for sku_id, count in asked.items()}


def _check_sum(placement: Placement) -> None:
    total = sum(line.price * line.quantity + line.shipping for line in placement.lines)
    if total != placement.payment_value:
        raise ProtocolError("FMT007", f"Payment total ({placement.payment_value}) differs from the order's ({total})")


def _divergence(placement: Placement, skus: list[Sku], settings: Settings) -> float:
    """The largest difference of a price or a shipping price from the Seller's own, in percent.

    Raises FMT006 for an item's price and FMT007 for a shipping price (then the total differs), when the order does
    not say `isCreatedAsync` or the difference is beyond the rule (contract section B2 and G1 row 14).
    """
    largest = 0.0
    limit = max(settings.divergence_authorized_percent, settings.divergence_held_percent)
    for line, sku in zip(placement.lines, skus, strict=True):
        sla = sku.sla(line.sla_id)
        assert sla is not None
        own_shipping = sla.price + ((sla.window_price(*line.window) or 0) if line.window else 0)
        for code, sent, own in (("FMT006", line.price, sku.price), ("FMT007", line.shipping, own_shipping)):
            if sent == own:
                continue
            percent = 100 * abs(sent - own) / own if own else 100.0
            if not placement.created_async or percent > limit:
                what = "price" if code == "FMT006" else "shipping price"
                raise ProtocolError(code, f"The {what} of item {sku.id} differs from the store's: {sent}, not {own}")
            largest = max(largest, percent)
    return largest
