"""uploads that wait for a verdict"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

IS_PROCESSING = sa.text("status = 'PROCESSING'")


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


def upgrade() -> None:
    op.add_column("uploads", sa.Column("evidence", binary_text(16), nullable=True))
    op.add_column("uploads", sa.Column("clean_etag", binary_text(), nullable=True))
    op.create_index(
        "ix_uploads_processing_look_at",
        "uploads",
        ["look_at"],
        sqlite_where=IS_PROCESSING,
        postgresql_where=IS_PROCESSING,
    )


def downgrade() -> None:
    op.drop_index("ix_uploads_processing_look_at", "uploads")
    op.drop_column("uploads", "clean_etag")
    op.drop_column("uploads", "evidence")
