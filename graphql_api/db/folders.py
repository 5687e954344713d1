"""Folders, and the names in them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, RowMapping, Select, bindparam, delete, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.access import reach_of
from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.keyset import Ordering, page_of, seek, seek_parameters
from graphql_api.db.tables import FolderEntryRow, FolderRow
from graphql_api.db.visibility import viewer, within
from graphql_api.model.file import Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, FolderId, UserId
from graphql_api.model.names import name_key
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Principal

COLUMNS: tuple[Any, ...] = (
    FolderRow.id,
    FolderRow.parent_id,
    FolderRow.owner_id,
    FolderRow.name,
    FolderRow.created_at,
    FolderRow.updated_at,
)
_BY_NAME = Ordering("folder-name", FolderRow.name_key, FolderRow.id, str)


def folder_of(row: RowMapping) -> Folder:
    return Folder(
        id=FolderId(row["id"]),
        parent_id=None if row["parent_id"] is None else FolderId(row["parent_id"]),
        owner_id=None if row["owner_id"] is None else UserId(row["owner_id"]),
        name=row["name"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def find_folders(
    connection: AsyncConnection, principal: Principal, ids: Collection[FolderId]
) -> Mapping[FolderId, Folder]:
    """Those of ``ids`` that the principal may see."""
    statement = select(*COLUMNS).where(FolderRow.id.in_(ids), within(reach_of(principal), FolderRow.owner_id))
    rows = (await connection.execute(statement, viewer(principal))).mappings()
    return {folder.id: folder for folder in map(folder_of, rows)}


async def find_child_folder(
    connection: AsyncConnection, principal: Principal, parent_id: FolderId, key: str
) -> Folder | None:
    """The folder of that name in ``parent_id``, if the principal may see it."""
    statement = select(*COLUMNS).where(
        FolderRow.parent_id == parent_id, FolderRow.name_key == key, within(reach_of(principal), FolderRow.owner_id)
    )
    row = (await connection.execute(statement, viewer(principal))).mappings().one_or_none()
    return None if row is None else folder_of(row)


async def list_subfolders(
    connection: AsyncConnection, principal: Principal, parent_id: FolderId, request: PageRequest
) -> Page[Folder]:
    """Folders directly below that the principal may see, by name."""
    return await _page(connection, principal, select(*COLUMNS).where(FolderRow.parent_id == parent_id), request)


async def list_top_folders(connection: AsyncConnection, principal: Principal, request: PageRequest) -> Page[Folder]:
    """The folders the principal may see whose parent is none of them, by name."""
    return await _page(connection, principal, _top_folders(principal), request)


async def find_top_folders(connection: AsyncConnection, principal: Principal, key: str) -> list[Folder]:
    """Top folders of that name; there can be several, because their parents differ."""
    statement = _top_folders(principal).where(FolderRow.name_key == key).order_by(FolderRow.id)
    return [folder_of(row) for row in (await connection.execute(statement, viewer(principal))).mappings()]


def _top_folders(principal: Principal) -> Select[*tuple[Any, ...]]:
    parent = aliased(FolderRow)
    reach = reach_of(principal)
    parent_is_visible = (
        select(literal(1)).where(parent.id == FolderRow.parent_id, within(reach, parent.owner_id)).exists()
    )
    return select(*COLUMNS).where(within(reach, FolderRow.owner_id), ~parent_is_visible)


async def _page(
    connection: AsyncConnection, principal: Principal, statement: Select[*tuple[Any, ...]], request: PageRequest
) -> Page[Folder]:
    statement = statement.where(within(reach_of(principal), FolderRow.owner_id))
    statement = seek(statement, _BY_NAME, is_backward=request.is_backward, has_cursor=request.cursor is not None)
    parameters = viewer(principal) | seek_parameters(_BY_NAME, request)
    rows = list((await connection.execute(statement, parameters)).mappings())
    return page_of(rows, request, _BY_NAME, folder_of, lambda folder: (name_key(folder.name), folder.id))


async def list_ancestry(connection: AsyncConnection, ids: Collection[FolderId]) -> Mapping[FolderId, Sequence[Folder]]:
    """For each of ``ids``: itself and the folders above, the root last. Authorised by nobody: never show it whole."""
    start = select(FolderRow.id.label("start_id"), literal(0).label("height"), *COLUMNS).where(FolderRow.id.in_(ids))
    chain = start.cte("chain", recursive=True)
    above = select(chain.c.start_id, (chain.c.height + 1).label("height"), *COLUMNS).where(
        FolderRow.id == chain.c.parent_id
    )
    chain = chain.union_all(above)
    statement = select(chain).order_by(chain.c.start_id, chain.c.height)
    found: dict[FolderId, list[Folder]] = {}
    for row in (await connection.execute(statement)).mappings():
        found.setdefault(FolderId(row["start_id"]), []).append(folder_of(row))
    return found


def subtree(folder_id: Any) -> CTE:
    """Ids of the folder and all below, with ``depth`` below it."""
    start = select(FolderRow.id, literal(0).label("depth")).where(FolderRow.id == folder_id)
    below = start.cte("subtree", recursive=True)
    return below.union_all(
        select(FolderRow.id, (below.c.depth + 1).label("depth")).where(FolderRow.parent_id == below.c.id)
    )


async def list_subtree(
    connection: AsyncConnection, folder_id: FolderId, *, limit: int | None = None
) -> Mapping[FolderId, int]:
    """At most ``limit`` ids of the folder and all below, each with its depth below it."""
    below = subtree(folder_id)
    rows = await connection.execute(select(below.c.id, below.c.depth).limit(limit))
    return {FolderId(id_): depth for id_, depth in rows}


async def lock_tree(connection: AsyncConnection) -> None:
    """Let one change of the tree's shape happen at a time, so that two moves cannot make a cycle between them."""
    await connection.execute(select(FolderRow.id).where(FolderRow.id == ROOT_FOLDER_ID).with_for_update(key_share=True))


