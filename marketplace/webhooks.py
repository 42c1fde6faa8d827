"""What the storefront is told of an order, when, and what became of telling it. Pure.

The form is that of Standard Webhooks: `type`, `timestamp` and `data`, and beside them `sequence`, which grows with each
event of an order.
"""

import hashlib
import itertools
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field

from marketplace.orders import HistoryEntry, Model, Order, OrderStatus

MAX_ORDER: Final = 256 * 1024
"""Bytes of an order's JSON that are sent with an event; a larger one is left out, and read with `GET /orders/{id}`."""


class EventType(StrEnum):
    """What happened."""

    STATUS_CHANGED = "order.status-changed"
    NEEDS_ATTENTION = "order.needs-attention"
    """An operator must decide; also when the reason for it is another one than before."""
    ATTENTION_RESOLVED = "order.attention-resolved"
    PING = "webhook.ping"
    """Sent by `order-engine webhooks test` alone; tells nothing."""


class DeliveryState(StrEnum):
    """How far an event has come."""

    PENDING = "pending"
    """Not taken yet; tried again until the patience for it ends."""
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up; sent again by an operator alone."""


class Delivery(Model):
    """One event of an order, and what became of telling it: a line of the delivery log. Nothing personal is in it."""

    id: str
    """The event's `webhook-id`: the same at every try, so that a receiver knows a repeat."""
    marketplace_order_id: str
    seller: str
    sequence: int
    """Grows with each event of an order; it has gaps."""
    type: EventType
    status: OrderStatus
    """The order's status by this event."""
    occurred_at: AwareDatetime
    state: DeliveryState = DeliveryState.PENDING
    queued_at: AwareDatetime
    """Since when it is being told: first, or when an operator asked for it anew."""
    attempts: int = 0
    last_attempt_at: AwareDatetime | None = None
    last_status: int | None = None
    """HTTP status of the last answer; None when there was none."""
    last_error: str | None = None
    """Why the last try did not succeed."""
    delivered_at: AwareDatetime | None = None


class Attempt(Model):
    """What came of sending an event once."""

    status: int | None = None
    error: str | None = None
    """None when the receiver took it."""
    gone: bool = False
    """The receiver does not want this event, now or later."""
    retry_after: float | None = None
    """Seconds that the receiver wants to be left alone."""


class EventData(Model):
    """What an event tells: the status it is about, and the order as it stands when this is sent."""

    status: OrderStatus
    order: Order | None = Field(description="as GET /orders/{id} answers it; null for one over 256 KiB: read it there")


class WebhookEvent(Model):
    """The body of a webhook."""

    type: EventType
    timestamp: AwareDatetime = Field(description="when it happened")
    sequence: int = Field(description="grows with each event of an order, with gaps: ignore what is not above the last")
    data: EventData


class PingData(Model):
    """Nothing."""


class Ping(Model):
    """The body of a trial webhook."""

    type: EventType = EventType.PING
    timestamp: AwareDatetime
    sequence: int = 0
    data: PingData = PingData()


def new_events(before: Order | None, after: Order, now: datetime) -> list[Delivery]:
    """The events between two records of one order: each change of status in its history, then of needing attention.

    Records are written for several changes at once, so the history tells what the record alone does not. An event's id
    follows from its line of the history, and is the same whenever it is made. A history that was worked out anew, after
    a workflow task was lost, may have other lines than before: it is told from the first of them on. The sequence given
    here is the least that the event may have, above those of the earlier lines.
    """
    return list(_events(before, after, now))


def _events(before: Order | None, after: Order, now: datetime) -> Iterator[Delivery]:
    known = before.history if before else []
    told = sum(1 for _ in itertools.takewhile(_same, zip(known, after.history, strict=False)))
    status = known[-1].status if known else None
    for number, line in enumerate(after.history[told:], start=told + 1):
        if line.status is not status:
            yield _event(after, number, EventType.STATUS_CHANGED, line.status, now)
        status = line.status
    needed = before is not None and before.needs_attention
    if after.needs_attention:
        changed = not needed or (before is not None and before.reason != after.reason)
        kind = EventType.NEEDS_ATTENTION
    else:
        changed, kind = needed, EventType.ATTENTION_RESOLVED
    if changed and after.history:
        yield _event(after, len(after.history), kind, after.status, now)


def _same(lines: tuple[HistoryEntry, HistoryEntry]) -> bool:
    one, other = lines
    return (one.status, one.detail) == (other.status, other.detail)


def _event(order: Order, number: int, kind: EventType, status: OrderStatus, now: datetime) -> Delivery:
    line = order.history[number - 1]
    # One line may be both: a status that changed, and a reason to need attention.
    sequence = 2 * number + (kind is not EventType.STATUS_CHANGED)
    text = f"{order.seller} {order.marketplace_order_id} {sequence} {line.status} {line.detail}"
    return Delivery(
        id=f"evt_{hashlib.sha256(text.encode()).hexdigest()[:32]}",
        marketplace_order_id=order.marketplace_order_id,
        seller=order.seller,
        sequence=sequence,
        type=kind,
        status=status,
        occurred_at=line.at,
        queued_at=now,
    )


def event_body(event: Delivery, order: Order | None) -> str:
    """The JSON to send for an event; the same event and order always give the same text."""
    body = WebhookEvent(
        type=event.type,
        timestamp=event.occurred_at,
        sequence=event.sequence,
        data=EventData(status=event.status, order=order),
    )
    text = body.model_dump_json()
    if order is not None and len(text.encode()) > MAX_ORDER:
        return event_body(event, None)
    return text
