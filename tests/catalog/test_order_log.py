"""The exchange log understands every line of an order's history that tells of the Seller, however it is worded."""

import pytest

from marketplace.journal import Direction, JournalEntry, JournalStatus, Operation
from marketplace.order_log import order_entries
from marketplace.orders import Reason, ReasonCode
from tests.support.order_life import (
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
    CancelUndecided,
    Event,
    Parked,
    PlacementStarted,
    Rejected,
    Simulated,
    Step,
    StepParked,
)
from workflows.order_state import to_order

WISH = CancelRequested(cause=CancelCause.CUSTOMER, reason="livia.andrade@mail.example changed her mind")
STUCK = StepParked(parked=Parked(step=Step.CANCEL, reason=Reason(code=ReasonCode.SELLER_UNAVAILABLE, message="away")))
OURS, THEIRS = Direction.TO_SELLER, Direction.FROM_SELLER
DONE, ERROR, PENDING, WARNING = (
    JournalStatus.SUCCESS,
    JournalStatus.ERROR,
    JournalStatus.PENDING,
    JournalStatus.WARNING,
)
ORDER, INVOICE, TRACKING = Operation.ORDER_STATUS, Operation.INVOICE, Operation.TRACKING


def last(*events: Event) -> JournalEntry:
    return list(order_entries(to_order(follow(fresh(), *events))))[-1]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Simulated()], (ORDER, OURS, DONE)),
        ([PLACED], (ORDER, OURS, DONE)),
        (TO_HANDLING, (ORDER, OURS, DONE)),
        ([Rejected(reason=REASON)], (ORDER, OURS, ERROR)),
        ([WISH, Rejected(reason=REASON)], (ORDER, OURS, ERROR)),
        ([*TO_HANDLING, invoiced("N-1", 9470)], (INVOICE, THEIRS, DONE)),
        ([*TO_HANDLING, invoiced("N-1", 9470), returned("R-1", 9470)], (INVOICE, THEIRS, DONE)),
        ([*TO_HANDLING, tracked("N-1")], (TRACKING, THEIRS, DONE)),
        ([*TO_HANDLING, arrived("N-1")], (TRACKING, THEIRS, DONE)),
        ([*TO_HANDLING, WISH, CancelUndecided()], (ORDER, OURS, PENDING)),
        ([*TO_HANDLING, WISH, CancelConfirmed()], (ORDER, OURS, DONE)),
        ([*TO_HANDLING, WISH, CancelDenied(detail="the Seller refuses to cancel: CHK0202")], (ORDER, OURS, ERROR)),
        ([*TO_HANDLING, WISH, STUCK], (ORDER, OURS, ERROR)),
        ([*TO_HANDLING, seller_cancels()], (ORDER, THEIRS, DONE)),
        ([Simulated(), PlacementStarted(), seller_cancels()], (ORDER, THEIRS, WARNING)),
        ([seller_cancels()], (ORDER, THEIRS, DONE)),
        ([*TO_HANDLING, invoiced("N-1", 9470), seller_cancels()], (ORDER, THEIRS, WARNING)),
    ],
)
def test_each_exchange_is_told_for_what_it_was(
    events: list[Event], expected: tuple[Operation, Direction, JournalStatus]
) -> None:
    entry = last(*events)
    assert (entry.operation, entry.direction, entry.status) == expected


def test_what_is_between_marketplace_and_engine_is_not_told() -> None:
    order = to_order(follow(fresh(), *TO_HANDLING, WISH))
    told = [entry.business_message for entry in order_entries(order)]
    assert len(told) < len(order.history)
    assert not [text for text in told if "payment" in text or "received" in text or "livia" in text]


def test_the_same_line_always_gives_the_same_entry_and_lines_of_one_moment_keep_their_order() -> None:
    order = to_order(follow(fresh(), *TO_HANDLING, invoiced("N-1", 9470)))
    whole = list(order_entries(order))
    assert len({entry.id for entry in whole}) == len(whole)
    assert [entry.at for entry in whole] == sorted({entry.at for entry in whole})
    for index in range(len(order.history) + 1):
        assert list(order_entries(order, index)) == [one for one in whole if one in list(order_entries(order, index))]
    assert list(order_entries(order, 0)) == whole