async def lock_folders(connection: AsyncConnection, ids: Collection[FolderId]) -> None:
    """Nothing can be put into these folders before the transaction ends."""
    await connection.execute(select(FolderRow.id).where(FolderRow.id.in_(ids)).order_by(FolderRow.id).with_for_update())


async def lock_folder(connection: AsyncConnection, principal: Principal, folder_id: FolderId) -> Folder | None:
    """The folder, which cannot go away before the transaction ends; None when absent or hidden."""
    statement = (
        select(*COLUMNS)
        .where(FolderRow.id == folder_id, within(reach_of(principal), FolderRow.owner_id))
        .with_for_update(read=True, key_share=True)
    )
    row = (await connection.execute(statement, viewer(principal))).mappings().one_or_none()
    return None if row is None else folder_of(row)


async def insert_folder(connection: AsyncConnection, folder: Folder, *, home_of: UserId | None = None) -> None:
    """The caller has claimed the name."""
    await connection.execute(
        FolderRow.__table__.insert().values(  # type: ignore[attr-defined]  # FromClause: a mapped table can insert
            id=folder.id,
            parent_id=folder.parent_id,
            owner_id=folder.owner_id,
            home_of=home_of,
            name=folder.name,
            name_key=name_key(folder.name),
            created_at=folder.created_at,
            updated_at=folder.updated_at,
        )
    )


async def update_folder(connection: AsyncConnection, folder_id: FolderId, *, now: datetime, **changes: str) -> Folder:
    """The folder after ``changes`` (``name``, ``parent_id``); the caller has found it in this transaction."""
    if "name" in changes:
        changes["name_key"] = name_key(changes["name"])
    statement = update(FolderRow).where(FolderRow.id == folder_id).values(**changes, updated_at=now).returning(*COLUMNS)
    return folder_of((await connection.execute(statement)).mappings().one())


async def claim_name(connection: AsyncConnection, folder_id: FolderId, name: str, entry_id: str) -> bool:
    """Whether ``name`` in the folder now belongs to ``entry_id``; False when another entry has it."""
    statement = insert_unless_taken(connection, FolderEntryRow).values(
        folder_id=folder_id, name_key=name_key(name), entry_id=entry_id
    )
    return await connection.scalar(statement.returning(FolderEntryRow.entry_id)) is not None


async def release_names(connection: AsyncConnection, entry_ids: Collection[str]) -> None:
    """The names of these files and folders are free again."""
    await connection.execute(delete(FolderEntryRow).where(FolderEntryRow.entry_id.in_(entry_ids)))


async def find_entry(connection: AsyncConnection, folder_id: FolderId, name: str) -> str | None:
    """The id of the file or folder that has this name. Authorised by nobody: tell it only to who may see it."""
    statement = select(FolderEntryRow.entry_id).where(
        FolderEntryRow.folder_id == folder_id, FolderEntryRow.name_key == name_key(name)
    )
    return await connection.scalar(statement)


async def taken_keys(connection: AsyncConnection, folder_id: FolderId, keys: Collection[str]) -> set[str]:
    """Which of the name keys are taken in the folder."""
    statement = select(FolderEntryRow.name_key).where(
        FolderEntryRow.folder_id == folder_id, FolderEntryRow.name_key.in_(bindparam("keys", expanding=True))
    )
    return set(await connection.scalars(statement, {"keys": list(keys)}))


async def has_entries(connection: AsyncConnection, folder_id: FolderId) -> bool:
    """Whether any file or folder stands directly in it."""
    statement = select(literal(1)).where(FolderEntryRow.folder_id == folder_id).limit(1)
    return await connection.scalar(statement) is not None


async def has_foreign(connection: AsyncConnection, principal: Principal, ids: Collection[FolderId]) -> bool:
    """Whether any of the folders may not be changed by the principal."""
    is_own = within(reach_of(principal), FolderRow.owner_id)
    statement = select(literal(1)).where(FolderRow.id.in_(ids), ~is_own).limit(1)
    return await connection.scalar(statement, viewer(principal)) is not None


async def delete_folders(connection: AsyncConnection, ids: Collection[FolderId]) -> None:
    """All at once, so that a folder and its subfolders may be among them; their files must be gone."""
    await connection.execute(delete(FolderEntryRow).where(FolderEntryRow.folder_id.in_(ids)))
    await release_names(connection, ids)
    await connection.execute(delete(FolderRow).where(FolderRow.id.in_(ids)))
