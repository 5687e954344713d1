"""Share links: made, found by the hash of their token, used and revoked. Authorised by nobody, like its neighbours."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, case, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.keyset import SEEK_ID, SEEK_KEY, Ordering, page_of, seek, seek_parameters
from graphql_api.db.tables import ShareLinkRow
from graphql_api.model.ids import ShareLinkId, UserId
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.rule import Scope
from graphql_api.model.share import NO_LIMIT, ShareLink

_COLUMNS: Final[tuple[Any, ...]] = (
    ShareLinkRow.id,
    ShareLinkRow.resource,
    ShareLinkRow.label,
    ShareLinkRow.created_by,
    ShareLinkRow.created_at,
    ShareLinkRow.expires_at,
    ShareLinkRow.max_downloads,
    ShareLinkRow.password_hash,
    ShareLinkRow.downloads,
    ShareLinkRow.last_used_at,
    ShareLinkRow.revoked_at,
)
_NEWEST_FIRST: Final = Ordering("share-link", ShareLinkRow.created_at, ShareLinkRow.id, datetime, is_descending=True)


def _link_of(row: Any) -> ShareLink:
    return ShareLink(*row)


def _position(link: ShareLink) -> tuple[datetime, str]:
    return link.created_at, link.id


async def insert_link(connection: AsyncConnection, link: ShareLink, token_hash: str) -> None:
    await connection.execute(
        insert(ShareLinkRow).values(
            id=link.id,
            token_hash=token_hash,
            resource=link.resource,
            label=link.label,
            created_by=link.created_by,
            created_at=link.created_at,
            expires_at=link.expires_at,
            max_downloads=link.max_downloads,
            password_hash=link.password_hash,
            downloads=link.downloads,
        )
    )


async def find_by_hash(connection: AsyncConnection, token_hash: str) -> ShareLink | None:
    row = (await connection.execute(_BY_HASH, {"token_hash": token_hash})).one_or_none()
    return None if row is None else _link_of(row)


async def find_links(connection: AsyncConnection, ids: Collection[ShareLinkId]) -> Mapping[ShareLinkId, ShareLink]:
    """Those of ``ids`` that there are."""
    links = map(_link_of, await connection.execute(_BY_IDS, {"ids": list(ids)}))
    return {link.id: link for link in links}


async def count_living_on(connection: AsyncConnection, resource: Scope, now: datetime) -> int:
    """How many links there are on this very thing that have neither expired nor been revoked."""
    statement = select(func.count()).where(
        ShareLinkRow.resource == resource, ShareLinkRow.revoked_at.is_(None), ShareLinkRow.expires_at > now
    )
    return await connection.scalar(statement) or 0


async def use_link(connection: AsyncConnection, link_id: ShareLinkId, now: datetime) -> bool:
    """Count one download, if the link still allows one: of many who come at once only so many get True.

    Of several processes, whose clocks differ, or of those who waited, the latest instant is kept.
    """
    used_at = ShareLinkRow.last_used_at
    statement = (
        update(ShareLinkRow)
        .where(
            ShareLinkRow.id == link_id,
            ShareLinkRow.revoked_at.is_(None),
            ShareLinkRow.expires_at > now,
            ShareLinkRow.downloads < func.coalesce(ShareLinkRow.max_downloads, NO_LIMIT),
        )
        .values(downloads=ShareLinkRow.downloads + 1, last_used_at=case((used_at > now, used_at), else_=now))
        .returning(ShareLinkRow.id)
    )
    return await connection.scalar(statement) is not None


async def revoke_link(connection: AsyncConnection, link_id: ShareLinkId, now: datetime) -> ShareLink | None:
    """The link, revoked by this; None when it was before, or is gone."""
    statement = (
        update(ShareLinkRow)
        .where(ShareLinkRow.id == link_id, ShareLinkRow.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(*_COLUMNS)
    )
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _link_of(row)


async def delete_links_on(connection: AsyncConnection, resources: Collection[str]) -> list[ShareLink]:
    """The links that went and had not been revoked. The files or folders are going."""
    statement = delete(ShareLinkRow).where(among(ShareLinkRow.resource, texts("resources"))).returning(*_COLUMNS)
    gone = map(_link_of, await connection.execute(statement, {"resources": list(resources)}))
    return sorted((link for link in gone if link.revoked_at is None), key=lambda link: link.id)


async def delete_links_before(connection: AsyncConnection, instant: datetime, limit: int) -> int:
    """Forget at most ``limit`` links that expired before ``instant``; how many went."""
    old = (
        select(ShareLinkRow.id).where(ShareLinkRow.expires_at < instant).order_by(ShareLinkRow.expires_at).limit(limit)
    )
    return (await connection.execute(delete(ShareLinkRow).where(ShareLinkRow.id.in_(old)))).rowcount


async def list_links(
    connection: AsyncConnection, request: PageRequest, *, created_by: UserId | None = None
) -> Page[ShareLink]:
    """Wherever they stand, the newest first; of one maker, or of all. Raises: InvalidInput: a foreign cursor."""
    statement = select(*_COLUMNS)
    if created_by is not None:
        statement = statement.where(ShareLinkRow.created_by == created_by)
    statement = seek(statement, _NEWEST_FIRST, is_backward=request.is_backward, has_cursor=request.cursor is not None)
    rows: Any = (await connection.execute(statement, seek_parameters(_NEWEST_FIRST, request))).all()
    return page_of(rows, request, _NEWEST_FIRST, _link_of, _position)


async def list_nearest_on(
    connection: AsyncConnection,
    request: PageRequest,
    *,
    managed: Collection[str],
    others: Collection[str],
    created_by: UserId | None,
) -> list[ShareLink]:
    """Of the links on each of ``managed``, and of those of one maker on each of ``others``, as many as a page could
    take that took them from this thing only. Raises: InvalidInput: a foreign cursor.
    """
    statement = _nearest(is_backward=request.is_backward, has_cursor=request.cursor is not None)
    parameters = seek_parameters(_NEWEST_FIRST, request) | {
        "managed": list(managed),
        "others": list(others),
        "created_by": created_by,
    }
    return list(map(_link_of, await connection.execute(statement, parameters)))


def page_among(links: Sequence[ShareLink], request: PageRequest) -> Page[ShareLink]:
    """The page of ``links``, all of which are beyond the request's cursor, the newest first."""
    rows: Any = sorted(links, key=_position, reverse=not request.is_backward)
    return page_of(rows, request, _NEWEST_FIRST, lambda link: link, _position)  # type: ignore[arg-type,return-value]


