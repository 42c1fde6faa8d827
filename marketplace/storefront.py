"""The storefront's webhook address: one signed request to it, and what its answer means.

Source: the Standard Webhooks specification, "Webhook scheme" and "Operational considerations".
"""

import asyncio
import importlib.metadata
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from standardwebhooks import Webhook

from marketplace.seller.classify import retry_after
from marketplace.settings import Settings, is_loopback
from marketplace.webhooks import Attempt

CONNECTIONS: Final = 20
"""Requests to the storefront at a time."""
_ANSWER_LIMIT: Final = 64 * 1024
"""Bytes of an answer that are read, and thrown away, so that its connection can serve the next request."""
_USER_AGENT = f"marketplace-order-engine/{importlib.metadata.version('marketplace-order-engine')}"


class Storefront:
    """Sends events to one address, signed with every secret. For many tasks; to be closed with `aclose`."""

    def __init__(self, url: str, secrets: Sequence[SecretStr], timeout: float) -> None:
        for name in ("httpx", "httpcore"):
            # Their records hold URLs and, at DEBUG, headers.
            logging.getLogger(name).setLevel(logging.WARNING)
        self._url = url
        self._signers = [Webhook(secret.get_secret_value()) for secret in secrets]
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            headers={"User-Agent": _USER_AGENT, "Content-Type": "application/json"},
            # Who answers with another address has not taken the event, and is not to choose whom the engine calls.
            follow_redirects=False,
            timeout=timeout,
            limits=httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=15),
            # A proxy of the environment is for the way out, not for a receiver on this machine.
            trust_env=not is_loopback(urlsplit(url).hostname or ""),
        )

    async def send(self, event_id: str, body: str) -> Attempt:
        """Send an event once. Never raises for what the receiver does, or does not do."""
        now = datetime.now(UTC)
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(event_id, now, body) for signer in self._signers),
        }
        attempt: Attempt | None = None
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream("POST", self._url, content=body.encode(), headers=headers) as answer,
            ):
                attempt = _read(answer)
                await _drain(answer)
        except (httpx.TimeoutException, TimeoutError):
            # Once the status is there, the rest of the answer changes nothing.
            return attempt or Attempt(error=f"no answer within {self._timeout:g} s")
        except httpx.ConnectError:
            return Attempt(error="cannot be reached")
        except httpx.RequestError as error:
            return attempt or Attempt(error=f"the connection broke ({type(error).__name__})")
        return attempt

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def open_storefront(settings: Settings) -> Storefront | None:
    """The storefront of the settings; None when it is not to be told of anything."""
    if settings.webhook_url is None:
        return None
    return Storefront(settings.webhook_url, settings.webhook_secrets, settings.webhook_timeout.total_seconds())


def _read(answer: httpx.Response) -> Attempt:
    status = answer.status_code
    if answer.is_success:
        return Attempt(status=status)
    # Of the answer's own words nothing is kept: they may hold anything.
    return Attempt(
        status=status,
        error=f"answered HTTP {status}" + (", redirects are not followed" if answer.is_redirect else ""),
        gone=status == httpx.codes.GONE,
        retry_after=retry_after(answer.headers.get("retry-after"), datetime.now(UTC)),
    )


async def _drain(answer: httpx.Response) -> None:
    length = 0
    async for chunk in answer.aiter_raw():
        length += len(chunk)
        if length > _ANSWER_LIMIT:
            return
