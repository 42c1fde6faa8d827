"""How an event is made to meet a step, and what is then looked at."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus

from marketplace.orders import PaymentStatus
from tests.chaos.evidence import Evidence
from tests.chaos.invariants import (
    at_most_one_seller_order,
    dispatch_once_and_never_before_payment,
    no_status_goes_backwards,
)
from tests.races.stage import Json, Stage
from tests.races.steps import Life, Step, post
from tests.races.table import AFTER, AT_SELLER, BEFORE, Pair
from tests.support.engine import effective
from workflows.fulfillment import Report
from workflows.messages import InvoiceReport
from workflows.order_events import REASON_CODES
from workflows.order_state import OrderState

Answers = dict[str, int]
_LISTED = {"Output": "invoice", "Input": "return"}


async def meet(stage: Stage, step: Step, moment: str, lives: dict[str, Life]) -> Answers:
    """Let each life's event meet the step at a moment; the HTTP status of each that was answered by the workflow."""
    if moment == BEFORE:
        await asyncio.gather(*(step.reach(life) for life in lives.values()))
        async with stage.workflows_away():
            await asyncio.gather(*(_before(step, life, event) for event, life in lives.items()))
        return {}
    await asyncio.gather(*(step.start(life, moment) for life in lives.values()))
    if moment == AFTER:
        async with stage.workflows_away():
            await asyncio.gather(*(_after(step, life, event) for event, life in lives.items()))
        return {}
    answers = await asyncio.gather(*(_meanwhile(step, life, event) for event, life in lives.items()))
    return dict(zip(lives, answers, strict=True))


async def _before(step: Step, life: Life, event: str) -> None:
    if step.begin.other is post:
        # Nothing can be said to an order before it is there: it starts with the event.
        await step.begin.give(life, unseen=True)
        await life.stage.leave(life.order, event)
        return
    await life.stage.leave(life.order, event)
    await step.begin.give(life, unseen=True)


async def _after(step: Step, life: Life, event: str) -> None:
    await step.finish(life, unseen=True)
    await life.stage.leave(life.order, event)


async def _meanwhile(step: Step, life: Life, event: str) -> int:
    if step.call is None:
        return await life.say(event)
    if event == "customer cancels":
        # Answered when it is decided, perhaps only after the step: here it is enough that the workflow has it.
        accepted = await _accepted(life)
        answer = life.say(event)
        while not answer.done() and await _accepted(life) == accepted:
            await asyncio.sleep(0.02)
    else:
        answer = life.say(event)
        await answer
        # Reports are answered before the workflow has seen them. A query sees everything that is durable.
        await life.stage.engine.state(life.order)
    await step.finish(life, unseen=False)
    return await answer


async def _accepted(life: Life) -> int:
    """How many cancellations the workflow has taken to answer."""
    events = life.stage.engine.workflow(life.order).fetch_history_events()
    taken = [event.workflow_execution_update_accepted_event_attributes async for event in events]
    return sum(one.accepted_request.input.name == "cancel" for one in taken)


async def findings(life: Life, pair: Pair, moment: str, event: str, answer: int | None) -> list[str]:
    """What is not as the table says, or never may be."""
    await asyncio.gather(*life.said)
    await life.stage.at_rest(life.order)
    order, kept = await life.stage.engine.get(life.order), await life.stage.at_seller(life.order)
    state = await life.stage.engine.state(life.order)
    end, seller = pair.at(moment)
    found = [
        ("answered", answer if answer is not None else pair.answer, pair.answer),
        ("ended as", end_of(order, state), end),
        ("at the Seller", _at_seller(kept), AT_SELLER[seller]),
    ]
    wrong = [f"{what} {is_so!r}, not {should!r}" for what, is_so, should in found if is_so != should]
    wrong += never(order, kept, state)
    wrong += _reflected(order, state, event, answer)
    return [f"{text}; history {_told(order)}" for text in wrong]


def end_of(order: Json, state: OrderState) -> str:
    """The end as the table writes it."""
    end = order["status"]
    if end == "canceled":
        assert state.cancellation is not None
        end = REASON_CODES[state.cancellation.cause]
    return f"{end} !{order['reason']['code']}" if order["needsAttention"] else str(end)


def _at_seller(kept: Json | None) -> tuple[str | None, int]:
    return (None, 0) if kept is None else (kept["status"], effective(kept, "dispatch"))


def never(order: Json, kept: Json | None, state: OrderState) -> Iterator[str]:
    """What must not be, whatever meets whatever."""
    name = order["marketplaceOrderId"]
    evidence = Evidence(diaries={}, orders={name: order}, ledger={name: kept} if kept else {})
    for invariant in (at_most_one_seller_order, dispatch_once_and_never_before_payment, no_status_goes_backwards):
        yield from (text for _, text in invariant(evidence))
    if kept is None:
        return
    if kept["authorizedAt"] and (state.payment is None or state.payment.status is not PaymentStatus.APPROVED):
        yield "dispatched without an approved payment"
    if effective(kept, "cancel") > 1:
        yield "canceled twice at the Seller"
    canceled = (kept["cancellation"] or {}).get("canceledAt")
    if canceled and kept["authorizedAt"] and kept["authorizedAt"] > canceled:
        yield "dispatched after it was canceled"


def _reflected(order: Json, state: OrderState, event: str, answer: int | None) -> Iterator[str]:
    """What is wrong with the trace of a Seller's report: one if it was taken, none if it was refused."""
    kept, listed = Counter(map(_kind, state.reports)), Counter(_LISTED[one["type"]] for one in order["invoices"])
    if event in _LISTED.values() and not kept[event] == listed[event] == 1:
        yield f"{event} is kept {kept[event]} times and listed {listed[event]} times"
    if event == "tracking" and (kept[event] != 1 or not all(one["trackingNumber"] for one in order["packages"])):
        yield f"tracking is kept {kept[event]} times, and told of {order['packages']}"
    if event == "Seller cancels" and len(state.cancel_reports) != (answer != HTTPStatus.CONFLICT):
        yield f"the Seller's cancel was answered {answer}, and kept are {state.cancel_reports}"
    told = Counter(entry["detail"] for entry in order["history"])
    yield from (f"told {times} times: {line}" for line, times in told.items() if times > 1)


def _kind(report: Report) -> str:
    return (
        _LISTED[report.invoice.type]
        if isinstance(report, InvoiceReport)
        else type(report).__name__.removesuffix("Report").lower()
    )


def _told(order: Json) -> list[str]:
    return [f"{entry['status']}: {entry['detail']}" for entry in order["history"]]
