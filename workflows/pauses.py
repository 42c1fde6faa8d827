"""How long to wait for somebody who is away."""

from datetime import timedelta

from temporalio import workflow


def growing_pause(first: float, waits: int, longest: timedelta) -> timedelta:
    """The pause after so many waits in a row: doubled with each, and none at the same moment as the rest.

    Thousands may wait for the same Seller. `first` in seconds; `longest` ends the doubling.
    """
    seconds = min(first * 2 ** min(waits, 10), longest.total_seconds())
    return timedelta(seconds=seconds * (1 + workflow.random().random() / 2))
