"""How much the API takes at once, and of whom: what is too much is refused early, and says when to come again.

Two limits stand before the work. A rate for each caller, so that one storefront's loop or one Seller's flood is not
the others' trouble: 429. And a number of requests of each kind that are served at a time, since every one of them
holds memory and a call to Temporal, the database or a Seller: 503 at once, instead of a queue in which all are late.
Between Sellers, each one's new orders come in a few at a time, so that a flood waits here and not before the others.
Health, metrics and documentation pass without either. Each API process counts for itself.
"""

import asyncio
import hashlib
import math
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final

from prometheus_client import Counter
from throttled.asyncio import RateLimiterType, Throttled, rate_limiter, store

from api.door import Door
from api.problems import Problem
from marketplace.settings import Settings

BURST: Final = 2
"""Seconds' worth of requests that a caller who was quiet may send at once."""
PATIENCE: Final = 5.0
"""Seconds that a Seller's call may wait for its turn: VTEX does not say that it repeats a refused one."""
WAITING: Final = 10
"""How many Seller calls may wait for each that is being served."""
_CALLERS: Final = 10_000
"""Callers that are remembered; the one not heard of for longest is forgotten first, and starts anew."""

_REFUSED = Counter(
    "order_engine_refused_requests", "Requests refused to protect the engine, by kind and limit", ["kind", "limit"]
)


class Rate:
    """Requests a second that each caller may send; 0 is no limit. `kind` names it in metrics, `whose` in answers."""

    def __init__(self, kind: str, per_second: int, whose: str) -> None:
        self._kind = kind
        self._per_second = per_second
        self._whose = whose
        self._throttled: Throttled | None = None
        if per_second:
            self._throttled = Throttled(
                using=RateLimiterType.GCRA.value,
                quota=rate_limiter.per_sec(per_second, burst=BURST * per_second),
                store=store.MemoryStore(options={"MAX_SIZE": _CALLERS}),
            )

    async def take(self, caller: str) -> None:
        """Count a request of this caller. Raises a 429 Problem when it was one too many."""
        if self._throttled is None:
            return
        # A key is a secret: what is remembered must not open anything.
        known_as = hashlib.sha256(caller.encode(errors="replace")).hexdigest()
        result = await self._throttled.limit(known_as)
        if not result.limited:
            return
        _REFUSED.labels(kind=self._kind, limit="rate").inc()
        state = result.state
        # RateLimit fields as in draft-ietf-httpapi-ratelimit-headers.
        headers = {
            "Retry-After": str(max(math.ceil(state.retry_after), 1)),
            "RateLimit-Policy": f'"{self._kind}";q={state.limit};w={BURST}',
            "RateLimit": f'"{self._kind}";r={state.remaining};t={math.ceil(state.reset_after)}',
        }
        detail = f"more than {self._per_second} requests a second {self._whose}; nothing was done: send it again later"
        raise Problem(429, detail, kind="rate-limit", headers=headers)


class Lane:
    """Requests of one kind that are served at a time; `waiting` more may wait for their turn, for PATIENCE."""

    def __init__(self, kind: str, places: int, waiting: int = 0) -> None:
        self._kind = kind
        self._free = asyncio.Semaphore(places)
        self._may_wait = waiting
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place while the `async with` lasts. Raises a 503 Problem when there is none."""
        await self._enter()
        try:
            yield
        finally:
            self._free.release()

    async def _enter(self) -> None:
        if self._free.locked():
            if self._waiting >= self._may_wait:
                raise self._busy()
            self._waiting += 1
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._free.acquire()
            except TimeoutError:
                raise self._busy() from None
            finally:
                self._waiting -= 1
        else:
            await self._free.acquire()

    def _busy(self) -> Problem:
        _REFUSED.labels(kind=self._kind, limit="places").inc()
        # All who are refused now would otherwise come again in the same second.
        after = random.randint(1, 3)  # noqa: S311 - spreads load, keeps no secret
        detail = f"as many {self._kind} as the API takes at a time are under way; nothing was done: send it again later"
        return Problem(503, detail, kind="busy", headers={"Retry-After": str(after)})


class Limits:
    """The limits of one API process. Money and Sellers' reports never wait behind new orders: each kind has its own."""

    def __init__(self, settings: Settings, sellers: Iterable[str]) -> None:
        places = settings.max_requests
        self.key = Rate("key", settings.rate_limit, "with this key")
        self.stranger = Rate("stranger", settings.rate_limit, "from this address without a valid key or token")
        self.callback = Rate("callbacks", settings.seller_rate_limit, "from this Seller")
        self.notice = Rate("notices", settings.seller_rate_limit, "from this Seller")
        sellers = list(sellers)
        # With several Sellers none may hold all the places: one that answers slowly would keep out the others.
        share = max(places // 2, 1) if len(sellers) > 1 else places
        self.orders = Lane("new orders", places)
        self.changes = Lane("payments, cancellations and decisions", places)
        self.carts = Lane("carts", places)
        self.reads = Lane("reads", places)
        self.callbacks = {name: Lane("callbacks of this Seller", places, WAITING * places) for name in sellers}
        self._orders_at = {name: Lane("new orders of this Seller", share) for name in sellers}
        self._carts_at = {name: Lane("carts of this Seller", share) for name in sellers}
        # A single Seller delays nobody.
        self._door = Door(settings.seller_orders_at_once) if len(sellers) > 1 else None
        self.notices = {name: Lane("notices of this Seller", places, WAITING * places) for name in sellers}

    @asynccontextmanager
    async def order_at(self, seller: str) -> AsyncIterator[None]:
        """A place for a new order within its Seller's share, and its turn. Raises a 503 Problem when there is none."""
        known = seller in self._orders_at
        async with _place(self._orders_at, seller), self._door.turn(seller) if self._door and known else nullcontext():
            yield

    def cart_at(self, seller: str) -> AbstractAsyncContextManager[None]:
        """A place for a cart within its Seller's share. Raises a 503 Problem when there is none."""
        return _place(self._carts_at, seller)


def _place(lanes: Mapping[str, Lane], seller: str) -> AbstractAsyncContextManager[None]:
    # An unknown Seller is told so further on.
    return lanes[seller].place() if seller in lanes else nullcontext()
