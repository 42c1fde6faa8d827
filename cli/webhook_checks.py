"""What `doctor` asks about the storefront's webhooks: whether somebody sends them, and which were given up."""

from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.client import Client

from cli.checks import Said, State, some, someone_polls
from marketplace.settings import Settings
from marketplace.store.base import WebhookStore
from marketplace.webhooks import DeliveryState
from workflows.webhook_policies import webhook_queue

_PAGE: Final = 200
_SLOW: Final = timedelta(minutes=5)
"""What waits for longer has met more than a short trouble."""


async def worker(client: Client, settings: Settings) -> Said:
    """Whether a worker sends webhooks. Raises CommandError when none does."""
    if settings.webhook_url is None:
        return State.OK, "none are sent: ORDER_ENGINE_WEBHOOK_URL is not set, the storefront asks for its orders"
    return await someone_polls(client, webhook_queue(settings.task_queue))


async def deliveries(store: WebhookStore, settings: Settings) -> Said:
    """Whether the storefront takes what it is told."""
    failed = await store.page(state=DeliveryState.FAILED, limit=_PAGE)
    if failed.deliveries:
        more = " or more" if failed.next_cursor else ""
        ids = some([event.id for event in failed.deliveries], len(failed.deliveries))
        return State.WARNING, (
            f"{len(failed.deliveries)}{more} given up ({ids}): `order-engine webhooks list --failed` tells why,"
            " `order-engine webhooks resend --failed` sends them again"
        )
    pending = (await store.page(state=DeliveryState.PENDING, limit=_PAGE)).deliveries
    now = datetime.now(UTC)
    late = [event for event in pending if now - event.queued_at > _SLOW]
    if not late:
        return State.OK, "none given up, none late"
    if settings.webhook_url is None:
        return State.WARNING, f"{len(late)} wait, and ORDER_ENGINE_WEBHOOK_URL is not set: nobody sends them"
    ids = some([event.id for event in late], len(late))
    return State.WARNING, (
        f"{len(late)} are tried again and again ({ids}):"
        " `order-engine webhooks show ID` tells what the storefront answers"
    )
