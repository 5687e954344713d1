"""Rules, what changes of them left, and what they were asked for."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base, one_of
from graphql_api.db.types import binary_text
from graphql_api.model.audit import AuditAction
from graphql_api.model.ids import MAX_ID_LENGTH
from graphql_api.model.rule import MAX_SCOPE_LENGTH, Effect


class PolicyStateRow(Base):
    """One row. ``version`` counts the changes of rules, groups and of the tree's shape where rules depend on it."""

    __tablename__ = "policy_state"
    __table_args__ = (CheckConstraint("id = 1", name="there_is_one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger)


class AccessRuleRow(Base):
    """A rule; ``subject`` and ``resource`` are the texts that ``model.rule`` describes."""

    __tablename__ = "access_rules"
    __table_args__ = (
        CheckConstraint(one_of("effect", Effect), name="effect_is_known"),
        CheckConstraint("permissions > 0", name="permissions_are_some"),
        CheckConstraint("starts_at IS NULL OR ends_at IS NULL OR starts_at < ends_at", name="it_ends_after_it_starts"),
        Index(None, "subject", "id"),
        Index(None, "resource", "id"),
        Index(None, "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    effect: Mapped[str] = mapped_column(binary_text(16))
    permissions: Mapped[int]  # a bit for each Permission, in the order of their definition
    subject: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH))
    resource: Mapped[str] = mapped_column(binary_text(MAX_SCOPE_LENGTH))
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    ip_ranges: Mapped[str] = mapped_column(binary_text())  # JSON list of CIDR texts
    max_lifetime: Mapped[int | None]  # seconds
    binds_ip: Mapped[bool]
    forces_download: Mapped[bool]
    personal_links: Mapped[bool] = mapped_column(server_default=false())
    version: Mapped[int]
    made_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class AuditEventRow(Base):
    """One line of the audit log. A trigger refuses every UPDATE; only retention deletes."""

    __tablename__ = "audit_events"
    __table_args__ = (
        CheckConstraint(one_of("action", AuditAction), name="action_is_known"),
        Index(None, "occurred_at", "id"),
        Index(None, "target", "occurred_at", "id"),
        Index(None, "resource", "occurred_at", "id"),
        Index(None, "actor_id", "occurred_at", "id"),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    occurred_at: Mapped[datetime]
    actor_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    action: Mapped[str] = mapped_column(binary_text(32))
    target: Mapped[str] = mapped_column(binary_text(MAX_SCOPE_LENGTH))
    resource: Mapped[str | None] = mapped_column(binary_text(MAX_SCOPE_LENGTH))
    before: Mapped[str | None] = mapped_column(binary_text())  # JSON
    after: Mapped[str | None] = mapped_column(binary_text())  # JSON
    address: Mapped[str | None] = mapped_column(binary_text(64))
    request_id: Mapped[str | None] = mapped_column(binary_text())


class IdempotencyKeyRow(Base):
    """What a mutation with this key answered, so that asking again does nothing twice. ``actor``: a user id."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    actor: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    key: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(binary_text(64))  # SHA-256 of what was asked, hex
    answer: Mapped[str] = mapped_column(binary_text())  # JSON
    created_at: Mapped[datetime]
