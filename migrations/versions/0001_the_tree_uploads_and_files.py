"""the tree, uploads and files"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROOT_FOLDER_ID = "folder_" + "0" * 26
INSTANT = sa.DateTime(timezone=True)


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


ID = binary_text(40)


def upgrade() -> None:
    op.create_table(
        "object_deletions",
        sa.Column("object_key", binary_text(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("final_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("object_key", name=op.f("pk_object_deletions")),
    )
    op.create_index(op.f("ix_object_deletions_due_at"), "object_deletions", ["due_at"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", ID, nullable=False),
        sa.Column("issuer", binary_text(), nullable=False),
        sa.Column("subject", binary_text(), nullable=False),
        sa.Column("display_name", binary_text(), nullable=False),
        sa.Column("email", binary_text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index(op.f("ix_users_issuer_subject"), "users", ["issuer", "subject"], unique=True)
    op.create_table(
        "folders",
        sa.Column("id", ID, nullable=False),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("owner_id", ID, nullable=True),
        sa.Column("home_of", ID, nullable=True),
        sa.Column("name", binary_text(), nullable=False),
        sa.Column("name_key", binary_text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "(parent_id IS NULL) = (id = 'folder_00000000000000000000000000')",
            name=op.f("ck_folders_only_the_root_has_no_parent"),
        ),
        sa.ForeignKeyConstraint(["home_of"], ["users.id"], name=op.f("fk_folders_home_of_users")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_folders_owner_id_users")),
        sa.ForeignKeyConstraint(["parent_id"], ["folders.id"], name=op.f("fk_folders_parent_id_folders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_folders")),
        sa.UniqueConstraint("home_of", name=op.f("uq_folders_home_of")),
    )
    op.create_index(op.f("ix_folders_owner_id_name_key_id"), "folders", ["owner_id", "name_key", "id"], unique=False)
    op.create_index(op.f("ix_folders_parent_id_name_key_id"), "folders", ["parent_id", "name_key", "id"], unique=False)
    op.create_table(
        "files",
        sa.Column("id", ID, nullable=False),
        sa.Column("folder_id", ID, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("name", binary_text(), nullable=False),
        sa.Column("name_key", binary_text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", binary_text(255), nullable=False),
        sa.Column("stored_content_type", binary_text(255), nullable=False),
        sa.Column("detected_content_type", binary_text(255), nullable=True),
        sa.Column("sha256", binary_text(64), nullable=True),
        sa.Column("object_key", binary_text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint("size >= 0", name=op.f("ck_files_size_is_not_negative")),
        sa.ForeignKeyConstraint(["folder_id"], ["folders.id"], name=op.f("fk_files_folder_id_folders")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_files_owner_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("object_key", name=op.f("uq_files_object_key")),
    )
    op.create_index(op.f("ix_files_created_at_id"), "files", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_files_folder_id_created_at_id"), "files", ["folder_id", "created_at", "id"], unique=False)
    op.create_index(op.f("ix_files_folder_id_name_key_id"), "files", ["folder_id", "name_key", "id"], unique=False)
    op.create_index(op.f("ix_files_name_key_id"), "files", ["name_key", "id"], unique=False)
    op.create_index(op.f("ix_files_owner_id_created_at_id"), "files", ["owner_id", "created_at", "id"], unique=False)
    op.create_index(op.f("ix_files_owner_id_name_key_id"), "files", ["owner_id", "name_key", "id"], unique=False)
    op.create_index(op.f("ix_files_owner_id_size_id"), "files", ["owner_id", "size", "id"], unique=False)
    op.create_index(op.f("ix_files_size_id"), "files", ["size", "id"], unique=False)
    op.create_table(
        "folder_entries",
        sa.Column("folder_id", ID, nullable=False),
        sa.Column("name_key", binary_text(), nullable=False),
        sa.Column("entry_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["folder_id"], ["folders.id"], name=op.f("fk_folder_entries_folder_id_folders")),
        sa.PrimaryKeyConstraint("folder_id", "name_key", name=op.f("pk_folder_entries")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_folder_entries_entry_id")),
    )
    op.create_table(
        "uploads",
        sa.Column("id", ID, nullable=False),
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("folder_id", ID, nullable=True),
        sa.Column("file_id", ID, nullable=False),
        sa.Column("filename", binary_text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", binary_text(255), nullable=False),
        sa.Column("sha256", binary_text(64), nullable=True),
        sa.Column("object_key", binary_text(), nullable=False),
        sa.Column("on_conflict", binary_text(16), nullable=False),
        sa.Column("status", binary_text(16), nullable=False),
        sa.Column("failure_code", binary_text(32), nullable=True),
        sa.Column("failure_message", binary_text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "(status = 'FAILED') = (failure_code IS NOT NULL AND failure_message IS NOT NULL)",
            name=op.f("ck_uploads_exactly_a_failed_upload_says_why"),
        ),
        sa.CheckConstraint(
            "failure_code IN ('SIZE_MISMATCH', 'CHECKSUM_MISMATCH', 'CONTENT_TYPE_MISMATCH')",
            name=op.f("ck_uploads_failure_code_is_known"),
        ),
        sa.CheckConstraint("on_conflict IN ('FAIL', 'RENAME')", name=op.f("ck_uploads_on_conflict_is_known")),
        sa.CheckConstraint(
            "status IN ('PENDING', 'COMPLETED', 'FAILED', 'ABORTED', 'EXPIRED')",
            name=op.f("ck_uploads_status_is_known"),
        ),
        sa.CheckConstraint("size >= 0", name=op.f("ck_uploads_size_is_not_negative")),
        sa.ForeignKeyConstraint(
            ["folder_id"], ["folders.id"], name=op.f("fk_uploads_folder_id_folders"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_uploads_owner_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.UniqueConstraint("file_id", name=op.f("uq_uploads_file_id")),
        sa.UniqueConstraint("object_key", name=op.f("uq_uploads_object_key")),
    )
    op.create_index(op.f("ix_uploads_created_at_id"), "uploads", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_uploads_folder_id"), "uploads", ["folder_id"], unique=False)
    op.create_index(
        op.f("ix_uploads_owner_id_created_at_id"), "uploads", ["owner_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_uploads_pending_expires_at",
        "uploads",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("status = 'PENDING'"),
        postgresql_where=sa.text("status = 'PENDING'"),
    )

    now = datetime.now(UTC)
    if op.get_bind().dialect.name == "sqlite":
        now = now.replace(tzinfo=None)  # SQLite keeps the UTC wall time as text
    folders = sa.table(
        "folders",
        *(sa.column(name) for name in ("id", "name", "name_key")),
        sa.column("created_at", INSTANT),
        sa.column("updated_at", INSTANT),
    )
    op.bulk_insert(folders, [{"id": ROOT_FOLDER_ID, "name": "", "name_key": "", "created_at": now, "updated_at": now}])


def downgrade() -> None:
    for table in ("uploads", "folder_entries", "files", "folders", "users", "object_deletions"):
        op.drop_table(table)
