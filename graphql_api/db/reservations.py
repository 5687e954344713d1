"""Uploads are written down, and the room for their bytes is reserved."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.access.standing import Standing
from graphql_api.db.among import among, texts
from graphql_api.db.tables import (
    FolderEntryRow,
    FolderGateRow,
    FolderRow,
    PolicyStateRow,
    StorageUsageRow,
    UploadRow,
)
from graphql_api.db.uploads import COLUMNS
from graphql_api.model.ids import FOLDER_PREFIX
from graphql_api.model.names import name_key
from graphql_api.model.principal import Permission
from graphql_api.model.rule import Effect
from graphql_api.model.upload import Upload

_LATER: Final = {"failure_code", "failure_message", "store_upload_id", "evidence", "clean_etag"}
_RESERVED: Final = [*(column for column in COLUMNS if column.key not in _LATER), UploadRow.look_at]
_KEYS: Final = [column.key for column in _RESERVED]


def _number(name: str) -> Any:
    return bindparam(name, type_=BigInteger())


def _values(folder_id: Any) -> list[Any]:
    return [
        folder_id if column.key == "folder_id" else bindparam(f"new_{column.key}", type_=column.type)
        for column in _RESERVED
    ]


def _place(columns: list[Any], *, is_admin: bool, is_free: bool) -> Select[Any]:
    """The folder: it is there, may be read and written in, and the name is free, under the policy of this version.
    With ``is_free`` nothing that is said of it or above it limits what it takes.
    """
    folder_id, version = bindparam("new_folder_id", type_=FolderRow.id.type), _number("version")
    is_taken = exists().where(
        FolderEntryRow.folder_id == FolderRow.id,
        FolderEntryRow.name_key == bindparam("name_key", type_=FolderEntryRow.name_key.type),
    )
    is_current = or_(version.is_(None), select(PolicyStateRow.version).scalar_subquery() == version)
    source = select(*columns).where(FolderRow.id == folder_id, ~is_taken, is_current)
    start = select(FolderRow.id, FolderRow.parent_id).where(FolderRow.id == folder_id)
    chain = start.cte("chain", recursive=True)
    upper = aliased(FolderRow)
    chain = chain.union_all(select(upper.id, upper.parent_id).where(upper.id == chain.c.parent_id))

    def is_below(scopes: str) -> ColumnElement[bool]:
        return select(literal(1)).where(among(chain.c.id, texts(scopes))).exists()

    if not is_admin:
        is_own = FolderRow.owner_id == bindparam("viewer_id", type_=FolderRow.owner_id.type)
        source = source.where(~is_below("denied"), or_(is_own, and_(is_below("readable"), is_below("writable"))))
    if is_free:
        above, limited = select(chain.c.id), aliased(StorageUsageRow)
        source = source.where(
            ~exists().where(FolderGateRow.folder_id.in_(above)), ~exists().where(limited.holder.in_(above))
        )
    return source.with_for_update(read=True, key_share=True, of=FolderRow)


def _reserve(*, is_admin: bool) -> Any:
    """INSERT … SELECT from the folder. It waits for a deletion of the folder, and then finds none."""
    source = _place(_values(FolderRow.id), is_admin=is_admin, is_free=False)
    return insert(UploadRow).from_select(_KEYS, source).returning(UploadRow.id)


def _reserve_at_once(*, is_admin: bool) -> Any:
    """PostgreSQL: the place is found, what its owner has is counted if it fits, and then the upload is written down."""
    place = _place([FolderRow.id], is_admin=is_admin, is_free=True).cte("place")
    size = bindparam("new_size", type_=UploadRow.size.type)
    limit = func.coalesce(StorageUsageRow.quota, _number("user_quota"))
    counted = (
        update(StorageUsageRow)
        .where(
            StorageUsageRow.holder == bindparam("new_owner_id", type_=UploadRow.owner_id.type),
            select(place.c.id).exists(),
            or_(limit.is_(None), StorageUsageRow.stored + StorageUsageRow.reserved + size <= limit),
        )
        .values(reserved=StorageUsageRow.reserved + size)
        .returning(StorageUsageRow.holder)
        .cte("counted")
    )
    source = select(*_values(place.c.id)).where(select(counted.c.holder).exists())
    return insert(UploadRow).from_select(_KEYS, source).returning(UploadRow.id)


_RESERVE: Final = {is_admin: _reserve(is_admin=is_admin) for is_admin in (False, True)}
_AT_ONCE: Final = {is_admin: _reserve_at_once(is_admin=is_admin) for is_admin in (False, True)}


async def reserve(
    connection: AsyncConnection, standing: Standing, upload: Upload, *, look_at: datetime, version: int | None = None
) -> bool:
    """Whether the PENDING upload was recorded; False when the folder is absent, hidden or not to be written in, the
    name is taken, or the policy has another ``version`` than the one given. ``look_at``: when to look for its bytes if
    nobody says that they are there. The caller counts it.
    """
    asked = _asked(standing, upload, look_at, version)
    return await connection.scalar(_RESERVE[standing.is_admin], asked) is not None


async def reserve_at_once(
    connection: AsyncConnection,
    standing: Standing,
    upload: Upload,
    *,
    look_at: datetime,
    version: int,
    user_quota: int | None,
) -> bool:
    """The same in a transaction of one statement, which counts, too. False as well when the bytes do not fit, when the
    owner was never counted so far, and where a folder's quota or gate has to be asked. PostgreSQL only: SQLite knows no
    statement that changes two tables.
    """
    asked = _asked(standing, upload, look_at, version) | {"user_quota": user_quota}
    return await connection.scalar(_AT_ONCE[standing.is_admin], asked) is not None


async def insert_upload(connection: AsyncConnection, upload: Upload, *, look_at: datetime) -> None:
    """Record a PENDING upload whose place the caller has checked and holds. The caller counts it."""
    await insert_uploads(connection, [upload], look_at=look_at)


async def insert_uploads(connection: AsyncConnection, uploads: Sequence[Upload], *, look_at: datetime) -> None:
    """The same for many, at least one."""
    values = {column.key: bindparam(f"new_{column.key}", type_=column.type) for column in _RESERVED}
    await connection.execute(insert(UploadRow).values(**values), [_new(upload, look_at) for upload in uploads])


def _new(upload: Upload, look_at: datetime) -> dict[str, object]:
    values: dict[str, object] = {f"new_{c.key}": getattr(upload, c.key) for c in _RESERVED if c.key != "look_at"}
    return values | {"new_look_at": look_at}


def _asked(standing: Standing, upload: Upload, look_at: datetime, version: int | None) -> dict[str, object]:
    asked = _new(upload, look_at) | {"name_key": name_key(upload.filename), "version": version}
    return asked if standing.is_admin else asked | _said_of_folders(standing)


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
