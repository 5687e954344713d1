"""jobs that transactions leave behind, and events of the store that failed"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
OPEN = sa.text("failed_at IS NULL")


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", binary_text(40), nullable=False),
        sa.Column("kind", binary_text(32), nullable=False),
        sa.Column("subject", binary_text(), nullable=False),
        sa.Column("payload", binary_text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease", binary_text(32), nullable=True),
        sa.Column("leased_until", INSTANT, nullable=True),
        sa.Column("last_error", binary_text(32), nullable=True),
        sa.Column("failed_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(
        "ix_jobs_open_kind_subject",
        "jobs",
        ["kind", "subject"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_index("ix_jobs_open_due_at", "jobs", ["due_at"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("ix_jobs_failed_at", "jobs", ["failed_at"])
    op.create_table(
        "failed_events",
        sa.Column("message_id", binary_text(), nullable=False),
        sa.Column("reason", binary_text(64), nullable=False),
        sa.Column("receives", sa.Integer(), nullable=False),
        sa.Column("body", binary_text(), nullable=False),
        sa.Column("failed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_failed_events")),
    )
    op.create_index(op.f("ix_failed_events_failed_at"), "failed_events", ["failed_at"])


def downgrade() -> None:
    op.drop_table("failed_events")
    op.drop_table("jobs")
