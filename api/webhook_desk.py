"""The webhook desk: what operators may see and do of what the storefront is told."""

from collections import defaultdict
from datetime import UTC, datetime

from temporalio.client import Client

from api.temporal_calls import RPC_TIMEOUT, temporal
from marketplace.errors import EngineError
from marketplace.settings import PREFIX, Settings
from marketplace.store.base import DeliveryPage, WebhookStore
from marketplace.webhooks import Delivery, DeliveryState
from workflows.webhook_messages import TellInput
from workflows.webhook_policies import WEBHOOK_WORKFLOW, tell_options

_PAGE = 500


class WebhookUnknown(EngineError):  # noqa: N818 - these name what is the matter
    """The delivery log holds no such event."""


class WebhooksOff(EngineError):  # noqa: N818
    """No address of a storefront is set, so nothing is sent."""


class WebhookDesk:
    """The delivery log, and sending anew.

    Every method may raise `marketplace.store.base.StoreUnavailable`, those that send TemporalAway and WebhooksOff too.
    """

    def __init__(self, client: Client, webhooks: WebhookStore, settings: Settings) -> None:
        self._client = client
        self._webhooks = webhooks
        self._settings = settings

    async def find(self, event_id: str) -> Delivery:
        """An event. Raises WebhookUnknown."""
        event = await self._webhooks.get(event_id)
        if event is None:
            raise WebhookUnknown(f"no webhook has the id {event_id}, or it was removed by the log's retention")
        return event

    async def page(
        self,
        marketplace_order_id: str | None = None,
        state: DeliveryState | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> DeliveryPage:
        """A page of events, newest first. Raises BadCursor."""
        return await self._webhooks.page(marketplace_order_id, state, since, limit, cursor)

    async def resend(self, event_id: str) -> Delivery:
        """Send an event anew, in the order of its order's events; the event as it is now. Raises WebhookUnknown."""
        event = await self.find(event_id)
        await self._send([event])
        return await self.find(event_id)

    async def resend_all(
        self,
        marketplace_order_id: str | None = None,
        state: DeliveryState | None = None,
        since: datetime | None = None,
    ) -> int:
        """Send anew the events that match every filter; how many they were.

        Order after order: what an error cuts short may be asked for again.
        """
        found, cursor = [], None
        while True:
            page = await self._webhooks.page(marketplace_order_id, state, since, _PAGE, cursor)
            found += page.deliveries
            cursor = page.next_cursor
            if cursor is None:
                break
        await self._send(found)
        return len(found)

    async def _send(self, events: list[Delivery]) -> None:
        if self._settings.webhook_url is None:
            raise WebhooksOff(f"nothing is sent: {PREFIX}WEBHOOK_URL is not set")
        by_order: dict[tuple[str, str], list[Delivery]] = defaultdict(list)
        for event in events:
            by_order[event.seller, event.marketplace_order_id].append(event)
        for (seller, marketplace_order_id), some in by_order.items():
            await self._webhooks.requeue([event.id for event in some], datetime.now(UTC))
            # Also for what is pending: its workflow may have been ended by hand.
            await self._tell(seller, marketplace_order_id)

    async def _tell(self, seller: str, marketplace_order_id: str) -> None:
        settings = self._settings
        order = TellInput(
            seller=seller,
            marketplace_order_id=marketplace_order_id,
            timeout=settings.webhook_timeout,
            backoff=settings.webhook_backoff,
        )
        async with temporal(self._client):
            await self._client.start_workflow(
                WEBHOOK_WORKFLOW, order, **tell_options(order, settings.task_queue), rpc_timeout=RPC_TIMEOUT
            )
