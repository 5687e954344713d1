"""Copies of published files, from the wish to the end. Authorised by nobody."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import FileRow, FileScopeRow, PublicationRow
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.publication import Publication, PublicationState

OPEN: Final = (PublicationState.COPYING, PublicationState.LIVE)
_ENDING: Final = (PublicationState.WITHDRAWN, PublicationState.REMOVED)

_COLUMNS: Final = (
    PublicationRow.object_key,
    PublicationRow.file_id,
    PublicationRow.source_key,
    PublicationRow.state,
    PublicationRow.changed_at,
)
# Written out, for PostgreSQL to see whatever plan it makes that the index of open copies has them all.
_IS_OPEN: Final = PublicationRow.state.in_(bindparam("open", OPEN, expanding=True, literal_execute=True))
# In order, so that two who want the same copies wait and do not deadlock.
_LOCK: Final = select(*_COLUMNS).where(_IS_OPEN).order_by(PublicationRow.object_key).with_for_update()
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


async def list_live(
    connection: AsyncConnection, prefix: str, *, after: str | None, limit: int
) -> Sequence[Publication]:
    """Those that are LIVE and whose keys begin with ``prefix`` (ASCII, not empty) and follow ``after``, in order."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    key = PublicationRow.object_key
    statement = select(*_COLUMNS).where(PublicationRow.state == PublicationState.LIVE, key >= prefix, key < end)
    if after is not None:
        statement = statement.where(key > after)
    return list(map(_publication, await connection.execute(statement.order_by(key).limit(limit))))


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


async def lock_open(connection: AsyncConnection, ids: Collection[FileId], limit: int) -> Sequence[Publication]:
    """The open copies of at most ``limit`` of these files, held until the transaction ends."""
    statement = _LOCK.where(among(PublicationRow.file_id, texts("ids"))).limit(limit)
    return list(map(_publication, await connection.execute(statement, {"ids": list(ids)})))


async def lock_open_below(connection: AsyncConnection, folder_id: FolderId, limit: int) -> Sequence[Publication]:
    """At most ``limit`` open copies of files below the folder, held until the transaction ends."""
    is_below = (
        select(FileScopeRow.file_id)
        .where(FileScopeRow.scope == folder_id, FileScopeRow.file_id == PublicationRow.file_id)
        .exists()
    )
    return list(map(_publication, await connection.execute(_LOCK.where(is_below).limit(limit))))


async def withdraw(connection: AsyncConnection, keys: Collection[str], *, now: datetime) -> Sequence[Publication]:
    """Those of the copies that were open, and are to go now. The caller holds their locks, or those of their files."""
    if not keys:
        return ()
    statement = (
        update(PublicationRow)
        .where(among(PublicationRow.object_key, texts("keys")), _IS_OPEN)
        .values(state=PublicationState.WITHDRAWN, changed_at=now)
        .returning(*_COLUMNS)
    )
    gone = map(_publication, await connection.execute(statement, {"keys": list(keys)}))
    return sorted(gone, key=lambda each: each.object_key)


async def withdraw_again(connection: AsyncConnection, key: str, *, now: datetime) -> bool:
    """Whether the copy was WITHDRAWN or REMOVED; it is WITHDRAWN since now."""
    statement = (
        update(PublicationRow)
        .where(PublicationRow.object_key == key, PublicationRow.state.in_(_ENDING))
        .values(state=PublicationState.WITHDRAWN, changed_at=now)
        .returning(PublicationRow.object_key)
    )
    return await connection.scalar(statement) is not None


async def end(connection: AsyncConnection, withdrawn: Publication, *, now: datetime) -> None:
    """It is REMOVED, unless it was withdrawn again since ``withdrawn`` was read."""
    await connection.execute(
        update(PublicationRow)
        .where(
            PublicationRow.object_key == withdrawn.object_key,
            PublicationRow.state == PublicationState.WITHDRAWN,
            PublicationRow.changed_at == withdrawn.changed_at,
        )
        .values(state=PublicationState.REMOVED, changed_at=now)
    )


async def folders_of(connection: AsyncConnection, ids: Collection[FileId]) -> Mapping[FileId, FolderId]:
    """Where those of the files are that are anywhere."""
    statement = select(FileRow.id, FileRow.folder_id).where(among(FileRow.id, texts("ids")))
    rows = await connection.execute(statement, {"ids": list(ids)})
    return {FileId(row.id): FolderId(row.folder_id) for row in rows}


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
