"""Which schema the database has, and which one this code needs."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from graphql_api.db.engine import Database
from graphql_api.errors import ConfigurationError

# In a wheel the migrations travel inside the package; in a checkout they stand beside it.
_IN_WHEEL: Final = Path(__file__).parent.parent / "migrations"
MIGRATIONS: Final = _IN_WHEEL if _IN_WHEEL.is_dir() else Path(__file__).parent.parent.parent / "migrations"


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for these migrations, run on ``connection``."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """The revision that this code needs."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head


async def migrate(database: Database, revision: str = "head") -> None:
    """Bring the schema up to ``revision``. All in one transaction: it is applied whole or not at all."""
    async with database.transaction() as connection:
        await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync), revision))


async def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to ``revision``; ``base`` empties the database."""
    async with database.transaction() as connection:
        await connection.run_sync(lambda sync: command.downgrade(alembic_config(sync), revision))


async def require_newest_schema(database: Database) -> None:
    """Return when the database has the schema this code needs. Raises ``ConfigurationError``, ``Unavailable``."""
    async with database.autocommit() as connection:
        current = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    if current != (needed := newest_revision()):
        raise ConfigurationError(
            f"the database schema is {current or 'empty'}, this version needs {needed}: run `graphql-api migrate`"
        )
