"""Calls that the faults `hold` and `hold-after` keep waiting, and who may let them go on.

With them a test makes something happen before, while, or after the Seller does what it is asked, without any sleep.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from pydantic import Field

from sandbox.base import Model, now


class HeldCall(Model):
    """A call that waits. `fault` tells whether its work is done: not with `hold`, but with `hold-after`."""

    route: str
    fault: str
    marketplace_order_id: str | None = None
    sku_ids: list[str] = []
    since: datetime = Field(default_factory=now)


class HeldFilter(Model):
    """Which held calls are meant; without anything, all."""

    route: str | None = None
    marketplace_order_id: str | None = None
    sku_id: str | None = None

    def matches(self, call: HeldCall) -> bool:
        return (
            self.route in {None, call.route}
            and self.marketplace_order_id in {None, call.marketplace_order_id}
            and (self.sku_id is None or self.sku_id in call.sku_ids)
        )


class HeldQuery(HeldFilter):
    """The query string of the list. `wait`: seconds for which the answer may wait until there is a held call."""

    wait: Annotated[float, Field(ge=0, le=60)] = 0


class HeldCalls:
    """The calls that wait now, oldest first. For the tasks of one event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[HeldCall, asyncio.Future[bool]]] = []
        self._arrived = asyncio.Event()

    async def keep(self, call: HeldCall) -> bool:
        """Wait for the release. False when the call is to be dropped instead, since the Seller starts anew or stops."""
        released: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        entry = (call, released)
        self._waiting.append(entry)
        self._arrived.set()
        try:
            return await released
        finally:
            self._waiting.remove(entry)

    async def find(self, meant: HeldFilter, wait: float) -> list[HeldCall]:
        """The held calls that are meant; none only after `wait` seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while not (found := self._held(meant)) and (left := until - loop.time()) > 0:
            self._arrived.clear()
            try:
                async with asyncio.timeout(left):
                    await self._arrived.wait()
            except TimeoutError:
                break
        return found

    def release(self, meant: HeldFilter) -> list[HeldCall]:
        """Let the calls that are meant go on; answers them."""
        return self._settle(meant.matches, go_on=True)

    def drop_all(self) -> None:
        """Let none of them go on: each loses its connection."""
        self._settle(lambda _: True, go_on=False)

    def _held(self, meant: HeldFilter) -> list[HeldCall]:
        return [call for call, released in self._waiting if not released.done() and meant.matches(call)]

    def _settle(self, matches: Callable[[HeldCall], bool], *, go_on: bool) -> list[HeldCall]:
        settled = []
        for call, released in self._waiting:
            if not released.done() and matches(call):
                released.set_result(go_on)
                settled.append(call)
        return settled
