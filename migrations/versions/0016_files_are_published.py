"""files are published"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


ID = binary_text(40)

OLD_ACTIONS = (
    *("RULE_CREATED", "RULE_UPDATED", "RULE_DELETED", "GROUP_CREATED", "GROUP_UPDATED", "GROUP_DELETED"),
    *("MEMBER_ADDED", "MEMBER_REMOVED", "USER_INVITED", "FILE_MOVED", "FILE_REPLACED", "FILE_VERSION_RESTORED"),
    *("FILE_VERSION_DELETED", "FILE_DELETED", "FOLDER_MOVED", "FOLDER_DELETED", "LABELS_CHANGED", "QUOTA_CHANGED"),
    *("GATE_CHANGED", "FILE_WITHHELD", "SHARE_LINK_CREATED", "SHARE_LINK_REVOKED"),
    *("KEY_ADDED", "KEY_ROTATED", "KEY_RETIRED", "LINKS_REVOKED"),
)
NEW_ACTIONS = ("FILE_PUBLISHED", "FILE_UNPUBLISHED")

EVENT_INDEXES: tuple[list[str], ...] = ([], ["target"], ["resource"], ["actor_id"])


def event_columns() -> list[sa.Column[Any]]:
    return [
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
    ]


def upgrade() -> None:
    op.create_table(
        "publications",
        sa.Column("object_key", binary_text(), nullable=False),
        sa.Column("file_id", ID, nullable=False),
        sa.Column("source_key", binary_text(), nullable=False),
        sa.Column("state", binary_text(16), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "state IN ('COPYING', 'LIVE', 'WITHDRAWN', 'REMOVED')", name=op.f("ck_publications_state_is_known")
        ),
        sa.PrimaryKeyConstraint("object_key", name=op.f("pk_publications")),
    )
    for name, column, condition, unique in (
        ("uq_publications_open_file_id", "file_id", "state IN ('COPYING', 'LIVE')", True),
        ("ix_publications_unfinished", "object_key", "state <> 'REMOVED'", False),
    ):
        where = sa.text(condition)
        op.create_index(name, "publications", [column], unique=unique, sqlite_where=where, postgresql_where=where)
    op.create_index(op.f("ix_publications_changed_at"), "publications", ["changed_at"], unique=False)
    _know_actions((*OLD_ACTIONS, *NEW_ACTIONS))


def downgrade() -> None:
    """Copies stay at the store, and whoever has their addresses can read them. Events that the older schema cannot say
    are forgotten.
    """
    op.execute(f"DELETE FROM audit_events WHERE action IN {NEW_ACTIONS}")
    _know_actions(OLD_ACTIONS)
    op.drop_table("publications")


def _know_actions(actions: tuple[str, ...]) -> None:
    name, condition = op.f("ck_audit_events_action_is_known"), f"action IN {actions}"
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "audit_events", type_="check")
        op.create_check_constraint(name, "audit_events", condition)
        return
    # SQLite cannot change the checks of a table: a new one takes over the rows and the name.
    op.create_table(
        "audit_events_rebuilt",
        *event_columns(),
        sa.CheckConstraint(condition, name=name),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_audit_events_actor_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    names = ", ".join(f'"{column.name}"' for column in event_columns())
    op.execute(f"INSERT INTO audit_events_rebuilt ({names}) SELECT {names} FROM audit_events")
    op.drop_table("audit_events")
    op.rename_table("audit_events_rebuilt", "audit_events")
    for first in EVENT_INDEXES:
        columns = [*first, "occurred_at", "id"]
        op.create_index(op.f(f"ix_audit_events_{'_'.join(columns)}"), "audit_events", columns, unique=False)
    op.execute(
        "CREATE TRIGGER audit_events_append_only BEFORE UPDATE ON audit_events "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    )
