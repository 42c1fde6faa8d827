"""Whoever guesses tokens gets in nowhere, and learns nothing, not even what is there to be guessed at."""

from pathlib import Path

import pytest

from marketplace.settings import secret_keys
from tests.api.callback_line import INVOICE, dispatched_line
from tests.conftest import MakeEngine
from tests.security.forgery import Mint, forged, send
from tests.security.target import target

COUNT, MANY = 2000, 20_000
APART = 0.05
"""How far the median times for known and unknown orders may be from each other; 0.004 is what chance makes of them.

Less than any look at the record takes: a median is some 0.8 ms, with one request at a time, whatever else is running.
"""


async def test_no_forged_callback_is_taken_and_none_tells_whether_its_order_exists(make_engine: MakeEngine) -> None:
    async with make_engine(rate_limit=0) as engine:
        lines = [await dispatched_line(engine) for _ in range(2)]
        mint = Mint.of(secret_keys(engine.settings))
        known, unknown = [line.id for line in lines], [line.id[:-1] + "x" for line in lines]

        verdict = await send(engine.port, forged(mint, known, unknown), COUNT, connections=4)

        assert verdict.statuses.total() == COUNT
        assert verdict.accepted == []
        assert set(verdict.statuses) == {404}
        assert verdict.telling == []
        # One for what looks like a callback, one for what looks like a notice, one for what is no address here.
        assert len(verdict.distinct) <= 5
        for line in lines:
            assert await line.version() == line.version_at_first
            assert (await line.send("/invoice", INVOICE)).status_code == 200


@pytest.mark.slow
async def test_nor_does_the_time_that_an_answer_takes(tmp_path: Path) -> None:
    async with target(tmp_path, orders=20) as attacked:
        apart = []
        for seed in (1, 2):
            verdict = await attacked.attacked(MANY, connections=1, seed=seed)
            assert verdict.statuses == {404: MANY}
            assert verdict.telling == []
            apart.append(verdict.apart)
            if verdict.apart < APART:
                break
        assert min(apart) < APART, apart
        assert await attacked.changed() == []
