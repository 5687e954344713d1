"""Folders as a viewer comes upon them: those below one, and the topmost."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Boolean, Select, and_, bindparam, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.access.standing import Standing
from graphql_api.db.among import among, texts
from graphql_api.db.folders import BY_IDS, COLUMNS, folder_of, placed, placed_of, scopes_of
from graphql_api.db.keyset import SEEK_ID, SEEK_KEY, Ordering, page_of, seek, seek_parameters
from graphql_api.db.tables import FolderRow
from graphql_api.model.file import Folder
from graphql_api.model.ids import FOLDER_PREFIX, FolderId
from graphql_api.model.names import name_key
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ROOT, Effect

_BY_NAME: Final = Ordering("folder-name", FolderRow.name_key, FolderRow.id, str)
CANDIDATES: Final = 1_000  # for top folders, that one statement looks at


@lru_cache
def _subfolders(*, is_backward: bool, has_cursor: bool) -> Select[*tuple[Any, ...]]:
    statement = select(*COLUMNS).where(
        FolderRow.parent_id == bindparam("parent_id", type_=FolderRow.id.type),
        bindparam("is_open", type_=Boolean),
        ~among(FolderRow.id, texts("denied")),
        or_(
            bindparam("is_allowed", type_=Boolean),
            FolderRow.owner_id == bindparam("viewer_id", type_=FolderRow.id.type),
            among(FolderRow.id, texts("allowed")),
        ),
    )
    return seek(statement, _BY_NAME, is_backward=is_backward, has_cursor=has_cursor)


async def list_subfolders(
    connection: AsyncConnection, standing: Standing, parent_id: FolderId, request: PageRequest
) -> Page[Folder]:
    """Folders directly below that may be seen, by name. Rules about the parent or above it are decided here; those
    about single children, and their owners, in the statement.
    """
    row = (await connection.execute(BY_IDS, {"ids": [parent_id]})).one_or_none()
    above = frozenset(() if row is None else placed_of(row).chain)
    allowed = {ROOT} if standing.is_admin else standing.scopes_with(Effect.ALLOW, Permission.READ).keys()
    denied = set() if standing.is_admin else standing.scopes_with(Effect.DENY, Permission.READ).keys()
    parameters = seek_parameters(_BY_NAME, request) | {
        "parent_id": parent_id,
        "viewer_id": standing.user_id,
        "is_open": above.isdisjoint(denied),
        "is_allowed": not above.isdisjoint(allowed),
        "allowed": [scope for scope in allowed if standing.chains.get(scope, ())[1:2] == (parent_id,)],
        "denied": [scope for scope in denied if standing.chains.get(scope, ())[1:2] == (parent_id,)],
    }
    statement = _subfolders(is_backward=request.is_backward, has_cursor=request.cursor is not None)
    rows: Any = (await connection.execute(statement, parameters)).all()
    return page_of(rows, request, _BY_NAME, folder_of, _position)


def _position(folder: Folder) -> tuple[str, str]:
    return name_key(folder.name), folder.id


async def list_top_folders(
    connection: AsyncConnection, standing: Standing, request: PageRequest, *, candidates: int = CANDIDATES
) -> Page[Folder]:
    """The folders that may be seen and whose parent may not, by name; looked for ``candidates`` at a time."""
    parameters = seek_parameters(_BY_NAME, request) | _top_parameters(standing) | {"page_size": candidates}
    has_cursor = request.cursor is not None
    found: list[Any] = []
    while True:
        statement = _top_candidates(is_backward=request.is_backward, has_cursor=has_cursor)
        rows = (await connection.execute(statement, parameters)).all()
        found += _tops(standing, rows)
        if len(found) > request.size or len(rows) < candidates:
            return page_of(found, request, _BY_NAME, lambda folder: folder, _position)  # type: ignore[arg-type,return-value]
        last = placed_of(rows[-1]).folder
        parameters |= dict(zip((SEEK_KEY, SEEK_ID), _position(last), strict=True))
        has_cursor = True


async def find_top_folders(connection: AsyncConnection, standing: Standing, key: str) -> list[Folder]:
    """Top folders of that name; there can be several, because their parents differ."""
    rows = await connection.execute(_TOP_CANDIDATES_OF_NAME, _top_parameters(standing) | {"key": key})
    return _tops(standing, rows.all())


def _top_parameters(standing: Standing) -> dict[str, object]:
    """Only a folder that a rule names or that is the viewer's own can be seen where its parent cannot."""
    if standing.may(Permission.READ, {ROOT}):
        return {"viewer_id": None, "named": [ROOT]}
    named = standing.scopes_with(Effect.ALLOW, Permission.READ)
    return {"viewer_id": standing.user_id, "named": [scope for scope in named if scope.startswith(FOLDER_PREFIX)]}


def _tops(standing: Standing, rows: Iterable[Any]) -> list[Folder]:
    found = []
    for row in rows:
        here = placed_of(row)
        parent = scopes_of(here.chain[1:], row[-1])
        if standing.may(Permission.READ, here.scopes) and not (parent and standing.may(Permission.READ, parent)):
            found.append(here.folder)
    return found


_parent: Final = aliased(FolderRow)
_viewer: Final = bindparam("viewer_id", type_=FolderRow.id.type)
_parent_is_own: Final = select(literal(1)).where(_parent.id == FolderRow.parent_id, _parent.owner_id == _viewer)
_IS_TOP_CANDIDATE: Final = or_(
    among(FolderRow.id, texts("named")), and_(FolderRow.owner_id == _viewer, ~_parent_is_own.exists())
)
_PARENTS_OWNER: Final = select(_parent.owner_id).where(_parent.id == FolderRow.parent_id).scalar_subquery()
_TOP_CANDIDATES_OF_NAME: Final = placed(
    and_(_IS_TOP_CANDIDATE, FolderRow.name_key == bindparam("key")), _PARENTS_OWNER
).order_by(FolderRow.id)


@lru_cache
def _top_candidates(*, is_backward: bool, has_cursor: bool) -> Select[*tuple[Any, ...]]:
    some = seek(
        select(FolderRow.id).where(_IS_TOP_CANDIDATE), _BY_NAME, is_backward=is_backward, has_cursor=has_cursor
    ).cte("some")
    statement = placed(FolderRow.id.in_(select(some.c.id)), _PARENTS_OWNER)
    columns = (FolderRow.name_key, FolderRow.id)
    return statement.order_by(*(column.desc() if is_backward else column for column in columns))
