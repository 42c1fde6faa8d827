"""The Seller's calls and a client for them, shared by the tests of what a client makes of its answers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from marketplace.errors import SellerError, SellerUnavailable, SellerUnknownOutcome
from marketplace.seller.base import Seller
from marketplace.seller.client import Timeouts, VtexSeller
from tests.seller.samples import CART, REF, config, placement

QUICK = Timeouts(
    connect=0.3, read=0.3, read_change=0.3, write=0.3, pool=0.3, total=1.5, reservation_pauses=(0.01, 0.01)
)
Call = Callable[[Seller], Awaitable[object]]

CALLS: dict[str, Call] = {
    "simulate": lambda seller: seller.simulate(CART),
    "place": lambda seller: seller.place(placement()),
    "dispatch": lambda seller: seller.authorize_dispatch(REF),
    "cancel": lambda seller: seller.cancel(REF, "changed my mind", requested_by_user=True),
    "read": lambda seller: seller.read(REF),
}
WRITES = ("place", "dispatch", "cancel")
EVERY_CALL = pytest.mark.parametrize("name", CALLS)


def unsure(name: str) -> type[SellerError]:
    """The error of a call whose answer did not come: unknown when it may have changed something."""
    return SellerUnknownOutcome if name in WRITES else SellerUnavailable


@asynccontextmanager
async def client(
    url: str, timeouts: Timeouts = QUICK, *, max_connections: int = 50, **changes: object
) -> AsyncIterator[VtexSeller]:
    made = VtexSeller(config(url, **changes), timeouts, max_connections=max_connections)
    try:
        yield made
    finally:
        await made.aclose()


async def failure_of(call: Awaitable[object]) -> SellerError:
    with pytest.raises(SellerError) as caught:
        await call
    return caught.value
