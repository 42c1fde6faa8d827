"""`python -m tests.fuzz` as a whole: what it must not pass over."""

from pathlib import Path

from rich.console import Console

from tests.fuzz.__main__ import document


async def test_fewer_cases_than_asked_for_are_a_failure(tmp_path: Path) -> None:
    part = await document(tmp_path, 10_000, 0, 1, Console(quiet=True))
    assert part.cases == 0
    assert part.failures == ["time is up: 0 of 10000 cases; --minutes gives it more than 0"]
