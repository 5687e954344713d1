"""Files: the pages of a list, and single rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access import Reach, reach_of
from graphql_api.db.folders import subtree
from graphql_api.db.keyset import Ordering, page_of, seek, seek_parameters
from graphql_api.db.tables import FileRow, FolderRow
from graphql_api.db.visibility import viewer, within
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.listing import FileFilter, FileOrder, FileOrderField, OrderDirection
from graphql_api.model.names import name_key
from graphql_api.model.page import MAX_COUNTED, Count, Page, PageRequest
from graphql_api.model.principal import Principal

COLUMNS: tuple[Any, ...] = (
    FileRow.id,
    FileRow.folder_id,
    FileRow.owner_id,
    FileRow.name,
    FileRow.size,
    FileRow.content_type,
    FileRow.stored_content_type,
    FileRow.sha256,
    FileRow.object_key,
    FileRow.created_at,
    FileRow.updated_at,
)


def file_of(row: Any) -> File:
    """``row``: the values of ``COLUMNS``, in order. Positional, because a page makes a hundred of these."""
    return File(*row)


def _ordering(order: FileOrder) -> Ordering:
    is_descending = order.direction is OrderDirection.DESC
    match order.field:
        case FileOrderField.CREATED_AT:
            return Ordering("file-created", FileRow.created_at, FileRow.id, datetime, is_descending)
        case FileOrderField.NAME:
            return Ordering("file-name", FileRow.name_key, FileRow.id, str, is_descending)
        case FileOrderField.SIZE:
            return Ordering("file-size", FileRow.size, FileRow.id, int, is_descending)


def _position(field: FileOrderField, file: File) -> tuple[datetime | str | int, str]:
    match field:
        case FileOrderField.CREATED_AT:
            return file.created_at, file.id
        case FileOrderField.NAME:
            return name_key(file.name), file.id
        case FileOrderField.SIZE:
            return file.size, file.id


@dataclass(frozen=True)
class _Shape:
    """All that changes a list statement's text; values come as parameters. Shapes are few: each is built once."""

    reach: Reach
    order: FileOrder
    is_in_folder: bool
    is_recursive: bool
    families: int  # of content types, such as image/*
    types: int
    has_min_size: bool
    has_max_size: bool
    has_since: bool
    has_before: bool


def _shape(principal: Principal, wanted: FileFilter, order: FileOrder) -> _Shape:
    families = sum(kind.endswith("/*") for kind in wanted.content_types)
    return _Shape(
        reach=reach_of(principal),
        order=order,
        is_in_folder=wanted.folder_id is not None,
        is_recursive=wanted.is_recursive,
        families=families,
        types=len(wanted.content_types) - families,
        has_min_size=wanted.min_size is not None,
        has_max_size=wanted.max_size is not None,
        has_since=wanted.created_since is not None,
        has_before=wanted.created_before is not None,
    )


def _parameters(principal: Principal, wanted: FileFilter) -> dict[str, object]:
    parameters = viewer(principal) | {
        "folder_id": wanted.folder_id,
        "min_size": wanted.min_size,
        "max_size": wanted.max_size,
        "since": wanted.created_since,
        "before": wanted.created_before,
    }
    families = [kind.removesuffix("*") for kind in wanted.content_types if kind.endswith("/*")]
    for index, family in enumerate(families):
        parameters[f"family_{index}"] = family
        parameters[f"family_end_{index}"] = family[:-1] + chr(ord("/") + 1)  # the first text after all of image/…
    types = [kind for kind in wanted.content_types if not kind.endswith("/*")]
    for index, kind in enumerate(types):
        parameters |= {f"type_{index}": kind, f"type_with_{index}": kind + ";", f"type_end_{index}": kind + "<"}
    return parameters


@lru_cache(maxsize=256)
def _filtered(shape: _Shape) -> Select[*tuple[Any, ...]]:
    statement = select(*COLUMNS).where(within(shape.reach, FileRow.owner_id))
    if shape.is_in_folder:
        folder_id = bindparam("folder_id", type_=FileRow.folder_id.type)
        if shape.is_recursive:
            statement = statement.where(FileRow.folder_id.in_(select(subtree(folder_id).c.id)))
        else:
            statement = statement.where(FileRow.folder_id == folder_id)
    kinds: list[ColumnElement[bool]] = [
        (FileRow.content_type >= bindparam(f"family_{index}"))
        & (FileRow.content_type < bindparam(f"family_end_{index}"))
        for index in range(shape.families)
    ]
    kinds += [
        (FileRow.content_type == bindparam(f"type_{index}"))
        | (  # the type with parameters, such as text/plain; charset=utf-8
            (FileRow.content_type >= bindparam(f"type_with_{index}"))
            & (FileRow.content_type < bindparam(f"type_end_{index}"))
        )
        for index in range(shape.types)
    ]
    if kinds:
        statement = statement.where(or_(*kinds))
    if shape.has_min_size:
        statement = statement.where(FileRow.size >= bindparam("min_size"))
    if shape.has_max_size:
        statement = statement.where(FileRow.size <= bindparam("max_size"))
    if shape.has_since:
        statement = statement.where(FileRow.created_at >= bindparam("since"))
    if shape.has_before:
        statement = statement.where(FileRow.created_at < bindparam("before"))
    return statement


