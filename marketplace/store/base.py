"""What is kept outside Temporal: the order record, the offers, the journal and the delivery log of webhooks.

Only the order's workflow writes the order record, through an activity, so one that lags behind is mended by the next
write. Offers are changed by pure functions, in transactions; the journal only grows, until it is purged.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import date, datetime
from typing import Final, Protocol

from pydantic import AwareDatetime, Field

from marketplace.catalog import Offer, OfferStatus
from marketplace.errors import EngineError
from marketplace.journal import JournalEntry, JournalStatus
from marketplace.orders import Model, Order, OrderStatus, PaymentReport
from marketplace.webhooks import Attempt, Delivery, DeliveryState

ERASED_VERSION: Final = 2**53 - 1
"""The version of an erased record: no workflow writes a higher one, so nothing that comes late brings data back."""


class OrderIdTaken(EngineError):  # noqa: N818 - it names what is the matter
    """Another Seller's order holds this marketplaceOrderId."""


class StoreUnavailable(EngineError):  # noqa: N818
    """The database cannot be reached or did not do its work. Try again."""


class BadCursor(EngineError):  # noqa: N818
    """A page's cursor was not given out by this store."""


class SchemaUnknown(EngineError):  # noqa: N818
    """The database was migrated by a newer version of the engine, and this one cannot use it."""


class SchemaMissing(EngineError):  # noqa: N818
    """The database has no tables of this version yet, and the one who asks is not to make them."""


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


class OrderCounts(Model):
    """How many orders there are of the kinds that somebody watches."""

    under_way: dict[str, dict[OrderStatus, int]]
    """By Seller and status; every Seller asked for and every status of UNDER_WAY is there."""
    parked: dict[str, int]
    """Orders that need attention, by the code of their reason."""


UNDER_WAY = (
    OrderStatus.SIMULATING,
    OrderStatus.PLACING,
    OrderStatus.PAYMENT_PENDING,
    OrderStatus.PAYMENT_APPROVED,
    OrderStatus.AUTHORIZING_FULFILLMENT,
    OrderStatus.HANDLING,
    OrderStatus.INVOICED,
    OrderStatus.SHIPPED,
    OrderStatus.CANCELLATION_REQUESTED,
)
"""Statuses of orders that are counted: those still on their way. What was delivered or has ended only grows."""

Events = Callable[[Order | None, Order], Iterable[Delivery]]
"""From an order's last record, None for the first, and the new one to what the storefront is to be told."""


