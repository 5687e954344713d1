"""Versions of files: the bytes that a file has and had."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, case, delete, false, func, insert, literal, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db.among import among, texts
from graphql_api.db.keyset import SEEK_KEY, Ordering, page_of, seek_parameters
from graphql_api.db.scopes import scopes_of_files
from graphql_api.db.tables import FileRow, FileVersionRow
from graphql_api.db.usage import Change, settle
from graphql_api.model.file import ChecksumAlgorithm, Evidence, FileVersion, Integrity
from graphql_api.model.ids import FILE_PREFIX, VERSION_PREFIX, FileId, UserId, VersionId
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission
from graphql_api.model.upload import Upload

_NEWEST_FIRST: Final = Ordering("version-number", FileVersionRow.number, FileVersionRow.id, int, is_descending=True)
_KEPT: Final[tuple[Any, ...]] = tuple(FileVersionRow.__table__.columns)
_COLUMNS: Final[tuple[Any, ...]] = (*_KEPT, (FileRow.object_key == FileVersionRow.object_key).label("is_current"))
_INTEGRITY: Final = (FileVersionRow.sha256, FileVersionRow.crc64nvme, FileVersionRow.evidence)
_CURRENT_INTEGRITY: Final = (
    select(FileVersionRow.file_id, *_INTEGRITY)
    .join(FileRow, FileRow.object_key == FileVersionRow.object_key)
    .where(among(FileRow.id, texts("ids")))
)
_FIND: Final = (
    select(*_COLUMNS).join(FileRow, FileRow.id == FileVersionRow.file_id).where(among(FileVersionRow.id, texts("ids")))
)
_FIRST_VERSIONS: Final = insert(FileVersionRow).from_select(
    [
        *("id", "file_id", "number", "object_key", "size", "content_type", "corrected_content_type"),
        *("detected_content_type", "sha256", "evidence", "created_by", "created_at"),
        *("altered_at", "infected_at"),
    ],
    select(
        # The file's own ULID: unique among versions, and no other version has it.
        literal(VERSION_PREFIX) + func.substr(FileRow.id, len(FILE_PREFIX) + 1),
        FileRow.id,
        literal(1),
        FileRow.object_key,
        FileRow.size,
        FileRow.stored_content_type,
        func.nullif(FileRow.content_type, FileRow.stored_content_type),
        FileRow.detected_content_type,
        FileRow.sha256,
        case((FileRow.sha256.is_not(None), Evidence.PROMISED.value), else_=null()),
        FileRow.owner_id,
        FileRow.created_at,
        FileRow.altered_at,
        FileRow.infected_at,
    ).where(
        among(FileRow.id, texts("ids")),
        ~select(FileVersionRow.file_id).where(FileVersionRow.file_id == FileRow.id).exists(),
    ),
)


async def insert_version(
    connection: AsyncConnection, version: FileVersion, upload: Upload, *, going: Iterable[Change] = ()
) -> None:
    """What ``upload`` has become, and it is counted as stored instead of reserved, together with ``going``. The caller
    holds the lock of the file, or has just made it, and waits for nobody afterwards (see ``usage``).
    """
    known = version.integrity
    await connection.execute(
        insert(FileVersionRow).values(
            id=version.id,
            file_id=version.file_id,
            number=version.number,
            object_key=version.object_key,
            size=version.size,
            content_type=version.stored_content_type,
            detected_content_type=version.detected_content_type,
            sha256=known.value if known and known.algorithm is ChecksumAlgorithm.SHA256 else None,
            crc64nvme=known.value if known and known.algorithm is ChecksumAlgorithm.CRC64NVME else None,
            evidence=known.evidence if known else None,
            etag=version.etag,
            created_by=version.created_by,
            created_at=version.created_at,
        )
    )
    await settle(connection, upload.id, version.file_id, version.size, going=going)


async def bytes_of(connection: AsyncConnection, file_id: FileId) -> int:
    """Of all versions of a file."""
    statement = select(func.sum(FileVersionRow.size)).where(FileVersionRow.file_id == file_id)
    return int(await connection.scalar(statement) or 0)


async def insert_first_versions(connection: AsyncConnection, file_ids: Collection[FileId]) -> None:
    """Write down what those of these files have that no version is written down of: a process of an earlier release
    made them. The caller holds their locks.
    """
    await connection.execute(_FIRST_VERSIONS, {"ids": list(file_ids)})


async def take_number(connection: AsyncConnection, file_id: FileId) -> int:
    """For the next version of a file whose lock the caller holds."""
    statement = (
        update(FileRow)
        .where(FileRow.id == file_id)
        .values(newest_version=FileRow.newest_version + 1)
        .returning(FileRow.newest_version)
    )
    return (await connection.execute(statement)).scalar_one()


async def correct_content_type(connection: AsyncConnection, object_key: str, content_type: str) -> None:
    """What the version with this object is delivered as from now on, also when it is no longer the current one."""
    corrected = func.nullif(
        bindparam("wanted", content_type, FileVersionRow.content_type.type), FileVersionRow.content_type
    )
    statement = update(FileVersionRow).where(FileVersionRow.object_key == object_key)
    await connection.execute(statement.values(corrected_content_type=corrected))


async def find_versions(
    connection: AsyncConnection, standing: Standing, ids: Collection[VersionId]
) -> Mapping[VersionId, FileVersion]:
    """Those of ``ids`` whose file may be seen."""
    found = [version_of(row) for row in await connection.execute(_FIND, {"ids": list(ids)})]
    scopes = await scopes_of_files(connection, {version.file_id for version in found})
    return {
        version.id: version
        for version in found
        if version.file_id in scopes and standing.may(Permission.READ, scopes[version.file_id])
    }


async def page_versions(
    connection: AsyncConnection, file_ids: Collection[FileId], request: PageRequest
) -> Mapping[FileId, Page[FileVersion]]:
    """Of each of these files a page of its versions, the newest first. Authorised by nobody.

    Raises ``InvalidInput`` for a foreign cursor.
    """
    number = FileVersionRow.number
    order = number.asc() if request.is_backward else number.desc()
    place = func.row_number().over(partition_by=FileVersionRow.file_id, order_by=order)
    placed = select(FileVersionRow.id, place.label("place")).where(among(FileVersionRow.file_id, texts("ids")))
    if request.cursor is not None:  # numbers are unique in a file
        there = bindparam(SEEK_KEY, type_=number.type)
        placed = placed.where(number > there if request.is_backward else number < there)
    near = placed.subquery()
    statement = (
        select(*_COLUMNS)
        .join(near, near.c.id == FileVersionRow.id)
        .join(FileRow, FileRow.id == FileVersionRow.file_id)
        .where(near.c.place <= bindparam("page_size"))
        .order_by(order)
    )
    parameters = seek_parameters(_NEWEST_FIRST, request) | {"ids": list(file_ids)}
    rows: dict[str, list[Any]] = {file_id: [] for file_id in file_ids}
    for row in await connection.execute(statement, parameters):
        rows[row.file_id].append(row)
    return {
        FileId(file_id): page_of(of_file, request, _NEWEST_FIRST, version_of, lambda each: (each.number, each.id))
        for file_id, of_file in rows.items()
    }


async def delete_versions(connection: AsyncConnection, ids: Collection[VersionId]) -> None:
    """None of them is current, and the caller holds the lock of their file; bytes are removed after the commit."""
    await connection.execute(delete(FileVersionRow).where(among(FileVersionRow.id, texts("ids"))), {"ids": list(ids)})


async def delete_oldest(connection: AsyncConnection, file_id: FileId, *, keep: int) -> Sequence[FileVersion]:
    """Delete what a file whose lock the caller holds has beyond ``keep`` versions, the oldest first and never the
    current one; what went.
    """
    current = select(FileRow.object_key).where(FileRow.id == file_id).scalar_subquery()
    others = select(FileVersionRow.id).where(FileVersionRow.file_id == file_id, FileVersionRow.object_key != current)
    beyond = others.order_by(FileVersionRow.number.desc()).offset(keep - 1)
    statement = delete(FileVersionRow).where(FileVersionRow.id.in_(beyond))
    rows = await connection.execute(statement.returning(*_KEPT, false().label("is_current")))
    return sorted(map(version_of, rows), key=lambda version: version.number)


async def list_keys(connection: AsyncConnection, file_ids: Collection[FileId]) -> Sequence[str]:
    """The objects of all versions of these files, also of those whose first version is not written down yet; of bundles
    only the main entry.
    """
    newest = select(FileRow.object_key).where(among(FileRow.id, texts("ids")))
    all_ = newest.union(select(FileVersionRow.object_key).where(among(FileVersionRow.file_id, texts("ids"))))
    return sorted(set(await connection.scalars(all_, {"ids": list(file_ids)})))


async def find_integrity(connection: AsyncConnection, file_ids: Collection[FileId]) -> Mapping[FileId, Integrity]:
    """What is known about the current bytes of each of these files. Authorised by nobody."""
    rows = await connection.execute(_CURRENT_INTEGRITY, {"ids": list(file_ids)})
    found = {FileId(row.file_id): integrity_of(row) for row in rows}
    return {id_: integrity for id_, integrity in found.items() if integrity is not None}


def integrity_of(row: Any) -> Integrity | None:
    """``row``: has ``sha256``, ``crc64nvme`` and ``evidence``."""
    if row.evidence is None:
        return None
    if row.sha256 is not None:
        return Integrity(ChecksumAlgorithm.SHA256, row.sha256, Evidence(row.evidence))
    return Integrity(ChecksumAlgorithm.CRC64NVME, row.crc64nvme, Evidence(row.evidence))


def version_of(row: Any) -> FileVersion:
    """``row``: has all columns of ``FileVersionRow``, and ``is_current``."""
    return FileVersion(
        id=VersionId(row.id),
        file_id=FileId(row.file_id),
        number=row.number,
        object_key=row.object_key,
        size=row.size,
        content_type=row.corrected_content_type or row.content_type,
        stored_content_type=row.content_type,
        detected_content_type=row.detected_content_type,
        integrity=integrity_of(row),
        etag=row.etag,
        created_by=UserId(row.created_by),
        created_at=row.created_at,
        is_current=bool(row.is_current),
        altered_at=row.altered_at,
        infected_at=row.infected_at,
    )
