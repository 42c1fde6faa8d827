"""What the storefront is to be told follows from the order's records alone, however they were put together."""

import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.orders import Order
from marketplace.webhooks import MAX_ORDER, Delivery, EventType, event_body, new_events
from tests.support.order_life import (
    APPROVED,
    AT,
    PLACED,
    REASON,
    TO_HANDLING,
    arrived,
    engines_events,
    follow,
    fresh,
    invoiced,
    marketplaces_events,
    returned,
    seller_cancels,
    tracked,
)
from workflows.order_events import Parked, Placed, PlacementStarted, Resumed, Step, StepParked
from workflows.order_state import OrderState, apply, to_order

from .receiver import changes

NOW = AT + timedelta(days=1)
REPORTS = (
    invoiced("1", 9470),
    invoiced("2", 9470),
    returned("3", 9470),
    tracked("1", courier="Sul", trackingNumber="7"),
    arrived("1"),
    seller_cancels(),
)


def told(*records: Order) -> list[Delivery]:
    befores = (None, *records)
    return [event for before, after in zip(befores, records, strict=False) for event in new_events(before, after, NOW)]


def kinds(events: list[Delivery]) -> list[tuple[EventType, str]]:
    return [(event.type, event.status.value) for event in events]


@st.composite
def lives(draw: st.DrawFn) -> list[OrderState]:
    """An order's states, whatever happens to it."""
    states = [fresh()]
    for _ in range(draw(st.integers(0, 14))):
        state = states[-1]
        events = [*engines_events(state), *marketplaces_events(state), *REPORTS]
        states.append(apply(state, draw(st.sampled_from(events)), state.history[-1].at + timedelta(seconds=1)))
    return states


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(life=lives(), data=st.data())
def test_each_status_is_told_once_in_order_whichever_records_were_written(
    life: list[OrderState], data: st.DataObject
) -> None:
    kept = [state for state in life[:-1] if data.draw(st.booleans())]
    last = to_order(life[-1])
    events = told(*(to_order(state) for state in (*kept, life[-1])))

    status = [event.status.value for event in events if event.type is EventType.STATUS_CHANGED]
    assert status == changes(last.model_dump(mode="json"))
    assert status[-1] == last.status
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences))
    attention = [event.type for event in events if event.type is not EventType.STATUS_CHANGED]
    assert (attention[-1:] == [EventType.NEEDS_ATTENTION]) == last.needs_attention


def test_an_event_has_the_same_id_whenever_it_is_made() -> None:
    start = fresh()
    one_by_one = told(*(to_order(follow(start, *TO_HANDLING[:steps])) for steps in range(1, 6)))
    at_once = told(to_order(follow(start, *TO_HANDLING)))
    assert one_by_one == at_once
    assert len({event.id for event in at_once}) == len(at_once)
    other = to_order(start).model_copy(update={"seller": "other"})
    assert not {event.id for event in told(other)} & {event.id for event in at_once}


def test_an_order_that_needs_an_operator_is_told_until_it_needs_none() -> None:
    placing = follow(fresh(), PlacementStarted())
    parked = follow(placing, StepParked(parked=Parked(step=Step.PLACE, reason=REASON)))
    again = REASON.model_copy(update={"message": "another"})
    elsewhere = follow(parked, StepParked(parked=Parked(step=Step.PLACE, reason=again)))
    resumed = follow(elsewhere, Resumed(action=elsewhere.allowed_actions[0]), Placed(order_id="o", expires_at=AT))
    events = told(*(to_order(state) for state in (placing, parked, elsewhere, resumed)))
    assert kinds(events) == [
        (EventType.STATUS_CHANGED, "simulating"),
        (EventType.STATUS_CHANGED, "placing"),
        (EventType.NEEDS_ATTENTION, "placing"),
        (EventType.NEEDS_ATTENTION, "placing"),
        (EventType.STATUS_CHANGED, "payment-pending"),
        (EventType.ATTENTION_RESOLVED, "payment-pending"),
    ]


def test_one_line_may_change_the_status_and_need_an_operator() -> None:
    handled = follow(fresh(), *TO_HANDLING)
    events = told(to_order(handled), to_order(follow(handled, invoiced("1", 9999))))
    assert kinds(events)[-2:] == [(EventType.STATUS_CHANGED, "invoiced"), (EventType.NEEDS_ATTENTION, "invoiced")]
    assert events[-1].sequence == events[-2].sequence + 1


def test_an_order_from_before_the_webhooks_is_told_from_here_on() -> None:
    before = to_order(follow(fresh(), PlacementStarted(), PLACED))
    after = to_order(follow(fresh(), PlacementStarted(), PLACED, APPROVED))
    assert kinds(new_events(before, after, NOW)) == [(EventType.STATUS_CHANGED, "payment-approved")]


def test_a_body_holds_the_order_unless_it_is_too_large() -> None:
    order = to_order(fresh())
    [event] = told(order)
    body = json.loads(event_body(event, order))
    assert body == {
        "type": "order.status-changed",
        "timestamp": "2026-01-01T00:00:00Z",
        "sequence": 2,
        "data": {"status": "simulating", "order": json.loads(order.model_dump_json())},
    }
    line = order.history[0].model_copy(update={"detail": "é" * MAX_ORDER})
    large = event_body(event, order.model_copy(update={"history": [line]}))
    assert json.loads(large) == {**body, "data": {"status": "simulating", "order": None}}
