"""Published files."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base, one_of
from graphql_api.db.types import binary_text
from graphql_api.model.ids import MAX_ID_LENGTH
from graphql_api.model.publication import PublicationState

_IS_OPEN = text("state IN ('COPYING', 'LIVE')")
_IS_UNFINISHED = text("state <> 'REMOVED'")


class PublicationRow(Base):
    """One copy. ``state`` moves by conditional UPDATE; of a file one copy at most is COPYING or LIVE.

    The row stays when the file goes, for the copy has to go too.
    """

    __tablename__ = "publications"
    __table_args__ = (
        CheckConstraint(one_of("state", PublicationState), name="state_is_known"),
        Index("uq_publications_open_file_id", "file_id", unique=True, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        Index("ix_publications_unfinished", "object_key", sqlite_where=_IS_UNFINISHED, postgresql_where=_IS_UNFINISHED),
        Index(None, "changed_at"),
    )

    object_key: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    file_id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH))
    source_key: Mapped[str] = mapped_column(binary_text())
    state: Mapped[str] = mapped_column(binary_text(16))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
