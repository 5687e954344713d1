"""The one statement that SQLAlchemy spells differently for the two databases."""

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.tables import Base


def insert_unless_taken(connection: AsyncConnection, row: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """``INSERT … ON CONFLICT DO NOTHING``: a lost race for a unique value is an answer, not an error."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(row).on_conflict_do_nothing()
    return postgresql.insert(row).on_conflict_do_nothing()
