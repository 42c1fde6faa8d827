"""Money is an integer number of cents, everywhere. This module holds the few rules that go beyond adding them."""

from typing import Annotated

from pydantic import Field

Cents = Annotated[int, Field(strict=True, ge=0, le=10**13)]
"""An amount in cents. The upper bound keeps sums within what JSON readers and databases hold exactly."""


def within(share: float, expected: int, actual: int, slack: int = 0) -> bool:
    """Tell whether `actual` cents differ from `expected` by at most `share` of it, plus `slack` cents for rounding."""
    return abs(actual - expected) <= expected * share + slack


def as_text(cents: int) -> str:
    """Write cents for people, without a currency: 12990 is "129.90"."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"
