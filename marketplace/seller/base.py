"""What the engine asks of a Seller, whatever protocol the Seller speaks.

`Seller` is the whole interface of orders: five questions. VTEX's classic fulfilment protocol (contract section B)
answers them in `client.py`. The order-integration protocol (section C) fits behind the same five: its `place` and
`authorize_dispatch` return once the result notice is in, `EOI007` is `SellerAlreadyDone`, `EOI010` is
`SellerUnknownOutcome`. Which one a Seller speaks is a matter of its settings, never of a workflow.

`SellerCatalog` reads what a Seller sells, over the same connections and with the same manners.

Every method raises a leaf of `marketplace.errors.SellerError`, and nothing else.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from marketplace.catalog import ProductData, SkuData, Terms
from marketplace.checkout import Simulation
from marketplace.orders import CartItem, OrderRequest, SellerOrderPhase


class SellerConfig(BaseModel):
    """One Seller of the sellers file, its secrets resolved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    """VTEX account name: the table's name in the sellers file."""
    affiliate_id: str
    sales_channel: int
    app_key: SecretStr = SecretStr("")
    app_token: SecretStr = SecretStr("")
    base_url: str
    simulation_route: Literal["checkout", "fulfillment"] = "checkout"
    cancel_route: Literal["fulfillment", "oms"] = "fulfillment"
    requests_per_second: float | None = Field(default=None, gt=0)
    price_tolerance: float = Field(default=0.0, ge=0, le=1)
    assortment: Literal["all", "approval", "rules"] = "all"
    assortment_rules: Path | None = None
    """The rule file of `rules`; see `marketplace.assortment.load_rules`."""
    refresh_interval: timedelta | None = timedelta(hours=1)
    """How often everything sold is read anew, notices or not; None for never."""


class Cart(BaseModel):
    """A cart to simulate: lines, and where to (both or neither of postal code and country)."""

    items: list[CartItem]
    postal_code: str | None = None
    country: str | None = None


class PlacementRequest(BaseModel):
    """An order to place, exactly as it stands."""

    order: OrderRequest
    marketplace_services_endpoint: str
    """Base URL for the Seller's callbacks about this order, with its token."""
    prices_may_diverge: bool = False
    """Sent as `isCreatedAsync`: without it VTEX denies an order whose prices differ from its own."""


class OrderRef(BaseModel):
    """How both sides name an order. `order_id` is None while the Seller's answer to the placement is not known."""

    marketplace_order_id: str
    order_id: str | None = None


class Placement(BaseModel):
    """The Seller has the order. Prices that the Seller answered differently from what was sent are in `divergences`."""

    order_id: str
    divergences: list[str] = []


class DispatchReceipt(BaseModel):
    order_id: str
    receipt: str | None = None


class CancelState(StrEnum):
    CONFIRMED = "confirmed"
    """The Seller has canceled the order."""
    DECIDING = "deciding"
    """The Seller took note and answers later: by its cancel callback, or by an invoice, which refuses."""


class CancelAnswer(BaseModel):
    state: CancelState
    receipt: str | None = None


class SellerOrder(BaseModel):
    """An order as the Seller has it now. `value` in cents; None where the answer did not say."""

    order_id: str
    marketplace_order_id: str | None = None
    phase: SellerOrderPhase
    status: str | None = None
    value: int | None = None
    created_at: datetime | None = None


class Seller(Protocol):
    """A Seller that can be asked. One instance per Seller and process; safe to use from many tasks at once."""

    async def simulate(self, cart: Cart) -> Simulation:
        """Ask availability, stock, prices and, with a destination, SLAs. Every line of the cart is answered."""

    async def place(self, request: PlacementRequest) -> Placement:
        """Place an order. Idempotent by its marketplaceOrderId: a repeat raises SellerAlreadyDone."""

    async def authorize_dispatch(self, ref: OrderRef) -> DispatchReceipt:
        """Tell that the marketplace has the money. Send it only then."""

    async def cancel(self, ref: OrderRef, reason: str, *, requested_by_user: bool) -> CancelAnswer:
        """Ask to cancel. A confirmation, or the news that the Seller is deciding."""

    async def read(self, ref: OrderRef) -> SellerOrder:
        """Read the order. Without `order_id`, under the id that the Seller gives to our orders by its own rule.

        Raises SellerRefused with Cause.NOT_FOUND when the Seller has no such order.
        """

    async def aclose(self) -> None:
        """Close the connections."""


class SellerCatalog(Protocol):
    """A Seller's catalog that can be read. One instance per Seller and process; safe to use from many tasks at once."""

    async def read_sku(self, sku_id: str) -> SkuData:
        """Read a SKU's data. Raises SellerRefused with Cause.NOT_FOUND for one that the Seller does not have.

        Source: contract A2.
        """

    async def read_product(self, product_id: str) -> ProductData:
        """Read a product; needed only when `SkuData.needs_product`. Raises SellerRefused with Cause.NOT_FOUND.

        Source: contract A3.
        """

    async def read_terms(self, sku_id: str) -> Terms:
        """Read price and stock of one unit, without a destination. An unknown SKU is answered as not listed.

        Source: contract A5.
        """

    async def list_sku_ids(self, page: int, page_size: int) -> list[str]:
        """List a page of the SKU ids assigned to the sales channel; pages count from 1. The last one is short or empty.

        The list is no snapshot: an id may come twice, and one that is missing is not gone. Source: contract A4.
        """
