"""Copies of published files, from the wish to the end. Authorised by nobody."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import FileRow, PublicationRow
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.publication import Publication, PublicationState

OPEN: Final = (PublicationState.COPYING, PublicationState.LIVE)

_COLUMNS: Final = (
    PublicationRow.object_key,
    PublicationRow.file_id,
    PublicationRow.source_key,
    PublicationRow.state,
    PublicationRow.changed_at,
)
_LIVE: Final = select(PublicationRow.file_id, PublicationRow.object_key).where(
    among(PublicationRow.file_id, texts("ids")), PublicationRow.state == PublicationState.LIVE
)


async def begin(connection: AsyncConnection, key: str, file_id: FileId, source_key: str, *, now: datetime) -> bool:
    """A copy that is to be made. False, and nothing is done, if the file has one already, or will have."""
    statement = insert_unless_taken(connection, PublicationRow).values(
        object_key=key,
        file_id=file_id,
        source_key=source_key,
        state=PublicationState.COPYING,
        created_at=now,
        changed_at=now,
    )
    return (await connection.execute(statement.returning(PublicationRow.object_key))).first() is not None


async def find(connection: AsyncConnection, key: str) -> Publication | None:
    row = (await connection.execute(select(*_COLUMNS).where(PublicationRow.object_key == key))).first()
    return None if row is None else _publication(row)


async def find_live(connection: AsyncConnection, ids: Collection[FileId]) -> Mapping[FileId, str]:
    """The keys of the copies of those of ``ids`` that are published."""
    rows = await connection.execute(_LIVE, {"ids": list(ids)})
    return {FileId(row.file_id): row.object_key for row in rows}


async def list_unfinished(connection: AsyncConnection, *, after: str, limit: int) -> Sequence[Publication]:
    """Those that are not REMOVED, in order of key, from the first whose key follows ``after``."""
    statement = select(*_COLUMNS).where(
        PublicationRow.state != PublicationState.REMOVED, PublicationRow.object_key > after
    )
    return list(map(_publication, await connection.execute(statement.order_by(PublicationRow.object_key).limit(limit))))


async def move(
    connection: AsyncConnection, key: str, state: PublicationState, *, come_from: PublicationState, now: datetime
) -> bool:
    """Whether it was ``come_from`` and is ``state`` now."""
    statement = (
        update(PublicationRow)
        .where(PublicationRow.object_key == key, PublicationRow.state == come_from)
        .values(state=state, changed_at=now)
        .returning(PublicationRow.object_key)
    )
    return await connection.scalar(statement) is not None


async def withdraw(
    connection: AsyncConnection, file_id: FileId, *, now: datetime, key: str | None = None
) -> str | None:
    """The key of the copy that is to go: the file's open one, if it is ``key``, or whichever it is. None: no such."""
    statement = update(PublicationRow).where(PublicationRow.file_id == file_id, PublicationRow.state.in_(OPEN))
    if key is not None:
        statement = statement.where(PublicationRow.object_key == key)
    values = {"state": PublicationState.WITHDRAWN, "changed_at": now}
    return await connection.scalar(statement.values(**values).returning(PublicationRow.object_key))


async def folder_of(connection: AsyncConnection, file_id: FileId) -> FolderId | None:
    """Where the file is, if it is anywhere."""
    found = await connection.scalar(select(FileRow.folder_id).where(FileRow.id == file_id))
    return None if found is None else FolderId(found)


async def forget_removed(connection: AsyncConnection, *, before: datetime) -> None:
    """Those that were REMOVED before then."""
    await connection.execute(
        delete(PublicationRow).where(
            PublicationRow.changed_at < before, PublicationRow.state == PublicationState.REMOVED
        )
    )


def _publication(row: Any) -> Publication:
    key, file_id, source_key, state, changed_at = row
    return Publication(key, FileId(file_id), source_key, PublicationState(state), changed_at)
