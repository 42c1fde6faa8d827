"""Each event at each step of an order, at each moment: all pairs of `table.py`."""

import pytest

from sandbox.server import SandboxServer
from tests.races.meeting import findings, meet
from tests.races.stage import Stage, race_order
from tests.races.steps import STEPS, Life
from tests.races.table import EVENTS, TABLE

# By default the events meet the steps that last longest; the rest of the table is for `make slow`, and for CI.
USUAL = {"await payment", "follow fulfillment", "await the Seller's decision"}
MEETINGS = [
    pytest.param(name, moment, marks=() if moment == "during" and name in USUAL else pytest.mark.slow)
    for name, step in STEPS.items()
    for moment in step.moments
]


def test_every_step_of_the_table_is_tested_with_every_event() -> None:
    assert list(STEPS) == list(TABLE)
    for step, row in TABLE.items():
        assert tuple(row) == EVENTS
        for pair in row.values():
            assert set(pair.differing) <= set(STEPS[step].moments)


@pytest.mark.parametrize(("name", "moment"), MEETINGS)
async def test_an_event_that_meets_a_step_ends_as_the_table_says(
    patient: Stage, impatient: Stage, fresh_seller: SandboxServer, name: str, moment: str
) -> None:
    step = STEPS[name]
    stage = impatient if step.impatient else patient
    lives = {event: Life(stage, race_order()) for event in EVENTS}
    if step.switches:
        await stage.engine.switch(**step.switches)
    answers = await meet(stage, step, moment, lives)
    wrong = [
        f"{event}: {text}"
        for event, life in lives.items()
        for text in await findings(life, TABLE[name][event], moment, event, answers.get(event))
    ]
    assert not wrong, "\n" + "\n".join(wrong)
