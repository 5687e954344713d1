"""What all tables share."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from graphql_api.db.types import UtcDateTime

MAX_CONTENT_TYPE_LENGTH: Final = 255  # characters


def one_of(column: str, values: type[StrEnum]) -> str:
    """The condition that a column has one of an enum's values, as SQL."""
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
