"""The tables. ``migrations/`` builds them; a test finds no difference between the two.

``Mapped`` classes describe columns; statements run as Core on a connection, and rows leave this package as nouns.
"""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, MetaData, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from graphql_api.db.types import UtcDateTime, binary_text
from graphql_api.model.audit import AuditAction
from graphql_api.model.ids import MAX_ID_LENGTH, ROOT_FOLDER_ID
from graphql_api.model.labels import MAX_METADATA_KEY_LENGTH
from graphql_api.model.names import MAX_WORD_LENGTH
from graphql_api.model.rule import MAX_SCOPE_LENGTH, Effect
from graphql_api.model.upload import OnConflict, UploadFailureCode, UploadStatus

MAX_CONTENT_TYPE_LENGTH = 255  # characters


def _one_of(column: str, values: type[UploadStatus | OnConflict | UploadFailureCode | Effect | AuditAction]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime()}  # noqa: RUF012 -- SQLAlchemy reads it as a plain class attribute


class UserRow(Base):
    """Whoever presented a verified token, or was named before they did; ``issuer`` and ``subject`` name one for good.

    One who is known by e-mail address only has a ``subject`` that begins with a control character, which no token can
    have; the first token with that address, verified, takes the row, or, if its bearer has one already, all that it
    was given: the row then has no address. ``claim_groups``: the last token's, a JSON list.
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
    signed_in_at: Mapped[datetime | None]  # for the first time
    created_at: Mapped[datetime]


class FolderRow(Base):
    """A node of the one tree; the row of the root is made by the first migration."""

    __tablename__ = "folders"
    __table_args__ = (
        CheckConstraint(f"(parent_id IS NULL) = (id = '{ROOT_FOLDER_ID}')", name="only_the_root_has_no_parent"),
        Index(None, "parent_id", "name_key", "id"),
        Index(None, "owner_id", "name_key", "id"),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("folders.id"))
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    home_of: Mapped[str | None] = mapped_column(ForeignKey("users.id"), unique=True)
    name: Mapped[str] = mapped_column(binary_text())
    name_key: Mapped[str] = mapped_column(binary_text())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class FolderEntryRow(Base):
    """The names in a folder, of files and folders alike: this primary key is what makes a name unique."""

    __tablename__ = "folder_entries"

    folder_id: Mapped[str] = mapped_column(ForeignKey("folders.id"), primary_key=True)
    name_key: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    entry_id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), unique=True)


class FileRow(Base):
    """A file and the object that holds its bytes."""

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size_is_not_negative"),
        # One index per order that a page can have, for everything and for a folder; other scopes are in file_scopes.
        Index(None, "created_at", "id"),
        Index(None, "name_key", "id"),
        Index(None, "size", "id"),
        Index(None, "folder_id", "created_at", "id"),
        Index(None, "folder_id", "name_key", "id"),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    folder_id: Mapped[str] = mapped_column(ForeignKey("folders.id"))
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(binary_text())
    name_key: Mapped[str] = mapped_column(binary_text())
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    content_type: Mapped[str] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    stored_content_type: Mapped[str] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    detected_content_type: Mapped[str | None] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    sha256: Mapped[str | None] = mapped_column(binary_text(64))  # hex
    object_key: Mapped[str] = mapped_column(binary_text(), unique=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class FileScopeRow(Base):
    """One row for each scope that a file is in: the folders above it but the root, its owner, its labels.

    Written with the file and independent of rules, so that a change of rules writes nothing here.
    """

    __tablename__ = "file_scopes"
    __table_args__ = (Index(None, "file_id"), {"sqlite_with_rowid": False})

    scope: Mapped[str] = mapped_column(binary_text(MAX_SCOPE_LENGTH), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(primary_key=True)  # the file's
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)


class FileWordRow(Base):
    """The words of a file's name, for search."""

    __tablename__ = "file_words"
    __table_args__ = (Index(None, "file_id"), {"sqlite_with_rowid": False})

    word: Mapped[str] = mapped_column(binary_text(MAX_WORD_LENGTH), primary_key=True)
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)


class FileMetadataRow(Base):
    """What users note about a file."""

    __tablename__ = "file_metadata"
    __table_args__ = ({"sqlite_with_rowid": False},)

    file_id: Mapped[str] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(binary_text(MAX_METADATA_KEY_LENGTH), primary_key=True)
    value: Mapped[str] = mapped_column(binary_text())


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
        CheckConstraint(_one_of("effect", Effect), name="effect_is_known"),
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
    version: Mapped[int]
    made_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


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


class AuditEventRow(Base):
    """One line of the audit log. A trigger refuses every UPDATE; only retention deletes."""

    __tablename__ = "audit_events"
    __table_args__ = (
        CheckConstraint(_one_of("action", AuditAction), name="action_is_known"),
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


class UploadRow(Base):
    """One upload. ``status`` leaves PENDING once, by conditional UPDATE. ``folder_id`` goes when the folder goes."""

    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size_is_not_negative"),
        CheckConstraint(_one_of("status", UploadStatus), name="status_is_known"),
        CheckConstraint(_one_of("on_conflict", OnConflict), name="on_conflict_is_known"),
        CheckConstraint(_one_of("failure_code", UploadFailureCode), name="failure_code_is_known"),
        CheckConstraint(
            "(status = 'FAILED') = (failure_code IS NOT NULL AND failure_message IS NOT NULL)",
            name="exactly_a_failed_upload_says_why",
        ),
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "created_at", "id"),
        Index(None, "folder_id"),
        Index(
            "ix_uploads_pending_expires_at",
            "expires_at",
            sqlite_where=text("status = 'PENDING'"),
            postgresql_where=text("status = 'PENDING'"),
        ),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    folder_id: Mapped[str | None] = mapped_column(ForeignKey("folders.id", ondelete="SET NULL"))
    file_id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), unique=True)
    filename: Mapped[str] = mapped_column(binary_text())
    size: Mapped[int] = mapped_column(BigInteger)  # bytes
    content_type: Mapped[str] = mapped_column(binary_text(MAX_CONTENT_TYPE_LENGTH))
    sha256: Mapped[str | None] = mapped_column(binary_text(64))  # hex
    object_key: Mapped[str] = mapped_column(binary_text(), unique=True)
    on_conflict: Mapped[str] = mapped_column(binary_text(16))
    status: Mapped[str] = mapped_column(binary_text(16))
    failure_code: Mapped[str | None] = mapped_column(binary_text(32))
    failure_message: Mapped[str | None] = mapped_column(binary_text())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class ObjectDeletionRow(Base):
    """An object whose bytes must go at ``due_at``, and once more at ``final_at``.

    A PUT that began before its target expired may land after the first removal; after ``final_at`` none can.
    """

    __tablename__ = "object_deletions"

    object_key: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(index=True)
    final_at: Mapped[datetime]
