"""The table of races in docs/orders.md, compared with the one that the tests of all pairs follow."""

from pathlib import Path

import pytest

from tests.races.steps import STEPS
from tests.races.table import EVENTS, TABLE, Pair

PAGE = Path(__file__).parents[2] / "docs" / "orders.md"


def cell(pair: Pair) -> str:
    """The end of a pair as the page writes it: what is different at a moment stands behind it."""
    differing = [f"{moment}: {_words(end)}" for moment, (end, _) in pair.differing.items() if end != pair.end]
    return "; ".join([_words(pair.end), *differing])


def _words(end: str) -> str:
    status, _, flag = end.partition(" !")
    return f"`{status}` and `{flag}`" if flag else f"`{status}`"


def lines() -> list[str]:
    return [
        f"| step | {' | '.join(EVENTS)} |",
        f"|---|{'---|' * len(EVENTS)}",
        *(f"| {step} | {' | '.join(cell(row[event]) for event in EVENTS)} |" for step, row in TABLE.items()),
    ]


@pytest.fixture(scope="module")
def section() -> str:
    return PAGE.read_text(encoding="utf-8").split("\n## Races\n")[1].split("\n## ")[0]


def test_the_page_shows_the_table_that_is_tested(section: str) -> None:
    assert [line for line in section.splitlines() if line.startswith("|")] == lines()


def test_the_page_says_how_many_pairs_are_tested(section: str) -> None:
    assert f"{len(EVENTS) * sum(len(step.moments) for step in STEPS.values())} pairs" in section
