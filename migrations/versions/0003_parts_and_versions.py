"""uploads in parts, versions of files"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


ID = binary_text(40)

OLD_CHECKS = {
    "failure_code_is_known": "failure_code IN ('SIZE_MISMATCH', 'CHECKSUM_MISMATCH', 'CONTENT_TYPE_MISMATCH')",
    "status_is_known": "status IN ('PENDING', 'COMPLETED', 'FAILED', 'ABORTED', 'EXPIRED')",
}
NEW_CHECKS = {
    "failure_code_is_known": "failure_code IN ('SIZE_MISMATCH', 'CHECKSUM_MISMATCH', 'CONTENT_TYPE_MISMATCH', "
    "'INFECTED', 'NOT_SCANNED', 'NOT_ALLOWED')",
    "status_is_known": "status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'ABORTED', 'EXPIRED')",
    "method_is_known": "method IN ('PUT', 'POST', 'MULTIPART')",
    "exactly_parts_have_a_size": "(method = 'MULTIPART') = (part_size IS NOT NULL)",
}
KEPT_CHECKS = {
    "exactly_a_failed_upload_says_why": (
        "(status = 'FAILED') = (failure_code IS NOT NULL AND failure_message IS NOT NULL)"
    ),
    "on_conflict_is_known": "on_conflict IN ('FAIL', 'RENAME')",
    "size_is_not_negative": "size >= 0",
}


def old_columns() -> list[sa.Column[Any]]:
    return [
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
    ]


def new_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("crc64nvme", binary_text(16), nullable=True),
        sa.Column("method", binary_text(16), server_default="PUT", nullable=False),
        sa.Column("part_size", sa.BigInteger(), nullable=True),
        sa.Column("store_upload_id", binary_text(), nullable=True),
        sa.Column("replaces", ID, nullable=True),
        sa.Column("by_admin", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("look_at", INSTANT, nullable=True),
    ]


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_uploads([*old_columns(), *new_columns()], KEPT_CHECKS | NEW_CHECKS)
    else:
        for column in new_columns():
            op.add_column("uploads", column)
        _replace_checks(OLD_CHECKS, NEW_CHECKS)
    op.execute("UPDATE uploads SET look_at = expires_at WHERE status = 'PENDING'")
    op.create_index(op.f("ix_uploads_replaces"), "uploads", ["replaces"], unique=False)
    for name, columns in (("look_at", ["look_at"]), ("owner_id_size", ["owner_id", "size"])):
        _create_pending_index(f"ix_uploads_pending_{name}", columns)
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", ID, nullable=False),
        sa.Column("part_number", sa.Integer(), nullable=False),
        sa.Column("crc64nvme", binary_text(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["uploads.id"], name=op.f("fk_upload_parts_upload_id_uploads"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "part_number", name=op.f("pk_upload_parts")),
        sqlite_with_rowid=False,
    )
    op.add_column("object_deletions", sa.Column("store_upload_id", binary_text(), nullable=True))
    op.create_table(
        "file_versions",
        sa.Column("id", ID, nullable=False),
        sa.Column("file_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("object_key", binary_text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", binary_text(255), nullable=False),
        sa.Column("detected_content_type", binary_text(255), nullable=True),
        sa.Column("sha256", binary_text(64), nullable=True),
        sa.Column("crc64nvme", binary_text(16), nullable=True),
        sa.Column("evidence", binary_text(16), nullable=True),
        sa.Column("etag", binary_text(), nullable=True),
        sa.Column("created_by", ID, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "(evidence IS NULL) = (sha256 IS NULL AND crc64nvme IS NULL)",
            name=op.f("ck_file_versions_a_checksum_has_evidence_and_no_other"),
        ),
        sa.CheckConstraint(
            "evidence IN ('PROMISED', 'FROM_PARTS', 'FROM_STORE')", name=op.f("ck_file_versions_evidence_is_known")
        ),
        sa.CheckConstraint("size >= 0", name=op.f("ck_file_versions_size_is_not_negative")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_file_versions_created_by_users")),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name=op.f("fk_file_versions_file_id_files"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_versions")),
        sa.UniqueConstraint("file_id", "number", name=op.f("uq_file_versions_file_id_number")),
        sa.UniqueConstraint("object_key", name=op.f("uq_file_versions_object_key")),
    )


def _create_pending_index(name: str, columns: Sequence[str]) -> None:
    is_pending = sa.text("status = 'PENDING'")
    op.create_index(name, "uploads", columns, unique=False, sqlite_where=is_pending, postgresql_where=is_pending)


def _replace_checks(gone: dict[str, str], come: dict[str, str]) -> None:
    for name in gone:
        op.drop_constraint(op.f(f"ck_uploads_{name}"), "uploads", type_="check")
    for name, condition in come.items():
        op.create_check_constraint(op.f(f"ck_uploads_{name}"), "uploads", condition)


def _rebuild_uploads(columns: list[sa.Column[Any]], checks: dict[str, str]) -> None:
    """SQLite cannot change the checks of a table: a new one takes over the rows and the name."""
    op.create_table(
        "uploads_rebuilt",
        *columns,
        *(sa.CheckConstraint(condition, name=op.f(f"ck_uploads_{name}")) for name, condition in checks.items()),
        sa.ForeignKeyConstraint(
            ["folder_id"], ["folders.id"], name=op.f("fk_uploads_folder_id_folders"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_uploads_owner_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.UniqueConstraint("file_id", name=op.f("uq_uploads_file_id")),
        sa.UniqueConstraint("object_key", name=op.f("uq_uploads_object_key")),
    )
    names = ", ".join(column.name for column in old_columns())
    op.execute(f"INSERT INTO uploads_rebuilt ({names}) SELECT {names} FROM uploads")
    op.drop_table("uploads")
    op.rename_table("uploads_rebuilt", "uploads")
    op.create_index(op.f("ix_uploads_created_at_id"), "uploads", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_uploads_folder_id"), "uploads", ["folder_id"], unique=False)
    op.create_index(
        op.f("ix_uploads_owner_id_created_at_id"), "uploads", ["owner_id", "created_at", "id"], unique=False
    )
    _create_pending_index("ix_uploads_pending_expires_at", ["expires_at"])


def downgrade() -> None:
    """Uploads that the older schema cannot say are forgotten."""
    op.drop_table("file_versions")
    op.drop_column("object_deletions", "store_upload_id")
    op.drop_table("upload_parts")
    op.execute("DELETE FROM uploads WHERE status = 'PROCESSING' OR method <> 'PUT' OR replaces IS NOT NULL")
    op.execute(
        "DELETE FROM uploads WHERE failure_code NOT IN ('SIZE_MISMATCH', 'CHECKSUM_MISMATCH', 'CONTENT_TYPE_MISMATCH')"
    )
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_uploads(old_columns(), KEPT_CHECKS | OLD_CHECKS)
        return
    for name in ("pending_owner_id_size", "pending_look_at", "replaces"):
        op.drop_index(f"ix_uploads_{name}", "uploads")
    _replace_checks(NEW_CHECKS, OLD_CHECKS)
    for column in reversed(new_columns()):
        op.drop_column("uploads", column.name)
