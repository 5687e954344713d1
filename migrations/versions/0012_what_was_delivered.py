"""what was delivered of files and of users' files, and which logs of the edge were counted"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def binary_text(length: int | None = None) -> sa.String:
    collated: Any = sa.String(length, collation="C")
    return sa.String(length).with_variant(collated, "postgresql")


ID = binary_text(40)


def counts() -> list[sa.Column[Any]]:
    return [
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("downloads", sa.BigInteger(), nullable=False),
        sa.Column("delivered_bytes", sa.BigInteger(), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "access_logs",
        sa.Column("name", binary_text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("size >= 0", name=op.f("ck_access_logs_size_is_not_negative")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_access_logs")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "file_traffic",
        sa.Column("file_id", ID, nullable=False),
        *counts(),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name=op.f("fk_file_traffic_file_id_files"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", "day", name=op.f("pk_file_traffic")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_file_traffic_day"), "file_traffic", ["day"])
    op.create_table(
        "user_traffic",
        sa.Column("user_id", ID, nullable=False),
        *counts(),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_traffic_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "day", name=op.f("pk_user_traffic")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("user_traffic")
    op.drop_table("file_traffic")
    op.drop_table("access_logs")
