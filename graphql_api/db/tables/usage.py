"""How much is stored, and how much may be."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base
from graphql_api.db.types import binary_text
from graphql_api.model.ids import MAX_ID_LENGTH


class StorageUsageRow(Base):
    """What a user, or a folder with a quota, has stored and reserved. ``holder``: their id; a user without a row has
    nothing. ``quota``: of a user, None where the setting holds; a folder's row is there as long as it has one.

    The numbers are kept by additions only, so a version of this program that does not count yet, or one that counts
    what that one did, makes them wrong for a while (even negative) until they are counted anew.
    """

    __tablename__ = "storage_usage"
    __table_args__ = (CheckConstraint("quota >= 0", name="quota_is_not_negative"), {"sqlite_with_rowid": False})

    holder: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    stored: Mapped[int] = mapped_column(BigInteger)  # bytes of all versions of files
    reserved: Mapped[int] = mapped_column(BigInteger)  # bytes of uploads that are PENDING or PROCESSING
    quota: Mapped[int | None] = mapped_column(BigInteger)  # bytes


class FolderGateRow(Base):
    """What a folder and all below takes, but for its quota, which stands beside the numbers that it bounds."""

    __tablename__ = "folder_gates"
    __table_args__ = (
        CheckConstraint("max_file_size >= 0", name="max_file_size_is_not_negative"),
        {"sqlite_with_rowid": False},
    )

    folder_id: Mapped[str] = mapped_column(ForeignKey("folders.id", ondelete="CASCADE"), primary_key=True)
    max_file_size: Mapped[int | None] = mapped_column(BigInteger)  # bytes
    allowed_content_types: Mapped[str | None] = mapped_column(binary_text())  # JSON list of types and families
