"""What the CDN delivered, by day (UTC), and which of its log files have been counted."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base
from graphql_api.db.types import binary_text


class AccessLogRow(Base):
    """A log file that has been counted, by the name that no other has. Written with its counts, and never removed: what
    is not here is counted.
    """

    __tablename__ = "access_logs"
    __table_args__ = (CheckConstraint("size >= 0", name="size_is_not_negative"), {"sqlite_with_rowid": False})

    name: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)  # bytes, as it lies in the store
    counted_at: Mapped[datetime]


class FileTrafficRow(Base):
    """Of one file, all versions together; goes with the file. A day without a row had nothing."""

    __tablename__ = "file_traffic"
    __table_args__ = (Index(None, "day"), {"sqlite_with_rowid": False})

    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    downloads: Mapped[int] = mapped_column(BigInteger)
    delivered_bytes: Mapped[int] = mapped_column(BigInteger)


class UserTrafficRow(Base):
    """Of all files that were a user's when the log was counted, also of those that have gone since."""

    __tablename__ = "user_traffic"
    __table_args__ = ({"sqlite_with_rowid": False},)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    downloads: Mapped[int] = mapped_column(BigInteger)
    delivered_bytes: Mapped[int] = mapped_column(BigInteger)
