"""Create the table of the journal."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    name = sa.String(128).with_variant(sa.String(128, collation="C"), "postgresql")
    op.create_table(
        "journal",
        sa.Column("id", name, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("seller", name, nullable=False),
        sa.Column("operation", sa.String(32), nullable=False),
        sa.Column("direction", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("code", sa.String(8), nullable=True),
        sa.Column("business_message", sa.Text, nullable=False),
        sa.Column("content_source", sa.Text, nullable=True),
        sa.Column("content_translated", sa.Text, nullable=True),
        sa.Column("content_destination", sa.Text, nullable=True),
    )
    op.create_index("journal_by_time", "journal", ["at"])
    op.create_index("journal_by_seller", "journal", ["seller", "at", "id"])
    op.create_index("journal_by_seller_and_status", "journal", ["seller", "status", "at", "id"])
