"""Strikes the engine's parts as planned, and lets each come back as an orchestrator would."""

import asyncio
import signal
import time
from collections import Counter
from contextlib import suppress

from tests.chaos.plan import Blow, Plan, Strike
from tests.chaos.shop import Shop
from tests.chaos.stack import Stack


class Nemesis:
    """One run's blows. `counts` by part and blow."""

    def __init__(self, stack: Stack, shop: Shop) -> None:
        self._stack = stack
        self._shop = shop
        self._locks: dict[str, asyncio.Lock] = {}
        self.counts: Counter[tuple[str, str]] = Counter()

    @property
    def kills(self) -> int:
        return sum(count for (_, blow), count in self.counts.items() if blow == Blow.KILL)

    @property
    def kills_of(self) -> dict[str, int]:
        """SIGKILLs by part; of the database its crashes."""
        return {part: count for (part, blow), count in sorted(self.counts.items()) if blow == Blow.KILL}

    async def keep_running(self) -> None:
        """Start again what has ended by itself, such as a worker that found no Temporal when it was started."""
        while True:
            await asyncio.sleep(1)
            for part, process in self._stack.processes.items():
                if not process.running and not self._lock(part).locked():
                    self.counts[part, "ended by itself"] += 1
                    await process.start()

    async def rage(self, plan: Plan) -> None:
        """Strike until the plan is done; all parts run again at the end."""
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for strike in plan.strikes:
                await asyncio.sleep(max(0.0, strike.at - (time.monotonic() - start)))
                group.create_task(self._strike(strike))

    async def _strike(self, strike: Strike) -> None:
        # A part that is being struck is not struck again before it is back.
        async with self._lock(strike.part):
            if strike.part == "database" and self._stack.postgres is None:
                return
            self.counts[strike.part, strike.blow] += 1
            if strike.part == "seller":
                await self._shop.down(strike.seconds, forbidden=strike.blow is Blow.FORBID)
            elif strike.blow is Blow.FREEZE:
                async with self._stack.frozen(strike.part):
                    await asyncio.sleep(strike.seconds)
            else:
                await self._end(strike)
                await asyncio.sleep(strike.seconds)
                await self._stack.start(strike.part)

    def _lock(self, part: str) -> asyncio.Lock:
        return self._locks.setdefault(part, asyncio.Lock())

    async def _end(self, strike: Strike) -> None:
        if strike.blow is Blow.STOP:
            # Its time to stop is over when an orchestrator's is: then it is killed.
            with suppress(TimeoutError):
                async with asyncio.timeout(25):
                    await self._stack.kill(strike.part, signal.SIGTERM)
                    return
        await self._stack.kill(strike.part)
