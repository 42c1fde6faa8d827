"""How the Seller calls the marketplace: one HTTP client, one try, and tries with growing pauses between them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import httpx

from sandbox.base import now
from sandbox.config import Settings
from sandbox.ledger import CallbackAttempt
from sandbox.protocol import Json

if TYPE_CHECKING:
    import ssl

_KEPT_CHARACTERS = 2000


def insert_path(endpoint: str, tail: str) -> str:
    """Put a path behind the endpoint's own, before its query string. `tail` starts with a slash, or is empty."""
    parts = urlsplit(endpoint)
    path = parts.path.rstrip("/") + tail if tail else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, parts.fragment))


class Sender:
    """The Seller as an HTTP client: of its inner clients each has one call under way at most.

    A pool shared by many calls looks at all its connections for every call; so a burst is sent thrice as fast.
    """

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._tls: ssl.SSLContext | None = None
        self._idle: list[httpx.AsyncClient] = []

    def open(self) -> None:
        self._tls = httpx.create_ssl_context()

    async def close(self) -> None:
        """Close all connections; nothing may be under way any more."""
        while self._idle:
            await self._idle.pop().aclose()

    async def tries(
        self, method: str, url: str, body: Json | str | None, *, allowed: int, pause: float
    ) -> AsyncIterator[CallbackAttempt]:
        """Try until the marketplace acknowledges or `allowed` tries are used up. `pause`: the first, in seconds."""
        for number in range(1, allowed + 1):
            attempt = await self._try(method, url, body)
            yield attempt
            if attempt.acknowledged or number == allowed:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._settings().callback_backoff_max_seconds)

    @staticmethod
    def _new_client(tls: "ssl.SSLContext") -> httpx.AsyncClient:
        # Proxies of the environment are for the world outside; the marketplace is on this machine. Connections are
        # given up before a usual server does so, as a notice sent on one that is being closed is lost.
        return httpx.AsyncClient(trust_env=False, verify=tls, limits=httpx.Limits(keepalive_expiry=2))

    async def _try(self, method: str, url: str, body: Json | str | None) -> CallbackAttempt:
        assert self._tls is not None, "the sandbox has not been started"
        client = self._idle.pop() if self._idle else self._new_client(self._tls)
        started, at = time.monotonic(), now()
        attempt = CallbackAttempt(at=at)
        try:
            response = await client.request(
                method,
                url,
                content=_content(body),
                headers={} if body is None else {"content-type": "application/json"},
                timeout=self._settings().callback_timeout_seconds,
            )
            attempt.status, attempt.body = response.status_code, _read(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            attempt.error = type(error).__name__
        finally:
            self._idle.append(client)
        attempt.seconds = round(time.monotonic() - started, 4)
        return attempt


def _content(body: Json | str | None) -> bytes:
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _read(response: httpx.Response) -> object:
    try:
        return response.json()
    except ValueError:
        return response.text[:_KEPT_CHARACTERS]
