"""Uploads, and what they leave at the store."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, false, text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import MAX_CONTENT_TYPE_LENGTH, Base, one_of
from graphql_api.db.types import binary_text
from graphql_api.model.ids import MAX_ID_LENGTH
from graphql_api.model.upload import OnConflict, UploadFailureCode, UploadMethod, UploadStatus


class UploadRow(Base):
    """One upload. ``status`` moves by conditional UPDATE and never back. ``folder_id`` goes when the folder goes.

    ``look_at``: when to look whether the bytes are there although nobody said so, and, while PROCESSING, whether their
    verdict is; None: not before it expires. ``bundle_id``: what it brings is an entry of that, ``filename`` its path.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size_is_not_negative"),
        CheckConstraint(one_of("status", UploadStatus), name="status_is_known"),
        CheckConstraint(one_of("on_conflict", OnConflict), name="on_conflict_is_known"),
        CheckConstraint(one_of("method", UploadMethod), name="method_is_known"),
        CheckConstraint("(method = 'MULTIPART') = (part_size IS NOT NULL)", name="exactly_parts_have_a_size"),
        CheckConstraint(one_of("failure_code", UploadFailureCode), name="failure_code_is_known"),
        CheckConstraint(
            "(status = 'FAILED') = (failure_code IS NOT NULL AND failure_message IS NOT NULL)",
            name="exactly_a_failed_upload_says_why",
        ),
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "created_at", "id"),
        Index(None, "folder_id"),
        Index(
            "ix_uploads_pending_expires_at",
            "expires_at",
            sqlite_where=text("status = 'PENDING'"),
            postgresql_where=text("status = 'PENDING'"),
        ),
        Index(
            "ix_uploads_pending_look_at",
            "look_at",
            sqlite_where=text("status = 'PENDING'"),
            postgresql_where=text("status = 'PENDING'"),
        ),
        Index(
            "ix_uploads_processing_look_at",
            "look_at",
            sqlite_where=text("status = 'PROCESSING'"),
            postgresql_where=text("status = 'PROCESSING'"),
        ),
        Index(
            "ix_uploads_pending_owner_id_size",
            "owner_id",
            "size",
            sqlite_where=text("status = 'PENDING'"),
            postgresql_where=text("status = 'PENDING'"),
        ),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    folder_id: Mapped[str | None] = mapped_column(ForeignKey("folders.id", ondelete="SET NULL"))
    file_id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), unique=True)
    filename: Mapped[str] = mapped_column(binary_text())
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    content_type: Mapped[str] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    sha256: Mapped[str | None] = mapped_column(binary_text(64))  # hex
    crc64nvme: Mapped[str | None] = mapped_column(binary_text(16))  # hex
    method: Mapped[str] = mapped_column(binary_text(16), server_default=UploadMethod.PUT)
    part_size: Mapped[int | None] = mapped_column(BigInteger)  # bytes
    store_upload_id: Mapped[str | None] = mapped_column(binary_text())
    object_key: Mapped[str] = mapped_column(binary_text(), unique=True)
    on_conflict: Mapped[str] = mapped_column(binary_text(16))
    replaces: Mapped[str | None] = mapped_column(binary_text(MAX_ID_LENGTH), index=True)
    bundle_id: Mapped[str | None] = mapped_column(binary_text(MAX_ID_LENGTH), index=True)
    by_admin: Mapped[bool] = mapped_column(server_default=false())
    status: Mapped[str] = mapped_column(binary_text(16))
    failure_code: Mapped[str | None] = mapped_column(binary_text(32))
    failure_message: Mapped[str | None] = mapped_column(binary_text())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    look_at: Mapped[datetime | None]
    evidence: Mapped[str | None] = mapped_column(binary_text(16))
    clean_etag: Mapped[str | None] = mapped_column(binary_text())


class UploadPartRow(Base):
    """What a client said of a part when its target was signed: its checksum, for that of the whole."""

    __tablename__ = "upload_parts"
    __table_args__ = ({"sqlite_with_rowid": False},)

    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    part_number: Mapped[int] = mapped_column(primary_key=True)
    crc64nvme: Mapped[str] = mapped_column(binary_text(16))  # hex


class ObjectDeletionRow(Base):
    """An object whose bytes must go at ``due_at``, and once more at ``final_at``; so must parts that were not joined.

    A PUT that began before its target expired may land after the first removal; after ``final_at`` none can.
    ``refused_at``: since when the store refuses to remove the object, if it does.
    """

    __tablename__ = "object_deletions"

    object_key: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    store_upload_id: Mapped[str | None] = mapped_column(binary_text())
    due_at: Mapped[datetime] = mapped_column(index=True)
    final_at: Mapped[datetime]
    refused_at: Mapped[datetime | None]
