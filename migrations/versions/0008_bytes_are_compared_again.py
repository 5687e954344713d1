"""bytes are compared again; tasks that one of all processes does"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def binary_text(length: int | None = None) -> sa.String:
    collated = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


def upgrade() -> None:
    op.create_table(
        "object_checks",
        sa.Column("object_key", binary_text(), nullable=False),
        sa.Column("form_ends_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("object_key", name=op.f("pk_object_checks")),
    )
    op.create_index(op.f("ix_object_checks_form_ends_at"), "object_checks", ["form_ends_at"], unique=False)
    op.create_table(
        "periodic_tasks",
        sa.Column("name", binary_text(40), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_periodic_tasks")),
    )
    for table in ("files", "file_versions"):
        op.add_column(table, sa.Column("altered_at", INSTANT, nullable=True))


def downgrade() -> None:
    for table in ("file_versions", "files"):
        op.drop_column(table, "altered_at")
    op.drop_table("periodic_tasks")
    op.drop_table("object_checks")
