"""Uploads: found again, the one change of state, and what is due to be swept. ``reservations`` writes them down."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db.bundles import abort_bundles_into
from graphql_api.db.folders import release_names
from graphql_api.db.keyset import Ordering, page_of, seek, seek_parameters
from graphql_api.db.tables import UploadRow
from graphql_api.db.upload_parts import forget_promises
from graphql_api.model.file import Evidence
from graphql_api.model.ids import BundleId, FileId, FolderId, UploadId, UserId
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.parts import Remains
from graphql_api.model.upload import (
    UNFINISHED,
    Fingerprint,
    OnConflict,
    Upload,
    UploadFailure,
    UploadFailureCode,
    UploadMethod,
    UploadStatus,
)

_NEWEST_FIRST = Ordering("upload-created", UploadRow.created_at, UploadRow.id, datetime, is_descending=True)
COLUMNS: tuple[Any, ...] = (
    UploadRow.id,
    UploadRow.owner_id,
    UploadRow.folder_id,
    UploadRow.file_id,
    UploadRow.filename,
    UploadRow.size,
    UploadRow.content_type,
    UploadRow.sha256,
    UploadRow.crc64nvme,
    UploadRow.method,
    UploadRow.part_size,
    UploadRow.store_upload_id,
    UploadRow.object_key,
    UploadRow.on_conflict,
    UploadRow.replaces,
    UploadRow.by_admin,
    UploadRow.status,
    UploadRow.failure_code,
    UploadRow.failure_message,
    UploadRow.created_at,
    UploadRow.updated_at,
    UploadRow.expires_at,
    UploadRow.evidence,
    UploadRow.clean_etag,
    UploadRow.bundle_id,
)


def upload_of(row: Any) -> Upload:
    """``row``: has the values of ``COLUMNS`` as attributes."""
    failure = None
    if row.failure_code is not None:
        failure = UploadFailure(UploadFailureCode(row.failure_code), row.failure_message)
    return Upload(
        id=UploadId(row.id),
        owner_id=UserId(row.owner_id),
        folder_id=None if row.folder_id is None else FolderId(row.folder_id),
        file_id=FileId(row.file_id),
        filename=row.filename,
        size=row.size,
        content_type=row.content_type,
        sha256=row.sha256,
        crc64nvme=row.crc64nvme,
        method=UploadMethod(row.method),
        part_size=row.part_size,
        store_upload_id=row.store_upload_id,
        object_key=row.object_key,
        on_conflict=OnConflict(row.on_conflict),
        replaces=None if row.replaces is None else FileId(row.replaces),
        by_admin=row.by_admin,
        status=UploadStatus(row.status),
        failure=failure,
        created_at=row.created_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
        evidence=None if row.evidence is None else Evidence(row.evidence),
        clean_etag=row.clean_etag,
        bundle_id=None if row.bundle_id is None else BundleId(row.bundle_id),
    )


async def find_uploads(
    connection: AsyncConnection, standing: Standing, ids: Collection[UploadId]
) -> Mapping[UploadId, Upload]:
    """Those of ``ids`` that may be seen: one's own; administrators see all."""
    statement = select(*COLUMNS).where(UploadRow.id.in_(ids))
    if not standing.is_admin:
        statement = statement.where(UploadRow.owner_id == standing.user_id)
    return {upload.id: upload for upload in map(upload_of, await connection.execute(statement))}


async def find_upload_of(connection: AsyncConnection, object_key: str) -> Upload | None:
    """The upload that promised this object. Authorised by nobody."""
    row = (await connection.execute(select(*COLUMNS).where(UploadRow.object_key == object_key))).one_or_none()
    return None if row is None else upload_of(row)


async def list_uploads(
    connection: AsyncConnection,
    owner_id: UserId | None,
    statuses: Collection[UploadStatus],
    fingerprint: Fingerprint | None,
    request: PageRequest,
) -> Page[Upload]:
    """The owner's uploads, newest first; all states when ``statuses`` is empty."""
    statement = select(*COLUMNS).where(UploadRow.owner_id == owner_id)
    if statuses:
        statement = statement.where(UploadRow.status.in_(statuses))
    if fingerprint is not None:
        statement = statement.where(UploadRow.filename == fingerprint.filename, UploadRow.size == fingerprint.size)
        for column, value in ((UploadRow.sha256, fingerprint.sha256), (UploadRow.crc64nvme, fingerprint.crc64nvme)):
            if value is not None:
                statement = statement.where(column == value)
    statement = seek(statement, _NEWEST_FIRST, is_backward=request.is_backward, has_cursor=request.cursor is not None)
    rows: Any = (await connection.execute(statement, seek_parameters(_NEWEST_FIRST, request))).all()
    return page_of(rows, request, _NEWEST_FIRST, upload_of, lambda upload: (upload.created_at, upload.id))


