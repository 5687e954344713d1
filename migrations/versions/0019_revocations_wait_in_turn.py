"""revocations wait in turn, and count for whoever made them"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

UNTOLD = sa.text("told_number < number")


def upgrade() -> None:
    collated: Any = sa.String(40, collation="C")
    counted_for = sa.String(40).with_variant(collated, "postgresql")
    for column in (
        sa.Column("place", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("told_number", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("has_relays", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("counted_for", counted_for, nullable=True),
    ):
        op.add_column("link_revocations", column)
    op.execute("UPDATE link_revocations SET place = number")
    op.execute("UPDATE link_revocations SET told_number = number WHERE confirmed_at IS NOT NULL")
    op.create_index(
        "ix_link_revocations_untold",
        "link_revocations",
        ["place"],
        unique=False,
        sqlite_where=UNTOLD,
        postgresql_where=UNTOLD,
    )


def downgrade() -> None:
    """What was told and waits for others is told once more."""
    op.drop_index("ix_link_revocations_untold", table_name="link_revocations")
    for name in ("counted_for", "has_relays", "told_number", "place"):
        op.drop_column("link_revocations", name)
