"""What rows say about objects: which there should be and what each should be, and which keys any row has a use for.

Nothing here is authorised by anybody: it is for upkeep and reconciliation.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import CompoundSelect, func, literal, null, or_, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.tables import (
    BundleEntryRow,
    BundleRow,
    FileRow,
    FileVersionRow,
    ObjectDeletionRow,
    PublicationRow,
    UploadRow,
)
from graphql_api.model.bundle import BundleStatus, bundle_of_key
from graphql_api.model.ids import BUNDLE_PREFIX, FILE_PREFIX, BundleId, FileId, FolderId
from graphql_api.model.publication import PublicationState
from graphql_api.model.stored_object import RecordedObject
from graphql_api.model.upload import UNFINISHED, UploadStatus, file_of

_OF_VERSIONS: Final = (
    FileVersionRow.object_key,
    FileVersionRow.file_id,
    FileVersionRow.size,
    FileVersionRow.content_type,
    FileVersionRow.sha256,
    FileVersionRow.crc64nvme,
    FileVersionRow.etag,
    FileVersionRow.altered_at,
)
_OF_FILES: Final = (  # by a program of an earlier version, which may still be running
    FileRow.object_key,
    FileRow.id,
    FileRow.size,
    FileRow.stored_content_type,
    FileRow.sha256,
    null(),
    null(),
    FileRow.altered_at,
)
_OF_ENTRIES: Final = (  # of bundles that are files; the version and the file repeat what they are together
    BundleEntryRow.object_key,
    literal(FILE_PREFIX) + func.substr(BundleEntryRow.bundle_id, len(BUNDLE_PREFIX) + 1),
    BundleEntryRow.size,
    BundleEntryRow.content_type,
    BundleEntryRow.sha256,
    BundleEntryRow.crc64nvme,
    BundleEntryRow.etag,
    BundleEntryRow.altered_at,
)
_SOURCES: Final[tuple[tuple[Any, ...], ...]] = (_OF_ENTRIES, _OF_VERSIONS, _OF_FILES)

_KNOWN: Final = union_all(
    select(FileVersionRow.object_key).where(among(FileVersionRow.object_key, texts("keys"))),
    select(FileRow.object_key).where(among(FileRow.object_key, texts("keys"))),
    select(BundleEntryRow.object_key).where(among(BundleEntryRow.object_key, texts("keys"))),
    select(UploadRow.object_key).where(among(UploadRow.object_key, texts("keys")), UploadRow.status.in_(UNFINISHED)),
    select(PublicationRow.object_key).where(
        among(PublicationRow.object_key, texts("keys")), PublicationRow.state != PublicationState.REMOVED
    ),
    select(ObjectDeletionRow.object_key).where(among(ObjectDeletionRow.object_key, texts("keys"))),
)


_PENDING_PARTS: Final[CompoundSelect[Any]] = union_all(
    select(UploadRow.object_key, UploadRow.store_upload_id).where(
        among(UploadRow.object_key, texts("keys")), UploadRow.status == UploadStatus.PENDING
    ),
    select(PublicationRow.object_key, null()).where(
        among(PublicationRow.object_key, texts("keys")), PublicationRow.state == PublicationState.COPYING
    ),
)


@dataclass(frozen=True, slots=True)
class Marked:
    """The file that has the bytes, as its own or as those of a version, and where it is."""

    file_id: FileId
    folder_id: FolderId


async def list_recorded(
    connection: AsyncConnection, prefix: str, *, after: str | None, limit: int
) -> tuple[Sequence[RecordedObject], str | None]:
    """Objects of files and their versions whose keys follow ``after``, in order of key, and how far that is whole.

    The second is None at the end, else a key: more may follow it. ``prefix``: ASCII, not empty.
    """
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    found: dict[str, RecordedObject] = {}
    bounds: list[str] = []
    for columns in _SOURCES:
        key = columns[0]
        statement = _of(columns).where(key >= prefix, key < end).order_by(key).limit(limit)
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
        rows = await connection.execute(_of(columns).where(among(columns[0], texts("keys"))), {"keys": list(keys)})
        for row in rows:
            found.setdefault(row[0], _recorded(row))
    return found


def _of(columns: tuple[Any, ...]) -> Any:
    statement = select(*columns)
    if columns is not _OF_ENTRIES:
        return statement
    return statement.join(BundleRow, BundleRow.id == BundleEntryRow.bundle_id).where(
        BundleRow.status == BundleStatus.COMPLETED, BundleRow.deleted_at.is_(None)
    )


def _recorded(row: Any) -> RecordedObject:
    key, file_id, *known = row
    return RecordedObject(key, FileId(file_id), *known)


async def find_known(connection: AsyncConnection, keys: Collection[str]) -> frozenset[str]:
    """Those of ``keys`` whose objects a file has, an upload awaits, a verdict is awaited for, anybody may read, or are
    being removed.
    """
    return frozenset(await connection.scalars(_KNOWN, {"keys": list(keys)}))


async def find_pending_parts(connection: AsyncConnection, keys: Collection[str]) -> Mapping[str, str | None]:
    """Of the PENDING uploads that promise these objects: the store's upload that each names, if it names one yet.
    Copies that are being made name none.
    """
    rows = await connection.execute(_PENDING_PARTS, {"keys": list(keys)})
    return {row[0]: row[1] for row in rows}


async def mark_altered(connection: AsyncConnection, key: str, *, now: datetime) -> Marked | None:
    """From now on nobody is given these bytes. None when no file has them any more, or they were marked before."""
    return await _mark(connection, key, "altered_at", now)


async def unmark_altered(connection: AsyncConnection, key: str) -> Marked | None:
    """They are given again. None when no file has them any more, or they were not marked."""
    return await _mark(connection, key, "altered_at", None)


async def mark_infected(connection: AsyncConnection, key: str, *, now: datetime) -> Marked | None:
    """As ``mark_altered``, and for good."""
    return await _mark(connection, key, "infected_at", now)


async def _mark(connection: AsyncConnection, key: str, name: str, value: datetime | None) -> Marked | None:
    """The file is locked first, as by all others, so that it gets no other bytes meanwhile."""
    if (bundle_id := bundle_of_key(key)) is not None:
        return await _mark_entry(connection, bundle_id, key, name, value)
    of_versions = select(FileVersionRow.file_id).where(FileVersionRow.object_key == key)
    has_them = or_(FileRow.object_key == key, FileRow.id.in_(of_versions))
    locked = select(FileRow.id, FileRow.folder_id).where(has_them).with_for_update()
    file = (await connection.execute(locked)).one_or_none()
    if file is None:
        return None
    changed = 0
    for table in (FileRow, FileVersionRow):
        column = getattr(table, name)
        is_news = column.is_not(None) if value is None else column.is_(None)
        statement = update(table).where(table.object_key == key, is_news).values({name: value})
        changed += (await connection.execute(statement)).rowcount
    return Marked(FileId(file.id), FolderId(file.folder_id)) if changed else None


async def _mark_entry(
    connection: AsyncConnection, bundle_id: BundleId, key: str, name: str, value: datetime | None
) -> Marked | None:
    """One entry withholds the whole bundle: a link to it opens them all."""
    file_id = file_of(bundle_id)
    locked = select(FileRow.id, FileRow.folder_id).where(FileRow.id == file_id).with_for_update()
    file = (await connection.execute(locked)).one_or_none()
    if file is None:
        return None
    column = getattr(BundleEntryRow, name)
    is_news = column.is_not(None) if value is None else column.is_(None)
    changed = update(BundleEntryRow).where(BundleEntryRow.object_key == key, is_news).values({name: value})
    if not (await connection.execute(changed)).rowcount:
        return None
    first = await connection.scalar(select(func.min(column)).where(BundleEntryRow.bundle_id == bundle_id))
    await connection.execute(update(FileRow).where(FileRow.id == file_id).values({name: first}))
    await connection.execute(update(FileVersionRow).where(FileVersionRow.file_id == file_id).values({name: first}))
    return Marked(FileId(file.id), FolderId(file.folder_id))