async def move_upload(
    connection: AsyncConnection,
    upload_id: UploadId,
    status: UploadStatus,
    *,
    now: datetime,
    come_from: UploadStatus = UploadStatus.PENDING,
    failure: UploadFailure | None = None,
) -> Upload | None:
    """Move ``come_from`` → ``status``. None when the upload was no longer there: somebody else was first, or moved the
    end of one that was about to expire. What was said of its parts is forgotten. What it had reserved the caller
    releases last (``usage.release_uploads``) when it ends without a file; else ``versions.insert_version`` settles it.
    """
    changes: dict[str, object] = {"status": status, "updated_at": now}
    if failure is not None:
        changes |= {"failure_code": failure.code, "failure_message": failure.message}
    statement = (
        update(UploadRow)
        .where(UploadRow.id == upload_id, UploadRow.status == come_from)
        .values(**changes)
        .returning(*COLUMNS)
    )
    if status is UploadStatus.EXPIRED:
        statement = statement.where(UploadRow.expires_at <= now)
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    if row.method == UploadMethod.MULTIPART:
        await forget_promises(connection, [upload_id])
    return upload_of(row)


async def find_entry_uploads(connection: AsyncConnection, bundle_id: BundleId) -> Sequence[Upload]:
    """Those of the entries of a bundle. Authorised by nobody."""
    rows = await connection.execute(select(*COLUMNS).where(UploadRow.bundle_id == bundle_id))
    return [upload_of(row) for row in rows]


async def complete_entries(connection: AsyncConnection, bundle_id: BundleId, *, now: datetime) -> Sequence[UploadId]:
    """All entries of the bundle are in: so are their uploads. The caller holds the bundle."""
    statement = (
        update(UploadRow)
        .where(UploadRow.bundle_id == bundle_id, UploadRow.status == UploadStatus.PROCESSING)
        .values(status=UploadStatus.COMPLETED, updated_at=now)
        .returning(UploadRow.id)
    )
    return [UploadId(id_) for id_ in await connection.scalars(statement)]


async def abort_entries(
    connection: AsyncConnection, bundle_id: BundleId, *, now: datetime
) -> Mapping[UploadId, Remains]:
    """One entry of the bundle cannot be, so no other is wanted; the rest as for ``abort_uploads_into``. The caller
    holds the bundle.
    """
    return await _abort(connection, UploadRow.bundle_id == bundle_id, now)


async def rename_upload(connection: AsyncConnection, upload_id: UploadId, filename: str) -> None:
    """What becomes of it has another name than was asked for."""
    await connection.execute(update(UploadRow).where(UploadRow.id == upload_id).values(filename=filename))


async def abort_uploads_into(
    connection: AsyncConnection, folder_ids: Collection[FolderId], *, now: datetime
) -> Mapping[UploadId, Remains]:
    """Give up all uploads into these folders that have not become a file; what they leave at the store. What they had
    reserved the caller releases (``usage.of_ended``).
    """
    await abort_bundles_into(connection, folder_ids)
    return await _abort(connection, UploadRow.folder_id.in_(folder_ids), now)


async def abort_uploads_for(
    connection: AsyncConnection, file_ids: Collection[FileId], *, now: datetime
) -> Mapping[UploadId, Remains]:
    """Give up all uploads that would bring new bytes to these files, which are going; the rest as for those into
    folders.
    """
    return await _abort(connection, UploadRow.replaces.in_(file_ids), now)


async def _abort(
    connection: AsyncConnection, are_meant: ColumnElement[bool], now: datetime
) -> Mapping[UploadId, Remains]:
    statement = (
        update(UploadRow)
        .where(are_meant, UploadRow.status.in_(UNFINISHED))
        .values(status=UploadStatus.ABORTED, updated_at=now)
        .returning(UploadRow.id, UploadRow.object_key, UploadRow.store_upload_id, UploadRow.file_id)
    )
    gone = (await connection.execute(statement)).all()
    await release_names(connection, [row.file_id for row in gone])  # PROCESSING ones have theirs
    await forget_promises(connection, [UploadId(row.id) for row in gone])
    return {UploadId(row.id): Remains(row.object_key, row.store_upload_id) for row in gone}


