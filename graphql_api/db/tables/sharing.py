"""Share links."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base
from graphql_api.db.types import binary_text
from graphql_api.model.ids import MAX_ID_LENGTH


class ShareLinkRow(Base):
    """A link to a file or folder, whose id is ``resource``. ``token_hash``: SHA-256 of what its address ends with, hex.

    ``password_hash``: Argon2id in PHC string format. Rows go some time after ``expires_at``, or with the resource.
    """

    __tablename__ = "share_links"
    __table_args__ = (
        CheckConstraint("downloads >= 0 AND downloads <= max_downloads", name="it_is_not_used_too_often"),
        CheckConstraint("max_downloads >= 1", name="it_can_be_used"),
        Index(None, "resource", "created_at", "id"),
        Index(None, "created_by", "created_at", "id"),
        Index(None, "created_at", "id"),
        Index(None, "expires_at"),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    token_hash: Mapped[str] = mapped_column(binary_text(64), unique=True)
    resource: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH))
    label: Mapped[str | None] = mapped_column(binary_text())
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    max_downloads: Mapped[int | None]
    password_hash: Mapped[str | None] = mapped_column(binary_text())
    downloads: Mapped[int]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
