"""Two events at the same moment: whichever comes first, the answers and the end agree with each other."""

import asyncio
from dataclasses import dataclass

import httpx
import pytest

from sandbox.server import SandboxServer
from tests.races.meeting import end_of, never
from tests.races.stage import Stage, race_order
from tests.races.steps import Life, Way, dispatched, placed, shipped

REPEATED = 3

Outcome = tuple[int, int, str]
"""The answers to both, and the end."""


@dataclass(frozen=True)
class Race:
    """Two events that meet an order, and every outcome that may be."""

    reach: Way
    events: tuple[str, str]
    may_be: set[Outcome]


RACES = {
    "payment and cancel": Race(
        placed,
        ("payment approved", "customer cancels"),
        {(200, 200, "canceled-by-customer"), (409, 200, "canceled-by-customer")},
    ),
    "payment and the Seller's cancel": Race(
        placed,
        ("payment approved", "Seller cancels"),
        {(200, 200, "canceled-by-seller"), (409, 200, "canceled-by-seller")},
    ),
    "two payments": Race(placed, ("payment approved", "payment approved"), {(200, 200, "handling")}),
    "two payments of two transactions": Race(
        placed,
        ("payment approved", "another payment"),
        {(200, 409, "handling"), (409, 200, "handling")},
    ),
    "approved and denied": Race(
        placed,
        ("payment approved", "payment denied"),
        {(200, 409, "handling"), (409, 200, "payment-denied")},
    ),
    "denied and cancel": Race(
        placed,
        ("payment denied", "customer cancels"),
        # A denial finds the order canceled, or ends what is being canceled; a cancel finds it denied.
        {(200, 409, "payment-denied"), (200, 200, "payment-denied"), (200, 200, "canceled-by-customer")},
    ),
    "two cancels": Race(dispatched, ("customer cancels", "customer cancels"), {(200, 200, "canceled-by-customer")}),
    "cancel of both sides": Race(
        dispatched,
        ("customer cancels", "Seller cancels"),
        {(200, 200, "canceled-by-customer"), (200, 200, "canceled-by-seller")},
    ),
    "invoice and the Seller's cancel": Race(
        dispatched,
        ("invoice", "Seller cancels"),
        {
            (200, 409, "invoiced"),
            (409, 200, "canceled-by-seller"),
            (200, 200, "canceled-by-seller !invoiced-after-end"),
        },
    ),
    "invoice and cancel": Race(
        dispatched,
        ("invoice", "customer cancels"),
        {
            (200, 409, "invoiced"),
            # Both say yes: the Seller has canceled by our wish and invoiced as well.
            (200, 409, "invoiced !canceled-after-invoice"),
            (200, 200, "canceled-by-customer !invoiced-after-end"),
            (409, 200, "canceled-by-customer"),
        },
    ),
    "return and delivery": Race(shipped, ("return", "delivery"), {(200, 200, "returned"), (200, 409, "returned")}),
    "two returns": Race(shipped, ("return", "return"), {(200, 200, "returned")}),
}


@pytest.mark.parametrize("name", RACES)
@pytest.mark.slow
async def test_two_events_at_once_agree_about_the_end(patient: Stage, fresh_seller: SandboxServer, name: str) -> None:
    race = RACES[name]
    lives = [Life(patient, race_order()) for _ in range(REPEATED)]
    await asyncio.gather(*(race.reach(life) for life in lives))
    wrong = [text for text in await asyncio.gather(*(_run(race, life) for life in lives)) if text]
    assert not wrong, "\n" + "\n".join(wrong)


async def _answer(life: Life, event: str) -> int:
    """What an event is answered. A 503 promises nothing, and says that the same may be sent again.

    It comes when an event that would close the order is worked on while the other one arrives: Temporal drops what
    was done then, and the order goes on with both.
    """
    answer = await life.say(event)
    return await life.say(event) if answer == httpx.codes.SERVICE_UNAVAILABLE else answer


async def _run(race: Race, life: Life) -> str:
    """Let both events meet the order; what is wrong with the end."""
    answers = await asyncio.gather(*(_answer(life, event) for event in race.events))
    await life.stage.at_rest(life.order)
    order, kept = await life.stage.engine.get(life.order), await life.stage.at_seller(life.order)
    state = await life.stage.engine.state(life.order)
    outcome = (answers[0], answers[1], end_of(order, state))
    wrong = [] if outcome in race.may_be else [f"{outcome} may not be"]
    wrong += never(order, kept, state)
    assert kept is not None
    canceled, unsold = kept["status"] == "canceled", order["status"] in {"canceled", "payment-denied"}
    if canceled is not unsold and not order["needsAttention"]:
        wrong.append(f"{order['status']}, and at the Seller {kept['status']}")
    return "; ".join(wrong)
