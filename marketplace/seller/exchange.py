"""One request to a Seller and its answer, read or judged: connections, timeouts, rate, size bound, errors.

Knows HTTP and JSON, and nothing of what the calls mean. Source: contract sections 0 ("Authentication", "Error
bodies") and F.
"""

import asyncio
import importlib.metadata
import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx
from aiolimiter import AsyncLimiter
from pydantic import ValidationError

from marketplace.errors import SellerFailure, Verdict, seller_error
from marketplace.seller import classify, wire
from marketplace.seller.base import SellerConfig

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
    """One exchange from beginning to end, with waiting for its turn under `requests_per_second`."""
    reservation_pauses: tuple[float, ...] = (0.3, 0.9)
    """Pauses before each repetition of `place` when the Seller could not reserve the stock; none: no repetition."""


DEFAULT_TIMEOUTS = Timeouts()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes | None
    """None when it was larger than MAX_BODY."""


class Exchange:
    """The connections to one Seller. For many tasks of one event loop; to be closed with `aclose`."""

    def __init__(self, config: SellerConfig, timeouts: Timeouts, max_connections: int) -> None:
        for name in ("httpx", "httpcore"):
            # Their records hold URLs with order ids and, at DEBUG, the headers of answers.
            logging.getLogger(name).setLevel(logging.WARNING)
        self._timeouts = timeouts
        rate = config.requests_per_second
        # One request each 1/rate seconds: a bucket of `rate` would let twice the rate through in its first second.
        self._limiter = AsyncLimiter(1, 1 / rate) if rate else None
        self._client = httpx.AsyncClient(
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
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=20, keepalive_expiry=15),
            # A proxy of the environment is for the way out, not for a sandbox on this machine.
            mounts=dict.fromkeys(_LOOPBACK),
        )

    async def ask(
        self,
        model: type[WireT],
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        writes: bool,
        personal: Collection[str] = (),
        empty: WireT | None = None,
    ) -> WireT:
        """Send one request and read its answer as `model`. Raises leaves of SellerError alone.

        `writes` tells that the call changes something at the Seller, `personal` which values to keep out of errors,
        `empty` what an empty body means; without it, an empty body makes no sense.
        """
        request = self._client.build_request(
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
        answer = await self._exchange(request, writes=writes)
        failure: SellerFailure
        if not httpx.codes.is_success(answer.status):
            failure = _failure(answer, writes=writes, personal=personal)
        elif answer.body is None:
            failure = classify.nonsense(f"the answer is larger than {MAX_BODY} bytes", writes=writes)
        else:
            try:
                value = wire.read_json(answer.body)
                if wire.is_error(value):
                    failure = _failure(answer, writes=writes, personal=personal)
                elif value is None and empty is not None:
                    return empty
                else:
                    return model.model_validate(value)
            except ValidationError as error:
                places = {".".join(map(str, fault["loc"])) or "body" for fault in error.errors(include_input=False)}
                failure = classify.nonsense(f"unexpected answer: {', '.join(sorted(places))}", writes=writes)
            except ValueError:
                failure = classify.nonsense("the answer is not JSON", writes=writes)
        # Outside the handlers: the error's context would carry pieces of the answer into logs.
        raise seller_error(failure)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _exchange(self, request: httpx.Request, *, writes: bool) -> _Answer:
        sending = False
        try:
            async with asyncio.timeout(self._timeouts.total):
                if self._limiter is not None:
                    await self._limiter.acquire()
                sending = True
                response = await self._client.send(request, stream=True)
                try:
                    return _Answer(response.status_code, response.headers, await _bounded(response))
                finally:
                    await response.aclose()
        except httpx.RequestError as error:
            failure = classify.classify_exception(error, writes=writes)
        except TimeoutError as error:
            failure = classify.classify_exception(error, writes=writes)
            if not sending:
                failure = SellerFailure(verdict=Verdict.RETRY, message="timed out waiting for its turn")
        raise seller_error(failure)


async def _bounded(response: httpx.Response) -> bytes | None:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return bytes(body)


def _failure(answer: _Answer, *, writes: bool, personal: Collection[str]) -> SellerFailure:
    return classify.classify_answer(answer.status, answer.headers, answer.body or b"", writes=writes, personal=personal)
