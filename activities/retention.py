"""Throwing the journal's old entries away."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity

from activities.heartbeat import heartbeats
from marketplace.store.base import Journal
from workflows.catalog_policies import PURGE_JOURNAL
from workflows.retention import Purged


class RetentionActivities:
    """Keep the journal as long as the settings say."""

    def __init__(self, journal: Journal, retention: timedelta) -> None:
        self._journal = journal
        self._retention = retention

    @property
    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        """The activities to register with a worker."""
        return [self.purge_journal]

    @activity.defn(name=PURGE_JOURNAL)
    async def purge_journal(self) -> Purged:
        """Remove the entries that are older than the retention."""
        async with heartbeats():
            return Purged(entries=await self._journal.purge(datetime.now(UTC) - self._retention))
