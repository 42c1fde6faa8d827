"""The Seller's calls and a client for them, shared by the tests of what a client makes of its answers."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from marketplace.errors import SellerError, SellerUnavailable, SellerUnknownOutcome
from marketplace.seller.base import Seller
from marketplace.seller.client import DEFAULT_MANNERS, Manners, Timeouts, VtexSeller
from tests.seller.samples import CART, REF, config, placement

QUICK = Timeouts(connect=5, read=5, read_change=5, write=5, pool=5, total=10, reservation_pauses=(0.01, 0.01))
HASTY = Timeouts(connect=0.3, read=0.3, read_change=0.3, write=0.3, pool=0.3, total=1.5, reservation_pauses=())
"""For Sellers that never answer; any other may be slow on a busy machine."""
Call = Callable[[Seller], Awaitable[object]]

CALLS: dict[str, Call] = {
    "simulate": lambda seller: seller.simulate(CART),
    "place": lambda seller: seller.place(placement()),
    "dispatch": lambda seller: seller.authorize_dispatch(REF),
    "cancel": lambda seller: seller.cancel(REF, "changed my mind", requested_by_user=True),
    "read": lambda seller: seller.read(REF),
}
WRITES = ("place", "dispatch", "cancel")
CATALOG_CALLS: dict[str, Callable[[VtexSeller], Awaitable[object]]] = {
    "sku": lambda seller: seller.catalog.read_sku("501"),
    "product": lambda seller: seller.catalog.read_product("90"),
    "terms": lambda seller: seller.catalog.read_terms("501"),
    "SKU ids": lambda seller: seller.catalog.list_sku_ids(1, 100),
}
EVERY_CALL = pytest.mark.parametrize("name", CALLS)


def unsure(name: str) -> type[SellerError]:
    """The error of a call whose answer did not come: unknown when it may have changed something."""
    return SellerUnknownOutcome if name in WRITES else SellerUnavailable


@asynccontextmanager
async def client(
    url: str,
    timeouts: Timeouts = QUICK,
    manners: Manners = DEFAULT_MANNERS,
    *,
    max_connections: int = 50,
    **changes: object,
) -> AsyncIterator[VtexSeller]:
    made = VtexSeller(config(url, **changes), timeouts, manners, max_connections=max_connections)
    try:
        yield made
    finally:
        await made.aclose()


async def failure_of(call: Awaitable[object]) -> SellerError:
    with pytest.raises(SellerError) as caught:
        await call
    return caught.value


async def took(call: Awaitable[object]) -> float:
    """How many seconds a call takes."""
    started = time.monotonic()
    await call
    return time.monotonic() - started
