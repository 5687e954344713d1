"""What files of an earlier version lack: scopes, without which nobody finds them, words, and a first version."""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.engine import Database
from graphql_api.db.notes import insert_words
from graphql_api.db.rules import hold_version
from graphql_api.db.scopes import insert_scopes
from graphql_api.db.tables import FileRow, FileScopeRow, FileVersionRow
from graphql_api.db.versions import insert_first_versions
from graphql_api.model.ids import FileId

BATCH: Final = 1_000  # files of one transaction

_UNSCOPED: Final = (
    select(FileRow.id, FileRow.name)
    .where(
        FileRow.id > bindparam("after", type_=FileRow.id.type),
        ~select(FileScopeRow.file_id).where(FileScopeRow.file_id == FileRow.id).exists(),
    )
    .order_by(FileRow.id)
    .limit(bindparam("size"))
    .with_for_update(read=True, key_share=True)  # none of them goes meanwhile
)

_UNVERSIONED: Final = (
    select(FileRow.id)
    .where(~select(FileVersionRow.file_id).where(FileVersionRow.file_id == FileRow.id).exists())
    .order_by(FileRow.id)
    .limit(bindparam("size"))
    .with_for_update(read=True, key_share=True)
)


async def backfill(
    database: Database, alone: Callable[[AsyncConnection], Awaitable[None]], *, size: int = BATCH
) -> int:
    """Give every file what it lacks; how many times something was lacking."""
    return await _backfill_versions(database, alone, size) + await _backfill_scopes(database, alone, size)


async def _backfill_versions(database: Database, alone: Callable[[AsyncConnection], Awaitable[None]], size: int) -> int:
    number = 0
    while True:
        async with database.transaction() as connection:
            await alone(connection)
            ids = [FileId(id_) for id_ in await connection.scalars(_UNVERSIONED, {"size": size})]
            if ids:
                await insert_first_versions(connection, ids)
        number += len(ids)
        if len(ids) < size:
            return number


async def _backfill_scopes(database: Database, alone: Callable[[AsyncConnection], Awaitable[None]], size: int) -> int:
    """Every file without scopes gets its scopes and words; how many there were.

    ``alone`` returns when no other process does the same. Each batch is a transaction: one that is stopped half way has
    not worked in vain, and the application may run meanwhile.
    """
    after, number = "", 0
    while True:
        async with database.transaction() as connection:
            await alone(connection)
            await hold_version(connection)
            rows = (await connection.execute(_UNSCOPED, {"after": after, "size": size})).all()
            names = {FileId(id_): name for id_, name in rows}
            await insert_scopes(connection, list(names))
            await insert_words(connection, names)
        number += len(rows)
        if len(rows) < size:
            return number
        after = rows[-1].id
