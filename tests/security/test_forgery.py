"""Whoever guesses tokens gets in nowhere, and learns nothing, not even what is there to be guessed at."""

from marketplace.settings import secret_keys
from tests.api.callback_line import INVOICE, dispatched_line
from tests.conftest import MakeEngine
from tests.security.forgery import Mint, forged, send

COUNT = 2000


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
