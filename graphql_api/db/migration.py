"""Which schema the database has, and which one this code needs."""

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.backfill import backfill
from graphql_api.db.engine import Database
from graphql_api.db.recount import recount
from graphql_api.errors import ConfigurationError

log = logging.getLogger(__name__)

_LOCK: Final = 0x6772_6170_6871_6C  # "graphql" in ASCII; any number that nobody else locks

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
    """Bring the schema up to ``revision``, in one transaction: it is applied whole or not at all. Files of an earlier
    version then get what they lack, in batches, and what users and folders have stored is counted anew.
    """
    async with database.transaction() as connection:
        await _alone(connection)
        current = await connection.run_sync(_revision)
        if current is not None and not _is_known(current):
            raise ConfigurationError(f"the database schema is {current}, which is newer than this version")
        await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync), revision))
    if revision != "head":
        return
    if number := await backfill(database, _alone):
        log.info("files_backfilled number=%d", number)
    if number := await recount(database, _alone):
        log.info("usage_corrected number=%d", number)


async def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to ``revision``; ``base`` empties the database."""
    async with database.transaction() as connection:
        await _alone(connection)
        await connection.run_sync(lambda sync: command.downgrade(alembic_config(sync), revision))


async def require_newest_schema(database: Database) -> None:
    """Return when the database has the schema this code needs, or a newer one.

    A newer one is what an old process finds that restarts between migration and roll-out; every migration is compatible
    with the code that is running then. Raises ``ConfigurationError`` for an empty or older schema, ``Unavailable``.
    """
    async with database.autocommit() as connection:
        current = await connection.run_sync(_revision)
    if current is not None and not _is_known(current):
        log.warning("schema_newer database=%s code=%s", current, newest_revision())
    elif current != (needed := newest_revision()):
        raise ConfigurationError(
            f"the database schema is {current or 'empty'}, this version needs {needed}: run `graphql-api migrate`"
        )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _is_known(revision: str) -> bool:
    known = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return any(script.revision == revision for script in known)


async def _alone(connection: AsyncConnection) -> None:
    """Wait until no other process migrates or fills in: several may be told to at once. SQLite lets one in anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
