"""The tables. A change here needs a migration beside it; a test compares the two."""

from sqlalchemy import BigInteger, Boolean, Column, Index, MetaData, String, Table, Text, text

metadata = MetaData()

# Bytewise order on PostgreSQL too, whatever the database's locale: pages are cut the same on both databases.
_ID = String(128).with_variant(String(128, collation="C"), "postgresql")

orders = Table(
    "orders",
    metadata,
    Column("marketplace_order_id", _ID, primary_key=True),
    Column("seller", String(128), nullable=False),
    Column("status", String(32), nullable=False),
    Column("needs_attention", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    # Microseconds since 1970 in UTC. SQLite has no time type and compares texts; integers are exact on both.
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # JSON as text: it is read and written whole, and never searched.
    Column("order", Text, nullable=False),
    Column("payment", Text, nullable=True),
    Column("event_ids", Text, nullable=False),
    # Each index ends with the page's sort key, so that a page reads its rows and no more.
    Index("orders_by_time", "created_at", "marketplace_order_id"),
    Index("orders_by_status", "status", "created_at", "marketplace_order_id"),
    Index("orders_by_seller", "seller", "created_at", "marketplace_order_id"),
    Index("orders_by_seller_and_status", "seller", "status", "created_at", "marketplace_order_id"),
    Index(
        "orders_in_need",
        "created_at",
        "marketplace_order_id",
        sqlite_where=text("needs_attention = 1"),
        postgresql_where=text("needs_attention"),
    ),
)
