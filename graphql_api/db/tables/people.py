"""People, and the groups that they are in."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, false, text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base
from graphql_api.db.types import binary_text
from graphql_api.model.ids import MAX_ID_LENGTH


class UserRow(Base):
    """Whoever presented a verified token, or was named before they did; ``issuer`` and ``subject`` name one for good.

    One who is known by e-mail address only has a ``subject`` that begins with a control character, which no token can
    have; the first token with that address, verified, takes the row, or, if its bearer has one already, all that it
    was given: the row then has no address. ``claim_groups``: the last token's, a JSON list;
    ``claim_is_admin``: whether that token, or a setting, made them an administrator.
    """

    __tablename__ = "users"
    __table_args__ = (
        Index(None, "issuer", "subject", unique=True),
        Index(None, "email_key"),
        Index(
            "ix_users_invited_email_key",
            "issuer",
            "email_key",
            unique=True,
            sqlite_where=text("subject < ' '"),
            postgresql_where=text("subject < ' '"),
        ),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    issuer: Mapped[str] = mapped_column(binary_text())
    subject: Mapped[str] = mapped_column(binary_text())
    display_name: Mapped[str] = mapped_column(binary_text())
    email: Mapped[str | None] = mapped_column(binary_text())
    email_key: Mapped[str | None] = mapped_column(binary_text())  # see model.group
    claim_groups: Mapped[str | None] = mapped_column(binary_text())
    claim_is_admin: Mapped[bool] = mapped_column(server_default=false())
    signed_in_at: Mapped[datetime | None]  # for the first time
    created_at: Mapped[datetime]


class GroupRow(Base):
    """A named set of users; tokens that list ``claim`` belong to it too."""

    __tablename__ = "groups"

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(binary_text())
    name_key: Mapped[str] = mapped_column(binary_text(), unique=True)
    claim: Mapped[str | None] = mapped_column(binary_text(), unique=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class GroupMemberRow(Base):
    """A user in a group."""

    __tablename__ = "group_members"
    __table_args__ = (Index(None, "user_id"), {"sqlite_with_rowid": False})

    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
