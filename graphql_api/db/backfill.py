"""What files of an earlier version lack: scopes, without which nobody finds them, and words."""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.engine import Database
from graphql_api.db.notes import insert_words
from graphql_api.db.rules import hold_version
from graphql_api.db.scopes import insert_scopes
from graphql_api.db.tables import FileRow, FileScopeRow
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


async def backfill(
    database: Database, alone: Callable[[AsyncConnection], Awaitable[None]], *, size: int = BATCH
) -> int:
    """Give every file without scopes its scopes and words; how many there were.

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
