"""The API does what its OpenAPI document says, whatever is sent to it. `make fuzz` tries thirty times as much."""

from pathlib import Path

import pytest

from tests.fuzz import openapi
from tests.support.engine import Engine


@pytest.mark.slow
async def test_no_call_of_the_document_fails_or_is_answered_otherwise_than_it_says(
    engine: Engine, tmp_path: Path
) -> None:
    report = await openapi.run(engine, tmp_path, seed=1, examples=7, phases="examples,fuzzing,stateful")
    assert report.failures == [], report.output
    assert report.cases > 250
    assert not [status for status in report.statuses if status >= 500 or not status]
