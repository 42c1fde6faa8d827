"""What each event does to an order, by rule, where it could be luck."""

from itertools import permutations

import pytest

from marketplace.orders import Action, OrderStatus, ReasonCode
from tests.support.order_life import (
    APPROVED,
    DENIED,
    PLACED,
    REASON,
    TO_HANDLING,
    arrived,
    follow,
    fresh,
    invoiced,
    returned,
    seller_cancels,
    tracked,
)
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
    PlacementStarted,
    Rejected,
    Resumed,
    ReturnWindowClosed,
    Simulated,
    Step,
    StepParked,
)
from workflows.order_state import OrderState, apply, to_order

VALUE = 9470
ALL_LINES = (("2001", 2, 3990),)
PLACING = (PlacementStarted(),)
PLACED_ONLY = TO_HANDLING[:2]
WISH = CancelRequested(cause=CancelCause.CUSTOMER)
SALE = invoiced("N-1", VALUE)
PART = invoiced("N-1", 4000)
RETURN = returned("R-1", VALUE)
REFUSAL = Rejected(reason=REASON)


def codes(state: OrderState) -> list[str]:
    return [flag.code for flag in state.flags]


@pytest.mark.parametrize(
    ("way", "events", "status", "cancellation", "flags"),
    [
        # The cancellation is recorded first and still open: the invoice refuses it; a late answer changes nothing.
        (TO_HANDLING, [WISH, SALE], "invoiced", CancelState.REFUSED, []),
        (TO_HANDLING, [WISH, CancelUndecided(), SALE], "invoiced", CancelState.REFUSED, []),
        (TO_HANDLING, [WISH, CancelUndecided(), PART], "handling", CancelState.REFUSED, []),
        (TO_HANDLING, [WISH, SALE, CancelUndecided()], "invoiced", CancelState.REFUSED, []),
        (TO_HANDLING, [WISH, SALE, CancelDenied(detail="no")], "invoiced", CancelState.REFUSED, []),
        # A Seller that says both must be asked by a person.
        (TO_HANDLING, [WISH, SALE, CancelConfirmed()], "invoiced", CancelState.REFUSED, ["canceled-after-invoice"]),
        (TO_HANDLING, [WISH, SALE, seller_cancels()], "invoiced", CancelState.REFUSED, ["canceled-after-invoice"]),
        (TO_HANDLING, [SALE, seller_cancels()], "invoiced", None, ["canceled-after-invoice"]),
        # The cancellation is recorded first and decided: the order has ended, the invoice is flagged until returned.
        (TO_HANDLING, [WISH, CancelConfirmed(), SALE], "canceled", CancelState.CONFIRMED, ["invoiced-after-end"]),
        (TO_HANDLING, [seller_cancels(), SALE], "canceled", CancelState.CONFIRMED, ["invoiced-after-end"]),
        (TO_HANDLING, [seller_cancels(), SALE, RETURN], "canceled", CancelState.CONFIRMED, []),
        (TO_HANDLING, [seller_cancels(), RETURN, SALE], "canceled", CancelState.CONFIRMED, []),
        # What was invoiced is returned: nothing stands against a cancellation any more, unless all is returned.
        (TO_HANDLING, [PART, returned("R-1", 4000), seller_cancels()], "canceled", CancelState.CONFIRMED, []),
        (TO_HANDLING, [PART, returned("R-1", 3999), seller_cancels()], "handling", None, ["canceled-after-invoice"]),
        (TO_HANDLING, [SALE, RETURN, seller_cancels()], "returned", None, []),
        (TO_HANDLING, [PART, seller_cancels(), returned("R-1", 4000), seller_cancels()], "canceled", "confirmed", None),
        # Before the placement has answered the same holds.
        (PLACING, [seller_cancels(), SALE, PLACED], "canceled", CancelState.CONFIRMED, ["invoiced-after-end"]),
        (PLACING, [SALE, seller_cancels(), PLACED], "payment-pending", None, ["canceled-after-invoice"]),
        (PLACING, [seller_cancels(), PLACED], "canceled", CancelState.CONFIRMED, []),
        (PLACING, [seller_cancels(), REFUSAL], "canceled", CancelState.CONFIRMED, []),
        (PLACING, [SALE, REFUSAL], "rejected", None, ["invoiced-after-end"]),
        (PLACING, [REFUSAL, SALE], "rejected", None, ["invoiced-after-end"]),
        (PLACING, [WISH, SALE, REFUSAL], "rejected", CancelState.REFUSED, ["invoiced-after-end"]),
        (PLACING, [WISH, REFUSAL], "canceled", CancelState.CONFIRMED, []),
        # An unpaid order has ended whatever the Seller says; an invoice for it goes to an operator.
        (PLACED_ONLY, [DENIED, SALE], "payment-denied", CancelState.REFUSED, []),
        (PLACED_ONLY, [DENIED, SALE, seller_cancels()], "payment-denied", "confirmed", ["invoiced-after-end"]),
        (PLACED_ONLY, [DENIED, seller_cancels(), SALE], "payment-denied", "confirmed", ["invoiced-after-end"]),
        (PLACED_ONLY, [SALE, DENIED], "payment-denied", CancelState.OWED, []),
        (PLACED_ONLY, [SALE, DENIED, CancelConfirmed()], "payment-denied", "confirmed", ["invoiced-after-end"]),
        (PLACED_ONLY, [PaymentDeadlineMissed(), SALE], "expired", CancelState.REFUSED, []),
    ],
)
def test_invoice_and_cancellation_end_by_which_was_recorded_first(
    way: tuple[Event, ...], events: list[Event], status: str, cancellation: str | None, flags: list[str] | None
) -> None:
    state = follow(fresh(), *way, *events)
    assert (state.status, state.cancellation and state.cancellation.state) == (status, cancellation)
    if flags is not None:
        assert codes(state) == flags
    for event in (SALE, RETURN, PART):
        assert event not in events or event.report.event_id in state.event_ids
    assert not any(event == seller_cancels() for event in events) or state.cancel_reports


