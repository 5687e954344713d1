"""files whose bytes are many objects"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
STATUSES = ("PENDING", "COMPLETED", "ABORTED")
MODES = ("FAIL", "RENAME")


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


ID = binary_text(40)
TYPE = binary_text(255)


def upgrade() -> None:
    op.create_table(
        "bundles",
        sa.Column("id", ID, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("folder_id", ID, nullable=True),
        sa.Column("name", binary_text(), nullable=False),
        sa.Column("main_path", binary_text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", TYPE, nullable=False),
        sa.Column("on_conflict", binary_text(16), nullable=False),
        sa.Column("entry_count", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("status", binary_text(16), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "missing >= 0 AND missing <= entry_count", name=op.f("ck_bundles_no_more_is_missing_than_there_is")
        ),
        sa.CheckConstraint(
            "(status = 'COMPLETED') = (missing = 0)", name=op.f("ck_bundles_exactly_a_completed_one_is_whole")
        ),
        sa.CheckConstraint(f"status IN {STATUSES}", name=op.f("ck_bundles_status_is_known")),
        sa.CheckConstraint(f"on_conflict IN {MODES}", name=op.f("ck_bundles_on_conflict_is_known")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_bundles_owner_id_users")),
        sa.ForeignKeyConstraint(
            ["folder_id"], ["folders.id"], name=op.f("fk_bundles_folder_id_folders"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundles")),
    )
    op.create_index(op.f("ix_bundles_folder_id"), "bundles", ["folder_id"], unique=False)
    op.create_table(
        "bundle_entries",
        sa.Column("bundle_id", ID, nullable=False),
        sa.Column("path", binary_text(), nullable=False),
        sa.Column("object_key", binary_text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", TYPE, nullable=False),
        sa.Column("detected_content_type", TYPE, nullable=True),
        sa.Column("sha256", binary_text(64), nullable=True),
        sa.Column("crc64nvme", binary_text(16), nullable=True),
        sa.Column("etag", binary_text(), nullable=True),
        sa.Column("altered_at", INSTANT, nullable=True),
        sa.Column("infected_at", INSTANT, nullable=True),
        sa.CheckConstraint("size >= 0", name=op.f("ck_bundle_entries_size_is_not_negative")),
        sa.ForeignKeyConstraint(
            ["bundle_id"], ["bundles.id"], name=op.f("fk_bundle_entries_bundle_id_bundles"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("bundle_id", "path", name=op.f("pk_bundle_entries")),
        sa.UniqueConstraint("object_key", name=op.f("uq_bundle_entries_object_key")),
        sqlite_with_rowid=False,
    )
    op.add_column("uploads", sa.Column("bundle_id", ID, nullable=True))
    op.create_index(op.f("ix_uploads_bundle_id"), "uploads", ["bundle_id"], unique=False)


def downgrade() -> None:
    """The older schema cannot say what a bundle is: it stays a file with one object."""
    op.drop_index(op.f("ix_uploads_bundle_id"), table_name="uploads")
    op.drop_column("uploads", "bundle_id")
    op.drop_table("bundle_entries")
    op.drop_table("bundles")
