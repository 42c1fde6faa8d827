"""Heartbeats of an activity that waits for somebody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from temporalio import activity

from workflows.policies import HEARTBEAT_EVERY


@asynccontextmanager
async def heartbeats() -> AsyncIterator[None]:
    """Beat as long as the block runs: a killed worker is noticed by the missing beat.

    Short calls end before the first one and cost nothing.
    """
    beating = asyncio.create_task(_beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


async def _beat() -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_EVERY.total_seconds())
        activity.heartbeat()
