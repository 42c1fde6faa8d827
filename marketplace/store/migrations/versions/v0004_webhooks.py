"""Create the table of webhooks: what the storefront is to be told, and what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    name = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", name, primary_key=True),
        sa.Column("marketplace_order_id", name, nullable=False),
        sa.Column("seller", sa.String(128), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("last_attempt_at", sa.BigInteger, nullable=True),
        sa.Column("last_status", sa.BigInteger, nullable=True),
        sa.Column("last_error", sa.Text, nullable=True),
        sa.Column("delivered_at", sa.BigInteger, nullable=True),
    )
    op.create_index("webhook_deliveries_by_order", "webhook_deliveries", ["marketplace_order_id", "sequence"])
    op.create_index("webhook_deliveries_by_time", "webhook_deliveries", ["occurred_at", "sequence", "id"])
    op.create_index("webhook_deliveries_by_state", "webhook_deliveries", ["state", "occurred_at", "sequence", "id"])