@pytest.mark.parametrize(
    ("reports", "status", "invoiced_value", "flags"),
    [
        ([PART], "handling", 4000, []),
        ([PART, invoiced("N-2", 5469)], "handling", 9469, []),
        ([PART, invoiced("N-2", 5470)], "invoiced", 9470, []),
        ([invoiced("N-1", None, *ALL_LINES)], "invoiced", 9470, []),
        ([invoiced("N-1", None, ("2001", 1, 3990))], "handling", 3990, []),
        ([invoiced("N-1", 9470, trackingNumber="BR-1")], "shipped", 9470, []),
        ([SALE, tracked("N-1", trackingUrl="https://track.example/1")], "shipped", 9470, []),
        ([SALE, tracked("N-1", courier="Total Express")], "invoiced", 9470, []),
        ([SALE, arrived("N-1", is_delivered=False)], "invoiced", 9470, []),
        ([SALE, arrived("N-1")], "delivered", 9470, []),
        ([arrived("N-1"), tracked("N-1", trackingNumber="BR-1")], "handling", 0, []),
        ([PART, invoiced("N-2", 5470), arrived("N-1")], "invoiced", 9470, []),
        ([PART, invoiced("N-2", 5470), arrived("N-1"), arrived("N-2")], "delivered", 9470, []),
        ([RETURN], "handling", 0, []),
        ([RETURN, SALE], "returned", 9470, []),
        ([SALE, arrived("N-1"), RETURN], "returned", 9470, []),
        ([SALE, returned("R-1", 4000)], "invoiced", 9470, []),
        ([SALE, returned("R-1", 4000), returned("R-2", 5470)], "returned", 9470, []),
        ([PART, returned("R-1", 4000)], "handling", 4000, []),
        ([SALE, invoiced("N-2", 1)], "invoiced", 9471, ["invoiced-above-value"]),
        ([SALE, invoiced("N-2", 9470), RETURN], "returned", 18940, ["invoiced-above-value"]),
        ([PART, invoiced("N-1", 4001, received=1)], "handling", 4000, ["invoice-conflict"]),
        ([PART, invoiced("N-1", 9470, received=1)], "invoiced", 4000, ["invoice-conflict"]),
        ([invoiced("N-1", 9470), invoiced("N-1", 4000, received=1)], "invoiced", 9470, ["invoice-conflict"]),
        (
            [invoiced("N-1", 9471), invoiced("N-1", 9470, received=1)],
            "invoiced",
            9471,
            ["invoiced-above-value", "invoice-conflict"],
        ),
        # One number, a sale and a return: two invoices.
        ([SALE, returned("N-1", 9470)], "returned", 9470, []),
    ],
)
def test_reports_amount_to_the_same_in_every_order(
    reports: list[Event], status: str, invoiced_value: int, flags: list[str]
) -> None:
    for some_order in permutations(reports):
        state = follow(fresh(), *TO_HANDLING, *some_order)
        assert (state.status, state.fulfillment.invoiced_value, codes(state)) == (status, invoiced_value, flags)
        assert state.needs_attention is bool(flags)


def test_an_empty_tracking_value_never_erases_and_a_later_one_replaces() -> None:
    state = follow(
        fresh(),
        *TO_HANDLING,
        invoiced("N-1", VALUE, courier="A", trackingNumber="1", received=1),
        tracked("N-1", courier="B", received=3),
        tracked("N-1", trackingNumber="2", courier="late", received=2),
    )
    [package] = to_order(state).packages
    assert (package.courier, package.tracking_number, package.tracking_url) == ("B", "2", None)


