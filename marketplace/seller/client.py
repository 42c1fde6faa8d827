"""The client of a Seller on VTEX: the classic fulfilment protocol. Source: contract sections B, E and F."""

import asyncio
from collections.abc import Mapping
from urllib.parse import quote

from marketplace.checkout import Simulation
from marketplace.errors import SellerError, UnknownSeller, seller_error
from marketplace.seller import classify, translate, wire
from marketplace.seller.base import (
    CancelAnswer,
    Cart,
    DispatchReceipt,
    OrderRef,
    Placement,
    PlacementRequest,
    Seller,
    SellerCatalog,
    SellerConfig,
    SellerOrder,
)
from marketplace.seller.catalog import VtexCatalog
from marketplace.seller.exchange import DEFAULT_TIMEOUTS, Exchange, Timeouts
from marketplace.seller.manners import DEFAULT_MANNERS, Manners
from marketplace.seller.simulation import affiliate, simulate

__all__ = [
    "DEFAULT_MANNERS",
    "DEFAULT_TIMEOUTS",
    "Manners",
    "SellerPool",
    "Timeouts",
    "VtexSeller",
    "build_seller",
]

_ORDERS = "/api/fulfillment/pvt/orders"
_OMS_ORDERS = "/api/oms/pvt/orders"


class VtexSeller:
    """One VTEX account, asked as its affiliate. For many tasks of one event loop; to be closed with `aclose`.

    `marketplace.seller.base.Seller` tells what each call means. Each raises leaves of SellerError alone.
    """

    def __init__(
        self,
        config: SellerConfig,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        manners: Manners = DEFAULT_MANNERS,
        *,
        max_connections: int = 50,
    ) -> None:
        self._config = config
        self._pauses = timeouts.reservation_pauses
        self._exchange = Exchange(config, timeouts, manners, max_connections)
        self._affiliate = affiliate(config)
        self.catalog: SellerCatalog = VtexCatalog(config, self._exchange)
        """The same account's catalog: same connections, same manners; closed together."""

    @property
    def is_down(self) -> bool:
        """Whether the Seller counts as down: calls fail at once, but for a probe now and then."""
        return self._exchange.is_down

    async def simulate(self, cart: Cart) -> Simulation:
        """Simulate a cart. Source: contract B1."""
        answer = await simulate(self._exchange, self._config, cart)
        return translate.simulation(self._config.account, cart.items, answer)

    async def place(self, request: PlacementRequest) -> Placement:
        """Place an order; a few times over while the Seller cannot reserve its stock. Source: contract B2 and G2."""
        for pause in self._pauses:
            try:
                return await self._place(request)
            except SellerError as error:
                if error.failure.code not in classify.RESERVATION_FAILED:
                    raise
            await asyncio.sleep(pause)
        return await self._place(request)

    async def authorize_dispatch(self, ref: OrderRef) -> DispatchReceipt:
        """Authorize the dispatch of an order. Source: contract B3."""
        answer = await self._exchange.ask(
            wire.Dispatched,
            "POST",
            f"{self._path(_ORDERS, ref)}/fulfill",
            translate.dispatch_body(ref),
            call="authorize-dispatch",
            params=self._affiliate,
            writes=True,
        )
        _expect(ref.marketplace_order_id, answer.marketplace_order_id)
        # The answer's own order id may lack the affiliate's prefix: G1 row 8.
        return DispatchReceipt(order_id=self._order_id(ref), receipt=answer.receipt)

    async def cancel(self, ref: OrderRef, reason: str, *, requested_by_user: bool) -> CancelAnswer:
        """Ask to cancel an order, by the route of this Seller's settings. Source: contract B4."""
        route = self._config.cancel_route
        answer = await self._exchange.ask(
            wire.Canceled,
            "POST",
            f"{self._path(_OMS_ORDERS if route == 'oms' else _ORDERS, ref)}/cancel",
            translate.cancel_body(route, ref, reason, requested_by_user=requested_by_user),
            call="cancel",
            params=None if route == "oms" else self._affiliate,
            writes=True,
            empty=wire.Canceled(),
        )
        _expect(ref.marketplace_order_id, answer.marketplace_order_id)
        return translate.cancel_answer(route, answer)

    async def read(self, ref: OrderRef) -> SellerOrder:
        """Read an order; without its `order_id` as `{affiliateId}-{marketplaceOrderId}`. Source: contract B2 and E."""
        path = self._path(_OMS_ORDERS, ref)
        answer = await self._exchange.ask(wire.Order, "GET", path, call="read", writes=False)
        return translate.seller_order(answer)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._exchange.aclose()

    async def _place(self, request: PlacementRequest) -> Placement:
        order = request.order
        answer = await self._exchange.ask(
            wire.PlacedOrder,
            "POST",
            _ORDERS,
            translate.order_body(request),
            call="place",
            params=self._affiliate,
            writes=True,
            personal=translate.personal_values(order),
        )
        _expect(order.marketplace_order_id, answer.marketplace_order_id)
        return Placement(order_id=answer.order_id, divergences=translate.divergences(order, answer))

    def _order_id(self, ref: OrderRef) -> str:
        return ref.order_id or f"{self._config.affiliate_id}-{ref.marketplace_order_id}"

    def _path(self, orders: str, ref: OrderRef) -> str:
        return f"{orders}/{quote(self._order_id(ref), safe='')}"


def _expect(ours: str, theirs: str | None) -> None:
    """Refuse an answer about another order: what happened to ours is not known then."""
    if theirs and theirs != ours:
        raise seller_error(classify.nonsense("the answer is about another order", writes=True))


def build_seller(
    config: SellerConfig, timeouts: Timeouts = DEFAULT_TIMEOUTS, manners: Manners = DEFAULT_MANNERS
) -> Seller:
    """Build the client for a Seller's settings. All Sellers speak the classic protocol so far."""
    return VtexSeller(config, timeouts, manners)


class SellerPool:
    """The clients of one process: one for each account, built when first asked for.

    All that a process asks of an account goes through one client, so that its rate, pauses and rest when down hold.
    """

    def __init__(
        self,
        configs: Mapping[str, SellerConfig],
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        manners: Manners = DEFAULT_MANNERS,
    ) -> None:
        self._configs = configs
        self._timeouts = timeouts
        self._manners = manners
        self._sellers: dict[str, VtexSeller] = {}

    def get(self, account: str) -> Seller:
        """Give the client of an account. Raises UnknownSeller for an account that is not configured."""
        return self._client(account)

    def catalog(self, account: str) -> SellerCatalog:
        """Give the catalog of an account. Raises UnknownSeller for an account that is not configured."""
        return self._client(account).catalog

    def is_down(self, account: str) -> bool:
        """Whether an account counts as down in this process; False for one that was not asked yet."""
        return account in self._sellers and self._sellers[account].is_down

    async def aclose(self) -> None:
        """Close all clients. The pool may be used again, with new ones."""
        sellers, self._sellers = list(self._sellers.values()), {}
        for seller in sellers:
            await seller.aclose()

    def _client(self, account: str) -> VtexSeller:
        if account not in self._configs:
            raise UnknownSeller(account)
        if account not in self._sellers:
            self._sellers[account] = VtexSeller(self._configs[account], self._timeouts, self._manners)
        return self._sellers[account]
