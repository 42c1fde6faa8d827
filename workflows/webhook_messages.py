"""Every input and result of the storefront's workflow: one model in, one model out. No order's content is in them."""

from datetime import timedelta

from pydantic import AwareDatetime

from marketplace.orders import Model, OrderStatus
from marketplace.webhooks import DeliveryState, EventType


class TellInput(Model):
    """What starts a WebhookWorkflow: which order's events to deliver, and how patiently."""

    seller: str
    marketplace_order_id: str
    timeout: timedelta
    """How long the storefront may take to answer."""
    backoff: timedelta
    """Pause after the first failed try; it doubles, up to a limit."""


class PendingCall(Model):
    marketplace_order_id: str


class PendingEvent(Model):
    """An event that the storefront has not taken yet, and until when it is tried."""

    id: str
    sequence: int
    type: EventType
    status: OrderStatus
    give_up_at: AwareDatetime


class PendingEvents(Model):
    """In the order of their sequence; `more` when others wait behind them."""

    events: list[PendingEvent]
    more: bool = False


class DeliverCall(Model):
    id: str


class Delivered(Model):
    """What became of an event: delivered, or failed when the receiver does not want it."""

    state: DeliveryState | None
    """None when the event is not in the delivery log any more."""
