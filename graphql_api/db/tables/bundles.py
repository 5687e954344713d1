"""Bundles: files whose bytes are many objects."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import MAX_CONTENT_TYPE_LENGTH, Base, one_of
from graphql_api.db.types import binary_text
from graphql_api.model.bundle import BundleStatus
from graphql_api.model.ids import MAX_ID_LENGTH
from graphql_api.model.upload import OnConflict


class BundleRow(Base):
    """One bundle, promised or whole. ``missing``: entries that are not in yet; whoever brings it to 0 makes the file.

    Whoever changes a bundle or the uploads of its entries holds its row first. ``folder_id`` goes when the folder goes,
    and says where it was promised to, not where the file is by now. ``deleted_at``: when the file went; entries are
    there until upkeep has taken them apart.
    """

    __tablename__ = "bundles"
    __table_args__ = (
        CheckConstraint("missing >= 0 AND missing <= entry_count", name="no_more_is_missing_than_there_is"),
        CheckConstraint("(status = 'COMPLETED') = (missing = 0)", name="exactly_a_completed_one_is_whole"),
        CheckConstraint(one_of("status", BundleStatus), name="status_is_known"),
        CheckConstraint(one_of("on_conflict", OnConflict), name="on_conflict_is_known"),
        Index(
            None,
            "deleted_at",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    folder_id: Mapped[str | None] = mapped_column(ForeignKey("folders.id", ondelete="SET NULL"), index=True)
    name: Mapped[str] = mapped_column(binary_text())
    main_path: Mapped[str] = mapped_column(binary_text())
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    content_type: Mapped[str] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    on_conflict: Mapped[str] = mapped_column(binary_text(16))
    entry_count: Mapped[int]
    missing: Mapped[int]
    status: Mapped[str] = mapped_column(binary_text(16))
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class BundleEntryRow(Base):
    """An entry whose bytes are in and as promised. It goes after the file, or with the bundle that fails.

    ``altered_at`` and ``infected_at`` are as of files; the file has them as long as one of its entries has.
    """

    __tablename__ = "bundle_entries"
    __table_args__ = (CheckConstraint("size >= 0", name="size_is_not_negative"), {"sqlite_with_rowid": False})

    bundle_id: Mapped[str] = mapped_column(ForeignKey("bundles.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    object_key: Mapped[str] = mapped_column(binary_text(), unique=True)
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    content_type: Mapped[str] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    detected_content_type: Mapped[str | None] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    sha256: Mapped[str | None] = mapped_column(binary_text(64))  # hex
    crc64nvme: Mapped[str | None] = mapped_column(binary_text(16))  # hex
    etag: Mapped[str | None] = mapped_column(binary_text())
    altered_at: Mapped[datetime | None]
    infected_at: Mapped[datetime | None]
