"""What the stores' tests put into them."""

import base64
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from marketplace.catalog import DecidedBy, Decision, Offer, SkuData
from marketplace.journal import Direction, JournalEntry, JournalStatus, Operation
from marketplace.orders import HistoryEntry, Order, OrderItem, OrderStatus
from marketplace.store.base import OfferStore, OrderRecord

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def record(
    marketplace_order_id: str = "MKP-1", *, seller: str = "acme", version: int = 1, **changes: Any
) -> OrderRecord:
    created_at = changes.pop("created_at", AT)
    order = Order(
        marketplace_order_id=marketplace_order_id,
        seller=seller,
        status=changes.pop("status", OrderStatus.PAYMENT_PENDING),
        needs_attention=changes.pop("needs_attention", False),
        items=[OrderItem(id="1", quantity=2, price=9990)],
        marketplace_payment_value=19980,
        history=[HistoryEntry(at=AT, status=OrderStatus.SIMULATING, detail=f"version {version}")],
    )
    return OrderRecord(
        order=order, digest="d" * 64, version=version, created_at=created_at, updated_at=created_at, **changes
    )


def offer(number: int = 7, *, seller: str = "acme", **changes: Any) -> Offer:
    """An offer that is listed, read at AT."""
    values: dict[str, Any] = {
        "decision": Decision.INCLUDED,
        "decided_by": DecidedBy.POLICY,
        "data": SkuData(id=str(number), product_id="1", name=f"SKU {number}", is_active=True),
        "price": 9990,
        "stock": 5,
        "last_synced_at": AT,
        "changed_at": AT,
    }
    return Offer(seller=seller, id=str(number), **{**values, **changes})


def entry(id_: str, **changes: Any) -> JournalEntry:
    values: dict[str, Any] = {
        "at": AT,
        "seller": "acme",
        "operation": Operation.PRICE_UPDATE,
        "direction": Direction.FROM_SELLER,
        "subject": "7",
        "status": JournalStatus.SUCCESS,
    }
    return JournalEntry(id=id_, **{**values, **changes})


def cursor_of(content: str) -> str:
    """A cursor of our own making."""
    return base64.urlsafe_b64encode(content.encode()).decode()


async def put(store: OfferStore, *known: Offer) -> None:
    """Write offers as they are."""
    for seller in {one.seller for one in known}:
        by_id = {one.id: one for one in known if one.seller == seller}
        await store.change(seller, by_id, lambda sku_id, _, by_id=by_id: by_id[sku_id])  # type: ignore[misc]


def one_more(sku_id: str, known: Offer | None) -> Offer:
    """A change that counts how often it was made."""
    before = known or offer(int(sku_id), stock=0, version=0)
    return before.model_copy(update={"stock": (before.stock or 0) + 1, "version": before.version + 1})


async def fastest(read: Callable[[], Awaitable[Any]], tries: int = 3) -> float:
    """Seconds that it takes when nothing else is in the way."""
    times = []
    for _ in range(tries):
        before = time.perf_counter()
        await read()
        times.append(time.perf_counter() - before)
    return min(times)
