"""bundles go in pieces"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

LAST_ARRIVAL = timedelta(days=37)  # after which no PUT can be under way, whatever the settings


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
    """What was not taken apart yet is: the version before would keep it as a bundle without a file, for good."""
    deleted = "SELECT id FROM bundles WHERE deleted_at IS NOT NULL"
    schedule = sa.text(
        "INSERT INTO object_deletions (object_key, due_at, final_at) "
        f"SELECT object_key, :due_at, :final_at FROM bundle_entries WHERE bundle_id IN ({deleted}) "
        "ON CONFLICT (object_key) DO NOTHING"
    )
    now = datetime.now(UTC)
    if op.get_bind().dialect.name == "sqlite":  # where times are kept without a zone
        now = now.replace(tzinfo=None)
    moment = sa.DateTime(timezone=True)
    op.get_bind().execute(
        schedule.bindparams(sa.bindparam("due_at", now, moment), sa.bindparam("final_at", now + LAST_ARRIVAL, moment))
    )
    op.execute(f"DELETE FROM bundle_entries WHERE bundle_id IN ({deleted})")
    op.execute("DELETE FROM bundles WHERE deleted_at IS NOT NULL")
    op.drop_index(op.f("ix_bundles_deleted_at"), table_name="bundles")
    op.drop_column("bundles", "deleted_at")
