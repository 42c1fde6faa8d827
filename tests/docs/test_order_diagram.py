"""The picture in docs/orders.md, compared with what the reducer does in every state that an order can come to."""

import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marketplace.orders import (
    Invoice,
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
from workflows.fulfillment import Report
from workflows.messages import DeliveryReport, InvoiceReport, SellerCancelReport, TrackingReport
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

PICTURE = Path(__file__).parents[2] / "docs" / "orders.md"
Way = tuple[OrderStatus, OrderStatus]

AT = datetime(2026, 1, 1, tzinfo=UTC)
REASON = Reason(code=ReasonCode.SELLER_UNAVAILABLE, message="no answer")
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
    OrderStatus.PLACING: (Step.PLACE, [Rejected(reason=REASON), Placed(order_id="o", expires_at=AT)]),
    OrderStatus.PAYMENT_PENDING: (None, [PaymentDeadlineMissed()]),
    OrderStatus.PAYMENT_APPROVED: (None, [DispatchStarted()]),
    OrderStatus.AUTHORIZING_FULFILLMENT: (Step.AUTHORIZE_DISPATCH, [DispatchAuthorized()]),
    OrderStatus.HANDLING: (None, []),
}


def sellers_reports(value: int) -> list[Report]:
    def invoice(number: str, kind: InvoiceType) -> InvoiceReport:
        sent = Invoice(type=kind, invoice_number=number, invoice_value=value, items=[])
        return InvoiceReport(event_id=number, received_at=AT, invoice=sent)

    tracked = Tracking(tracking_number="BR-1")
    return [
        invoice("sale", InvoiceType.OUTPUT),
        invoice("return", InvoiceType.INPUT),
        TrackingReport(event_id="tracking", received_at=AT, invoice_number="sale", tracking=tracked),
        DeliveryReport(event_id="delivery", received_at=AT, invoice_number="sale", is_delivered=True),
    ]


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
        events = [CancelConfirmed(), Placed(order_id="o", expires_at=AT)]
    elif cancellation.state is CancelState.OWED:
        events = [CancelConfirmed(), CancelDenied(detail="no"), CancelUndecided()]
    elif cancellation.state is CancelState.DECIDING:
        events = [CancelConfirmed(), CancelDenied(detail="no")]
    yield from events
    if step is not None:
        yield StepParked(parked=Parked(step=step, reason=REASON))


def others_events(state: OrderState) -> Iterator[Event]:
    """What storefront, operators and the Seller can say."""
    for status in (PaymentStatus.APPROVED, PaymentStatus.DENIED):
        payment = PaymentReport(status=status, transaction_id="t")
        if not payment_conflict(state.status, state.payment, payment):
            yield PaymentReported(report=payment)
    if not state.ended and not cancel_conflict(state.status, has_open_invoice=state.fulfillment.has_open_invoice):
        yield CancelRequested(cause=CancelCause.CUSTOMER)
    for action in state.allowed_actions:
        yield Resumed(action=action)
    for report in sellers_reports(state.value):
        yield SellerReported(report=report)
    yield SellerCanceled(report=SellerCancelReport(event_id="cancel", received_at=AT))


def place_of(state: OrderState) -> tuple[object, ...]:
    """What tells one state from another, for what may happen next."""
    return (
        state.stage,
        state.progress,
        state.payment and state.payment.status,
        state.cancellation and (state.cancellation.cause, state.cancellation.state),
        state.rejection is not None,
        state.early_cancel is not None,
        state.parked and state.parked.step,
        frozenset(flag.code for flag in state.flags),
        bool(state.acknowledged),
        state.window_closed,
        frozenset(state.event_ids),
    )


@pytest.fixture(scope="module")
def walked() -> set[Way]:
    """Each change of status, found by walking from a new order through everything that can happen to it."""
    first = new_order(OrderRequest.model_validate(order_body()), AT)
    seen, waiting, ways = {place_of(first)}, deque([first]), set()
    while waiting:
        state = waiting.popleft()
        for event in (*engines_events(state), *others_events(state)):
            after = apply(state, event, AT)
            if after.status is not state.status:
                ways.add((state.status, after.status))
            if (place := place_of(after)) not in seen:
                seen.add(place)
                waiting.append(after.model_copy(update={"history": after.history[-1:]}))
    return ways


@pytest.fixture(scope="module")
def drawn() -> set[Way]:
    picture = PICTURE.read_text(encoding="utf-8").split("```mermaid")[1].split("```")[0]
    found = re.findall(r"^\s*(\w+) --> (\w+):", picture, re.MULTILINE)
    return {(OrderStatus(one.replace("_", "-")), OrderStatus(two.replace("_", "-"))) for one, two in found}


def test_the_picture_draws_nothing_that_cannot_happen(walked: set[Way], drawn: set[Way]) -> None:
    assert drawn - walked == set()


def test_the_picture_has_every_status(drawn: set[Way]) -> None:
    assert {status for way in drawn for status in way} == set(OrderStatus)


def test_what_the_picture_leaves_out_is_what_its_text_says(walked: set[Way], drawn: set[Way]) -> None:
    def told(way: Way) -> bool:
        before, after = way
        if before is OrderStatus.CANCELLATION_REQUESTED:
            return after in {*MAIN_LINE, OrderStatus.PAYMENT_DENIED, OrderStatus.CANCELED}
        if before in MAIN_LINE and after in MAIN_LINE:
            return MAIN_LINE.index(before) < MAIN_LINE.index(after)
        before_invoice = (
            MAIN_LINE.index(before) <= MAIN_LINE.index(OrderStatus.HANDLING) if before in MAIN_LINE else False
        )
        unsold = {OrderStatus.CANCELED, OrderStatus.CANCELLATION_REQUESTED, OrderStatus.PAYMENT_DENIED}
        return before_invoice and after in unsold

    assert {way for way in walked - drawn if not told(way)} == set()


def test_a_status_that_ends_an_order_is_never_left(walked: set[Way]) -> None:
    final = {"rejected", "payment-denied", "expired", "canceled", "returned"}
    assert {way for way in walked if way[0] in final} == set()
