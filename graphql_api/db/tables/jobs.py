"""Work that is left to do, and messages with which nothing could be done."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base
from graphql_api.db.types import binary_text
from graphql_api.model.ids import MAX_ID_LENGTH
from graphql_api.model.job import MAX_KIND_LENGTH


class JobRow(Base):
    """Work left behind by a transaction; gone when done. ``lease``: whoever knows it holds the job, until
    ``leased_until``. ``failed_at``: given up, and kept for somebody to look at.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "ix_jobs_open_kind_subject",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("failed_at IS NULL"),
            postgresql_where=text("failed_at IS NULL"),
        ),
        Index(
            "ix_jobs_open_due_at",
            "due_at",
            sqlite_where=text("failed_at IS NULL"),
            postgresql_where=text("failed_at IS NULL"),
        ),
        Index("ix_jobs_failed_at", "failed_at"),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    kind: Mapped[str] = mapped_column(binary_text(MAX_KIND_LENGTH))
    subject: Mapped[str] = mapped_column(binary_text())
    payload: Mapped[str] = mapped_column(binary_text())  # JSON
    version: Mapped[int]  # how often it was asked for while open
    due_at: Mapped[datetime]
    attempts: Mapped[int]
    lease: Mapped[str | None] = mapped_column(binary_text(32))
    leased_until: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(binary_text(32))  # a code
    failed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class FailedEventRow(Base):
    """A message about the store that could not be read or dealt with. ``body``: its beginning."""

    __tablename__ = "failed_events"

    message_id: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    reason: Mapped[str] = mapped_column(binary_text(64))
    receives: Mapped[int]
    body: Mapped[str] = mapped_column(binary_text())
    failed_at: Mapped[datetime] = mapped_column(index=True)
