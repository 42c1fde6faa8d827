"""What arrives at the Seller's account: the log of requests, how many it bears, and what came while it was down.

Source: contract section F: limits hold for an account or an endpoint; a 429 may or may not carry Retry-After.
"""

import math
import time
from collections import Counter, deque
from datetime import datetime, timedelta
from email.utils import format_datetime

from pydantic import Field

from sandbox.base import Model, now
from sandbox.catalog_settings import CatalogSettings

_KEPT_REQUESTS = 20_000
_KEPT_SECONDS = 600
_KEPT_WHILE_DOWN = 10_000
_GROUPS = {"sku": "catalog", "product": "catalog", "sku-ids": "catalog", "simulate": "simulation"}


class RequestEntry(Model):
    """One request of the marketplace. `status` is None while it runs and when it got no answer."""

    at: datetime
    method: str
    path: str
    query: str
    route: str | None = None
    marketplace_order_id: str | None = None
    sku_id: str | None = None
    """The SKU it is about, when it is one alone."""
    status: int | None = None
    code: str | None = None
    """VTEX's error code, when the answer was a refusal."""
    fault: str | None = None
    """The kind of the fault that hit it, `down`, or `rate-limit`."""
    seconds: float | None = None


class SecondCount(Model):
    """How many requests arrived in one second, and how many of them were refused by the rate limit."""

    at: datetime
    arrived: int = 0
    limited: int = 0


class TrafficSummary(Model):
    """Counts since the start or the last reset. `answers` by status, `none` for connections cut without one."""

    requests: int
    by_route: dict[str, int]
    answers: dict[str, int]
    rate_limited: int
    seconds: list[SecondCount]


class LateComer(Model):
    """A request that arrived while the account was down."""

    at: datetime
    method: str
    path: str


class Outage(Model):
    """One time of being down. `count` all its requests, `requests` the first ten thousand of them."""

    mode: str
    since: datetime
    until: datetime | None = None
    count: int = 0
    requests: list[LateComer] = Field(default_factory=list)


class RateLimit:
    """Token buckets: `limit` a second, and one second's worth in store."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}

    def clear(self) -> None:
        self._buckets.clear()

    def wait(self, key: str, limit: float, at: float) -> float:
        """Take a token; 0 when there was one, otherwise the seconds until there is. `at`: monotonic seconds."""
        store = max(1.0, limit)
        tokens, since = self._buckets.get(key, (store, at))
        tokens = min(store, tokens + (at - since) * limit)
        # A hair of tolerance: sums of many small refills fall short of the whole token that they make up.
        served = tokens > 1 - 1e-9
        self._buckets[key] = (tokens - 1 if served else tokens, at)
        return 0.0 if served else (1 - tokens) / limit


class Traffic:
    """The log and the counts, and the two switches that turn requests away before anything else looks at them."""

    def __init__(self, settings: CatalogSettings) -> None:
        self.requests: deque[RequestEntry] = deque(maxlen=_KEPT_REQUESTS)
        self.outages: list[Outage] = []
        self._limit = RateLimit()
        self._routes: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()
        self._seconds: deque[tuple[int, SecondCount]] = deque(maxlen=_KEPT_SECONDS)
        self._limited = 0
        self.switch(CatalogSettings(), settings)

    def clear(self) -> None:
        """Forget all requests and counts."""
        self.requests.clear()
        self._routes.clear()
        self._answers.clear()
        self._seconds.clear()
        self._limited = 0

    def reset(self, settings: CatalogSettings) -> None:
        """Forget the outages too, and start with these settings."""
        self.clear()
        self.outages.clear()
        self._limit.clear()
        self.switch(CatalogSettings(), settings)

    def switch(self, before: CatalogSettings, after: CatalogSettings) -> None:
        """Follow a change of the settings."""
        if before.down != after.down:
            at = now()
            if self.outages and self.outages[-1].until is None:
                self.outages[-1].until = at
            if after.down != "no":
                self.outages.append(Outage(mode=after.down, since=at))
        if (before.rate_limit, before.rate_limit_scope) != (after.rate_limit, after.rate_limit_scope):
            self._limit.clear()

    def arrived(self, entry: RequestEntry) -> None:
        self.requests.append(entry)
        self._second(entry.at).arrived += 1

    def ended(self, entry: RequestEntry) -> None:
        self._routes[entry.route or "unknown"] += 1
        self._answers[str(entry.status) if entry.status else "none"] += 1

    def turned_away(self, entry: RequestEntry) -> None:
        """Note a request that came while the account is down."""
        outage = self.outages[-1]
        outage.count += 1
        if len(outage.requests) < _KEPT_WHILE_DOWN:
            outage.requests.append(LateComer(at=entry.at, method=entry.method, path=entry.path))

    def limited(self, entry: RequestEntry, settings: CatalogSettings) -> dict[str, str] | None:
        """The headers of the 429 that a request gets, None when it is served."""
        if settings.rate_limit is None:
            return None
        key = "all" if settings.rate_limit_scope == "account" else _GROUPS.get(entry.route or "", "orders")
        wait = self._limit.wait(key, settings.rate_limit, time.monotonic())
        if not wait:
            return None
        self._limited += 1
        self._second(entry.at).limited += 1
        seconds = math.ceil(wait)
        if settings.rate_limit_retry_after == "seconds":
            return {"retry-after": str(seconds)}
        if settings.rate_limit_retry_after == "date":
            # HTTP dates have whole seconds: one more, or the moment named would come too early.
            return {"retry-after": format_datetime(now() + timedelta(seconds=seconds + 1), usegmt=True)}
        return {}

    def summary(self) -> TrafficSummary:
        return TrafficSummary(
            requests=sum(self._routes.values()),
            by_route=dict(self._routes),
            answers=dict(self._answers),
            rate_limited=self._limited,
            seconds=[count for _, count in self._seconds],
        )

    def _second(self, at: datetime) -> SecondCount:
        number = int(at.timestamp())
        if not self._seconds or self._seconds[-1][0] != number:
            self._seconds.append((number, SecondCount(at=at.replace(microsecond=0))))
        return self._seconds[-1][1]
