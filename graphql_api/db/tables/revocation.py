"""Links that were revoked."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base
from graphql_api.db.types import binary_text
from graphql_api.model.ids import MAX_ID_LENGTH


class RevocationCounterRow(Base):
    """One row. ``number`` is that of the newest revocation; whoever makes one holds the row until it is committed."""

    __tablename__ = "revocation_counter"
    __table_args__ = (CheckConstraint("id = 1", name="there_is_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)


class LinkRevocationRow(Base):
    """Links of ``target`` (a file, a folder with all below, or a person) that were signed before are revoked.

    ``confirmed_at``: when the edge's store took the number. ``is_relay``: it has to be there before those that are
    not, because they are confirmed only with it.
    """

    __tablename__ = "link_revocations"
    __table_args__ = (
        Index(None, "links_end_by"),
        Index(
            "ix_link_revocations_unconfirmed",
            "number",
            sqlite_where=text("confirmed_at IS NULL"),
            postgresql_where=text("confirmed_at IS NULL"),
        ),
    )

    target: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    is_relay: Mapped[bool]
    revoked_at: Mapped[datetime]
    links_end_by: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]


class RecentMoveRow(Base):
    """A file or folder that was moved; links from before name the folders where it was."""

    __tablename__ = "recent_moves"

    entry_id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    moved_at: Mapped[datetime] = mapped_column(index=True)
