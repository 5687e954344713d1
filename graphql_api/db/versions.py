"""Versions of files: the bytes that a file has and had."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.tables import FileRow, FileVersionRow
from graphql_api.db.usage import settle
from graphql_api.model.file import ChecksumAlgorithm, Evidence, FileVersion, Integrity
from graphql_api.model.ids import FileId, UserId, VersionId
from graphql_api.model.upload import Upload

_INTEGRITY: Final = (FileVersionRow.sha256, FileVersionRow.crc64nvme, FileVersionRow.evidence)
_CURRENT_INTEGRITY: Final = (
    select(FileVersionRow.file_id, *_INTEGRITY)
    .join(FileRow, FileRow.object_key == FileVersionRow.object_key)
    .where(among(FileRow.id, texts("ids")))
)


async def insert_version(connection: AsyncConnection, version: FileVersion, upload: Upload) -> None:
    """What ``upload`` has become, and it is counted as stored instead of reserved. The caller holds the lock of the
    file, or has just made it, and waits for nobody afterwards (see ``usage``).
    """
    known = version.integrity
    await connection.execute(
        insert(FileVersionRow).values(
            id=version.id,
            file_id=version.file_id,
            number=version.number,
            object_key=version.object_key,
            size=version.size,
            content_type=version.content_type,
            detected_content_type=version.detected_content_type,
            sha256=known.value if known and known.algorithm is ChecksumAlgorithm.SHA256 else None,
            crc64nvme=known.value if known and known.algorithm is ChecksumAlgorithm.CRC64NVME else None,
            evidence=known.evidence if known else None,
            etag=version.etag,
            created_by=version.created_by,
            created_at=version.created_at,
        )
    )
    await settle(connection, upload.id, version.file_id, version.size)


async def bytes_of(connection: AsyncConnection, file_id: FileId) -> int:
    """Of all versions of a file."""
    statement = select(func.sum(FileVersionRow.size)).where(FileVersionRow.file_id == file_id)
    return int(await connection.scalar(statement) or 0)


async def newest_number(connection: AsyncConnection, file_id: FileId) -> int:
    """Of a file whose lock the caller holds; 0 when it has none."""
    statement = select(func.max(FileVersionRow.number)).where(FileVersionRow.file_id == file_id)
    return await connection.scalar(statement) or 0


async def list_keys(connection: AsyncConnection, file_ids: Collection[FileId]) -> Sequence[str]:
    """The objects of all versions of these files, also of those whose first version is not written down yet."""
    newest = select(FileRow.object_key).where(among(FileRow.id, texts("ids")))
    all_ = newest.union(select(FileVersionRow.object_key).where(among(FileVersionRow.file_id, texts("ids"))))
    return list(await connection.scalars(all_, {"ids": list(file_ids)}))


async def find_integrity(connection: AsyncConnection, file_ids: Collection[FileId]) -> Mapping[FileId, Integrity]:
    """What is known about the newest bytes of each of these files. Authorised by nobody."""
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
    """``row``: has all columns of ``FileVersionRow``."""
    return FileVersion(
        id=VersionId(row.id),
        file_id=FileId(row.file_id),
        number=row.number,
        object_key=row.object_key,
        size=row.size,
        content_type=row.content_type,
        detected_content_type=row.detected_content_type,
        integrity=integrity_of(row),
        etag=row.etag,
        created_by=UserId(row.created_by),
        created_at=row.created_at,
    )
