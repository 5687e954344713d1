"""Single files: found and locked for somebody, or written. Pages of files are made in ``listing``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db.among import among, texts
from graphql_api.db.listing import count_files, list_files
from graphql_api.db.notes import insert_words, replace_words
from graphql_api.db.pages import COLUMNS
from graphql_api.db.rules import delete_rules_on
from graphql_api.db.scopes import SCOPES, insert_scopes, scopes_in, scopes_of_files
from graphql_api.db.tables import BundleEntryRow, FileRow, FolderRow, LinkRevocationRow
from graphql_api.model.file import File, FileVersion
from graphql_api.model.ids import BUNDLES_PREFIX, FileId, FolderId
from graphql_api.model.names import name_key
from graphql_api.model.principal import Permission
from graphql_api.model.rule import AccessRule

__all__ = [
    "LockedFile",
    "count_files",
    "delete_files",
    "find_file_in",
    "find_files",
    "find_scopes",
    "insert_file",
    "list_files",
    "lock_files",
    "lock_files_in",
    "lock_folder_of",
    "lock_rows",
    "switch_version",
    "update_file",
    "with_terms",
]

_FIND: Final = select(*COLUMNS, SCOPES).where(among(FileRow.id, texts("ids")))
_FIND_IN: Final = select(*COLUMNS, SCOPES).where(
    FileRow.folder_id == bindparam("folder_id", type_=FileRow.folder_id.type),
    FileRow.name_key == bindparam("key", type_=FileRow.name_key.type),
)


@dataclass(frozen=True)
class LockedFile:
    """A file that stays as it is until the transaction ends, with all scopes that a rule can name it by."""

    file: File
    detected_content_type: str | None  # what its first bytes showed
    scopes: frozenset[str]


async def find_files(connection: AsyncConnection, standing: Standing, ids: Collection[FileId]) -> Mapping[FileId, File]:
    """Those of ``ids`` that may be seen."""
    files = _seen(standing, await connection.execute(_FIND, {"ids": list(ids)}))
    return {file.id: file for file in files}


async def find_scopes(
    connection: AsyncConnection, standing: Standing, ids: Collection[FileId]
) -> Mapping[FileId, frozenset[str]]:
    """All scopes of those of ``ids`` that may be seen."""
    found = await scopes_of_files(connection, ids)
    return {id_: scopes for id_, scopes in found.items() if standing.may(Permission.READ, scopes)}


async def find_file_in(connection: AsyncConnection, standing: Standing, folder_id: FolderId, key: str) -> File | None:
    """The file of that name in the folder, if it may be seen."""
    rows = await connection.execute(_FIND_IN, {"folder_id": folder_id, "key": key})
    return next(iter(_seen(standing, rows)), None)


async def newest_object_key(connection: AsyncConnection) -> str | None:
    """Of a file with bytes, of which nobody has found that they are others than were uploaded. Where all are bundles,
    the main entry of one to which no revoked link lives: of another the edge may let nothing through.
    """
    newest = select(FileRow.object_key).where(FileRow.altered_at.is_(None)).order_by(FileRow.id.desc()).limit(1)
    is_bundle = FileRow.object_key.startswith(BUNDLES_PREFIX, autoescape=True)
    single = await connection.scalar(newest.where(FileRow.size > 0, ~is_bundle))
    if single is not None:
        return single
    main_entry = select(BundleEntryRow.path).where(
        BundleEntryRow.object_key == FileRow.object_key, BundleEntryRow.size > 0
    )
    revocation = select(LinkRevocationRow.number).where(LinkRevocationRow.target == FileRow.id)
    return await connection.scalar(newest.where(is_bundle, main_entry.exists(), ~revocation.exists()))


def _seen(standing: Standing, rows: Any) -> list[File]:
    found = []
    for *values, joined in rows:
        scopes = scopes_in(values[0], joined)
        if standing.may(Permission.READ, scopes):
            found.append(File(*(*values, standing.read_terms(scopes))))
    return found


async def lock_files(
    connection: AsyncConnection, standing: Standing, ids: Collection[FileId]
) -> Mapping[FileId, LockedFile]:
    """Those of ``ids`` that may be seen, held until the transaction ends.

    They are locked by id, so that two who want the same files wait and do not deadlock. Their scopes are read after
    that: whoever was waited for may have changed them.
    """
    statement = select(*COLUMNS, FileRow.detected_content_type).where(among(FileRow.id, texts("ids")))
    statement = statement.order_by(FileRow.id).with_for_update()
    rows = (await connection.execute(statement, {"ids": list(ids)})).all()
    scopes = await scopes_of_files(connection, ids)
    return {
        FileId(row.id): LockedFile(File(*(*row[:-1], standing.read_terms(scopes[row.id]))), row[-1], scopes[row.id])
        for row in rows
        if standing.may(Permission.READ, scopes[row.id])
    }


async def lock_rows(connection: AsyncConnection, ids: Collection[FileId]) -> None:
    """These stay as they are until the transaction ends, whoever may see them; locked as ``lock_files`` does."""
    statement = select(FileRow.id).where(among(FileRow.id, texts("ids"))).order_by(FileRow.id).with_for_update()
    await connection.execute(statement, {"ids": list(ids)})


async def lock_folder_of(connection: AsyncConnection, file_id: FileId) -> None:
    """The folder of the file cannot go away before the transaction ends. Locked before the file, as a deletion does."""
    its_folder = select(FileRow.folder_id).where(FileRow.id == file_id).scalar_subquery()
    await connection.execute(
        select(FolderRow.id).where(FolderRow.id == its_folder).with_for_update(read=True, key_share=True)
    )


async def lock_files_in(
    connection: AsyncConnection, folder_ids: Collection[FolderId], *, limit: int
) -> Sequence[tuple[FileId, frozenset[str]]]:
    """Id and scopes of at most ``limit`` files directly in these folders. Authorised by nobody.

    Held until the transaction ends: a file that is being moved out is waited for, and then it is none of these.
    """
    statement = select(FileRow.id).where(among(FileRow.folder_id, texts("folder_ids")))
    statement = statement.order_by(FileRow.id).limit(limit).with_for_update()
    ids = [FileId(id_) for id_ in await connection.scalars(statement, {"folder_ids": list(folder_ids)})]
    scopes = await scopes_of_files(connection, ids)
    return [(id_, scopes[id_]) for id_ in ids]


async def insert_file(connection: AsyncConnection, file: File, *, detected_content_type: str | None) -> None:
    """With its scopes and words. The caller has claimed the name and holds the policy version."""
    await connection.execute(
        insert(FileRow).values(
            id=file.id,
            folder_id=file.folder_id,
            owner_id=file.owner_id,
            name=file.name,
            name_key=name_key(file.name),
            size=file.size,
            content_type=file.content_type,
            stored_content_type=file.stored_content_type,
            detected_content_type=detected_content_type,
            sha256=file.sha256,
            object_key=file.object_key,
            created_at=file.created_at,
            updated_at=file.updated_at,
        )
    )
    await insert_scopes(connection, [file.id])
    await insert_words(connection, {file.id: file.name})


async def update_file(
    connection: AsyncConnection, standing: Standing, file_id: FileId, *, now: datetime, **changes: str
) -> File:
    """The file after ``changes`` (``name``, ``content_type``, ``folder_id``), on the terms of its scopes as they are
    then: who moves it calls ``scopes.refile`` before this. The caller holds its lock.
    """
    if "name" in changes:
        changes["name_key"] = name_key(changes["name"])
        await replace_words(connection, file_id, changes["name"])
    statement = update(FileRow).where(FileRow.id == file_id).values(**changes, updated_at=now).returning(*COLUMNS)
    row = (await connection.execute(statement)).one()
    return await with_terms(connection, standing, File(*row))


async def switch_version(
    connection: AsyncConnection, standing: Standing, version: FileVersion, *, now: datetime
) -> File:
    """The file with these bytes instead of those it had. The caller holds its lock."""
    statement = (
        update(FileRow)
        .where(FileRow.id == version.file_id)
        .values(
            object_key=version.object_key,
            size=version.size,
            content_type=version.content_type,
            stored_content_type=version.stored_content_type,
            detected_content_type=version.detected_content_type,
            sha256=version.sha256,
            updated_at=now,
            altered_at=version.altered_at,
            infected_at=version.infected_at,
        )
        .returning(*COLUMNS)
    )
    row = (await connection.execute(statement)).one()
    return await with_terms(connection, standing, File(*row))


async def with_terms(connection: AsyncConnection, standing: Standing, file: File) -> File:
    """The file on the terms that ``standing`` has on it now; it was found or made in this transaction."""
    scopes = await scopes_of_files(connection, [file.id])
    return replace(file, terms=standing.read_terms(scopes[file.id]))


async def delete_files(connection: AsyncConnection, ids: Collection[FileId]) -> list[AccessRule]:
    """The rows, and the rules about these files, which are returned. Bytes are removed after the commit, and counted at
    the end of the transaction: the caller has asked before for the keys of all versions and for what is to be counted
    (``usage.of_going``), given up uploads of further ones, and deleted the bundles among them. The caller holds their
    locks.
    """
    gone = await delete_rules_on(connection, ids)
    await connection.execute(delete(FileRow).where(among(FileRow.id, texts("ids"))), {"ids": list(ids)})
    return gone
