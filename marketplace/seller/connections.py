"""The connections to one Seller, each with an HTTP client of its own.

A pool that many calls share looks at all its connections for every call: with 32 calls under way that was a third of an
import's CPU (`docs/performance.md`). Here a call takes the client that was used last, so that those which a burst has
left over can be closed.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

IDLE_SECONDS = 15.0
"""How long a connection is kept for the next call; common servers close theirs after that, or later."""


class Connections:
    """Up to `limit` clients that `make` makes, for calls that wait `patience` seconds at most for their turn.

    Each client must open one connection at most. It is closed when its call has failed, or when it was not needed for
    twice `idle` seconds. For many tasks of one event loop; to be closed with `aclose`.
    """

    def __init__(
        self, make: Callable[[], httpx.AsyncClient], limit: int, patience: float, *, idle: float = IDLE_SECONDS
    ) -> None:
        self._make = make
        self._idle_seconds = idle
        self._patience = patience
        self._places = asyncio.Semaphore(limit)
        self._idle: deque[tuple[float, httpx.AsyncClient]] = deque()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client for one call. Raises httpx.PoolTimeout when none is free in time."""
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout(f"no connection was free within {self._patience} s") from None
        try:
            client = self._idle.pop()[1] if self._idle else self._make()
            try:
                yield client
            except BaseException:
                # httpcore can go on counting the connection of a call that was cut off (at its connect, or when its
                # answer came that very moment), and a pool of one would then be full for good.
                await client.aclose()
                raise
            self._idle.append((time.monotonic(), client))
            await self._close_one_left_over()
        finally:
            self._places.release()

    async def aclose(self) -> None:
        """Close all connections; nothing may be under way any more."""
        while self._idle:
            await self._idle.pop()[1].aclose()

    async def _close_one_left_over(self) -> None:
        used_at, client = self._idle[0]
        if time.monotonic() - used_at > 2 * self._idle_seconds:
            self._idle.popleft()
            await client.aclose()
