"""What is true of an order whatever happens to it, in whatever order and however often."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from marketplace.orders import InvoiceType, Order, OrderStatus, ReasonCode
from marketplace.rules import PROGRESS
from tests.fuzz.thoroughness import some
from tests.support.order_life import (
    MAIN_LINE,
    TO_HANDLING,
    arrived,
    engines_events,
    follow,
    fresh,
    invoiced,
    marketplaces_events,
    seller_cancels,
    tracked,
)
from workflows.fulfillment import fold
from workflows.messages import InvoiceReport
from workflows.order_events import (
    CancelCause,
    CancelRequested,
    Event,
    PlacementStarted,
    Resumed,
    SellerCanceled,
    SellerReported,
    StepParked,
)
from workflows.order_state import OrderState, apply, to_order

VALUE = 9470
FINAL = {
    OrderStatus.REJECTED,
    OrderStatus.PAYMENT_DENIED,
    OrderStatus.EXPIRED,
    OrderStatus.CANCELED,
    OrderStatus.RETURNED,
}


numbers = st.sampled_from(["N-1", "N-2", "N-3"])
seconds = st.integers(0, 9)
trackings = st.dictionaries(
    st.sampled_from(["courier", "trackingNumber", "trackingUrl"]), st.sampled_from(["", "one", "two"]), max_size=3
)
lines = st.sampled_from([(), (("2001", 2, 3990),), (("2001", 1, 3990),)])
values = st.sampled_from([None, 0, 1, 3990, 4735, VALUE - 1, VALUE, VALUE + 1])


@st.composite
def reports(draw: st.DrawFn) -> SellerReported:
    """What a Seller may report: few invoice numbers, so that reports meet; also the same one received again."""
    kind = draw(st.sampled_from(["invoice", "invoice", "tracking", "delivery"]))
    number, received = draw(numbers), draw(seconds)
    if kind == "tracking":
        return tracked(number, received=received, **draw(trackings))
    if kind == "delivery":
        return arrived(number, is_delivered=draw(st.booleans()), received=received)
    return invoiced(
        number,
        draw(values),
        *draw(lines),
        kind=draw(st.sampled_from([InvoiceType.OUTPUT, InvoiceType.OUTPUT, InvoiceType.INPUT])),
        received=received,
        **draw(trackings),
    )


@st.composite
def two_ways(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """The same reports twice: shuffled, repeated, and falling anywhere into an order's way to its dispatch."""
    sent = draw(st.lists(reports(), min_size=1, max_size=7))

    def way() -> list[Event]:
        repeated = draw(st.lists(st.sampled_from(sent), max_size=4))
        events: list[Event] = list(draw(st.permutations([*sent, *repeated])))
        places = sorted(draw(st.lists(st.integers(0, len(events)), min_size=5, max_size=5)), reverse=True)
        for place, step in zip(places, reversed(TO_HANDLING), strict=True):
            events.insert(place, step)
        return events

    return way(), way()


def outcome(state: OrderState) -> dict[str, Any]:
    """Everything but how often and when."""
    return state.model_dump(exclude={"version", "history", "delivered_at"})


@some(150)
@given(two_ways())
def test_the_same_reports_end_alike_in_every_order_and_number(ways: tuple[list[Event], list[Event]]) -> None:
    # One order for both: its id is new each time.
    first = fresh()
    one, two = (follow(first, *way) for way in ways)
    assert outcome(one) == outcome(two)
    without_history = [to_order(state).model_copy(update={"history": []}) for state in (one, two)]
    assert without_history[0] == without_history[1]


@some(150)
@given(st.lists(reports(), min_size=1, max_size=12))
def test_reports_taken_in_one_by_one_amount_to_the_same_as_all_at_once(sent: list[SellerReported]) -> None:
    state = fresh()
    for event in sent:
        state = apply(state, event, state.history[-1].at)
        assert state.fulfillment == fold(state.reports, state.items, state.value)


@some(200)
@given(two_ways())
def test_more_invoiced_than_ordered_is_flagged_in_every_order(ways: tuple[list[Event], list[Event]]) -> None:
    for way in ways:
        state = follow(fresh(), *way)
        total = sum(one.invoice_value or 0 for one in state.fulfillment.invoices if one.type is InvoiceType.OUTPUT)
        flagged = ReasonCode.INVOICED_ABOVE_VALUE in {flag.code for flag in state.flags}
        assert state.fulfillment.invoiced_value == total
        assert flagged is (total > VALUE)


def sum_of(state: OrderState, kind: InvoiceType) -> int:
    """Sum of the invoices of a kind, the larger content of each number, computed the plain way."""
    largest: dict[str, int] = {}
    for report in state.reports:
        if isinstance(report, InvoiceReport) and report.invoice.type is kind:
            invoice = report.invoice
            value = invoice.invoice_value
            if value is None:
                complete = [(line.id, line.quantity) for line in invoice.items] == [("2001", 2)]
                value = VALUE if complete else sum(line.quantity * line.price for line in invoice.items)
            largest[invoice.invoice_number] = max(value, largest.get(invoice.invoice_number, 0))
    return sum(largest.values())


@some(200)
@given(two_ways())
def test_invoiced_and_returned_are_reached_by_the_sums_of_invoices(ways: tuple[list[Event], list[Event]]) -> None:
    state = follow(fresh(), *ways[0])
    sold, sent_back = sum_of(state, InvoiceType.OUTPUT), sum_of(state, InvoiceType.INPUT)
    assert (state.status is OrderStatus.RETURNED) is (sold >= VALUE and sent_back >= VALUE)
    assert (state.status is OrderStatus.HANDLING) is (sold < VALUE)


