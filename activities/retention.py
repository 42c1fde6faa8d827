"""Throwing away what is old in the journal and in the delivery log of webhooks."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity

from activities.heartbeat import heartbeats
from marketplace.store.base import Journal, WebhookStore
from workflows.catalog_policies import PURGE_JOURNAL
from workflows.retention import Purged


class RetentionActivities:
    """Keep journal and delivery log as long as the settings say."""

    def __init__(self, journal: Journal, webhooks: WebhookStore, retention: timedelta) -> None:
        self._journal = journal
        self._webhooks = webhooks
        self._retention = retention

    @property
    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        """The activities to register with a worker."""
        return [self.purge_journal]

    @activity.defn(name=PURGE_JOURNAL)
    async def purge_journal(self) -> Purged:
        """Remove what is older than the retention; webhooks that are still to be delivered stay."""
        before = datetime.now(UTC) - self._retention
        async with heartbeats():
            return Purged(
                entries=await self._journal.purge(before),
                webhooks=await self._webhooks.purge(before),
            )