class OrderStore(Protocol):
    """Keeps order records. Safe to use from many tasks at once. Every method may raise StoreUnavailable."""

    async def save(
        self, record: OrderRecord, entries: Iterable[JournalEntry] = (), events: Events | None = None
    ) -> bool:
        """Keep a record, what the journal tells of it and what the storefront is to be told: all of it or nothing.

        Idempotent: what has no higher `version` than what is kept is silently left out, unless it is later by more than
        a minute, as after a reset of the workflow. `created_at` stays as first
        saved, so that pages keep their order. Raises OrderIdTaken when another Seller's order has the id.
        Returns whether the storefront is to be told something of this order; without `events` that is nothing.
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

    async def erase(self, marketplace_order_id: str, at: datetime) -> OrderRecord | None:
        """Take what is personal, or could be, out of all that is kept of an order; the record, None when there is none.

        That is the record (`marketplace.erasure`), what the journal tells of it, and its lines of the delivery log but
        those still to be delivered. Whatever `save` brings later is left out, so the order must have come to its end.
        May be repeated: the record then stays as it is.
        """

    async def counts(self, sellers: Collection[str]) -> OrderCounts:
        """How many orders of these Sellers are under way, and how many orders wait for an operator. Cheap."""

    async def ping(self) -> None:
        """Return when the database answers a query."""


Change = Callable[[str, Offer | None], Offer]
"""From a SKU id and its offer, None for a new one, to the offer as it shall be."""
Tell = Callable[[Offer | None, Offer], Iterable[JournalEntry]]
"""From an offer before and after a change to what the journal says of it."""


def tell_nothing(_before: Offer | None, _after: Offer) -> Iterable[JournalEntry]:
    """The journal says nothing of the change."""
    return ()


class OfferPage(Model):
    """Some offers of one Seller, by SKU id. `next_cursor` leads to the next page; None on the last."""

    offers: list[Offer]
    next_cursor: str | None = None


class DuePage(Model):
    """Some SKUs to read anew. `next_cursor` leads to the next page; None on the last."""

    sku_ids: list[str]
    next_cursor: str | None = None


class OfferStore(Protocol):
    """Keeps offers. Safe to use from many tasks and processes at once. Every method may raise StoreUnavailable.

    SKU ids are `marketplace.catalog.SkuId`; a text that is no number raises ValueError.
    """

    async def get(self, seller: str, sku_id: str) -> Offer | None:
        """The offer of a SKU, None when it was never heard of."""

    async def get_many(self, seller: str, ids: Iterable[str]) -> dict[str, Offer]:
        """The offers of some SKUs by their id; one that was never heard of is not among them."""

    async def change(self, seller: str, ids: Iterable[str], change: Change, tell: Tell = tell_nothing) -> list[Offer]:
        """Change the offers of some SKUs by a function of id and offer (None for a new one): all of them, or none.

        No concurrent change is lost. Both functions must be pure, since they may be called again with what another
        change has written meanwhile; an offer that `change` returns as the very object it was given is not written.
        What `tell` makes of each offer before and after goes to the journal with the change, or not at all. Returns
        the offers as they are now, in the order of the ids, an id that is there twice only once.
        """

    async def page(
        self, seller: str, status: OfferStatus | None = None, limit: int = 50, cursor: str | None = None
    ) -> OfferPage:
        """A page of at most `limit` (1 or more) offers by SKU id, lowest number first.

        Raises BadCursor for a cursor that is not a page's `next_cursor`.
        """

    async def due(self, seller: str, before: datetime, limit: int = 500, after: str | None = None) -> DuePage:
        """What to read anew: SKUs sold here whose last reading began before a time, the recently changed first.

        A pass from page to page meets each SKU at most once, also when it cannot be read: such a one stays due, for
        the next pass. `after` is the former page's `next_cursor`; BadCursor for anything else.
        """

    async def counts(self, seller: str) -> dict[OfferStatus, int]:
        """How many offers of a Seller have each status; every status is there."""


class JournalPage(Model):
    """Some journal entries of one Seller, newest first. `next_cursor` leads to the next page; None on the last."""

    entries: list[JournalEntry]
    next_cursor: str | None = None


class Journal(Protocol):
    """Keeps what was exchanged, for a while. Every method may raise StoreUnavailable."""

    async def append(self, entries: Iterable[JournalEntry]) -> None:
        """Keep entries, all or none. One whose id is there already is silently left out."""

    async def page(
        self,
        seller: str,
        day: date | None = None,
        statuses: Collection[JournalStatus] = (),
        limit: int = 50,
        cursor: str | None = None,
    ) -> JournalPage:
        """A page of at most `limit` (1 or more) entries, newest first: of a day in UTC, and of some statuses if given.

        Raises BadCursor for a cursor that is not a page's `next_cursor`.
        """

    async def purge(self, before: datetime) -> int:
        """Remove all entries older than a time, some at a time so that nobody waits long; how many they were."""


class DeliveryPage(Model):
    """Some lines of the delivery log, newest first. `next_cursor` leads to the next page; None on the last."""

    deliveries: list[Delivery]
    next_cursor: str | None = None


class WebhookStore(Protocol):
    """Keeps the delivery log. Every method may raise StoreUnavailable."""

    async def get(self, event_id: str) -> Delivery | None:
        """An event, None when it was never there or is there no more."""

    async def page(
        self,
        marketplace_order_id: str | None = None,
        state: DeliveryState | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> DeliveryPage:
        """A page of at most `limit` (1 or more) events that match every filter given, newest first.

        Raises BadCursor for a cursor that is not a page's `next_cursor`.
        """

    async def pending(self, marketplace_order_id: str, limit: int) -> list[Delivery]:
        """The first events of an order that are to be delivered, by their sequence."""

    async def tried(self, event_id: str, attempt: Attempt, at: datetime) -> None:
        """Keep what came of sending an event: delivered, given up when the receiver does not want it, or counted."""

    async def give_up(self, event_id: str) -> None:
        """Mark an event that is still pending as failed."""

    async def requeue(self, event_ids: Iterable[str], at: datetime) -> int:
        """Make events pending again that are not; how many they were."""

    async def purge(self, before: datetime) -> int:
        """Remove the events older than a time that are not pending, some at a time; how many they were."""
