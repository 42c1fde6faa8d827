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

offers = Table(
    "offers",
    metadata,
    Column("seller", _ID, primary_key=True),
    # A number, so that pages run in the order in which people count. Contract section 0: at most 2,147,483,647.
    Column("sku_id", BigInteger, primary_key=True, autoincrement=False),
    Column("status", String(16), nullable=False),
    Column("sold", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    # Microseconds as above; -1 for never.
    Column("last_synced_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("offer", Text, nullable=False),
    Index("offers_by_status", "seller", "status", "sku_id"),
    # Its last column lets a refresh pass over what was read meanwhile without looking at the rows.
    Index(
        "offers_sold",
        "seller",
        "changed_at",
        "sku_id",
        "last_synced_at",
        sqlite_where=text("sold = 1"),
        postgresql_where=text("sold"),
    ),
)

journal = Table(
    "journal",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("seller", _ID, nullable=False),
    Column("operation", String(32), nullable=False),
    Column("direction", String(32), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("status", String(16), nullable=False),
    Column("code", String(8), nullable=True),
    Column("business_message", Text, nullable=False),
    Column("content_source", Text, nullable=True),
    Column("content_translated", Text, nullable=True),
    Column("content_destination", Text, nullable=True),
    Index("journal_by_time", "at"),
    Index("journal_by_seller", "seller", "at", "id"),
    Index("journal_by_seller_and_status", "seller", "status", "at", "id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("marketplace_order_id", _ID, nullable=False),
    Column("seller", String(128), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", String(32), nullable=False),
    Column("status", String(32), nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("last_attempt_at", BigInteger, nullable=True),
    Column("last_status", BigInteger, nullable=True),
    Column("last_error", Text, nullable=True),
    Column("delivered_at", BigInteger, nullable=True),
    Index("webhook_deliveries_by_order", "marketplace_order_id", "sequence"),
    Index("webhook_deliveries_by_time", "occurred_at", "sequence", "id"),
    Index("webhook_deliveries_by_state", "state", "occurred_at", "sequence", "id"),
)
