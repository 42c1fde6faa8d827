"""Create the table of orders."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column(
            "marketplace_order_id",
            sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql"),
            primary_key=True,
        ),
        sa.Column("seller", sa.String(128), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("needs_attention", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("order", sa.Text, nullable=False),
        sa.Column("payment", sa.Text, nullable=True),
        sa.Column("event_ids", sa.Text, nullable=False),
    )
    page = ["created_at", "marketplace_order_id"]
    op.create_index("orders_by_time", "orders", page)
    op.create_index("orders_by_status", "orders", ["status", *page])
    op.create_index("orders_by_seller", "orders", ["seller", *page])
    op.create_index("orders_by_seller_and_status", "orders", ["seller", "status", *page])
    op.create_index(
        "orders_in_need",
        "orders",
        page,
        sqlite_where=sa.text("needs_attention = 1"),
        postgresql_where=sa.text("needs_attention"),
    )
