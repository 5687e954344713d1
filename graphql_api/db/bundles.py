"""Bundles: what was promised, which entries are in, and whose objects they are."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import case, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.keyset import Ordering, page_of, seek, seek_parameters
from graphql_api.db.tables import BundleEntryRow, BundleRow
from graphql_api.model.bundle import Bundle, BundleEntry, BundleStatus, bundle_of
from graphql_api.model.file import ChecksumAlgorithm, FileVersion
from graphql_api.model.ids import BundleId, FileId, FolderId, UserId
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.upload import OnConflict, file_of

_COLUMNS: Final[tuple[Any, ...]] = tuple(column for column in BundleRow.__table__.columns if column.key != "deleted_at")
_LOOK: Final = 100  # deleted ones, of which as many are taken as have few enough entries
_BY_PATH: Final = Ordering("bundle-path", BundleEntryRow.path, BundleEntryRow.path, str, is_descending=False)


def _bundle(row: Any) -> Bundle:
    return Bundle(
        id=BundleId(row.id),
        owner_id=UserId(row.owner_id),
        folder_id=None if row.folder_id is None else FolderId(row.folder_id),
        name=row.name,
        main_path=row.main_path,
        size=row.size,
        content_type=row.content_type,
        on_conflict=OnConflict(row.on_conflict),
        entry_count=row.entry_count,
        missing=row.missing,
        status=BundleStatus(row.status),
        created_at=row.created_at,
    )


async def insert_bundle(connection: AsyncConnection, bundle: Bundle) -> None:
    """A PENDING one; the uploads of its entries are written down with it."""
    values = {column.key: getattr(bundle, column.key) for column in _COLUMNS}
    await connection.execute(insert(BundleRow).values(**values))


async def lock_bundle(connection: AsyncConnection, bundle_id: BundleId) -> Bundle | None:
    """The bundle, held until the transaction ends; None once its file is gone. To be done before the uploads of its
    entries are changed, so that two who do so wait for each other here.
    """
    statement = select(*_COLUMNS).where(BundleRow.id == bundle_id).with_for_update()
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _bundle(row)


async def add_entry(connection: AsyncConnection, bundle: Bundle, path: str, version: FileVersion) -> int | None:
    """An entry is in: ``version`` says what is known of its bytes. How many are missing now; None when it was in
    before. With the last one the bundle is COMPLETED. The caller holds the bundle, which is PENDING.
    """
    known = version.integrity
    entry = insert_unless_taken(connection, BundleEntryRow).values(
        bundle_id=bundle.id,
        path=path,
        object_key=version.object_key,
        size=version.size,
        content_type=version.stored_content_type,
        detected_content_type=version.detected_content_type,
        sha256=known.value if known and known.algorithm is ChecksumAlgorithm.SHA256 else None,
        crc64nvme=known.value if known and known.algorithm is ChecksumAlgorithm.CRC64NVME else None,
        etag=version.etag,
    )
    if await connection.scalar(entry.returning(BundleEntryRow.path)) is None:
        return None
    is_last = case((BundleRow.missing == 1, BundleStatus.COMPLETED), else_=BundleStatus.PENDING)
    statement = (
        update(BundleRow)
        .where(BundleRow.id == bundle.id, BundleRow.status == BundleStatus.PENDING)
        .values(missing=BundleRow.missing - 1, status=is_last)
        .returning(BundleRow.missing)
    )
    return (await connection.execute(statement)).scalar_one()


async def main_detected(connection: AsyncConnection, bundle: Bundle) -> str | None:
    """What the first bytes of the main entry prove it to be."""
    return await connection.scalar(
        select(BundleEntryRow.detected_content_type).where(BundleEntryRow.object_key == bundle.main_key)
    )


async def abort_bundle(connection: AsyncConnection, bundle_id: BundleId) -> bool:
    """Whether it was PENDING. Its entries are forgotten: their uploads tell what remains. The caller holds it."""
    return bool(await _abort(connection, [bundle_id]))


async def abort_bundles_into(connection: AsyncConnection, folder_ids: Collection[FolderId]) -> None:
    """The same for all into these folders, which are going; the uploads of their entries are to follow."""
    statement = (
        select(BundleRow.id)
        .where(among(BundleRow.folder_id, texts("folder_ids")), BundleRow.status == BundleStatus.PENDING)
        .order_by(BundleRow.id)
        .with_for_update()
    )
    await _abort(connection, list(await connection.scalars(statement, {"folder_ids": list(folder_ids)})))


async def _abort(connection: AsyncConnection, ids: Collection[str]) -> Sequence[str]:
    if not ids:
        return []
    statement = (
        update(BundleRow)
        .where(BundleRow.id.in_(ids), BundleRow.status == BundleStatus.PENDING)
        .values(status=BundleStatus.ABORTED)
        .returning(BundleRow.id)
    )
    ended = list(await connection.scalars(statement))
    await connection.execute(delete(BundleEntryRow).where(BundleEntryRow.bundle_id.in_(ended)))
    return ended


async def delete_bundles(
    connection: AsyncConnection, file_ids: Collection[FileId], *, now: datetime
) -> Sequence[BundleId]:
    """Those of these files, which go, that are bundles. Their entries are there until ``take_apart``, so that what goes
    at once has a bound, however many they are.
    """
    statement = (
        update(BundleRow)
        .where(among(BundleRow.id, texts("ids")), BundleRow.status == BundleStatus.COMPLETED)
        .values(deleted_at=now)
        .returning(BundleRow.id)
    )
    gone = await connection.scalars(statement, {"ids": [bundle_of(id_) for id_ in file_ids]})
    return [BundleId(id_) for id_ in gone]


async def is_any_deleted(connection: AsyncConnection) -> bool:
    """Whether there is something to take apart."""
    return await connection.scalar(select(BundleRow.id).where(BundleRow.deleted_at.is_not(None)).limit(1)) is not None


async def take_apart(
    connection: AsyncConnection, *, limit: int, only: Collection[BundleId] | None = None
) -> Sequence[str]:
    """The objects of some deleted bundles, those that were deleted first, or of ``only`` these; the rows are gone. At
    most ``limit`` objects, or one bundle if it has more. Nobody else is given them.
    """
    deleted = select(BundleRow.id, BundleRow.entry_count).where(BundleRow.deleted_at.is_not(None))
    if only is not None:
        deleted = deleted.where(among(BundleRow.id, texts("only")))
    deleted = deleted.order_by(BundleRow.deleted_at, BundleRow.id).limit(_LOOK).with_for_update(skip_locked=True)
    taken: list[str] = []
    room = limit
    for id_, entry_count in await connection.execute(deleted, None if only is None else {"only": list(only)}):
        if taken and entry_count > room:
            break
        taken.append(id_)
        room -= entry_count
    entries = delete(BundleEntryRow).where(BundleEntryRow.bundle_id.in_(taken)).returning(BundleEntryRow.object_key)
    keys = list(await connection.scalars(entries))
    await connection.execute(delete(BundleRow).where(BundleRow.id.in_(taken)))
    return keys


async def find_bundles(connection: AsyncConnection, file_ids: Collection[FileId]) -> Mapping[FileId, Bundle]:
    """Those of these files that are bundles. Authorised by nobody."""
    statement = select(*_COLUMNS).where(among(BundleRow.id, texts("ids")), BundleRow.status == BundleStatus.COMPLETED)
    rows = await connection.execute(statement, {"ids": [bundle_of(id_) for id_ in file_ids]})
    return {file_of(bundle.id): bundle for bundle in map(_bundle, rows)}


async def list_entries(connection: AsyncConnection, bundle_id: BundleId, request: PageRequest) -> Page[BundleEntry]:
    """In order of path. Authorised by nobody. Raises: InvalidInput: a foreign cursor."""
    columns = (BundleEntryRow.path, BundleEntryRow.size, BundleEntryRow.content_type)
    statement = select(*columns).where(BundleEntryRow.bundle_id == bundle_id)
    statement = seek(statement, _BY_PATH, is_backward=request.is_backward, has_cursor=request.cursor is not None)
    rows: Any = (await connection.execute(statement, seek_parameters(_BY_PATH, request))).all()
    return page_of(rows, request, _BY_PATH, lambda row: BundleEntry(*row), lambda entry: (entry.path, entry.path))
