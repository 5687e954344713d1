"""What was spent of rate limits, where several processes count together."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base
from graphql_api.db.types import binary_text


class SpentRateRow(Base):
    """A user, or an address, and when all their points will have come back.

    On PostgreSQL the table is unlogged: what it says is true for a minute, and a charge need not wait for the disk. It
    has no index besides its key, so that a charge changes none.
    """

    __tablename__ = "spent_rates"

    key: Mapped[str] = mapped_column(binary_text(64), primary_key=True)
    restored_at: Mapped[datetime]
