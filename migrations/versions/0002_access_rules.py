"""access rules, groups, scopes, the audit log"""

import secrets
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


ID = binary_text(40)

ACTIONS = (
    "RULE_CREATED",
    "RULE_UPDATED",
    "RULE_DELETED",
    "GROUP_CREATED",
    "GROUP_UPDATED",
    "GROUP_DELETED",
    "MEMBER_ADDED",
    "MEMBER_REMOVED",
    "USER_INVITED",
    "FILE_MOVED",
    "FILE_DELETED",
    "FOLDER_MOVED",
    "FOLDER_DELETED",
    "LABELS_CHANGED",
)
CONTENT_PERMISSIONS = 0b1111  # READ, WRITE, DELETE, SHARE

APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER audit_events_append_only BEFORE UPDATE ON audit_events "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION audit_events_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE TRIGGER audit_events_append_only BEFORE UPDATE ON audit_events "
        "FOR EACH ROW EXECUTE FUNCTION audit_events_append_only()",
    ),
}

# The planner thinks of an average scope, which is small, and would rather sort it than read it in order from the index;
# the scopes that lists wait for are large. It is told of fewer, larger ones.
LARGE_ON_AVERAGE = (("file_scopes", "scope"), ("files", "folder_id"))


def upgrade() -> None:
    op.create_table(
        "groups",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", binary_text(), nullable=False),
        sa.Column("name_key", binary_text(), nullable=False),
        sa.Column("claim", binary_text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("claim", name=op.f("uq_groups_claim")),
        sa.UniqueConstraint("name_key", name=op.f("uq_groups_name_key")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("actor", ID, nullable=False),
        sa.Column("key", binary_text(), nullable=False),
        sa.Column("fingerprint", binary_text(64), nullable=False),
        sa.Column("answer", binary_text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)

    op.create_table(
        "policy_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_policy_state_there_is_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_state")),
    )
    op.create_table(
        "access_rules",
        sa.Column("id", ID, nullable=False),
        sa.Column("effect", binary_text(16), nullable=False),
        sa.Column("permissions", sa.Integer(), nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("resource", binary_text(80), nullable=False),
        sa.Column("starts_at", INSTANT, nullable=True),
        sa.Column("ends_at", INSTANT, nullable=True),
        sa.Column("ip_ranges", binary_text(), nullable=False),
        sa.Column("max_lifetime", sa.Integer(), nullable=True),
        sa.Column("binds_ip", sa.Boolean(), nullable=False),
        sa.Column("forces_download", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("made_by", ID, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint("effect IN ('ALLOW', 'DENY')", name=op.f("ck_access_rules_effect_is_known")),
        sa.CheckConstraint("permissions > 0", name=op.f("ck_access_rules_permissions_are_some")),
        sa.CheckConstraint(
            "starts_at IS NULL OR ends_at IS NULL OR starts_at < ends_at",
            name=op.f("ck_access_rules_it_ends_after_it_starts"),
        ),
        sa.ForeignKeyConstraint(["made_by"], ["users.id"], name=op.f("fk_access_rules_made_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_rules")),
    )
    op.create_index(op.f("ix_access_rules_created_at_id"), "access_rules", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_access_rules_resource_id"), "access_rules", ["resource", "id"], unique=False)
    op.create_index(op.f("ix_access_rules_subject_id"), "access_rules", ["subject", "id"], unique=False)

    op.create_table(
        "audit_events",
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
        sa.CheckConstraint(
            f"action IN ({', '.join(map(repr, ACTIONS))})",
            name=op.f("ck_audit_events_action_is_known"),
        ),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_audit_events_actor_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index(
        op.f("ix_audit_events_actor_id_occurred_at_id"), "audit_events", ["actor_id", "occurred_at", "id"], unique=False
    )
    op.create_index(op.f("ix_audit_events_occurred_at_id"), "audit_events", ["occurred_at", "id"], unique=False)
    op.create_index(
        op.f("ix_audit_events_resource_occurred_at_id"), "audit_events", ["resource", "occurred_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_audit_events_target_occurred_at_id"), "audit_events", ["target", "occurred_at", "id"], unique=False
    )

    op.create_table(
        "group_members",
        sa.Column("group_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_group_members_group_id_groups"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_group_members_user_id_users")),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_group_members")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_group_members_user_id"), "group_members", ["user_id"], unique=False)

    op.create_table(
        "file_metadata",
        sa.Column("file_id", ID, nullable=False),
        sa.Column("key", binary_text(64), nullable=False),
        sa.Column("value", binary_text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name=op.f("fk_file_metadata_file_id_files"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", "key", name=op.f("pk_file_metadata")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "file_scopes",
        sa.Column("scope", binary_text(80), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("file_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name=op.f("fk_file_scopes_file_id_files"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("scope", "created_at", "file_id", name=op.f("pk_file_scopes")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_file_scopes_file_id"), "file_scopes", ["file_id"], unique=False)

    op.create_table(
        "file_words",
        sa.Column("word", binary_text(64), nullable=False),
        sa.Column("file_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name=op.f("fk_file_words_file_id_files"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("word", "file_id", name=op.f("pk_file_words")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_file_words_file_id"), "file_words", ["file_id"], unique=False)

    op.drop_index(op.f("ix_files_owner_id_created_at_id"), "files")
    op.drop_index(op.f("ix_files_owner_id_name_key_id"), "files")
    op.drop_index(op.f("ix_files_owner_id_size_id"), "files")

    op.add_column("users", sa.Column("email_key", binary_text(), nullable=True))
    op.add_column("users", sa.Column("claim_groups", binary_text(), nullable=True))
    op.add_column("users", sa.Column("signed_in_at", INSTANT, nullable=True))
    op.create_index(op.f("ix_users_email_key"), "users", ["email_key"], unique=False)
    op.create_index(
        "ix_users_invited_email_key",
        "users",
        ["issuer", "email_key"],
        unique=True,
        sqlite_where=sa.text("subject < ' '"),
        postgresql_where=sa.text("subject < ' '"),
    )

    connection = op.get_bind()
    for statement in APPEND_ONLY[connection.dialect.name]:
        op.execute(statement)
    if connection.dialect.name == "postgresql":
        for table, column in LARGE_ON_AVERAGE:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET (n_distinct = 200)")
    op.execute("INSERT INTO policy_state (id, version) VALUES (1, 1)")
    op.execute("UPDATE users SET signed_in_at = created_at")
    _give_homes_their_rule(connection)


def _give_homes_their_rule(connection: sa.Connection) -> None:
    """Until now users could do everything in their homes because they owned what was there; now a rule says so."""
    now = datetime.now(UTC)
    rules = sa.table(
        "access_rules",
        *(sa.column(name) for name in ("id", "effect", "permissions", "subject", "resource", "ip_ranges")),
        *(sa.column(name) for name in ("binds_ip", "forces_download", "version")),
        sa.column("created_at", INSTANT),
        sa.column("updated_at", INSTANT),
    )
    homes = connection.execute(sa.text("SELECT id, home_of FROM folders WHERE home_of IS NOT NULL")).all()
    moment = now if connection.dialect.name == "postgresql" else now.replace(tzinfo=None)
    rows = [
        {
            "id": "rule_" + _ulid(now),
            "effect": "ALLOW",
            "permissions": CONTENT_PERMISSIONS,
            "subject": user_id,
            "resource": folder_id,
            "ip_ranges": "[]",
            "binds_ip": False,
            "forces_download": False,
            "version": 1,
            "created_at": moment,
            "updated_at": moment,
        }
        for folder_id, user_id in homes
    ]
    if rows:
        connection.execute(rules.insert(), rows)


def _ulid(now: datetime) -> str:
    number = (int(now.timestamp() * 1000) << 80) | int.from_bytes(secrets.token_bytes(10))
    return "".join("0123456789abcdefghjkmnpqrstvwxyz"[(number >> shift) & 31] for shift in range(125, -1, -5))


def downgrade() -> None:
    op.drop_index(
        "ix_users_invited_email_key",
        "users",
        sqlite_where=sa.text("subject < ' '"),
        postgresql_where=sa.text("subject < ' '"),
    )
    op.drop_index(op.f("ix_users_email_key"), "users")
    op.drop_column("users", "signed_in_at")
    op.drop_column("users", "claim_groups")
    op.drop_column("users", "email_key")

    op.create_index(op.f("ix_files_owner_id_size_id"), "files", ["owner_id", "size", "id"], unique=False)
    op.create_index(op.f("ix_files_owner_id_name_key_id"), "files", ["owner_id", "name_key", "id"], unique=False)
    op.create_index(op.f("ix_files_owner_id_created_at_id"), "files", ["owner_id", "created_at", "id"], unique=False)

    op.drop_index(op.f("ix_file_words_file_id"), "file_words")

    op.drop_table("file_words")
    op.drop_index(op.f("ix_file_scopes_file_id"), "file_scopes")

    op.drop_table("file_scopes")
    op.drop_table("file_metadata")
    op.drop_index(op.f("ix_group_members_user_id"), "group_members")

    op.drop_table("group_members")
    op.drop_index(op.f("ix_audit_events_target_occurred_at_id"), "audit_events")
    op.drop_index(op.f("ix_audit_events_resource_occurred_at_id"), "audit_events")
    op.drop_index(op.f("ix_audit_events_occurred_at_id"), "audit_events")
    op.drop_index(op.f("ix_audit_events_actor_id_occurred_at_id"), "audit_events")

    op.drop_table("audit_events")
    op.drop_index(op.f("ix_access_rules_subject_id"), "access_rules")
    op.drop_index(op.f("ix_access_rules_resource_id"), "access_rules")
    op.drop_index(op.f("ix_access_rules_created_at_id"), "access_rules")

    op.drop_table("access_rules")
    op.drop_table("policy_state")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys")

    op.drop_table("idempotency_keys")
    op.drop_table("groups")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_events_append_only()")
        op.execute("ALTER TABLE files ALTER COLUMN folder_id RESET (n_distinct)")
