"""The delivery log, on both databases: what is to be told is written with the record, and kept until it was told."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.orders import OrderActivities
from marketplace.orders import HistoryEntry, Order, OrderStatus
from marketplace.store.base import BadCursor, OrderIdTaken, OrderRecord
from marketplace.store.stores import Stores
from marketplace.webhooks import Attempt, Delivery, DeliveryState, new_events
from workflows.messages import SaveCall

from .samples import AT, record

LIFE = (OrderStatus.SIMULATING, OrderStatus.PLACING, OrderStatus.PAYMENT_PENDING, OrderStatus.PAYMENT_APPROVED)
EVENTS = partial(new_events, now=AT)
TAKEN, REFUSED, GONE = Attempt(status=204), Attempt(status=500, error="no"), Attempt(status=410, error="no", gone=True)


def after(steps: int, order_id: str = "MKP-1", seller: str = "acme") -> OrderRecord:
    """The record of an order after so many steps of its life."""
    history = [
        HistoryEntry(at=AT + timedelta(minutes=number), status=status, detail="")
        for number, status in enumerate(LIFE[:steps])
    ]
    known = record(order_id, seller=seller, version=steps)
    order = known.order.model_copy(update={"status": LIFE[steps - 1], "history": history})
    return known.model_copy(update={"order": order})


async def log(stores: Stores, order_id: str = "MKP-1") -> list[Delivery]:
    return (await stores.webhooks.page(order_id)).deliveries[::-1]


async def test_each_status_is_written_once_however_records_come(stores: Stores) -> None:
    assert await stores.orders.save(after(1), events=EVENTS)
    assert await stores.orders.save(after(3), events=EVENTS)
    assert await stores.orders.save(after(2), events=EVENTS), "something is still to be told"
    assert await stores.orders.save(after(4), events=EVENTS)
    events = await log(stores)
    assert [event.status for event in events] == list(LIFE)
    assert events == EVENTS(None, after(4).order)
    assert await stores.webhooks.get(events[0].id) == events[0]
    assert await stores.webhooks.pending("MKP-1", 3) == events[:3]


async def test_records_written_at_once_tell_everything_once(stores: Stores) -> None:
    await stores.orders.save(after(1), events=EVENTS)
    await asyncio.gather(*(stores.orders.save(after(steps), events=EVENTS) for steps in (4, 2, 3, 4, 2)))
    assert [event.status for event in await log(stores)] == list(LIFE)


async def test_a_history_that_was_worked_out_anew_is_told_from_where_it_differs(stores: Stores) -> None:
    await stores.orders.save(after(3), events=EVENTS)
    lost = after(4)
    await stores.orders.save(lost, events=EVENTS)
    order = lost.order
    expired = order.history[3].model_copy(update={"status": OrderStatus.EXPIRED, "detail": "no payment in time"})
    moved = [line.model_copy(update={"at": line.at + timedelta(seconds=1)}) for line in order.history[:3]]
    anew = order.model_copy(update={"status": OrderStatus.EXPIRED, "history": [*moved, expired]})
    await stores.orders.save(lost.model_copy(update={"version": 5, "order": anew}), events=EVENTS)

    events = await log(stores)
    assert [event.status for event in events] == [*LIFE, OrderStatus.EXPIRED]
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences))


async def test_a_repeat_says_whether_something_is_still_to_be_told(stores: Stores) -> None:
    await stores.orders.save(after(1), events=EVENTS)
    assert await stores.orders.save(after(1), events=EVENTS)
    for event in await log(stores):
        await stores.webhooks.tried(event.id, TAKEN, AT)
    assert not await stores.orders.save(after(1), events=EVENTS)


async def test_what_is_refused_or_cannot_be_written_is_not_told(stores: Stores) -> None:
    await stores.orders.save(after(1))
    with pytest.raises(OrderIdTaken):
        await stores.orders.save(after(2, seller="other"), events=EVENTS)

    def fail(_before: Order | None, _after: Order) -> Iterable[Delivery]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await stores.orders.save(after(2), events=fail)
    assert await log(stores) == []
    assert (await stores.orders.get("MKP-1")) == after(1)


async def test_tries_are_kept_with_their_results(stores: Stores) -> None:
    await stores.orders.save(after(3), events=EVENTS)
    first, second, third = (event.id for event in await log(stores))
    later = AT + timedelta(hours=1)
    await stores.webhooks.tried(first, REFUSED, AT)
    await stores.webhooks.tried(first, TAKEN, later)
    await stores.webhooks.tried(second, GONE, AT)
    await stores.webhooks.tried(third, REFUSED, AT)
    found = {event.id: event for event in await log(stores)}
    one = found[first]
    assert (one.state, one.attempts, one.last_status, one.last_error) == ("delivered", 2, 204, None)
    assert (one.last_attempt_at, one.delivered_at) == (later, later)
    assert (found[second].state, found[second].delivered_at) == ("failed", None)
    assert (found[third].state, found[third].last_error) == ("pending", "no")

    await stores.webhooks.give_up(first)
    await stores.webhooks.give_up(third)
    await stores.webhooks.tried(first, REFUSED, later)
    assert [event.state for event in await log(stores)] == ["delivered", "failed", "failed"]
    assert await stores.webhooks.requeue([first, second, "evt_unknown"], later) == 2
    assert [event.state for event in await log(stores)] == ["pending", "pending", "failed"]
    assert (await stores.webhooks.get(first) or one).queued_at == later
    assert await stores.webhooks.requeue([first], later) == 0


async def test_pages_are_cut_and_filtered(stores: Stores) -> None:
    for number in range(3):
        await stores.orders.save(after(3, f"MKP-{number}"), events=EVENTS)
    [failed, *_] = await log(stores, "MKP-1")
    await stores.webhooks.tried(failed.id, GONE, AT)
    found, cursor = [], None
    while True:
        page = await stores.webhooks.page(limit=2, cursor=cursor)
        found += page.deliveries
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len({event.id for event in found}) == len(found) == 9
    assert [event.occurred_at for event in found] == sorted((event.occurred_at for event in found), reverse=True)
    assert [one.id for one in (await stores.webhooks.page(state=DeliveryState.FAILED)).deliveries] == [failed.id]
    since = await stores.webhooks.page(since=AT + timedelta(minutes=2))
    assert {event.status for event in since.deliveries} == {OrderStatus.PAYMENT_PENDING}
    with pytest.raises(BadCursor):
        await stores.webhooks.page(cursor="no")


async def test_what_is_still_to_be_told_outlives_the_retention(stores: Stores) -> None:
    await stores.orders.save(after(4), events=EVENTS)
    told, failed, *_ = await log(stores)
    await stores.webhooks.tried(told.id, TAKEN, AT)
    await stores.webhooks.tried(failed.id, GONE, AT)
    assert await stores.webhooks.purge(AT) == 0
    assert await stores.webhooks.purge(AT + timedelta(days=30), batch=1) == 2
    assert [event.status for event in await log(stores)] == list(LIFE[2:])
    # What was removed does not come back with the next record.
    await stores.orders.save(after(4).model_copy(update={"version": 5}), events=EVENTS)
    assert len(await log(stores)) == 2


async def test_a_signal_that_failed_is_sent_by_the_repeated_activity(stores: Stores) -> None:
    signals: list[tuple[str, str]] = []

    async def tell(seller: str, order_id: str) -> None:
        signals.append((seller, order_id))
        if len(signals) == 1:
            raise ApplicationError("not reached")

    saved = after(2)
    call = SaveCall(**saved.model_dump())
    activities = OrderActivities(stores.orders, tell)
    with pytest.raises(ApplicationError):
        await ActivityEnvironment().run(activities.save_order, call)
    await ActivityEnvironment().run(activities.save_order, call)
    assert signals == [("acme", "MKP-1")] * 2
    assert [event.attempts for event in await log(stores)] == [0, 0]
    for event in await log(stores):
        await stores.webhooks.tried(event.id, TAKEN, AT)
    await ActivityEnvironment().run(activities.save_order, call)
    assert len(signals) == 2
