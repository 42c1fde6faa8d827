"""Tells a call that cannot succeed from a Seller that is away: the one is given up, the other waited for."""

from marketplace.errors import SellerError, Verdict
from marketplace.seller.base import SellerCatalog

KEYS_PAUSE = 60.0
"""Seconds after which wrong keys are tried again: somebody may have mended them, and hammering locks accounts."""
AWAY_PAUSE = 5.0
"""Seconds after which a Seller that answers nothing is asked again, unless it is known already to be down."""


def pause_of(error: SellerError) -> float | None:
    """Seconds to wait after an error that says nothing about what was asked; None when it counts as a failed try."""
    failure = error.failure
    if failure.verdict.needs_people:
        return KEYS_PAUSE
    if failure.paused or failure.verdict is Verdict.RATE_LIMITED:
        return failure.retry_after or 1.0
    return None


async def away_for(catalog: SellerCatalog) -> float | None:
    """Ask a Seller something else: seconds to wait when it does not answer, None when it does.

    So a Seller that is down is known as such also where nobody else asks it anything.
    """
    try:
        await catalog.list_sku_ids(1, 1)
    except SellerError as error:
        if error.failure.verdict.may_pass:
            return pause_of(error) or AWAY_PAUSE
    return None
