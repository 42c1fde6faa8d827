"""Where new orders come in, each Seller's a few at a time, so that one Seller's flood waits here and not before others.

More at a time are not placed sooner where the machine is busy, and all queues behind the API, which know no Seller,
would be full of them.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Final

HELD: Final = 0.25
"""Seconds after which an order that is not placed yet counts no more: then it is the Seller who is slow, and not the
machine.
"""
NEAR: Final = 1.0
"""Seconds for which a Seller is there after an order of his has come. Longer than HELD."""


class Door:
    """Lets in `at_once` orders of a Seller at a time, and half of them while other Sellers are there.

    Each Seller's orders come in as they came. One Seller can always have one inside, whatever the others do.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._inside: Counter[str] = Counter()
        self._came_at: dict[str, float] = {}  # the last one at the end
        self._waiting: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)

    @asynccontextmanager
    async def turn(self, seller: str) -> AsyncIterator[None]:
        """Come in, and be inside while the `async with` lasts, or for HELD seconds."""
        await self._come_in(seller)
        with ExitStack() as leaving:
            # Whichever is first: an ExitStack is left only once.
            late = asyncio.get_running_loop().call_later(HELD, leaving.close)
            leaving.callback(late.cancel)
            leaving.callback(self._leave, seller)
            yield

    async def _come_in(self, seller: str) -> None:
        loop = asyncio.get_running_loop()
        self._came_at.pop(seller, None)
        self._came_at[seller] = loop.time()
        turn = loop.create_future()
        self._waiting[seller].append(turn)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # Let in at the very moment in which its client went away.
                self._leave(seller)
            raise

    def _leave(self, seller: str) -> None:
        self._inside[seller] -= 1
        self._let_in()

    def _let_in(self) -> None:
        for seller, waiting in list(self._waiting.items()):
            while waiting and self._has_room(seller):
                turn = waiting.popleft()
                if not turn.cancelled():
                    turn.set_result(None)
                    self._inside[seller] += 1
            if not waiting:
                del self._waiting[seller]

    def _has_room(self, seller: str) -> bool:
        other = next((name for name in reversed(self._came_at) if name != seller), None)
        alone = other is None or asyncio.get_running_loop().time() - self._came_at[other] > NEAR
        return self._inside[seller] < (self._at_once if alone else max(self._at_once // 2, 1))
