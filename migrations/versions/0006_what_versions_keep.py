"""what versions keep: their numbers, corrected types, and a trace in the audit log"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
INDEXES = (["actor_id", "occurred_at", "id"], ["occurred_at", "id"], ["resource", "occurred_at", "id"])
OLD_ACTIONS = (
    *("RULE_CREATED", "RULE_UPDATED", "RULE_DELETED", "GROUP_CREATED", "GROUP_UPDATED", "GROUP_DELETED"),
    *("MEMBER_ADDED", "MEMBER_REMOVED", "USER_INVITED", "FILE_MOVED", "FILE_DELETED", "FOLDER_MOVED"),
    *("FOLDER_DELETED", "LABELS_CHANGED"),
)
NEW_ACTIONS = (
    *("RULE_CREATED", "RULE_UPDATED", "RULE_DELETED", "GROUP_CREATED", "GROUP_UPDATED", "GROUP_DELETED"),
    *("MEMBER_ADDED", "MEMBER_REMOVED", "USER_INVITED", "FILE_MOVED", "FILE_REPLACED", "FILE_VERSION_RESTORED"),
    *("FILE_VERSION_DELETED", "FILE_DELETED", "FOLDER_MOVED", "FOLDER_DELETED", "LABELS_CHANGED"),
)


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


ID = binary_text(40)


def upgrade() -> None:
    op.add_column("files", sa.Column("newest_version", sa.Integer(), server_default="1", nullable=False))
    op.execute(
        "UPDATE files SET newest_version = "
        "(SELECT max(number) FROM file_versions WHERE file_versions.file_id = files.id) "
        "WHERE id IN (SELECT file_id FROM file_versions WHERE number > 1)"
    )
    op.add_column("file_versions", sa.Column("corrected_content_type", binary_text(255), nullable=True))
    op.execute(
        "UPDATE file_versions SET corrected_content_type = "
        "(SELECT files.content_type FROM files WHERE files.object_key = file_versions.object_key) "
        "WHERE object_key IN (SELECT object_key FROM files WHERE content_type <> stored_content_type)"
    )
    _allow(NEW_ACTIONS)


def downgrade() -> None:
    """Events that the older schema cannot say are forgotten."""
    op.execute(f"DELETE FROM audit_events WHERE action NOT IN ({_listed(OLD_ACTIONS)})")
    _allow(OLD_ACTIONS)
    op.drop_column("file_versions", "corrected_content_type")
    op.drop_column("files", "newest_version")


def _listed(actions: Sequence[str]) -> str:
    return ", ".join(map(repr, actions))


def _allow(actions: Sequence[str]) -> None:
    """Let the audit log tell of these actions."""
    name, condition = op.f("ck_audit_events_action_is_known"), f"action IN ({_listed(actions)})"
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "audit_events", type_="check")
        op.create_check_constraint(name, "audit_events", condition)
        return
    # SQLite cannot change the checks of a table: a new one takes over the rows and the name.
    op.create_table(
        "audit_events_rebuilt",
        sa.Column("id", ID, nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column("action", binary_text(32), nullable=False),
        sa.Column("target", binary_text(80), nullable=False),
        sa.Column("resource", binary_text(80), nullable=True),
        sa.Column("before", binary_text(), nullable=True),
        sa.Column("after", binary_text(), nullable=True),
        sa.Column("address", binary_text(64), nullable=True),
        sa.Column("request_id", binary_text(), nullable=True),
        sa.CheckConstraint(condition, name=name),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_audit_events_actor_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    columns = "id, occurred_at, actor_id, action, target, resource, before, after, address, request_id"
    op.execute(f"INSERT INTO audit_events_rebuilt ({columns}) SELECT {columns} FROM audit_events")
    op.drop_table("audit_events")
    op.rename_table("audit_events_rebuilt", "audit_events")
    for columns_ in (*INDEXES, ["target", "occurred_at", "id"]):
        op.create_index(op.f(f"ix_audit_events_{'_'.join(columns_)}"), "audit_events", columns_, unique=False)
    op.execute(
        "CREATE TRIGGER audit_events_append_only BEFORE UPDATE ON audit_events "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    )
