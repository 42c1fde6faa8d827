"""The door through which new orders come in: how many of a Seller at a time, and in which order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from api import door
from api.door import Door

NEAR = 0.15


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HELD", 5.0)
    monkeypatch.setattr(door, "NEAR", NEAR)


class Crowd:
    """Orders before a door; each stays inside until it is told to leave."""

    def __init__(self, at_once: int) -> None:
        self.inside: list[str] = []
        self._door = Door(at_once)
        self._orders: dict[str, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._on_leaving: dict[str, Callable[[], object]] = {}

    async def comes(self, *names: str) -> None:
        """`acme1` is an order of the Seller `acme`."""
        for name in names:
            over = asyncio.Event()
            self._orders[name] = asyncio.create_task(self._visit(name, over)), over
            await _settled()

    async def leaves(self, name: str) -> None:
        self._orders[name][1].set()
        await _settled()

    async def gives_up(self, name: str) -> None:
        self._orders[name][0].cancel()
        await _settled()

    async def lets_in(self, leaving: str, waiting: str) -> None:
        """`leaving` makes room for `waiting`, who gives up before it has heard of it."""
        self._on_leaving[leaving] = self._orders[waiting][0].cancel
        await self.leaves(leaving)

    async def aclose(self) -> None:
        for task, _ in self._orders.values():
            task.cancel()
        await asyncio.gather(*(task for task, _ in self._orders.values()), return_exceptions=True)

    async def _visit(self, name: str, over: asyncio.Event) -> None:
        async with self._door.turn(name.rstrip("0123456789")):
            self.inside.append(name)
            try:
                await over.wait()
            finally:
                self.inside.remove(name)
                # Runs after the next one was let in, and before that one's task goes on.
                asyncio.get_running_loop().call_soon(self._on_leaving.get(name, bool))


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def crowd(at_once: int = 4) -> AsyncIterator[Crowd]:
    there = Crowd(at_once)
    try:
        yield there
    finally:
        await there.aclose()


async def test_a_seller_that_is_alone_has_all_its_turns_and_its_orders_come_in_as_they_came() -> None:
    async with crowd() as there:
        await there.comes(*(f"acme{number}" for number in range(7)))
        assert there.inside == ["acme0", "acme1", "acme2", "acme3"]
        await there.leaves("acme2")
        await there.leaves("acme0")
        assert there.inside == ["acme1", "acme3", "acme4", "acme5"]


async def test_beside_another_seller_it_has_half_of_them_until_the_other_is_gone_for_a_while() -> None:
    async with crowd() as there:
        await there.comes(*(f"acme{number}" for number in range(8)), "quiet0")
        assert there.inside == ["acme0", "acme1", "acme2", "acme3", "quiet0"]
        await there.leaves("acme0")
        await there.leaves("acme1")
        assert there.inside == ["acme2", "acme3", "quiet0"]
        await there.leaves("acme2")
        assert there.inside == ["acme3", "quiet0", "acme4"]
        await there.leaves("quiet0")
        await there.leaves("acme3")
        assert there.inside == ["acme4", "acme5"]
        await asyncio.sleep(1.5 * NEAR)
        await there.leaves("acme4")
        assert there.inside == ["acme5", "acme6", "acme7"]


async def test_of_one_turn_a_seller_keeps_one() -> None:
    async with crowd(1) as there:
        await there.comes("acme0", "quiet0", "acme1")
        assert there.inside == ["acme0", "quiet0"]
        await there.leaves("acme0")
        assert there.inside == ["quiet0", "acme1"]


async def test_an_order_that_stays_for_long_does_not_keep_the_next_one_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HELD", 0.05)
    async with crowd(1) as there:
        await there.comes("acme0", "acme1", "acme2")
        assert there.inside == ["acme0"]
        await asyncio.sleep(0.08)
        assert there.inside == ["acme0", "acme1"]
        await there.leaves("acme0")  # it has given its turn away already: acme2 still waits
        assert there.inside == ["acme1"]
        await asyncio.sleep(0.05)
        assert there.inside == ["acme1", "acme2"]


async def test_who_goes_away_takes_no_turn_along() -> None:
    async with crowd(1) as there:
        await there.comes("acme0", "acme1", "acme2", "acme3", "acme4")
        await there.gives_up("acme1")
        await there.leaves("acme0")
        assert there.inside == ["acme2"]
        await there.lets_in("acme2", "acme3")
        assert there.inside == ["acme4"]
