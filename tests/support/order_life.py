"""What may happen to an order, for tests that follow one without a server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from marketplace.orders import (
    Invoice,
    InvoiceItem,
    InvoiceType,
    OrderRequest,
    OrderStatus,
    PaymentReport,
    PaymentStatus,
    Reason,
    ReasonCode,
    Tracking,
)
from marketplace.rules import PROGRESS, cancel_conflict, payment_conflict
from tests.support.engine import new_order as order_body
from workflows.messages import DeliveryReport, InvoiceReport, SellerCancelReport, SellerReport, TrackingReport
from workflows.order_events import (
    CancelCause,
    CancelConfirmed,
    CancelDenied,
    CancelRequested,
    CancelState,
    CancelUndecided,
    DispatchAuthorized,
    DispatchStarted,
    Event,
    Parked,
    PaymentDeadlineMissed,
    PaymentReported,
    Placed,
    PlacementStarted,
    Rejected,
    Resumed,
    ReturnWindowClosed,
    SellerCanceled,
    SellerReported,
    Step,
    StepParked,
)
from workflows.order_state import OrderState, apply, new_order

AnyReport = TypeVar("AnyReport", bound=SellerReport)

AT = datetime(2026, 1, 1, tzinfo=UTC)
REASON = Reason(code=ReasonCode.SELLER_UNAVAILABLE, message="no answer")
APPROVED = PaymentReported(report=PaymentReport(status=PaymentStatus.APPROVED, transaction_id="t"))
DENIED = PaymentReported(report=PaymentReport(status=PaymentStatus.DENIED, transaction_id="t"))
PLACED = Placed(order_id="o", expires_at=AT)
TO_HANDLING: tuple[Event, ...] = (PlacementStarted(), PLACED, APPROVED, DispatchStarted(), DispatchAuthorized())
"""An order's way until its Seller has it to dispatch."""

MAIN_LINE = (
    OrderStatus.SIMULATING,
    OrderStatus.PLACING,
    OrderStatus.PAYMENT_PENDING,
    OrderStatus.PAYMENT_APPROVED,
    OrderStatus.AUTHORIZING_FULFILLMENT,
    *PROGRESS,
)
STEPS: dict[OrderStatus, tuple[Step | None, list[Event]]] = {
    OrderStatus.SIMULATING: (Step.SIMULATE, [Rejected(reason=REASON), PlacementStarted()]),
    OrderStatus.PLACING: (Step.PLACE, [Rejected(reason=REASON), PLACED]),
    OrderStatus.PAYMENT_PENDING: (None, [PaymentDeadlineMissed()]),
    OrderStatus.PAYMENT_APPROVED: (None, [DispatchStarted()]),
    OrderStatus.AUTHORIZING_FULFILLMENT: (Step.AUTHORIZE_DISPATCH, [DispatchAuthorized()]),
    OrderStatus.HANDLING: (None, []),
}


def fresh() -> OrderState:
    """An order just received. Its value is 9470 cents, for 2 of SKU 2001 and shipping."""
    return new_order(OrderRequest.model_validate(order_body()), AT)


def follow(state: OrderState, *events: Event) -> OrderState:
    """Apply events, each a second after the one before."""
    for event in events:
        state = apply(state, event, state.history[-1].at + timedelta(seconds=1))
    return state


# --- what a Seller reports; `received` is the second at which the API took it ---


def _event(report: AnyReport, received: int) -> AnyReport:
    # As in the API: the same content is the same event, whenever it came.
    said = f"{type(report).__name__}{report.model_dump_json(exclude_none=True)}"
    event_id = sha256(said.encode()).hexdigest()[:24]
    return report.model_copy(update={"event_id": event_id, "received_at": AT + timedelta(seconds=received)})


def invoiced(
    number: str,
    value: int | None,
    *lines: tuple[str, int, int],
    kind: InvoiceType = InvoiceType.OUTPUT,
    received: int = 0,
    **tracking: str,
) -> SellerReported:
    """A sale invoice. Lines are SKU, quantity and price; keyword arguments are tracking that came with it."""
    items = [InvoiceItem(id=sku, quantity=quantity, price=price) for sku, quantity, price in lines]
    invoice = Invoice(type=kind, invoice_number=number, invoice_value=value, items=items)
    tracked = Tracking.model_validate(tracking)
    report = InvoiceReport(event_id="", received_at=AT, invoice=invoice, tracking=tracked)
    return SellerReported(report=_event(report, received))


def returned(number: str, value: int | None, *lines: tuple[str, int, int], received: int = 0) -> SellerReported:
    """A return invoice."""
    return invoiced(number, value, *lines, kind=InvoiceType.INPUT, received=received)


def tracked(number: str, *, received: int = 0, **tracking: str) -> SellerReported:
    report = TrackingReport(
        event_id="", received_at=AT, invoice_number=number, tracking=Tracking.model_validate(tracking)
    )
    return SellerReported(report=_event(report, received))


def arrived(number: str, *, is_delivered: bool = True, received: int = 0) -> SellerReported:
    report = DeliveryReport(event_id="", received_at=AT, invoice_number=number, is_delivered=is_delivered)
    return SellerReported(report=_event(report, received))


def seller_cancels(reason: str = "") -> SellerCanceled:
    report = SellerCancelReport(event_id="", received_at=AT, reason=reason)
    return SellerCanceled(report=_event(report, 0))


# --- what may happen next ---


def engines_events(state: OrderState) -> Iterator[Event]:
    """What the workflow's own step can come to."""
    cancellation = state.cancellation
    if state.ended or state.parked is not None:
        return
    step: Step | None = Step.CANCEL
    events: list[Event] = []
    if cancellation is None or not (cancellation.open or cancellation.ends_order):
        step, events = STEPS[state.stage]
        if state.progress is OrderStatus.DELIVERED and state.stage is OrderStatus.HANDLING:
            events = [ReturnWindowClosed()]
    elif cancellation.state is CancelState.OWED and state.stage is OrderStatus.SIMULATING:
        events = [CancelConfirmed()]
    elif cancellation.state is CancelState.OWED and not state.placed:
        events = [CancelConfirmed(), PLACED]
    elif cancellation.state is CancelState.OWED:
        events = [CancelConfirmed(), CancelDenied(detail="no"), CancelUndecided()]
    elif cancellation.state is CancelState.DECIDING:
        events = [CancelConfirmed(), CancelDenied(detail="no")]
    yield from events
    if step is not None:
        yield StepParked(parked=Parked(step=step, reason=REASON))


def marketplaces_events(state: OrderState) -> Iterator[Event]:
    """What storefront and operators can say; the rest is refused before it reaches the order."""
    for payment in (APPROVED, DENIED):
        if not payment_conflict(state.status, state.payment, payment.report):
            yield payment
    if not state.ended and not cancel_conflict(state.status, has_open_invoice=state.fulfillment.has_open_invoice):
        yield CancelRequested(cause=CancelCause.CUSTOMER)
    for action in state.allowed_actions:
        yield Resumed(action=action)
