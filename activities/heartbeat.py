"""How an activity waits for somebody else: with heartbeats, and to the end where that is worth knowing."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from temporalio import activity

from workflows.policies import HEARTBEAT_EVERY

Result = TypeVar("Result")


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


async def to_its_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Do some work to its end, though it is not wanted any more meanwhile; not when the worker must stop."""
    working = asyncio.create_task(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        details = activity.cancellation_details()
        if details is None or not details.cancel_requested:
            working.cancel()
        return await working


async def _beat() -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_EVERY.total_seconds())
        activity.heartbeat()
