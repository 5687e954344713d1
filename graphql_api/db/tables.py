"""The tables. ``migrations/`` builds them; a test finds no difference between the two.

``Mapped`` classes describe columns; statements run as Core on a connection, and rows leave this package as nouns.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, MetaData, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from graphql_api.db.types import UtcDateTime, binary_text
from graphql_api.model.ids import MAX_ID_LENGTH, ROOT_FOLDER_ID
from graphql_api.model.upload import OnConflict, UploadFailureCode, UploadStatus

MAX_CONTENT_TYPE_LENGTH = 255  # characters


def _one_of(column: str, values: type[UploadStatus | OnConflict | UploadFailureCode]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime()}  # noqa: RUF012 -- SQLAlchemy reads it as a plain class attribute


class UserRow(Base):
    """Whoever presented a verified token; ``issuer`` and ``subject`` name one person or service for good."""

    __tablename__ = "users"
    __table_args__ = (Index(None, "issuer", "subject", unique=True),)

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    issuer: Mapped[str] = mapped_column(binary_text())
    subject: Mapped[str] = mapped_column(binary_text())
    display_name: Mapped[str] = mapped_column(binary_text())
    email: Mapped[str | None] = mapped_column(binary_text())
    created_at: Mapped[datetime]


class FolderRow(Base):
    """A node of the one tree; the row of the root is made by the first migration."""

    __tablename__ = "folders"
    __table_args__ = (
        CheckConstraint(f"(parent_id IS NULL) = (id = '{ROOT_FOLDER_ID}')", name="only_the_root_has_no_parent"),
        Index(None, "parent_id", "name_key", "id"),
        Index(None, "owner_id", "name_key", "id"),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("folders.id"))
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    home_of: Mapped[str | None] = mapped_column(ForeignKey("users.id"), unique=True)
    name: Mapped[str] = mapped_column(binary_text())
    name_key: Mapped[str] = mapped_column(binary_text())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class FolderEntryRow(Base):
    """The names in a folder, of files and folders alike: this primary key is what makes a name unique."""

    __tablename__ = "folder_entries"

    folder_id: Mapped[str] = mapped_column(ForeignKey("folders.id"), primary_key=True)
    name_key: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    entry_id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), unique=True)


class FileRow(Base):
    """A file and the object that holds its bytes."""

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size_is_not_negative"),
        # One index per order that a page can have, under what narrows it: everything (admins), an owner, a folder.
        Index(None, "created_at", "id"),
        Index(None, "name_key", "id"),
        Index(None, "size", "id"),
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "owner_id", "name_key", "id"),
        Index(None, "owner_id", "size", "id"),
        Index(None, "folder_id", "created_at", "id"),
        Index(None, "folder_id", "name_key", "id"),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    folder_id: Mapped[str] = mapped_column(ForeignKey("folders.id"))
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(binary_text())
    name_key: Mapped[str] = mapped_column(binary_text())
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    content_type: Mapped[str] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    stored_content_type: Mapped[str] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    detected_content_type: Mapped[str | None] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    sha256: Mapped[str | None] = mapped_column(binary_text(64))  # hex
    object_key: Mapped[str] = mapped_column(binary_text(), unique=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class UploadRow(Base):
    """One upload. ``status`` leaves PENDING once, by conditional UPDATE. ``folder_id`` goes when the folder goes."""

    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size_is_not_negative"),
        CheckConstraint(_one_of("status", UploadStatus), name="status_is_known"),
        CheckConstraint(_one_of("on_conflict", OnConflict), name="on_conflict_is_known"),
        CheckConstraint(_one_of("failure_code", UploadFailureCode), name="failure_code_is_known"),
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
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    folder_id: Mapped[str | None] = mapped_column(ForeignKey("folders.id", ondelete="SET NULL"))
    file_id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), unique=True)
    filename: Mapped[str] = mapped_column(binary_text())
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    content_type: Mapped[str] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    sha256: Mapped[str | None] = mapped_column(binary_text(64))  # hex
    object_key: Mapped[str] = mapped_column(binary_text(), unique=True)
    on_conflict: Mapped[str] = mapped_column(binary_text(16))
    status: Mapped[str] = mapped_column(binary_text(16))
    failure_code: Mapped[str | None] = mapped_column(binary_text(32))
    failure_message: Mapped[str | None] = mapped_column(binary_text())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class ObjectDeletionRow(Base):
    """An object whose bytes must go at ``due_at``, and once more at ``final_at``.

    A PUT that began before its target expired may land after the first removal; after ``final_at`` none can.
    """

    __tablename__ = "object_deletions"

    object_key: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(index=True)
    final_at: Mapped[datetime]
