"""Create the table of offers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "offers",
        sa.Column(
            "seller",
            sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql"),
            primary_key=True,
        ),
        sa.Column("sku_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("sold", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("last_synced_at", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.Column("offer", sa.Text, nullable=False),
    )
    op.create_index("offers_by_status", "offers", ["seller", "status", "sku_id"])
    op.create_index(
        "offers_sold",
        "offers",
        ["seller", "changed_at", "sku_id", "last_synced_at"],
        sqlite_where=sa.text("sold = 1"),
        postgresql_where=sa.text("sold"),
    )
