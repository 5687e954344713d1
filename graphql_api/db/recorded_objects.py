"""What rows say about objects: which there should be, what each should be, and by whom a key is named.

Nothing here is authorised by anybody: it is for upkeep and reconciliation.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import literal, null, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.tables import FileRow, FileVersionRow, ObjectDeletionRow, UploadRow
from graphql_api.model.ids import FileId
from graphql_api.model.stored_object import RecordedObject
from graphql_api.model.upload import UploadStatus


class NamedBy(StrEnum):
    """What a row has to do with an object; the first of these counts if there are several."""

    FILE = "FILE"  # it is a version's, and has to be there
    DELETION = "DELETION"  # it is being removed
    PENDING = "PENDING"  # an upload waits for it
    PROCESSING = "PROCESSING"  # an upload has it, and a verdict is awaited
    ENDED = "ENDED"  # an upload has promised it, and is over


_SAID: Final = {by.value: by for by in NamedBy}

_OF_VERSIONS: Final = (
    FileVersionRow.object_key,
    FileVersionRow.file_id,
    FileVersionRow.size,
    FileVersionRow.content_type,
    FileVersionRow.sha256,
    FileVersionRow.crc64nvme,
    FileVersionRow.etag,
)
_OF_FILES: Final = (
    FileRow.object_key,
    FileRow.id,
    FileRow.size,
    FileRow.stored_content_type,
    FileRow.sha256,
    null(),
    null(),
)
_SOURCES: Final[tuple[tuple[Any, ...], ...]] = (_OF_VERSIONS, _OF_FILES)

_NAMING: Final = union_all(
    select(FileVersionRow.object_key, literal("FILE").label("by")).where(
        among(FileVersionRow.object_key, texts("keys"))
    ),
    select(FileRow.object_key, literal("FILE")).where(among(FileRow.object_key, texts("keys"))),
    select(ObjectDeletionRow.object_key, literal("DELETION")).where(among(ObjectDeletionRow.object_key, texts("keys"))),
    select(UploadRow.object_key, UploadRow.status).where(among(UploadRow.object_key, texts("keys"))),
)


async def list_recorded(
    connection: AsyncConnection, prefix: str, *, after: str | None, limit: int
) -> tuple[Sequence[RecordedObject], str | None]:
    """Objects of files and their versions whose keys follow ``after``, in order of key, and how far that is whole.

    The second is None at the end, else a key: more may follow it. ``prefix``: ASCII, not empty. Files of an earlier
    time have no version, so both tables are read, each by its index.
    """
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    found: dict[str, RecordedObject] = {}
    bounds: list[str] = []
    for columns in _SOURCES:
        key = columns[0]
        statement = select(*columns).where(key >= prefix, key < end).order_by(key).limit(limit)
        if after is not None:
            statement = statement.where(key > after)
        rows = (await connection.execute(statement)).all()
        if len(rows) == limit:
            bounds.append(rows[-1][0])
        for row in rows:
            found.setdefault(row[0], _recorded(row))
    bound = min(bounds, default=None)
    keys = sorted(key for key in found if bound is None or key <= bound)
    return [found[key] for key in keys], bound


async def find_recorded(connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, RecordedObject]:
    """What those of ``keys`` should be that files or their versions have."""
    found: dict[str, RecordedObject] = {}
    for columns in _SOURCES:
        rows = await connection.execute(select(*columns).where(among(columns[0], texts("keys"))), {"keys": list(keys)})
        for row in rows:
            found.setdefault(row[0], _recorded(row))
    return found


def _recorded(row: Any) -> RecordedObject:
    key, file_id, size, content_type, sha256, crc64nvme, etag = row
    return RecordedObject(key, FileId(file_id), size, content_type, sha256, crc64nvme, etag)


async def find_naming(connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, NamedBy]:
    """By what those of ``keys`` are named that any row names."""
    ranks = {by: rank for rank, by in enumerate(NamedBy)}
    found: dict[str, NamedBy] = {}
    for key, said in await connection.execute(_NAMING, {"keys": list(keys)}):
        by = _SAID.get(said, NamedBy.ENDED)
        if key not in found or ranks[by] < ranks[found[key]]:
            found[key] = by
    return found


async def find_pending_parts(connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, str | None]:
    """Of the PENDING uploads that promise these objects: the store's upload that each names, if it names one yet."""
    statement = select(UploadRow.object_key, UploadRow.store_upload_id).where(
        among(UploadRow.object_key, texts("keys")), UploadRow.status == UploadStatus.PENDING
    )
    rows = await connection.execute(statement, {"keys": list(keys)})
    return {row.object_key: row.store_upload_id for row in rows}


async def mark_altered(connection: AsyncConnection, key: str, *, now: datetime) -> bool:
    """From now on nobody is given these bytes. False when no file has them any more, or they were marked before."""
    marked = []
    for table in (FileVersionRow, FileRow):
        is_new = (table.object_key == key) & table.altered_at.is_(None)
        statement = update(table).where(is_new).values(altered_at=now).returning(table.id)
        marked.append(await connection.scalar(statement) is not None)
    return any(marked)
