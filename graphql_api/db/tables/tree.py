"""The one tree: folders, names, files and what is known of them."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import MAX_CONTENT_TYPE_LENGTH, Base, one_of
from graphql_api.db.types import binary_text
from graphql_api.model.file import Evidence
from graphql_api.model.ids import MAX_ID_LENGTH, ROOT_FOLDER_ID
from graphql_api.model.labels import MAX_METADATA_KEY_LENGTH
from graphql_api.model.names import MAX_WORD_LENGTH
from graphql_api.model.rule import MAX_SCOPE_LENGTH


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
    """A file and the object that holds its bytes. ``newest_version``: the largest number that one of it has had.

    ``altered_at``: when the store was found to hold other bytes than were uploaded; ``infected_at``: when a scanner
    called these infected. In either case nobody gets them.
    """

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size_is_not_negative"),
        # One index per order that a page can have, for everything and for a folder; other scopes are in file_scopes.
        Index(None, "created_at", "id"),
        Index(None, "name_key", "id"),
        Index(None, "size", "id"),
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
    newest_version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    altered_at: Mapped[datetime | None]
    infected_at: Mapped[datetime | None]


class FileVersionRow(Base):
    """Bytes that a file has or had. ``files`` repeats what lists and links need of the current one, which is the one
    with the same ``object_key``.

    ``content_type`` is what the store answers with, ``corrected_content_type`` what takes its place, if anything does.
    ``altered_at`` and ``infected_at`` are as of files.
    """

    __tablename__ = "file_versions"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size_is_not_negative"),
        CheckConstraint(one_of("evidence", Evidence), name="evidence_is_known"),
        CheckConstraint(
            "(evidence IS NULL) = (sha256 IS NULL AND crc64nvme IS NULL)", name="a_checksum_has_evidence_and_no_other"
        ),
        UniqueConstraint("file_id", "number"),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"))
    number: Mapped[int]
    object_key: Mapped[str] = mapped_column(binary_text(), unique=True)
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    content_type: Mapped[str] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    corrected_content_type: Mapped[str | None] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    detected_content_type: Mapped[str | None] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    sha256: Mapped[str | None] = mapped_column(binary_text(64))  # hex
    crc64nvme: Mapped[str | None] = mapped_column(binary_text(16))  # hex
    evidence: Mapped[str | None] = mapped_column(binary_text(16))
    etag: Mapped[str | None] = mapped_column(binary_text())
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    altered_at: Mapped[datetime | None]
    infected_at: Mapped[datetime | None]


class FileScopeRow(Base):
    """One row for each scope that a file is in: the folders above it but the root, its owner, its labels.

    Written with the file and independent of rules, so that a change of rules writes nothing here.
    """

    __tablename__ = "file_scopes"
    __table_args__ = (Index(None, "file_id"), {"sqlite_with_rowid": False})

    scope: Mapped[str] = mapped_column(binary_text(MAX_SCOPE_LENGTH), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(primary_key=True)  # the file's
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)


class FileWordRow(Base):
    """The words of a file's name, for search."""

    __tablename__ = "file_words"
    __table_args__ = (Index(None, "file_id"), {"sqlite_with_rowid": False})

    word: Mapped[str] = mapped_column(binary_text(MAX_WORD_LENGTH), primary_key=True)
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)


class FileMetadataRow(Base):
    """What users note about a file."""

    __tablename__ = "file_metadata"
    __table_args__ = ({"sqlite_with_rowid": False},)

    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(binary_text(MAX_METADATA_KEY_LENGTH), primary_key=True)
    value: Mapped[str] = mapped_column(binary_text())
