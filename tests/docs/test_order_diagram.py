"""The picture in docs/orders.md, compared with what the reducer does in every state that an order can come to."""

import re
from collections import deque
from pathlib import Path

import pytest

from marketplace.orders import OrderStatus
from tests.support.order_life import (
    AT,
    MAIN_LINE,
    arrived,
    engines_events,
    fresh,
    invoiced,
    marketplaces_events,
    returned,
    seller_cancels,
    tracked,
)
from workflows.order_events import Event
from workflows.order_state import OrderState, apply

PICTURE = Path(__file__).parents[2] / "docs" / "orders.md"
Way = tuple[OrderStatus, OrderStatus]


def sellers_events(value: int) -> list[Event]:
    return [
        invoiced("sale", value),
        returned("return", value),
        tracked("sale", tracking_number="BR-1"),
        arrived("sale"),
        seller_cancels(),
    ]


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
    first = fresh()
    seen, waiting, ways = {place_of(first)}, deque([first]), set()
    while waiting:
        state = waiting.popleft()
        for event in (*engines_events(state), *marketplaces_events(state), *sellers_events(state.value)):
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
