"""Telling the storefront: what is pending of an order, one try of one event, and giving it up."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError

from marketplace import metrics
from marketplace.settings import Settings
from marketplace.store.base import OrderStore, WebhookStore
from marketplace.storefront import Storefront
from marketplace.telemetry import get_logger
from marketplace.webhooks import DeliveryState, event_body
from workflows.webhook_messages import DeliverCall, Delivered, PendingCall, PendingEvent, PendingEvents, TellInput
from workflows.webhook_policies import (
    DELIVER_EVENT,
    EVENTS_A_LOOK,
    GIVE_UP_EVENT,
    NOT_DELIVERED,
    PENDING_EVENTS,
    WEBHOOK_WORKFLOW,
    tell_options,
)

_log = get_logger("storefront")
_RPC_TIMEOUT = timedelta(seconds=1.5)
"""Below the time that the record's own activity has."""

Teller = Callable[[str, str], Awaitable[None]]
"""Says of an order, by Seller and marketplaceOrderId, that the storefront is to be told something."""


def build_teller(client: Client, settings: Settings) -> Teller | None:
    """Wake or start the workflow that tells; None when the storefront is not to be told of anything."""
    if settings.webhook_url is None:
        return None

    async def tell(seller: str, marketplace_order_id: str) -> None:
        order = TellInput(
            seller=seller,
            marketplace_order_id=marketplace_order_id,
            timeout=settings.webhook_timeout,
            backoff=settings.webhook_backoff,
        )
        try:
            await client.start_workflow(
                WEBHOOK_WORKFLOW, order, **tell_options(order, settings.task_queue), rpc_timeout=_RPC_TIMEOUT
            )
        except RPCError as error:
            # The caller's activity is tried again, and finds that something is still to be told.
            text = f"the workflow of the webhooks was not reached ({error.status.name})"
            raise ApplicationError(text, type="NotTold", category=ApplicationErrorCategory.BENIGN) from None

    return tell


class StorefrontActivities:
    """Deliver what lies in the delivery log. `patience` is how long an event is tried."""

    def __init__(self, webhooks: WebhookStore, orders: OrderStore, storefront: Storefront, patience: timedelta) -> None:
        self._webhooks = webhooks
        self._orders = orders
        self._storefront = storefront
        self._patience = patience

    @property
    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        """The activities to register with a worker."""
        return [self.pending_events, self.deliver_event, self.give_up_event]

    @activity.defn(name=PENDING_EVENTS)
    async def pending_events(self, call: PendingCall) -> PendingEvents:
        """What the storefront has not taken yet of an order, first things first."""
        found = await self._webhooks.pending(call.marketplace_order_id, EVENTS_A_LOOK + 1)
        return PendingEvents(
            events=[
                PendingEvent(
                    id=event.id,
                    sequence=event.sequence,
                    type=event.type,
                    status=event.status,
                    give_up_at=event.queued_at + self._patience,
                )
                for event in found[:EVENTS_A_LOOK]
            ],
            more=len(found) > EVENTS_A_LOOK,
        )

    @activity.defn(name=DELIVER_EVENT)
    async def deliver_event(self, call: DeliverCall) -> Delivered:
        """Send an event once. It may arrive twice, when the answer or what is kept of it is lost: its id tells that."""
        event = await self._webhooks.get(call.id)
        if event is None or event.state is not DeliveryState.PENDING:
            return Delivered(state=event.state if event else None)
        record = await self._orders.get(event.marketplace_order_id)
        attempt = await self._storefront.send(event.id, event_body(event, record.order if record else None))
        await self._webhooks.tried(event.id, attempt, datetime.now(UTC))
        if attempt.error is None:
            metrics.WEBHOOKS.labels("delivered").inc()
            return Delivered(state=DeliveryState.DELIVERED)
        _log.warning("the storefront did not take a webhook", event_id=event.id, error=attempt.error)
        metrics.WEBHOOKS.labels("given-up" if attempt.gone else "not-taken").inc()
        if attempt.gone:
            return Delivered(state=DeliveryState.FAILED)
        raise ApplicationError(
            attempt.error,
            type=NOT_DELIVERED,
            next_retry_delay=timedelta(seconds=attempt.retry_after) if attempt.retry_after else None,
            category=ApplicationErrorCategory.BENIGN,
        )

    @activity.defn(name=GIVE_UP_EVENT)
    async def give_up_event(self, call: DeliverCall) -> Delivered:
        """Mark an event as failed: its time is over."""
        await self._webhooks.give_up(call.id)
        event = await self._webhooks.get(call.id)
        metrics.WEBHOOKS.labels("given-up").inc()
        _log.error("a webhook was given up", event_id=call.id)
        return Delivered(state=event.state if event else None)
