"""The scopes that files are in, written with the file and kept when it, or a folder above it, moves.

``file_scopes`` has a row for each folder above a file but the root, for its owner and for each label: what lists look
for. What decides about a single file gets its own id and the root as well: all that a rule can name.

Whoever writes here relies on the shape of the tree, so they hold the policy version (``rules.hold_version``, taken
before any other lock) or move it on: else a folder could move between the look at its ancestors and the commit.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ScalarSelect, delete, func, insert, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.db.among import among, texts
from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.tables import FileRow, FileScopeRow, FolderRow
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.rule import ROOT, label_scope

_SEPARATOR: Final = "\n"  # neither an id nor a label contains one

_scope = aliased(FileScopeRow)
SCOPES: Final[ScalarSelect[Any]] = (
    select(func.aggregate_strings(_scope.scope, _SEPARATOR)).where(_scope.file_id == FileRow.id).scalar_subquery()
)
"""A column of a statement about ``FileRow``, for ``scopes_in``."""


def scopes_in(file_id: str, joined: str | None) -> frozenset[str]:
    """All scopes of a file; ``joined`` is its ``SCOPES``."""
    return frozenset((file_id, ROOT, *(joined.split(_SEPARATOR) if joined else ())))


_OF_FILES: Final = select(FileRow.id, SCOPES).where(among(FileRow.id, texts("ids")))


async def scopes_of_files(connection: AsyncConnection, ids: Collection[FileId]) -> dict[FileId, frozenset[str]]:
    """All scopes of those files that exist."""
    rows = await connection.execute(_OF_FILES, {"ids": list(ids)})
    return {FileId(id_): scopes_in(id_, joined) for id_, joined in rows}


def _of_folders() -> Any:
    start = select(FolderRow.id.label("start_id"), FolderRow.parent_id, FolderRow.id.label("scope"))
    above = start.where(among(FolderRow.id, texts("ids"))).cte("above", recursive=True)
    upper = aliased(FolderRow)
    above = above.union_all(select(above.c.start_id, upper.parent_id, upper.id).where(upper.id == above.c.parent_id))
    owner = select(FolderRow.id, FolderRow.owner_id).where(
        among(FolderRow.id, texts("ids")), FolderRow.owner_id.is_not(None)
    )
    return select(above.c.start_id, above.c.scope).union_all(owner)


_OF_FOLDERS: Final = _of_folders()


async def scopes_of_folders(connection: AsyncConnection, ids: Collection[FolderId]) -> dict[FolderId, frozenset[str]]:
    """All scopes of those folders that exist: themselves, the folders above, the owner."""
    found: dict[FolderId, set[str]] = {}
    for id_, scope in await connection.execute(_OF_FOLDERS, {"ids": list(ids)}):
        found.setdefault(FolderId(id_), set()).add(scope)
    return {id_: frozenset(scopes) for id_, scopes in found.items()}


def _of_new_files() -> Any:
    """The folders above each file but the root, and its owner, read from the tree as it stands."""
    new = among(FileRow.id, texts("ids"))
    start = select(FileRow.id.label("file_id"), FileRow.created_at, FileRow.folder_id).where(new)
    above = start.cte("above", recursive=True)
    above = above.union_all(
        select(above.c.file_id, above.c.created_at, FolderRow.parent_id).where(
            FolderRow.id == above.c.folder_id, FolderRow.parent_id.is_not(None)
        )
    )
    folders = select(above.c.folder_id, above.c.created_at, above.c.file_id).where(above.c.folder_id != ROOT)
    return folders.union_all(select(FileRow.owner_id, FileRow.created_at, FileRow.id).where(new))


_COLUMNS: Final = ["scope", "created_at", "file_id"]
_INSERT: Final = insert(FileScopeRow).from_select(_COLUMNS, _of_new_files())


async def insert_scopes(connection: AsyncConnection, ids: Collection[FileId]) -> None:
    """For files that have just been inserted and have no labels yet."""
    await connection.execute(_INSERT, {"ids": list(ids)})


async def refile(
    connection: AsyncConnection,
    file_id: FileId,
    created_at: datetime,
    old_chain: Collection[str],
    new_chain: Collection[str],
) -> None:
    """The file moves: the folders above it were ``old_chain`` and will be ``new_chain``."""
    lost = set(old_chain) - set(new_chain)
    await connection.execute(
        delete(FileScopeRow).where(
            among(FileScopeRow.scope, texts("lost")),
            FileScopeRow.created_at == created_at,
            FileScopeRow.file_id == file_id,
        ),
        {"lost": list(lost)},
    )
    await _add(connection, file_id, created_at, set(new_chain) - set(old_chain) - {ROOT})


async def refile_below(
    connection: AsyncConnection, folder_id: FolderId, old_chain: Collection[str], new_chain: Collection[str]
) -> None:
    """The folder moves with all below: the folders above it (itself among them or not) were and will be these."""
    inside = aliased(FileScopeRow)
    its_files = select(inside.created_at, inside.file_id).where(inside.scope == folder_id)
    lost = set(old_chain) - set(new_chain) - {folder_id}
    for scope in lost - {ROOT}:  # one at a time: each is one range of the primary key
        await connection.execute(
            delete(FileScopeRow).where(
                FileScopeRow.scope == scope,
                tuple_(FileScopeRow.created_at, FileScopeRow.file_id).in_(its_files),
            )
        )
    for scope in set(new_chain) - set(old_chain) - {ROOT, folder_id}:
        source = select(literal(scope, FileScopeRow.scope.type), inside.created_at, inside.file_id)
        await connection.execute(insert(FileScopeRow).from_select(_COLUMNS, source.where(inside.scope == folder_id)))


async def change_labels(
    connection: AsyncConnection, file: File, *, add: Collection[str] = (), remove: Collection[str] = ()
) -> None:
    """``add`` and ``remove``: normalised labels; one that the file has already, or has not, is no matter."""
    await connection.execute(
        delete(FileScopeRow).where(
            among(FileScopeRow.scope, texts("lost")),
            FileScopeRow.created_at == file.created_at,
            FileScopeRow.file_id == file.id,
        ),
        {"lost": [label_scope(label) for label in remove]},
    )
    await _add(connection, file.id, file.created_at, [label_scope(label) for label in add])


async def _add(connection: AsyncConnection, file_id: FileId, created_at: datetime, scopes: Collection[str]) -> None:
    rows: Sequence[Mapping[str, object]] = [
        {"scope": scope, "created_at": created_at, "file_id": file_id} for scope in sorted(scopes)
    ]
    if rows:
        await connection.execute(insert_unless_taken(connection, FileScopeRow).values(rows))
