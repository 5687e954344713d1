"""what was spent of rate limits"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def binary_text(length: int) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


def upgrade() -> None:
    """Unlogged on PostgreSQL: a charge waits for no disk, and after a crash everybody has all points again. Half of
    each page is left free, so that a row that changes many times a second stays in its own.
    """
    op.create_table(
        "spent_rates",
        sa.Column("key", binary_text(64), nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_spent_rates")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE spent_rates SET UNLOGGED")
        op.execute("ALTER TABLE spent_rates SET (fillfactor = 50)")


def downgrade() -> None:
    op.drop_table("spent_rates")
