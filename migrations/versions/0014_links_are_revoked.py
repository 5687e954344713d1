"""links are revoked; rules whose links are personal"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
UNCONFIRMED = sa.text("confirmed_at IS NULL")


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


ID = binary_text(40)

OLD_ACTIONS = (
    *("RULE_CREATED", "RULE_UPDATED", "RULE_DELETED", "GROUP_CREATED", "GROUP_UPDATED", "GROUP_DELETED"),
    *("MEMBER_ADDED", "MEMBER_REMOVED", "USER_INVITED", "FILE_MOVED", "FILE_REPLACED", "FILE_VERSION_RESTORED"),
    *("FILE_VERSION_DELETED", "FILE_DELETED", "FOLDER_MOVED", "FOLDER_DELETED", "LABELS_CHANGED", "QUOTA_CHANGED"),
    *("GATE_CHANGED", "FILE_WITHHELD", "SHARE_LINK_CREATED", "SHARE_LINK_REVOKED"),
    *("KEY_ADDED", "KEY_ROTATED", "KEY_RETIRED"),
)
NEW_ACTION = "LINKS_REVOKED"

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
        "revocation_counter",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_revocation_counter_there_is_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revocation_counter")),
    )
    op.execute("INSERT INTO revocation_counter (id, number) VALUES (1, 0)")
    op.create_table(
        "link_revocations",
        sa.Column("target", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("is_relay", sa.Boolean(), nullable=False),
        sa.Column("revoked_at", INSTANT, nullable=False),
        sa.Column("links_end_by", INSTANT, nullable=False),
        sa.Column("confirmed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_link_revocations")),
    )
    op.create_index(op.f("ix_link_revocations_links_end_by"), "link_revocations", ["links_end_by"], unique=False)
    op.create_index(
        "ix_link_revocations_unconfirmed",
        "link_revocations",
        ["number"],
        unique=False,
        sqlite_where=UNCONFIRMED,
        postgresql_where=UNCONFIRMED,
    )
    op.create_table(
        "recent_moves",
        sa.Column("entry_id", ID, nullable=False),
        sa.Column("moved_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_recent_moves")),
    )
    op.create_index(op.f("ix_recent_moves_moved_at"), "recent_moves", ["moved_at"], unique=False)
    op.add_column("access_rules", sa.Column("personal_links", sa.Boolean(), server_default=sa.false(), nullable=False))
    _know_actions((*OLD_ACTIONS, NEW_ACTION))


def downgrade() -> None:
    """Events that the older schema cannot say are forgotten."""
    op.execute(f"DELETE FROM audit_events WHERE action = '{NEW_ACTION}'")
    _know_actions(OLD_ACTIONS)
    op.drop_column("access_rules", "personal_links")
    op.drop_table("recent_moves")
    op.drop_table("link_revocations")
    op.drop_table("revocation_counter")


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