async def refile_uploads_for(connection: AsyncConnection, file_id: FileId, folder_id: FolderId) -> int:
    """The file moves there, and so do the uploads of new bytes for it; how many bytes they have reserved."""
    statement = (
        update(UploadRow)
        .where(UploadRow.replaces == file_id, UploadRow.status.in_(UNFINISHED))
        .values(folder_id=folder_id)
        .returning(UploadRow.size)
    )
    return sum(await connection.scalars(statement))


async def await_verdict(
    connection: AsyncConnection, upload_id: UploadId, *, evidence: Evidence | None, look_at: datetime | None
) -> None:
    """What is to be known of a PROCESSING upload until it has its verdict; then ``look_at`` is None."""
    statement = update(UploadRow).where(UploadRow.id == upload_id)
    await connection.execute(statement.values(evidence=evidence, look_at=look_at))


async def record_clean(connection: AsyncConnection, upload_id: UploadId, etag: str) -> Upload | None:
    """The bytes with this ETag were called clean; None when the upload is over."""
    statement = (
        update(UploadRow)
        .where(UploadRow.id == upload_id, UploadRow.status.in_(UNFINISHED))
        .values(clean_etag=etag)
        .returning(*COLUMNS)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else upload_of(row)


async def record_begun(connection: AsyncConnection, upload_id: UploadId, store_upload_id: str) -> Upload | None:
    """The store has begun the upload; None when it is over or another was begun meanwhile."""
    return await _change_pending(
        connection, upload_id, UploadRow.store_upload_id.is_(None), store_upload_id=store_upload_id
    )


async def replace_begun(
    connection: AsyncConnection, upload_id: UploadId, store_upload_id: str | None, *, instead_of: str | None
) -> Upload | None:
    """Another upload of the store, or none, takes the place of ``instead_of``; None when it is over or that is gone."""
    is_that = UploadRow.store_upload_id.is_not_distinct_from(instead_of)
    return await _change_pending(connection, upload_id, is_that, store_upload_id=store_upload_id)


async def extend_upload(connection: AsyncConnection, upload_id: UploadId, expires_at: datetime) -> Upload | None:
    """It is given up later; None when it is over."""
    return await _change_pending(connection, upload_id, expires_at=expires_at)


async def extend_entries(connection: AsyncConnection, bundle_id: BundleId, expires_at: datetime) -> None:
    """Those of a bundle that are not in are given up later; the caller holds its lock."""
    are_meant = (UploadRow.bundle_id == bundle_id, UploadRow.status == UploadStatus.PENDING)
    await connection.execute(update(UploadRow).where(*are_meant).values(expires_at=expires_at))


async def _change_pending(
    connection: AsyncConnection, upload_id: UploadId, *conditions: ColumnElement[bool], **changes: object
) -> Upload | None:
    statement = (
        update(UploadRow)
        .where(UploadRow.id == upload_id, UploadRow.status == UploadStatus.PENDING, *conditions)
        .values(**changes)
        .returning(*COLUMNS)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else upload_of(row)


async def claim_to_look_at(
    connection: AsyncConnection, *, now: datetime, until: datetime, limit: int
) -> Sequence[Upload]:
    """PENDING and PROCESSING uploads at which it is time to look, at most ``limit`` of each. Nobody else gets them
    before ``until``.
    """
    is_over = and_(UploadRow.look_at.is_(None), UploadRow.expires_at <= now)
    claimed: list[Upload] = []
    for status, is_due in (
        (UploadStatus.PENDING, or_(UploadRow.look_at <= now, is_over)),
        (UploadStatus.PROCESSING, UploadRow.look_at <= now),
    ):
        due = select(UploadRow.id).where(UploadRow.status == status, is_due)
        # A CTE that locks is computed once. A subquery in its place may be run again for each row, and lock others.
        chosen = due.order_by(UploadRow.look_at).limit(limit).with_for_update(skip_locked=True).cte("due")
        is_chosen = UploadRow.id.in_(select(chosen.c.id))
        statement = update(UploadRow).where(is_chosen).values(look_at=until).returning(*COLUMNS)
        claimed += [upload_of(row) for row in await connection.execute(statement)]
    return claimed


async def look_again(connection: AsyncConnection, upload: Upload, look_at: datetime) -> None:
    """It is as it was: look again at ``look_at``."""
    statement = update(UploadRow).where(UploadRow.id == upload.id, UploadRow.status == upload.status)
    await connection.execute(statement.values(look_at=look_at))
