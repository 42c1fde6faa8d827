"""The gate before a Seller, without one: rate, lengths of pauses, and the count of failures."""

import asyncio
import time

import pytest

from marketplace.errors import SellerFailure, Verdict
from marketplace.seller.manners import Breaker, Gate, Manners
from tests.seller.calls import failure_of, took

BRISK = Manners(failures_to_open=3, probe_every=0.4, first_pause=0.1, longest_pause=5)
LIMITED = SellerFailure(verdict=Verdict.RATE_LIMITED)


async def test_a_hundred_tasks_together_never_go_beyond_the_rate() -> None:
    gate, rate, wanted = Gate("acme", 500, BRISK), 500, 400
    left: list[float] = []

    async def ask() -> None:
        while len(left) < wanted:
            left.append(await gate.enter(10))
            await asyncio.sleep(0)

    await asyncio.gather(*(ask() for _ in range(100)))
    least = (wanted - 1) / rate
    assert left[wanted - 1] - left[0] >= least * 0.99
    assert all(left[n + 100] - left[n] > 0.15 for n in range(wanted - 100))


async def test_idle_time_is_not_saved_up_for_a_burst() -> None:
    gate = Gate("acme", 20, BRISK)
    await gate.enter(1)
    await asyncio.sleep(0.3)
    started = time.monotonic()
    for _ in range(3):
        await gate.enter(1)
    assert time.monotonic() - started >= 0.1


async def test_who_gives_up_waiting_does_not_hinder_the_others() -> None:
    gate = Gate("acme", 10, BRISK)
    await gate.enter(1)
    waiting = asyncio.create_task(gate.enter(1))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await gate.enter(5)


async def test_each_429_after_a_pause_doubles_the_next_up_to_the_longest() -> None:
    gate = Gate("acme", None, Manners(first_pause=100, longest_pause=600))
    for least, most in ((100, 200), (200, 400), (300, 600), (300, 600)):
        gate.answered(time.monotonic(), LIMITED)
        pause = (await failure_of(gate.enter(0))).failure.retry_after or 0
        assert least - 10 < pause <= most


async def test_an_answer_after_a_pause_makes_the_next_one_short_again() -> None:
    gate = Gate("acme", None, BRISK)
    for _ in range(2):
        gate.answered(time.monotonic(), LIMITED)
    gate.answered(await gate.enter(5), None)
    gate.answered(time.monotonic(), LIMITED)
    assert await took(gate.enter(5)) < 0.35


def test_a_late_failure_does_not_put_off_the_next_probe() -> None:
    breaker = Breaker(BRISK)
    assert [breaker.fail(now) for now in (0, 1, 2, 2.3)] == [False, False, True, False]
    assert breaker.wait(2.3) == pytest.approx(0.1)
    assert breaker.wait(2.5) == 0
    breaker.let_through(2.5)
    assert breaker.wait(2.6) == pytest.approx(0.3)
    assert (breaker.succeed(), breaker.succeed(), breaker.is_open) == (True, False, False)
