"""The counts of orders that are watched, on both databases."""

from datetime import UTC, datetime

from sqlalchemy import text

from marketplace.orders import Order, OrderItem, OrderStatus, Reason, ReasonCode
from marketplace.store.base import UNDER_WAY, OrderRecord
from marketplace.store.database import Database
from marketplace.store.orders import SqlOrderStore

AT = datetime(2026, 3, 1, tzinfo=UTC)
S, R = OrderStatus, ReasonCode
ORDERS: list[tuple[str, OrderStatus, ReasonCode | None]] = [
    ("acme", S.HANDLING, None),
    ("acme", S.HANDLING, None),
    ("acme", S.PLACING, R.SELLER_CREDENTIALS),
    ("acme", S.DELIVERED, None),
    ("acme", S.CANCELED, R.INVOICED_AFTER_END),
    ("other", S.SHIPPED, None),
    ("unasked", S.PLACING, R.SELLER_CREDENTIALS),
]


async def save(store: SqlOrderStore, number: int, seller: str, status: OrderStatus, reason: ReasonCode | None) -> None:
    order = Order(
        marketplace_order_id=f"n-{number}",
        seller=seller,
        status=status,
        reason=Reason(code=reason, message="m") if reason else None,
        needs_attention=reason is not None,
        items=[OrderItem(id="1", quantity=1, price=1000)],
        marketplace_payment_value=1000,
        history=[],
    )
    await store.save(OrderRecord(order=order, digest="d", version=1, created_at=AT, updated_at=AT))


async def test_orders_under_way_and_parked_ones_are_counted(store: SqlOrderStore) -> None:
    for number, one in enumerate(ORDERS):
        await save(store, number, *one)
    counts = await store.counts(["acme", "other", "without"])
    assert counts.parked == {"seller-credentials": 2, "invoiced-after-end": 1}
    none = dict.fromkeys(UNDER_WAY, 0)
    assert counts.under_way == {
        "acme": {**none, S.HANDLING: 2, S.PLACING: 1},
        "other": {**none, S.SHIPPED: 1},
        "without": none,
    }


async def test_the_count_looks_at_an_index_alone_whatever_has_ended(migrated_url: str, store: SqlOrderStore) -> None:
    for number, one in enumerate(ORDERS):
        await save(store, number, *one)
    database = Database(migrated_url)
    query = (
        "SELECT seller, status, count(*) FROM orders WHERE seller IN ('acme', 'other')"
        " AND status IN ('handling', 'placing') GROUP BY seller, status"
    )
    async with database.transaction() as connection:
        if database.is_postgresql:
            # So small a table would be read whole.
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN " if database.is_postgresql else "EXPLAIN QUERY PLAN "
        plan = "\n".join(str(row) for row in (await connection.execute(text(explain + query))).all())
    await database.aclose()
    assert "orders_by_seller_and_status" in plan
