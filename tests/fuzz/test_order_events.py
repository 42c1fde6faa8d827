"""Orders to which anything happens: money, dispatch and cancellation stay right, and no event is ever too odd."""

from datetime import timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from marketplace.orders import Action, InvoiceType, OrderStatus, PaymentStatus
from marketplace.rules import ENDS, PROGRESS, payment_conflict
from tests.fuzz.thoroughness import some
from tests.support.order_life import (
    APPROVED,
    AT,
    DENIED,
    MAIN_LINE,
    PLACED,
    REASON,
    TO_HANDLING,
    engines_events,
    fresh,
    invoiced,
    marketplaces_events,
    seller_cancels,
)
from tests.workflows.test_order_state_properties import OrderLife, reports
from workflows.messages import InvoiceReport
from workflows.order_events import (
    CancelCause,
    CancelConfirmed,
    CancelDenied,
    CancelRequested,
    CancelUndecided,
    DispatchAuthorized,
    DispatchStarted,
    Event,
    Noted,
    Parked,
    PaymentDeadlineMissed,
    PaymentReported,
    PlacementStarted,
    Rejected,
    Resumed,
    ReturnWindowClosed,
    SellerReported,
    Simulated,
    Step,
    StepParked,
)
from workflows.order_state import OrderState, apply, to_order

PAID = MAIN_LINE.index(OrderStatus.PAYMENT_APPROVED)
SECOND = timedelta(seconds=1)
OTHER_PAYMENT = APPROVED.report.model_copy(update={"transaction_id": "another"})


class Followed(OrderLife):
    """The same life, looked at by who has money in it."""

    def happens(self, event: Event, *, repeated: bool = True) -> None:
        before = self.state
        super().happens(event, repeated=repeated)
        if isinstance(event, DispatchStarted) and self.state is not before:
            cancellation = before.cancellation
            assert before.status not in ENDS
            assert cancellation is None or not (cancellation.open or cancellation.ends_order)
        if before.canceled and self.state.stage is not before.stage:
            # The Seller answered a call that was on its way when it canceled.
            assert isinstance(event, DispatchAuthorized)

    def nothing_is_dispatched_before_it_is_paid(self) -> None:
        payment = self.state.payment
        if MAIN_LINE.index(self.state.stage) >= PAID:
            assert payment is not None
            assert payment.status is PaymentStatus.APPROVED

    def every_invoice_is_told_once_and_the_sale_is_their_sum(self) -> None:
        order = to_order(self.state)
        invoices = [one.invoice for one in self.state.reports if isinstance(one, InvoiceReport)]
        told = [(one.type, one.invoice_number) for one in order.invoices]
        assert sorted(told) == sorted({(one.type, one.invoice_number) for one in invoices})
        sales = [one for one in order.invoices if one.type is InvoiceType.OUTPUT]
        assert order.invoiced_value == sum(one.invoice_value or 0 for one in sales)
        assert [package.invoice_number for package in order.packages] == [one.invoice_number for one in sales]

    def what_is_allowed_is_what_can_be_done(self) -> None:
        for action in Action:
            after = apply(self.state, Resumed(action=action), self.state.history[-1].at)
            assert (after is not self.state) is (action in self.state.allowed_actions)
        for report in (APPROVED.report, DENIED.report, OTHER_PAYMENT):
            if payment_conflict(self.state.status, self.state.payment, report):
                assert apply(self.state, PaymentReported(report=report), self.state.history[-1].at) is self.state

    def what_ends_an_order_that_the_seller_has_is_settled_there(self) -> None:
        state = self.state
        if state.placed and state.ended and state.status in {OrderStatus.PAYMENT_DENIED, OrderStatus.EXPIRED}:
            assert state.canceled

    def act(self, actor: int, choice: int, report: SellerReported) -> None:
        """Let something happen: mostly what the engine does next, so that an order comes as far as most orders do."""
        if actor < 10:
            self.engine_acts(choice)
        elif actor < 13 and (spoken := list(marketplaces_events(self.state))):
            event = spoken[choice % len(spoken)]
            self.happens(event, repeated=not isinstance(event, Resumed))
        elif actor < 14:
            self.the_seller_cancels(("", "damaged")[choice % 2])
        else:
            self.the_seller_reports(report)

    def engine_acts(self, choice: int) -> None:
        events, self.in_flight = self.in_flight or list(engines_events(self.state)), []
        if not events:
            return
        event = events[choice % len(events)]
        if choice % 4 == 3 and any(isinstance(one, StepParked) for one in events):
            # The call is on its way, and something else happens first.
            self.in_flight = events
        elif not isinstance(event, StepParked | PlacementStarted) or self.may(event):
            self.happens(event, repeated=not isinstance(event, StepParked))

    def look(self) -> None:
        """Check all that must hold at any moment."""
        self.history_ends_with_the_orders_status_and_is_in_time_order()
        self.nothing_reported_is_lost()
        self.nothing_is_lost_in_writing()
        self.the_apis_order_is_valid()
        self.money_that_does_not_add_up_is_flagged_until_seen()
        self.nothing_is_dispatched_before_it_is_paid()
        self.every_invoice_is_told_once_and_the_sale_is_their_sum()
        self.what_is_allowed_is_what_can_be_done()
        self.what_ends_an_order_that_the_seller_has_is_settled_there()


