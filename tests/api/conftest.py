"""Orders that many tests of callbacks share: refused callbacks must not change them anyway."""

import pytest

from tests.api.callback_line import Line, dispatched_line
from tests.support.engine import Engine


@pytest.fixture(scope="module")
async def line(shared_engine: Engine) -> Line:
    """A dispatched order and its callbacks."""
    return await dispatched_line(shared_engine)


@pytest.fixture(scope="module")
async def other_line(shared_engine: Engine) -> Line:
    """Another order, whose token opens nothing of the first one's."""
    return await dispatched_line(shared_engine)
