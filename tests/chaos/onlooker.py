"""Reads some orders again and again during the run: what a storefront was shown must not be taken back."""

import asyncio
from typing import Final

import httpx

from marketplace.rules import ENDS

_MOST_READS: Final = 60
_LOOKS_AFTER_THE_END: Final = 3


class Onlooker:
    """`shown` are the statuses of each order in the order in which they were answered."""

    def __init__(self, url: str) -> None:
        limits = httpx.Limits(max_keepalive_connections=0, max_connections=100)
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=15, limits=limits)
        self.shown: dict[str, list[str]] = {}

    async def aclose(self) -> None:
        await self._http.aclose()

    async def watch(self, order_id: str) -> None:
        """Read an order, one read after the other, ever more rarely, until some reads after its end."""
        pause, left = 0.2, _LOOKS_AFTER_THE_END
        shown = self.shown.setdefault(order_id, [])
        for _ in range(_MOST_READS):
            await asyncio.sleep(pause)
            pause = min(pause * 1.4, 4)
            try:
                answer = await self._http.get(f"/orders/{order_id}")
            except httpx.TransportError:
                continue
            if answer.is_success:
                shown.append(answer.json()["status"])
                left -= shown[-1] in ENDS
                if not left:
                    return
