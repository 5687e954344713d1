"""The keyring, without private parts."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base, one_of
from graphql_api.db.types import binary_text
from graphql_api.model.ids import MAX_ID_LENGTH
from graphql_api.model.signing_key import MAX_PLACE_NAME, HashAlgorithm, KeyPlace, KeyStatus


class SigningKeyRow(Base):
    """See ``model.signing_key.KeyEntry``. At most one is ACTIVE, whoever writes."""

    __tablename__ = "signing_keys"
    __table_args__ = (
        CheckConstraint(one_of("status", KeyStatus), name="status_is_known"),
        CheckConstraint(one_of("place", KeyPlace), name="place_is_known"),
        CheckConstraint(one_of("hash_algorithm", HashAlgorithm), name="hash_algorithm_is_known"),
        Index(
            "ix_signing_keys_active",
            "status",
            unique=True,
            sqlite_where=text("status = 'ACTIVE'"),
            postgresql_where=text("status = 'ACTIVE'"),
        ),
    )

    id: Mapped[str] = mapped_column(binary_text(MAX_ID_LENGTH), primary_key=True)
    key_pair_id: Mapped[str] = mapped_column(binary_text(64), unique=True)
    place: Mapped[str] = mapped_column(binary_text(16))
    place_name: Mapped[str] = mapped_column(binary_text(MAX_PLACE_NAME))
    hash_algorithm: Mapped[str] = mapped_column(binary_text(8))
    public_pem: Mapped[str] = mapped_column(binary_text())
    status: Mapped[str] = mapped_column(binary_text(16))
    longest_lifetime: Mapped[int]  # seconds
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    retires_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
