"""What is stored and reserved, counted anew: for a database that an earlier version has written to, and for repair."""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.engine import Database
from graphql_api.db.rules import lock_version
from graphql_api.db.usage_sums import list_user_ids, recount_folders, recount_users

BATCH: Final = 500  # users of one transaction


async def _nobody_else(_connection: AsyncConnection) -> None:
    """Any number may count at once."""


async def recount(
    database: Database, alone: Callable[[AsyncConnection], Awaitable[None]] = _nobody_else, *, size: int = BATCH
) -> int:
    """Set every number that is wrong; how many were. The application may run meanwhile: it waits for a batch at most.

    ``alone`` returns when no other process does the same.
    """
    after, number = "", 0
    while True:
        async with database.transaction() as connection:
            await alone(connection)
            ids = await list_user_ids(connection, after, size)
            number += await recount_users(connection, ids)
        if len(ids) < size:
            break
        after = ids[-1]
    async with database.transaction() as connection:
        await alone(connection)
        await lock_version(connection)
        return number + await recount_folders(connection)