@lru_cache(maxsize=256)
def _page(shape: _Shape, *, is_backward: bool, has_cursor: bool) -> Select[*tuple[Any, ...]]:
    return seek(_filtered(shape), _ordering(shape.order), is_backward=is_backward, has_cursor=has_cursor)


@lru_cache(maxsize=256)
def _count(shape: _Shape) -> Select[*tuple[Any, ...]]:
    some = _filtered(shape).with_only_columns(FileRow.id).limit(MAX_COUNTED + 1).subquery()
    return select(func.count()).select_from(some)


async def list_files(
    connection: AsyncConnection, principal: Principal, wanted: FileFilter, order: FileOrder, request: PageRequest
) -> Page[File]:
    """Files the principal may see, authorised in the statement. Raises ``InvalidInput`` for a foreign cursor."""
    shape = _shape(principal, wanted, order)
    ordering = _ordering(order)
    statement = _page(shape, is_backward=request.is_backward, has_cursor=request.cursor is not None)
    parameters = _parameters(principal, wanted) | seek_parameters(ordering, request)
    rows: Any = (await connection.execute(statement, parameters)).all()
    return page_of(rows, request, ordering, file_of, lambda file: _position(order.field, file))


async def count_files(connection: AsyncConnection, principal: Principal, wanted: FileFilter) -> Count:
    """How many the list has in all, counted up to ``MAX_COUNTED``."""
    statement = _count(_shape(principal, wanted, FileOrder()))
    number = await connection.scalar(statement, _parameters(principal, wanted)) or 0
    return Count(min(number, MAX_COUNTED), is_exact=number <= MAX_COUNTED)


async def find_files(
    connection: AsyncConnection, principal: Principal, ids: Collection[FileId]
) -> Mapping[FileId, File]:
    """Those of ``ids`` that the principal may see."""
    statement = select(*COLUMNS).where(FileRow.id.in_(ids), within(reach_of(principal), FileRow.owner_id))
    files = [file_of(row) for row in await connection.execute(statement, viewer(principal))]
    return {file.id: file for file in files}


async def find_file_in(connection: AsyncConnection, principal: Principal, folder_id: FolderId, key: str) -> File | None:
    """The file of that name in the folder, if the principal may see it."""
    statement = select(*COLUMNS).where(
        FileRow.folder_id == folder_id, FileRow.name_key == key, within(reach_of(principal), FileRow.owner_id)
    )
    row = (await connection.execute(statement, viewer(principal))).one_or_none()
    return None if row is None else file_of(row)


async def lock_files(
    connection: AsyncConnection, principal: Principal, ids: Collection[FileId]
) -> Mapping[FileId, tuple[File, str | None]]:
    """Those of ``ids`` that the principal may see, each with the type its first bytes showed, held until the
    transaction ends. They are locked by id, so that two who want the same files wait and do not deadlock.
    """
    statement = (
        select(*COLUMNS, FileRow.detected_content_type)
        .where(FileRow.id.in_(ids), within(reach_of(principal), FileRow.owner_id))
        .order_by(FileRow.id)
        .with_for_update()
    )
    rows = await connection.execute(statement, viewer(principal))
    return {FileId(row.id): (file_of(row[:-1]), row[-1]) for row in rows}


async def lock_folder_of(connection: AsyncConnection, file_id: FileId) -> None:
    """The folder of the file cannot go away before the transaction ends. Locked before the file, as a deletion does."""
    its_folder = select(FileRow.folder_id).where(FileRow.id == file_id).scalar_subquery()
    await connection.execute(
        select(FolderRow.id).where(FolderRow.id == its_folder).with_for_update(read=True, key_share=True)
    )


async def insert_file(connection: AsyncConnection, file: File, *, detected_content_type: str | None) -> None:
    """The caller has claimed the name."""
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


async def update_file(connection: AsyncConnection, file_id: FileId, *, now: datetime, **changes: str) -> File:
    """The file after ``changes`` (``name``, ``content_type``, ``folder_id``); the caller holds its lock."""
    if "name" in changes:
        changes["name_key"] = name_key(changes["name"])
    statement = update(FileRow).where(FileRow.id == file_id).values(**changes, updated_at=now).returning(*COLUMNS)
    return file_of((await connection.execute(statement)).one())


async def delete_files(connection: AsyncConnection, ids: Collection[FileId]) -> None:
    """The rows only; bytes are removed after the commit."""
    await connection.execute(delete(FileRow).where(FileRow.id.in_(ids)))


async def lock_files_in(
    connection: AsyncConnection, principal: Principal, folder_ids: Collection[FolderId], *, limit: int
) -> Sequence[tuple[FileId, str, bool]]:
    """Id, object key and "the principal may change it" of at most ``limit`` files in these folders.

    Held until the transaction ends: a file that is being moved out is waited for, and then it is none of these.
    """
    statement = (
        select(FileRow.id, FileRow.object_key, within(reach_of(principal), FileRow.owner_id))
        .where(FileRow.folder_id.in_(folder_ids))
        .order_by(FileRow.id)
        .limit(limit)
        .with_for_update()
    )
    rows = await connection.execute(statement, viewer(principal))
    return [(FileId(id_), key, bool(is_own)) for id_, key, is_own in rows]