@some(150)
@given(
    st.sampled_from([*range(len(TO_HANDLING) + 1), len(TO_HANDLING)]),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 59), reports()), min_size=8, max_size=30),
)
def test_whatever_happens_money_dispatch_and_cancellation_agree(
    steps: int, happenings: list[tuple[int, int, SellerReported]]
) -> None:
    life = Followed()
    life.it_has_come_so_far(steps)
    for actor, choice, report in happenings:
        life.act(actor, choice, report)
        life.look()


_PLAIN: list[Event] = [
    *(Simulated(), PlacementStarted(), Rejected(reason=REASON), PLACED, APPROVED, DENIED, PaymentDeadlineMissed()),
    *(PaymentReported(report=OTHER_PAYMENT), DispatchStarted(), DispatchAuthorized(), CancelUndecided()),
    *(CancelConfirmed(), CancelDenied(detail="no"), ReturnWindowClosed(), Noted(detail="heard")),
    # A denied payment is told by its report, never by a wish to cancel.
    *(CancelRequested(cause=cause) for cause in CancelCause if cause is not CancelCause.PAYMENT_DENIED),
    *(StepParked(parked=Parked(step=step, reason=REASON)) for step in Step),
    *(Resumed(action=action, note="done") for action in Action),
    *(seller_cancels(), seller_cancels("damaged")),
]


@some(150)
@given(st.lists(st.sampled_from(_PLAIN) | reports(), max_size=40))
@example(
    [
        PLACED,
        DispatchAuthorized(),
        invoiced("N-1", None),
        StepParked(parked=Parked(step=Step.AUTHORIZE_DISPATCH, reason=REASON)),
    ]
)
def test_no_sequence_of_events_breaks_an_order_or_takes_back_what_is_known(events: list[Event]) -> None:
    """Also such as no workflow would tell: a defect there must not become one of the order's facts.

    But what the reducer takes from it unseen: that an order is at the Seller before its dispatch, and not over before
    one of its steps is parked.
    """
    state = fresh()
    for event in events:
        if (of_dispatch(event) and not state.placed) or (isinstance(event, StepParked) and state.ended):
            continue
        before, state = state, apply(state, event, state.history[-1].at + SECOND)
        check_step(before, state)
    assert state.history[0].at == AT


def of_dispatch(event: Event) -> bool:
    """Nothing can be said of the dispatch of what the Seller does not have."""
    if isinstance(event, StepParked):
        return event.parked.step is Step.AUTHORIZE_DISPATCH
    return isinstance(event, DispatchStarted | DispatchAuthorized)


def check_step(before: OrderState, after: OrderState) -> None:
    """Nothing known is gone, and all of it can be written and read."""
    assert after is before or after.version > before.version
    assert after.history[: len(before.history)] == before.history
    assert set(before.event_ids) <= set(after.event_ids)
    assert len(after.event_ids) == len(set(after.event_ids))
    assert MAIN_LINE.index(after.stage) >= MAIN_LINE.index(before.stage)
    assert PROGRESS.index(after.progress) >= PROGRESS.index(before.progress)
    assert before.payment in {None, after.payment}
    assert after.canceled or not before.canceled
    assert before.rejection is None or after.rejection is not None
    assert OrderState.model_validate_json(after.model_dump_json()) == after
    assert to_order(after).needs_attention is bool(after.allowed_actions)