def _nearest(*, is_backward: bool, has_cursor: bool) -> Select[*tuple[Any, ...]]:
    key, id_ = ShareLinkRow.created_at, ShareLinkRow.id
    order = (key.asc(), id_.asc()) if is_backward else (key.desc(), id_.desc())
    place = func.row_number().over(partition_by=ShareLinkRow.resource, order_by=order)
    is_own = ShareLinkRow.created_by == bindparam("created_by", type_=ShareLinkRow.created_by.type)
    placed = select(id_, place.label("place")).where(
        or_(
            among(ShareLinkRow.resource, texts("managed")),
            and_(among(ShareLinkRow.resource, texts("others")), is_own),
        )
    )
    if has_cursor:
        here = tuple_(key, id_)
        there = tuple_(bindparam(SEEK_KEY, type_=key.type), bindparam(SEEK_ID, type_=id_.type))
        placed = placed.where(here > there if is_backward else here < there)
    near = placed.subquery()
    return select(*_COLUMNS).join(near, near.c.id == id_).where(near.c.place <= bindparam("page_size"))


_BY_HASH: Final = select(*_COLUMNS).where(
    ShareLinkRow.token_hash == bindparam("token_hash", type_=ShareLinkRow.token_hash.type)
)
_BY_IDS: Final = select(*_COLUMNS).where(among(ShareLinkRow.id, texts("ids")))
