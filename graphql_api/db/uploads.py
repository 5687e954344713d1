"""Uploads: reservation, the one change of state, and what is due to be swept."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.access.standing import Standing
from graphql_api.db.among import among, texts
from graphql_api.db.keyset import Ordering, page_of, seek, seek_parameters
from graphql_api.db.tables import FolderEntryRow, FolderRow, UploadRow
from graphql_api.model.ids import FOLDER_PREFIX, FileId, FolderId, UploadId, UserId
from graphql_api.model.names import name_key
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission
from graphql_api.model.rule import Effect
from graphql_api.model.upload import OnConflict, Upload, UploadFailure, UploadFailureCode, UploadStatus

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
    UploadRow.object_key,
    UploadRow.on_conflict,
    UploadRow.status,
    UploadRow.failure_code,
    UploadRow.failure_message,
    UploadRow.created_at,
    UploadRow.updated_at,
    UploadRow.expires_at,
)
_RESERVED = [column for column in COLUMNS if column.key not in {"failure_code", "failure_message"}]


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
        object_key=row.object_key,
        on_conflict=OnConflict(row.on_conflict),
        status=UploadStatus(row.status),
        failure=failure,
        created_at=row.created_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
    )


def _reserve(*, is_admin: bool) -> Any:
    """INSERT … SELECT from the folder: the folder is there, may be read and written in, and the name is free, in one
    statement, which is a transaction of its own. It waits for a deletion of the folder, and then finds none.
    """
    folder_id = bindparam("new_folder_id", type_=FolderRow.id.type)
    is_taken = exists().where(
        FolderEntryRow.folder_id == FolderRow.id,
        FolderEntryRow.name_key == bindparam("name_key", type_=FolderEntryRow.name_key.type),
    )
    values = [
        FolderRow.id if column.key == "folder_id" else bindparam(f"new_{column.key}", type_=column.type)
        for column in _RESERVED
    ]
    source = select(*values).where(FolderRow.id == folder_id, ~is_taken)
    if not is_admin:
        start = select(FolderRow.id, FolderRow.parent_id).where(FolderRow.id == folder_id)
        chain = start.cte("chain", recursive=True)
        upper = aliased(FolderRow)
        chain = chain.union_all(select(upper.id, upper.parent_id).where(upper.id == chain.c.parent_id))

        def is_below(scopes: str) -> ColumnElement[bool]:
            return select(literal(1)).where(among(chain.c.id, texts(scopes))).exists()

        is_own = FolderRow.owner_id == bindparam("viewer_id", type_=FolderRow.owner_id.type)
        source = source.where(~is_below("denied"), or_(is_own, and_(is_below("readable"), is_below("writable"))))
    source = source.with_for_update(read=True, key_share=True, of=FolderRow)
    return insert(UploadRow).from_select([column.key for column in _RESERVED], source).returning(UploadRow.id)


_RESERVE = {is_admin: _reserve(is_admin=is_admin) for is_admin in (False, True)}


async def reserve(connection: AsyncConnection, standing: Standing, upload: Upload) -> bool:
    """Whether the PENDING upload was recorded; False when the folder is absent, hidden or not to be written in, or the
    name is taken.
    """
    parameters: dict[str, object] = {f"new_{column.key}": getattr(upload, column.key) for column in _RESERVED}
    parameters["name_key"] = name_key(upload.filename)
    if not standing.is_admin:
        parameters |= _said_of_folders(standing)
    return await connection.scalar(_RESERVE[standing.is_admin], parameters) is not None


def _said_of_folders(standing: Standing) -> dict[str, object]:
    """The same decision as ``Standing.may`` makes for READ and WRITE, as parameters."""

    def folders(effect: Effect, permission: Permission) -> list[str]:
        return [scope for scope in standing.scopes_with(effect, permission) if scope.startswith(FOLDER_PREFIX)]

    return {
        "viewer_id": standing.user_id,
        "denied": folders(Effect.DENY, Permission.READ) + folders(Effect.DENY, Permission.WRITE),
        "readable": folders(Effect.ALLOW, Permission.READ),
        "writable": folders(Effect.ALLOW, Permission.WRITE),
    }


async def find_uploads(
    connection: AsyncConnection, standing: Standing, ids: Collection[UploadId]
) -> Mapping[UploadId, Upload]:
    """Those of ``ids`` that may be seen: one's own; administrators see all."""
    statement = select(*COLUMNS).where(UploadRow.id.in_(ids))
    if not standing.is_admin:
        statement = statement.where(UploadRow.owner_id == standing.user_id)
    return {upload.id: upload for upload in map(upload_of, await connection.execute(statement))}


async def list_uploads(
    connection: AsyncConnection, owner_id: UserId | None, statuses: Collection[UploadStatus], request: PageRequest
) -> Page[Upload]:
    """The owner's uploads, newest first; all states when ``statuses`` is empty."""
    statement = select(*COLUMNS).where(UploadRow.owner_id == owner_id)
    if statuses:
        statement = statement.where(UploadRow.status.in_(statuses))
    statement = seek(statement, _NEWEST_FIRST, is_backward=request.is_backward, has_cursor=request.cursor is not None)
    rows: Any = (await connection.execute(statement, seek_parameters(_NEWEST_FIRST, request))).all()
    return page_of(rows, request, _NEWEST_FIRST, upload_of, lambda upload: (upload.created_at, upload.id))


async def end_upload(
    connection: AsyncConnection,
    upload_id: UploadId,
    status: UploadStatus,
    *,
    now: datetime,
    failure: UploadFailure | None = None,
) -> Upload | None:
    """Move PENDING → ``status``. None when the upload was no longer PENDING: somebody else was first."""
    changes: dict[str, object] = {"status": status, "updated_at": now}
    if failure is not None:
        changes |= {"failure_code": failure.code, "failure_message": failure.message}
    statement = (
        update(UploadRow)
        .where(UploadRow.id == upload_id, UploadRow.status == UploadStatus.PENDING)
        .values(**changes)
        .returning(*COLUMNS)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else upload_of(row)


async def rename_upload(connection: AsyncConnection, upload_id: UploadId, filename: str) -> None:
    """The file got another name than was asked for."""
    await connection.execute(update(UploadRow).where(UploadRow.id == upload_id).values(filename=filename))


async def abort_uploads_into(
    connection: AsyncConnection, folder_ids: Collection[FolderId], *, now: datetime
) -> Mapping[UploadId, str]:
    """Give up all PENDING uploads into these folders; their object keys."""
    statement = (
        update(UploadRow)
        .where(UploadRow.folder_id.in_(folder_ids), UploadRow.status == UploadStatus.PENDING)
        .values(status=UploadStatus.ABORTED, updated_at=now)
        .returning(UploadRow.id, UploadRow.object_key)
    )
    return {UploadId(id_): key for id_, key in await connection.execute(statement)}


async def expire_uploads(connection: AsyncConnection, *, now: datetime, limit: int) -> Mapping[UploadId, str]:
    """Move at most ``limit`` uploads that are PENDING past their time to EXPIRED; their object keys."""
    due = (
        select(UploadRow.id)
        .where(UploadRow.status == UploadStatus.PENDING, UploadRow.expires_at <= now)
        .order_by(UploadRow.expires_at)
        .limit(limit)
    )
    statement = (
        update(UploadRow)
        .where(UploadRow.id.in_(due), UploadRow.status == UploadStatus.PENDING)
        .values(status=UploadStatus.EXPIRED, updated_at=now)
        .returning(UploadRow.id, UploadRow.object_key)
    )
    return {UploadId(id_): key for id_, key in await connection.execute(statement)}
