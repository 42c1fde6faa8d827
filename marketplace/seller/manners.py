"""How a Seller is treated by everything in a process that talks to it: its rate, its pauses, and its rest when down.

Source: contract section D ("circuit breaker and throttling so that rate limits are respected") and F (429 handling).
"""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass

from marketplace import metrics
from marketplace.errors import SellerFailure, Verdict, seller_error
from marketplace.telemetry import get_logger


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """When to leave a Seller alone, and for how many seconds."""

    failures_to_open: int = 10
    """Failures in a row that mean "the Seller is down": after so many it is asked no more."""
    probe_every: float = 30
    """While it is down, one call in so many seconds is let through to see."""
    first_pause: float = 1
    """Shortest pause after a 429 that names none; it doubles with each 429 after a pause."""
    longest_pause: float = 60
    """The end of the doubling. A Retry-After is obeyed beyond it."""


DEFAULT_MANNERS = Manners()


class Breaker:
    """Counts failures, and says while a Seller is down when it may be asked next. Times are monotonic seconds."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._failures = 0
        self._next_probe: float | None = None

    @property
    def is_open(self) -> bool:
        return self._next_probe is not None

    def wait(self, now: float) -> float:
        """Seconds until a call may be let through; 0 when one may now."""
        return 0.0 if self._next_probe is None else max(self._next_probe - now, 0.0)

    def let_through(self, now: float) -> None:
        """Take note of a call that is about to leave: while open it is the probe, and no other follows it soon."""
        if self._next_probe is not None:
            self._next_probe = now + self._manners.probe_every

    def fail(self, now: float) -> bool:
        """Count a failure; whether it opened the breaker."""
        self._failures += 1
        if self.is_open or self._failures < self._manners.failures_to_open:
            return False
        self._next_probe = now + self._manners.probe_every
        return True

    def succeed(self) -> bool:
        """Take note of an answer; whether it closed the breaker."""
        was_open = self.is_open
        self._failures, self._next_probe = 0, None
        return was_open


class Gate:
    """What each call to one Seller passes before it leaves. For many tasks of one event loop.

    Places are given ahead, 1/`rate` seconds apart, so that a task which wakes up late does not delay those behind it;
    with a bucket each late awakening is lost for good. Idle time is not saved up for a burst.
    """

    def __init__(self, account: str, rate: float | None, manners: Manners) -> None:
        self._manners = manners
        self._account = account
        self._log = get_logger("seller", seller=account)
        self._interval = 1 / rate if rate else 0.0
        self._next_place = 0.0
        self._breaker = Breaker(manners)
        self._pauses = 0
        self._paused_at = self._paused_until = 0.0
        self._disturbed = asyncio.Event()
        metrics.SELLER_DOWN.labels(account).set(0)

    @property
    def is_down(self) -> bool:
        """Whether the Seller counts as down: calls are held back but for a probe now and then."""
        return self._breaker.is_open

    async def enter(self, patience: float) -> float:
        """Wait for this call's turn, `patience` seconds at most; the moment at which it may leave, which is now.

        Raises SellerUnavailable and SellerRateLimited, at once and with `paused`, when the turn would come too late.
        """
        deadline = time.monotonic() + patience
        while True:
            now = time.monotonic()
            self._refuse_while_down(now)
            place = max(now, self._next_place)
            if place > deadline:
                self._refuse_to_wait(now, place)
            self._next_place = place + self._interval
            if await self._reach(place):
                now = time.monotonic()
                self._refuse_while_down(now)
                self._breaker.let_through(now)
                return now

    def answered(self, left: float, failure: SellerFailure | None) -> None:
        """Take note of a whole answer to the call that left at `left`, with what it means if it is an error."""
        if failure is not None and failure.verdict is Verdict.RATE_LIMITED:
            self._pause(left, failure.retry_after)
        elif left >= self._paused_at:
            self._pauses = 0
        if failure is not None and _means_down(failure):
            self.failed(failure)
        elif self._breaker.succeed():
            metrics.SELLER_DOWN.labels(self._account).set(0)
            self._log.info("the Seller answers again")

    def failed(self, failure: SellerFailure) -> None:
        """Take note of a call that a Seller which is down would have failed likewise."""
        now = time.monotonic()
        if self._breaker.fail(now):
            metrics.SELLER_DOWN.labels(self._account).set(1)
            self._log.warning("the Seller is down: calls are held back", error=str(failure))
            self._disturb(now)

    def _pause(self, left: float, retry_after: float | None) -> None:
        now = time.monotonic()
        if retry_after:
            pause = retry_after
        elif left >= self._paused_at:
            # Half of the pause is chance: several processes must not come back at the same moment.
            longest = min(self._manners.longest_pause, self._manners.first_pause * 2 ** (self._pauses + 1))
            pause = random.uniform(longest / 2, longest)  # noqa: S311 - no secret
            self._pauses = min(self._pauses + 1, 30)
        else:
            # It left before the pause that its neighbours brought about: one burst, one pause.
            return
        metrics.SELLER_PAUSES.labels(self._account).inc()
        self._paused_at = now
        self._paused_until = max(self._paused_until, now + pause)
        self._disturb(now)

    async def _reach(self, place: float) -> bool:
        """Wait for a place; False when something happened meanwhile, which voids it."""
        disturbed = self._disturbed
        while not disturbed.is_set() and (rest := place - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await disturbed.wait()
        return not disturbed.is_set()

    def _disturb(self, now: float) -> None:
        """Make all who wait look anew: their places are void."""
        self._next_place = max(self._paused_until, now + self._interval)
        self._disturbed.set()
        self._disturbed = asyncio.Event()

    def _refuse_while_down(self, now: float) -> None:
        if wait := self._breaker.wait(now):
            metrics.SELLER_HELD_BACK.labels(self._account).inc()
            raise seller_error(
                SellerFailure(
                    verdict=Verdict.RETRY, message="not asked: the Seller is down", retry_after=wait, paused=True
                )
            )

    def _refuse_to_wait(self, now: float, place: float) -> None:
        if self._paused_until > now:
            verdict, text, wait = Verdict.RATE_LIMITED, "not asked: the Seller wants a pause", self._paused_until - now
        else:
            verdict, text, wait = Verdict.RETRY, "not asked: no turn in time under the rate limit", place - now
        metrics.SELLER_HELD_BACK.labels(self._account).inc()
        raise seller_error(SellerFailure(verdict=verdict, message=text, retry_after=wait, paused=True))


def _means_down(failure: SellerFailure) -> bool:
    # A 5xx with a code of VTEX that decides the matter is an answer like any other.
    return (failure.http_status or 0) >= 500 and failure.verdict in {Verdict.RETRY, Verdict.UNKNOWN_OUTCOME}  # noqa: PLR2004 - HTTP