class OrderLife(RuleBasedStateMachine):
    """An order to which anything may happen that its workflow lets through, Seller calls in flight included."""

    def __init__(self) -> None:
        super().__init__()
        self.state = fresh()
        self.twin = self.state
        self.furthest = MAIN_LINE.index(self.state.status)
        self.end: OrderStatus | None = None
        self.in_flight: list[Event] = []
        self.reported: set[str] = set()

    @initialize(steps=st.integers(0, len(TO_HANDLING)))
    def it_has_come_so_far(self, steps: int) -> None:
        # Left to itself it would hardly ever come to its dispatch: so much can end it before.
        for event in TO_HANDLING[:steps]:
            self.happens(event)

    def happens(self, event: Event, *, repeated: bool = True) -> None:
        before = self.state
        at = before.history[-1].at + timedelta(seconds=1)
        self.state = apply(before, event, at)
        self.compare(before)
        if repeated:
            assert apply(self.state, event, at) is self.state
        if self.state is not before:
            # What was written down and read again lives on in the same way.
            self.twin = apply(OrderState.model_validate_json(self.twin.model_dump_json()), event, at)

    def compare(self, before: OrderState) -> None:
        if self.state is before:
            return
        told = len(self.state.history) - len(before.history)
        assert self.state.version - before.version == max(told, 1)
        assert self.state.history[: len(before.history)] == before.history
        if told == 0:
            assert self.state.status is before.status
        assert PROGRESS.index(self.state.progress) >= PROGRESS.index(before.progress)
        for entry in self.state.history[len(before.history) :]:
            self.moved(entry.status)

    def moved(self, status: OrderStatus) -> None:
        """The main line is walked forward alone; a cancellation asked for may lead back to it; an end is the end."""
        assert self.end in {None, status}
        if status in MAIN_LINE:
            assert MAIN_LINE.index(status) >= self.furthest
            self.furthest = MAIN_LINE.index(status)
        if status in FINAL:
            self.end = status

    def may(self, event: Event) -> bool:
        return event in list(engines_events(self.state))

    @precondition(lambda self: not self.in_flight)
    @rule(data=st.data())
    def the_engine_takes_its_next_step(self, data: st.DataObject) -> None:
        events = list(engines_events(self.state))
        if any(isinstance(event, StepParked) for event in events):
            self.in_flight = events
        elif events:
            self.happens(data.draw(st.sampled_from(events)))

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def the_seller_answers_the_engine(self, data: st.DataObject) -> None:
        event: Event = data.draw(st.sampled_from(self.in_flight))
        self.in_flight = []
        # What came between may have made another step the next one; then neither parking nor placing happens.
        if not isinstance(event, StepParked | PlacementStarted) or self.may(event):
            self.happens(event, repeated=not isinstance(event, StepParked))

    @rule(data=st.data())
    def the_marketplace_speaks(self, data: st.DataObject) -> None:
        events = [event for event in marketplaces_events(self.state) if not isinstance(event, Resumed)]
        if events:
            event = data.draw(st.sampled_from(events))
            if isinstance(event, CancelRequested):
                cause = data.draw(st.sampled_from([CancelCause.CUSTOMER, CancelCause.OPERATOR]))
                event = event.model_copy(update={"cause": cause})
            self.happens(event)

    @precondition(lambda self: self.state.needs_attention)
    @rule(data=st.data())
    def an_operator_decides(self, data: st.DataObject) -> None:
        self.happens(
            Resumed(action=data.draw(st.sampled_from(self.state.allowed_actions))),
            # What is left of it is a new question, for a new decision.
            repeated=False,
        )

    @rule(event=reports())
    def the_seller_reports(self, event: SellerReported) -> None:
        self.reported.add(event.report.event_id)
        self.happens(event)

    @rule(reason=st.sampled_from(["", "damaged"]))
    def the_seller_cancels(self, reason: str) -> None:
        event: SellerCanceled = seller_cancels(reason)
        self.reported.add(event.report.event_id)
        self.happens(event)

    @invariant()
    def history_ends_with_the_orders_status_and_is_in_time_order(self) -> None:
        history = self.state.history
        assert history[-1].status is self.state.status
        assert [entry.at for entry in history] == sorted(entry.at for entry in history)

    @invariant()
    def nothing_reported_is_lost(self) -> None:
        assert set(self.state.event_ids) == self.reported
        assert len(self.state.event_ids) == len(self.reported)

    @invariant()
    def nothing_is_lost_in_writing(self) -> None:
        assert OrderState.model_validate_json(self.state.model_dump_json()) == self.state
        assert self.twin == self.state

    @invariant()
    def the_apis_order_is_valid(self) -> None:
        order = to_order(self.state)
        assert Order.model_validate_json(order.model_dump_json()) == order
        assert order.needs_attention is bool(order.allowed_actions)
        assert not order.needs_attention or order.reason is not None
        assert order.status not in FINAL - {OrderStatus.RETURNED} or order.reason is not None

    @invariant()
    def money_that_does_not_add_up_is_flagged_until_seen(self) -> None:
        state, seen = self.state, self.state.acknowledged
        amounts = state.fulfillment
        ended = state.canceled or state.rejection is not None
        troubles = {
            ReasonCode.INVOICED_ABOVE_VALUE: amounts.invoiced_value > VALUE,
            ReasonCode.INVOICE_CONFLICT: bool(amounts.conflicts),
            ReasonCode.INVOICED_AFTER_END: ended and amounts.has_open_invoice,
        }
        flagged = {flag.code for flag in state.flags}
        for code, is_there in troubles.items():
            assert code in flagged if is_there and not seen else is_there or code not in flagged


def test_whatever_happens_an_order_never_goes_back_and_loses_nothing() -> None:
    run_state_machine_as_test(OrderLife, settings=some(60, stateful_step_count=30))
