"""What files of an earlier version lack: scopes, without which nobody finds them, words, and a first version."""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import bindparam, case, func, insert, literal, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.engine import Database
from graphql_api.db.notes import insert_words
from graphql_api.db.rules import hold_version
from graphql_api.db.scopes import insert_scopes
from graphql_api.db.tables import FileRow, FileScopeRow, FileVersionRow
from graphql_api.model.file import Evidence
from graphql_api.model.ids import FILE_PREFIX, VERSION_PREFIX, FileId

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
_FIRST_VERSIONS: Final = insert(FileVersionRow).from_select(
    [
        *("id", "file_id", "number", "object_key", "size", "content_type", "detected_content_type", "sha256"),
        *("evidence", "created_by", "created_at"),
    ],
    select(
        # The file's own ULID: unique among versions, and no other version has it.
        literal(VERSION_PREFIX) + func.substr(FileRow.id, len(FILE_PREFIX) + 1),
        FileRow.id,
        literal(1),
        FileRow.object_key,
        FileRow.size,
        FileRow.stored_content_type,
        FileRow.detected_content_type,
        FileRow.sha256,
        case((FileRow.sha256.is_not(None), Evidence.PROMISED.value), else_=null()),
        FileRow.owner_id,
        FileRow.created_at,
    ).where(among(FileRow.id, texts("ids"))),
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
            ids = list(await connection.scalars(_UNVERSIONED, {"size": size}))
            if ids:
                await connection.execute(_FIRST_VERSIONS, {"ids": ids})
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