PARKED = StepParked(parked=Parked(step=Step.CANCEL, reason=REASON))


@pytest.mark.parametrize(
    "events",
    [
        [PlacementStarted()],
        [REFUSAL],
        [WISH, REFUSAL],
        [seller_cancels(), REFUSAL],
        [*PLACED_ONLY],
        [APPROVED],
        [*PLACED_ONLY, DENIED],
        [*PLACED_ONLY, PaymentDeadlineMissed()],
        [*TO_HANDLING[:4]],
        [*TO_HANDLING],
        [*TO_HANDLING, SALE],
        [*TO_HANDLING, RETURN],
        [*TO_HANDLING, tracked("N-1", trackingNumber="1")],
        [*TO_HANDLING, SALE, arrived("N-1"), ReturnWindowClosed()],
        [*TO_HANDLING, WISH],
        [*TO_HANDLING, WISH, CancelUndecided()],
        [*TO_HANDLING, WISH, CancelConfirmed()],
        [*TO_HANDLING, WISH, CancelDenied(detail="no")],
        [*TO_HANDLING, seller_cancels()],
        [*TO_HANDLING, SALE, seller_cancels()],
        [PlacementStarted(), seller_cancels()],
        [*PLACED_ONLY, DENIED, PARKED, Resumed(action=Action.ABORT)],
    ],
)
def test_the_same_event_again_changes_nothing(events: list[Event]) -> None:
    state = follow(fresh(), *events)
    assert follow(state, events[-1]) is state


def test_the_same_report_taken_again_later_changes_nothing() -> None:
    state = follow(fresh(), *TO_HANDLING, invoiced("N-1", VALUE, received=5))
    assert follow(state, invoiced("N-1", VALUE, received=6)) is state


def test_a_report_that_turns_out_to_be_the_first_is_told_with_what_it_changes() -> None:
    """Two API processes took the same number with two contents, and a repeat shows which was first."""
    state = follow(
        fresh(),
        *TO_HANDLING,
        invoiced("N-1", 4000, received=5),
        invoiced("N-1", 9471, received=6),
        invoiced("N-1", 9471, received=4),
    )
    assert (state.status, codes(state)) == ("invoiced", ["invoiced-above-value", "invoice-conflict"])
    assert state.history[-1].status is OrderStatus.INVOICED


def test_an_accepted_flag_comes_back_only_with_other_amounts() -> None:
    flagged = follow(fresh(), *TO_HANDLING, SALE, invoiced("N-2", 100))
    accepted = follow(flagged, Resumed(action=Action.RETRY))
    assert (codes(accepted), accepted.allowed_actions) == ([], [])
    tracked_since = follow(accepted, tracked("N-1", trackingNumber="1"))
    assert codes(tracked_since) == []
    more = follow(tracked_since, invoiced("N-3", 100))
    assert codes(more) == [ReasonCode.INVOICED_ABOVE_VALUE]
    assert "96.70" in more.flags[0].message


def test_an_operator_who_closes_an_invoiced_unpaid_order_has_seen_the_invoice() -> None:
    parked = follow(fresh(), *PLACED_ONLY, DENIED, SALE, PARKED)
    assert parked.allowed_actions == [Action.RETRY, Action.ABORT]
    closed = follow(parked, Resumed(action=Action.ABORT, note="settled by phone"))
    assert (closed.ended, closed.needs_attention, closed.status) == (True, False, "payment-denied")


def test_what_the_engine_notes_changes_the_version_alone() -> None:
    state = fresh()
    noted = apply(state, Simulated(), state.history[-1].at)
    assert (noted.version, len(noted.history)) == (state.version + 1, len(state.history) + 1)
    assert noted.model_copy(update={"version": state.version, "history": state.history}) == state


def test_dispatch_is_not_started_twice() -> None:
    state = follow(fresh(), *TO_HANDLING)
    assert follow(state, DispatchStarted()) is state
    assert follow(state, DispatchAuthorized()) is state


@pytest.mark.parametrize(
    ("refusing", "words"),
    [
        (CancelDenied(detail="the Seller refuses to cancel: too late"), "the Seller refuses to cancel: too late"),
        (SALE, "invoice N-1 over 94.70"),
    ],
)
def test_why_a_cancellation_was_refused_is_known_whatever_happens_after(refusing: Event, words: str) -> None:
    state = follow(fresh(), *TO_HANDLING, WISH, refusing, tracked("N-1"))
    assert state.history[-1].detail != words
    assert state.cancellation is not None
    assert (state.cancellation.state, state.cancellation.refusal) == (CancelState.REFUSED, words)
