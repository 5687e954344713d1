"""Links that were revoked."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, false, text
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

    The edge's store has taken ``told_number``; 0: none yet. ``place``: the number since which it waits to be told.
    ``confirmed_at``: when it was told, with all relays up to this number if it ``has_relays``. ``counted_for``: in
    whose share it counts, None for administrators.
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
        Index(
            "ix_link_revocations_untold",
            "place",
            sqlite_where=text("told_number < number"),
            postgresql_where=text("told_number < number"),
        ),
    )

    target: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    is_relay: Mapped[bool]
    revoked_at: Mapped[datetime]
    links_end_by: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    place: Mapped[int] = mapped_column(BigInteger, server_default="0")
    told_number: Mapped[int] = mapped_column(BigInteger, server_default="0")
    has_relays: Mapped[bool] = mapped_column(server_default=false())
    counted_for: Mapped[str | None] = mapped_column(binary_text(MAX_ID_LENGTH))


class RecentMoveRow(Base):
    """A file or folder that was moved; links from before name the folders where it was."""

    __tablename__ = "recent_moves"

    entry_id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    moved_at: Mapped[datetime] = mapped_column(index=True)
