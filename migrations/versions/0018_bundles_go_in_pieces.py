"""bundles go in pieces"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bundles", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    is_deleted = sa.text("deleted_at IS NOT NULL")
    op.create_index(
        op.f("ix_bundles_deleted_at"),
        "bundles",
        ["deleted_at"],
        unique=False,
        sqlite_where=is_deleted,
        postgresql_where=is_deleted,
    )


def downgrade() -> None:
    """What was not taken apart yet stays as a bundle without a file."""
    op.drop_index(op.f("ix_bundles_deleted_at"), table_name="bundles")
    op.drop_column("bundles", "deleted_at")
