"""The order record: what the marketplace may ask about orders without asking Temporal.

Only the order's workflow writes it, through an activity, so a record that lags behind is mended by the next write.
"""

from typing import Protocol

from pydantic import AwareDatetime, Field

from marketplace.errors import EngineError
from marketplace.orders import Model, Order, OrderStatus, PaymentReport


class OrderIdTaken(EngineError):  # noqa: N818 - it names what is the matter
    """Another Seller's order holds this marketplaceOrderId."""


class StoreUnavailable(EngineError):  # noqa: N818
    """The database cannot be reached or did not do its work. Try again."""


class BadCursor(EngineError):  # noqa: N818
    """A page's cursor was not given out by this store."""


class SchemaUnknown(EngineError):  # noqa: N818
    """The database was migrated by a newer version of the engine, and this one cannot use it."""


class OrderRecord(Model):
    """An order with what the engine needs to know about it later. Holds no personal data of the customer."""

    order: Order
    digest: str
    """Fingerprint of the request as first posted; tells a repeated request from a changed one."""
    version: int = Field(ge=0)
    """Counts the workflow's writes: a higher one is newer."""
    payment: PaymentReport | None = None
    event_ids: list[str] = []
    """Ids of the Seller's events that are in the order, to answer a repeated one as the first time."""
    created_at: AwareDatetime
    updated_at: AwareDatetime


class OrderPage(Model):
    """Some orders, newest first. `next_cursor` leads to the next page; None on the last."""

    orders: list[Order]
    next_cursor: str | None = None


class OrderStore(Protocol):
    """Keeps order records. Safe to use from many tasks at once. Every method may raise StoreUnavailable."""

    async def save(self, record: OrderRecord) -> None:
        """Keep a record. Idempotent, and an older version never overwrites a newer one: it is silently left out.

        `created_at` stays as first saved, so that pages keep their order. Raises OrderIdTaken when another Seller's
        order has the id.
        """

    async def get(self, marketplace_order_id: str) -> OrderRecord | None:
        """The record of an order, None when there is none."""

    async def list(
        self,
        status: OrderStatus | None = None,
        seller: str | None = None,
        needs_attention: bool | None = None,  # noqa: FBT001 - a filter like the others
        limit: int = 50,
        cursor: str | None = None,
    ) -> OrderPage:
        """A page of at most `limit` (1 or more) orders that match every filter given, newest first.

        Raises BadCursor for a cursor that is not a page's `next_cursor`.
        """

    async def ping(self) -> None:
        """Return when the database answers a query."""

    async def aclose(self) -> None:
        """Close the connections."""
