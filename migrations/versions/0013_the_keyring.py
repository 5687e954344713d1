"""the keyring, without private parts"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
ACTIVE = sa.text("status = 'ACTIVE'")


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


ID = binary_text(40)

OLD_ACTIONS = (
    *("RULE_CREATED", "RULE_UPDATED", "RULE_DELETED", "GROUP_CREATED", "GROUP_UPDATED", "GROUP_DELETED"),
    *("MEMBER_ADDED", "MEMBER_REMOVED", "USER_INVITED", "FILE_MOVED", "FILE_REPLACED", "FILE_VERSION_RESTORED"),
    *("FILE_VERSION_DELETED", "FILE_DELETED", "FOLDER_MOVED", "FOLDER_DELETED", "LABELS_CHANGED"),
    *("QUOTA_CHANGED", "GATE_CHANGED", "FILE_WITHHELD", "SHARE_LINK_CREATED", "SHARE_LINK_REVOKED"),
)
NEW_ACTIONS = ("KEY_ADDED", "KEY_ROTATED", "KEY_RETIRED")

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
        "signing_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("key_pair_id", binary_text(64), nullable=False),
        sa.Column("place", binary_text(16), nullable=False),
        sa.Column("place_name", binary_text(1024), nullable=False),
        sa.Column("hash_algorithm", binary_text(8), nullable=False),
        sa.Column("public_pem", binary_text(), nullable=False),
        sa.Column("status", binary_text(16), nullable=False),
        sa.Column("longest_lifetime", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("activated_at", INSTANT, nullable=True),
        sa.Column("retires_at", INSTANT, nullable=True),
        sa.Column("retired_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "status IN ('PENDING', 'ACTIVE', 'RETIRING', 'RETIRED')", name=op.f("ck_signing_keys_status_is_known")
        ),
        sa.CheckConstraint(
            "place IN ('SETTINGS', 'FILE', 'ENVIRONMENT', 'SECRETS_MANAGER', 'KMS')",
            name=op.f("ck_signing_keys_place_is_known"),
        ),
        sa.CheckConstraint(
            "hash_algorithm IN ('SHA1', 'SHA256')", name=op.f("ck_signing_keys_hash_algorithm_is_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
        sa.UniqueConstraint("key_pair_id", name=op.f("uq_signing_keys_key_pair_id")),
    )
    op.create_index(
        "ix_signing_keys_active", "signing_keys", ["status"], unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE
    )
    _know_actions((*OLD_ACTIONS, *NEW_ACTIONS))


def downgrade() -> None:
    """Events that the older schema cannot say are forgotten."""
    op.execute(f"DELETE FROM audit_events WHERE action IN {NEW_ACTIONS}")
    _know_actions(OLD_ACTIONS)
    op.drop_table("signing_keys")


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
