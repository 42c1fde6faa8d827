"""Every input, result, signal, update and query of the workflows: one model in, one model out.

Signals carry what a Seller reported, each with the id that makes a repeat recognisable (`event_id`, a fingerprint of
its content) and the time at which the engine first took it (`received_at`).
"""

from datetime import timedelta
from enum import StrEnum

from pydantic import AwareDatetime, Field

from marketplace.orders import (
    Invoice,
    LogisticsInfo,
    Model,
    Order,
    OrderItem,
    OrderRequest,
    OrderStatus,
    PaymentReport,
    Reason,
    SellerOrderPhase,
    Tracking,
    TrackingEvent,
)

# --- starting an order ---


class OrderPolicy(Model):
    """The rules an order lives by, fixed when it starts so that a changed setting never bends a running order."""

    payment_deadline: timedelta
    return_window: timedelta
    price_tolerance: float = 0.0
    """Share of a price by which the Seller may differ; 0 refuses any divergence."""
    seller_attempts: int = 10
    """Tries of one Seller call before the order is parked."""
    seller_backoff: timedelta = timedelta(seconds=1)
    """Pause after the first failed try; it doubles up to a minute."""
    seller_patience: timedelta = timedelta(hours=24)
    """How long one call waits for a Seller that is away before the order is parked."""
    cancel_check: timedelta = timedelta(hours=1)
    """How often the Seller is asked about a cancellation that it has not decided."""


class Carried(Model):
    """What a new run of an order's workflow takes over from the one before; see `workflows.renewal`."""

    digest: str
    started_at: AwareDatetime
    saved: int
    """Version of the state that the order record tells."""
    runs: int
    """How many runs there were before."""
    shown: tuple[str, bool]
    """Status and needs-attention as last set in the search attributes."""
    simulated: bool
    state: str
    """Packed: an order that was told thousands of things would not fit into a payload as it is."""


class OrderInput(Model):
    """What starts an OrderWorkflow. `submission_id` names the post that won, when several raced."""

    request: OrderRequest
    policy: OrderPolicy
    submission_id: str
    carried: Carried | None = Field(default=None, exclude_if=lambda value: value is None)
    """Of a run that goes on for another. Left out elsewhere: a worker of an older version does not know it."""


class Submission(Model):
    """Answer of the update `await_placement`, once the Seller has placed or the engine rejected the order.

    `order` is there when its record does not tell it; so it is in Temporal's history once less.
    """

    order: Order | None
    digest: str
    submission_id: str


# --- what a Seller reports ---


class SellerReport(Model):
    event_id: str
    received_at: AwareDatetime


class InvoiceReport(SellerReport):
    """Signal `invoice`: a sale or a return invoice; the older route carries tracking with it."""

    invoice: Invoice
    tracking: Tracking = Tracking()


class TrackingReport(SellerReport):
    """Signal `tracking`: how the package of a sale invoice travels."""

    invoice_number: str
    tracking: Tracking


class DeliveryReport(SellerReport):
    """Signal `delivery`: the courier's events, and whether the package has arrived."""

    invoice_number: str
    is_delivered: bool
    events: list[TrackingEvent] = []


class SellerCancelReport(SellerReport):
    """Update, or without a worker signal, `seller_cancel`: the Seller canceled the order."""

    reason: str = ""


# --- what the marketplace and its operators say ---


class OrderAnswer(Model):
    """What came of an update: `version` is of the record that tells it, or of a later one.

    `order` is there while the record cannot be written.
    """

    order: Order | None
    version: int


class CancelOutcome(StrEnum):
    CANCELED = "canceled"
    PENDING = "pending"


class CancelAnswer(OrderAnswer):
    outcome: CancelOutcome


class OperatorNote(Model):
    """Why an operator resumed a parked order; kept in the order's history."""

    note: str = ""


# --- between the workflow and its activities ---


class CartCheck(Model):
    """What the checkout's own simulation must confirm: lines, shipping and destination of an order."""

    seller: str
    items: list[OrderItem]
    shipping: list[LogisticsInfo]
    postal_code: str
    country: str
    price_tolerance: float


class CheckedCart(Model):
    """Either why the order cannot be placed as asked, or its shipping with the Seller's promises filled in."""

    problem: Reason | None = None
    shipping: list[LogisticsInfo] = []


class Claim(Model):
    """What the order record is to tell before an order is placed, beside the request: that it is being placed.

    `received_at` and `placing_at` are the times of its history; `digest` is of the request as it was posted.
    """

    digest: str
    version: int
    received_at: AwareDatetime
    placing_at: AwareDatetime


class PlaceCall(Model):
    """An order to place, with the shipping promises of the checkout's own simulation filled in.

    With a `claim` the record is written first, by which the order's id is known to be its own; else it was before.
    """

    request: OrderRequest
    prices_may_diverge: bool
    claim: Claim | None = Field(default=None, exclude_if=lambda value: value is None)


class SellerOrderCall(Model):
    """Names an order to a Seller: for dispatch, cancel and read. `value` in cents, to recognise the order by."""

    seller: str
    marketplace_order_id: str
    order_id: str | None
    value: int
    reason: str = ""
    requested_by_user: bool = False


class Ended(Model):
    """What an order's workflow leaves: how it ended. The order itself is in its record."""

    status: OrderStatus


class Done(Model):
    """The Seller did what it was asked; `receipt` is its word for it, if it gave one."""

    receipt: str | None = None


class CancelResult(Model):
    """`confirmed`, or the Seller is still deciding."""

    confirmed: bool


class FoundOrder(Model):
    """The order as the Seller has it now."""

    order_id: str
    phase: SellerOrderPhase
    status: str | None = None


class PlacedOrder(Model):
    """The Seller has the order under `order_id`; `notes` say what it answered differently from what was asked."""

    order_id: str
    notes: list[str] = []


class SaveCall(Model):
    """The order record as the workflow knows it at `version`."""

    order: Order
    digest: str
    version: int
    payment: PaymentReport | None
    event_ids: list[str]
    created_at: AwareDatetime
    updated_at: AwareDatetime
