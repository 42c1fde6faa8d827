"""One request to a Seller and its answer, read or judged: connections, timeouts, rate, size bound, errors.

Knows HTTP and JSON, and nothing of what the calls mean. Source: contract sections 0 ("Authentication", "Error
bodies") and F.
"""

import asyncio
import importlib.metadata
import json
import logging
import ssl
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from marketplace import metrics
from marketplace.errors import SellerFailure, seller_error
from marketplace.seller import classify, wire
from marketplace.seller.base import SellerConfig
from marketplace.seller.connections import IDLE_SECONDS, Connections
from marketplace.seller.manners import Gate, Manners
from marketplace.tracing import seller_span

MAX_BODY = 2 * 1024 * 1024
"""Bytes of an answer, unpacked. A simulation of 500 items is well below it."""

_USER_AGENT = f"marketplace-order-engine/{importlib.metadata.version('marketplace-order-engine')}"
_LOOPBACK = ("all://127.0.0.1", "all://[::1]", "all://localhost")

WireT = TypeVar("WireT", bound=wire.Wire)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a call may take, in seconds."""

    connect: float = 3
    write: float = 5
    pool: float = 5
    """Waiting for a free connection."""
    read: float = 10
    """Silence of the Seller during simulate and read."""
    read_change: float = 15
    """The same for place, dispatch and cancel: giving up early there only makes an unknown outcome."""
    total: float = 20
    """One exchange from beginning to end. Half of it may go by in waiting for its turn under rate limit and pauses."""
    reservation_pauses: tuple[float, ...] = (0.3, 0.9)
    """Pauses before each repetition of `place` when the Seller could not reserve the stock; none: no repetition."""


DEFAULT_TIMEOUTS = Timeouts()


@cache
def _tls() -> ssl.SSLContext:
    """One for all Sellers: reading the certificates takes 20 ms."""
    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes | None
    """None when it was larger than MAX_BODY."""


class Exchange:
    """The connections to one Seller. For many tasks of one event loop; to be closed with `aclose`."""

    def __init__(self, config: SellerConfig, timeouts: Timeouts, manners: Manners, max_connections: int) -> None:
        for name in ("httpx", "httpcore"):
            # Their records hold URLs with order ids and, at DEBUG, the headers of answers.
            logging.getLogger(name).setLevel(logging.WARNING)
        self._timeouts = timeouts
        self._gate = Gate(config.account, config.requests_per_second, manners)
        self._config = config
        self._connections = Connections(self._new_client, max_connections, timeouts.pool)
        # Builds requests and sends none.
        self._builder = self._new_client()

    def _new_client(self) -> httpx.AsyncClient:
        config = self._config
        return httpx.AsyncClient(
            base_url=config.base_url,
            headers={
                "X-VTEX-API-AppKey": config.app_key.get_secret_value(),
                "X-VTEX-API-AppToken": config.app_token.get_secret_value(),
                "Accept": "application/json",
                "User-Agent": _USER_AGENT,
            },
            # VTEX ties prices and regions to its cookies: one customer's must not reach the next.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            verify=_tls(),
            limits=httpx.Limits(max_connections=1, keepalive_expiry=IDLE_SECONDS),
            # A proxy of the environment is for the way out, not for a sandbox on this machine.
            mounts=dict.fromkeys(_LOOPBACK),
        )

    async def ask(  # noqa: PLR0913 - all but three are named
        self,
        model: type[WireT],
        method: str,
        path: str,
        body: Any = None,
        *,
        call: str,
        params: Mapping[str, str] | None = None,
        writes: bool,
        personal: Collection[str] = (),
        empty: WireT | None = None,
    ) -> WireT:
        """Send one request and read its answer as `model`. Raises leaves of SellerError alone.

        `call` is its name in metrics and traces. `writes` tells that it changes something at the Seller, `personal`
        which values to keep out of errors, `empty` what an empty body means; without it, an empty body makes no sense.
        """
        request = self._builder.build_request(
            method,
            path,
            params=params,
            content=None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
            headers={} if body is None else {"Content-Type": "application/json"},
            timeout=httpx.Timeout(
                connect=self._timeouts.connect,
                write=self._timeouts.write,
                pool=self._timeouts.pool,
                read=self._timeouts.read_change if writes else self._timeouts.read,
            ),
        )
        end = asyncio.get_running_loop().time() + self._timeouts.total
        # What left later would be cut short: an order's outcome unknown, a Seller taken for down that is only busy.
        left = await self._gate.enter(self._timeouts.total / 2)
        with seller_span(self._config.account, call) as span:
            answer = await self._exchange(request, end, writes=writes)
            read: WireT | SellerFailure
            if isinstance(answer, SellerFailure):
                read = answer
            else:
                read = _read(answer, model, writes=writes, personal=personal, empty=empty)
                self._gate.answered(left, read if isinstance(read, SellerFailure) else None)
            failure = read if isinstance(read, SellerFailure) else None
            span.ended(failure)
        code = classify.known_code(failure.code) if failure is not None else None
        metrics.seller_answered(self._config.account, call, time.monotonic() - left, failure, code)
        if isinstance(read, SellerFailure):
            # Outside any handler: the error's context would carry pieces of the answer into logs.
            raise seller_error(read)
        return read

    @property
    def is_down(self) -> bool:
        """Whether the Seller counts as down: calls fail at once, but for a probe now and then."""
        return self._gate.is_down

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()
        await self._builder.aclose()

    async def _exchange(self, request: httpx.Request, end: float, *, writes: bool) -> _Answer | SellerFailure:
        """Send a request; its answer, or what it means that there is none until `end` by the loop's clock."""
        try:
            async with asyncio.timeout_at(end), self._connections.take() as client:
                response = await client.send(request, stream=True)
                try:
                    return _Answer(response.status_code, response.headers, await _bounded(response))
                finally:
                    await response.aclose()
        except (httpx.RequestError, TimeoutError) as error:
            failure = classify.classify_exception(error, writes=writes)
            if classify.means_down(error):
                self._gate.failed(failure)
        return failure


def _read(
    answer: _Answer, model: type[WireT], *, writes: bool, personal: Collection[str], empty: WireT | None
) -> WireT | SellerFailure:
    """Read an answer, or tell what is the matter with it."""
    if not httpx.codes.is_success(answer.status):
        return _failure(answer, writes=writes, personal=personal)
    if answer.body is None:
        return classify.nonsense(f"the answer is larger than {MAX_BODY} bytes", writes=writes)
    try:
        value = wire.read_json(answer.body)
        if wire.is_error(value):
            return _failure(answer, writes=writes, personal=personal)
        return empty if value is None and empty is not None else model.model_validate(value)
    except ValidationError as error:
        places = {".".join(map(str, fault["loc"])) or "body" for fault in error.errors(include_input=False)}
        return classify.nonsense(f"unexpected answer: {', '.join(sorted(places))}", writes=writes)
    except ValueError:
        return classify.nonsense("the answer is not JSON", writes=writes)


async def _bounded(response: httpx.Response) -> bytes | None:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _failure(answer: _Answer, *, writes: bool, personal: Collection[str]) -> SellerFailure:
    return classify.classify_answer(answer.status, answer.headers, answer.body or b"", writes=writes, personal=personal)
