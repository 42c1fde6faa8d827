"""How long the fuzz tests try. By default briefly, and the same each time; TEST_THOROUGHNESS=20 is twenty times more.

A longer run is another one each time: pytest's --hypothesis-seed repeats it.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings

THOROUGHNESS = int(os.environ.get("TEST_THOROUGHNESS", "1"))


def some(examples: int, **more: Any) -> settings:
    """Settings for so many examples by default."""
    return settings(
        max_examples=examples * THOROUGHNESS,
        derandomize=THOROUGHNESS == 1,
        database=None,
        deadline=None,
        # Servers and orders last longer than one example.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
        **more,
    )
