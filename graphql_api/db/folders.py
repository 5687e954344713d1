"""Folders, and the names in them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from sqlalchemy import CTE, ColumnElement, Select, Text, and_, bindparam, cast, delete, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.access.standing import Standing
from graphql_api.db.among import among, texts
from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.rules import delete_rules_on
from graphql_api.db.tables import FolderEntryRow, FolderRow
from graphql_api.db.usage import forget_holders
from graphql_api.model.file import Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, FolderId, UserId
from graphql_api.model.names import name_key
from graphql_api.model.principal import Permission
from graphql_api.model.rule import AccessRule

COLUMNS: tuple[Any, ...] = (
    FolderRow.id,
    FolderRow.parent_id,
    FolderRow.owner_id,
    FolderRow.name,
    FolderRow.created_at,
    FolderRow.updated_at,
)


def folder_of(row: Any) -> Folder:
    """``row``: the values of ``COLUMNS``, in order."""
    return Folder(*row)


@dataclass(frozen=True)
class PlacedFolder:
    """A folder with the ids of itself and the folders above, the root last."""

    folder: Folder
    chain: tuple[str, ...]

    @cached_property
    def scopes(self) -> frozenset[str]:
        return scopes_of(self.chain, self.folder.owner_id)


def scopes_of(chain: Iterable[str], owner_id: UserId | None) -> frozenset[str]:
    """What rules can name about a folder: itself, what is above it, and its owner."""
    return frozenset(chain) if owner_id is None else frozenset((*chain, owner_id))


def placed(start: ColumnElement[bool], *more: Any) -> Select[*tuple[Any, ...]]:
    """One row for each folder that meets ``start``: the chain as one text, ``COLUMNS``, and ``more``."""
    upper = aliased(FolderRow)
    walk = (
        select(FolderRow.id.label("start_id"), FolderRow.parent_id, cast(FolderRow.id, Text).label("chain"))
        .where(start)
        .cte("walk", recursive=True)
    )
    walk = walk.union_all(
        select(walk.c.start_id, upper.parent_id, cast(walk.c.chain + " " + upper.id, Text)).where(
            upper.id == walk.c.parent_id
        )
    )
    return select(walk.c.chain, *COLUMNS, *more).where(walk.c.parent_id.is_(None), FolderRow.id == walk.c.start_id)


def placed_of(row: Any) -> PlacedFolder:
    return PlacedFolder(folder_of(row[1 : 1 + len(COLUMNS)]), tuple(row[0].split(" ")))


BY_IDS: Final = placed(among(FolderRow.id, texts("ids")))
_BY_PARENT_AND_NAME: Final = placed(
    and_(FolderRow.parent_id == bindparam("parent_id"), FolderRow.name_key == bindparam("key"))
)


async def find_placed(
    connection: AsyncConnection, standing: Standing, ids: Collection[FolderId]
) -> Mapping[FolderId, PlacedFolder]:
    """Those of ``ids`` that may be seen."""
    found = map(placed_of, await connection.execute(BY_IDS, {"ids": list(ids)}))
    return {each.folder.id: each for each in found if standing.may(Permission.READ, each.scopes)}


async def find_folders(
    connection: AsyncConnection, standing: Standing, ids: Collection[FolderId]
) -> Mapping[FolderId, Folder]:
    """Those of ``ids`` that may be seen."""
    return {id_: found.folder for id_, found in (await find_placed(connection, standing, ids)).items()}


async def find_child_folder(
    connection: AsyncConnection, standing: Standing, parent_id: FolderId, key: str
) -> Folder | None:
    """The folder of that name in ``parent_id``, if it may be seen."""
    row = (await connection.execute(_BY_PARENT_AND_NAME, {"parent_id": parent_id, "key": key})).one_or_none()
    found = None if row is None else placed_of(row)
    return found.folder if found is not None and standing.may(Permission.READ, found.scopes) else None


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
    for row in await connection.execute(statement):
        found.setdefault(FolderId(row[0]), []).append(folder_of(row[2:]))
    return found


def subtree(folder_id: Any) -> CTE:
    """The folder and all below, with ``depth`` below it, parent and owner; a parent comes before what it holds."""
    columns = (FolderRow.id, FolderRow.parent_id, FolderRow.owner_id)
    below = select(*columns, literal(0).label("depth")).where(FolderRow.id == folder_id).cte("subtree", recursive=True)
    return below.union_all(
        select(*columns, (below.c.depth + 1).label("depth")).where(FolderRow.parent_id == below.c.id)
    )


@dataclass(frozen=True, slots=True)
class Below:
    """A folder below another, ``depth`` folders down, and what rules can name about it."""

    depth: int
    scopes: frozenset[str]


async def list_subtree(
    connection: AsyncConnection, top: PlacedFolder, *, limit: int | None = None
) -> Mapping[FolderId, Below]:
    """At most ``limit`` folders: ``top`` and all below."""
    rows = await connection.execute(select(subtree(top.folder.id)).limit(limit))
    chains: dict[str, tuple[str, ...]] = {}
    found = {}
    for id_, parent_id, owner_id, depth in rows:
        chains[id_] = (id_, *chains[parent_id]) if depth else top.chain
        found[FolderId(id_)] = Below(depth, scopes_of(chains[id_], owner_id))
    return found


async def lock_tree(connection: AsyncConnection) -> None:
    """Let one change of the tree's shape happen at a time, so that two moves cannot make a cycle between them."""
    await connection.execute(select(FolderRow.id).where(FolderRow.id == ROOT_FOLDER_ID).with_for_update(key_share=True))


async def lock_folders(connection: AsyncConnection, ids: Collection[FolderId]) -> None:
    """Nothing can be put into these folders before the transaction ends."""
    await connection.execute(select(FolderRow.id).where(FolderRow.id.in_(ids)).order_by(FolderRow.id).with_for_update())


_LOCK: Final = BY_IDS.with_for_update(read=True, key_share=True, of=FolderRow)


async def lock_folder(connection: AsyncConnection, standing: Standing, folder_id: FolderId) -> PlacedFolder | None:
    """The folder, which cannot go away before the transaction ends; None when absent or hidden.

    Where it stands is sure only while the policy's version is held.
    """
    row = (await connection.execute(_LOCK, {"ids": [folder_id]})).one_or_none()
    found = None if row is None else placed_of(row)
    return found if found is not None and standing.may(Permission.READ, found.scopes) else None


async def insert_folder(connection: AsyncConnection, folder: Folder, *, home_of: UserId | None = None) -> None:
    """The caller has claimed the name."""
    await connection.execute(
        insert(FolderRow).values(
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
    return folder_of((await connection.execute(statement)).one())


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


async def delete_folders(connection: AsyncConnection, ids: Collection[FolderId]) -> list[AccessRule]:
    """All at once, so that a folder and its subfolders may be among them; their files must be gone. The rules about
    them, which go too, are returned.
    """
    gone = await delete_rules_on(connection, ids)
    await connection.execute(delete(FolderEntryRow).where(FolderEntryRow.folder_id.in_(ids)))
    await release_names(connection, ids)
    await connection.execute(delete(FolderRow).where(FolderRow.id.in_(ids)))
    await forget_holders(connection, ids)
    return gone
