"""Groups and their members. Whoever changes them has bumped the policy's version first in the transaction."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, bindparam, delete, false, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.inserts import insert_unless_taken
from graphql_api.db.keyset import Ordering, page_of, seek, seek_parameters
from graphql_api.db.tables import GroupMemberRow, GroupRow, UserRow
from graphql_api.db.users import COLUMNS as USER_COLUMNS
from graphql_api.db.users import user_of
from graphql_api.model.group import Group, User
from graphql_api.model.ids import GroupId, UserId
from graphql_api.model.names import name_key
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Principal

_COLUMNS: tuple[Any, ...] = (GroupRow.id, GroupRow.name, GroupRow.claim, GroupRow.created_at, GroupRow.updated_at)
_BY_NAME = Ordering("group-name", GroupRow.name_key, GroupRow.id, str)
_BY_ARRIVAL = Ordering("member", GroupMemberRow.user_id, GroupMemberRow.user_id, str)  # ids sort by time


def group_of(row: Any) -> Group:
    """``row``: has the values of ``_COLUMNS`` as attributes."""
    return Group(
        id=GroupId(row.id), name=row.name, claim=row.claim, created_at=row.created_at, updated_at=row.updated_at
    )


def _is_in(principal: Principal) -> ColumnElement[bool]:
    """As a member, or because the token says so; nobody in particular is in no group."""
    if principal.user_id is None:
        return false()
    is_member = (
        select(literal(1))
        .where(GroupMemberRow.group_id == GroupRow.id, GroupMemberRow.user_id == principal.user_id)
        .exists()
    )
    return or_(is_member, GroupRow.claim.in_(sorted(principal.groups)))


async def find_groups(
    connection: AsyncConnection, ids: Collection[GroupId], *, of: Principal | None = None
) -> Mapping[GroupId, Group]:
    """Those of ``ids`` that there are; with ``of`` only those that this principal is in."""
    statement = select(*_COLUMNS).where(GroupRow.id.in_(ids))
    if of is not None:
        statement = statement.where(_is_in(of))
    return {group.id: group for group in map(group_of, await connection.execute(statement))}


async def list_groups(
    connection: AsyncConnection, request: PageRequest, *, of: Principal | None = None, search: str | None = None
) -> Page[Group]:
    """By name; with ``of`` only those that this principal is in, with ``search`` those whose name has it somewhere.

    Raises: InvalidInput: a cursor of another list.
    """
    statement = select(*_COLUMNS)
    if of is not None:
        statement = statement.where(_is_in(of))
    if search is not None:
        statement = statement.where(GroupRow.name_key.contains(name_key(search), autoescape=True))
    statement = seek(statement, _BY_NAME, is_backward=request.is_backward, has_cursor=request.cursor is not None)
    rows: Any = (await connection.execute(statement, seek_parameters(_BY_NAME, request))).all()
    return page_of(rows, request, _BY_NAME, group_of, lambda group: (name_key(group.name), group.id))


async def find_taken(connection: AsyncConnection, group: Group) -> Group | None:
    """Another group that has this one's name or claim."""
    is_same = GroupRow.name_key == name_key(group.name)
    if group.claim is not None:
        is_same = or_(is_same, GroupRow.claim == group.claim)
    statement = select(*_COLUMNS).where(is_same, GroupRow.id != group.id).order_by(GroupRow.id).limit(1)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else group_of(row)


async def insert_group(connection: AsyncConnection, group: Group) -> None:
    """The caller has found name and claim free in this transaction."""
    await connection.execute(insert(GroupRow).values(id=group.id, created_at=group.created_at, **_changing(group)))


async def update_group(connection: AsyncConnection, group: Group) -> None:
    """The caller has found the group, and name and claim free, in this transaction."""
    await connection.execute(update(GroupRow).where(GroupRow.id == group.id).values(**_changing(group)))


async def delete_group(connection: AsyncConnection, group_id: GroupId) -> None:
    """Its members leave it."""
    await connection.execute(delete(GroupRow).where(GroupRow.id == group_id))


async def add_members(
    connection: AsyncConnection, group_id: GroupId, user_ids: Collection[UserId]
) -> frozenset[UserId]:
    """Those who were no members; all of ``user_ids`` exist."""
    if not user_ids:
        return frozenset()
    rows = [{"group_id": group_id, "user_id": user_id} for user_id in user_ids]
    statement = insert_unless_taken(connection, GroupMemberRow).values(rows).returning(GroupMemberRow.user_id)
    return frozenset(map(UserId, await connection.scalars(statement)))


async def remove_members(
    connection: AsyncConnection, group_id: GroupId, user_ids: Collection[UserId]
) -> frozenset[UserId]:
    """Those who were members."""
    statement = (
        delete(GroupMemberRow)
        .where(GroupMemberRow.group_id == group_id, GroupMemberRow.user_id.in_(user_ids))
        .returning(GroupMemberRow.user_id)
    )
    return frozenset(map(UserId, await connection.scalars(statement)))


async def list_joined(connection: AsyncConnection, user_id: UserId) -> Sequence[GroupId]:
    """Of which groups the user was made a member."""
    statement = select(GroupMemberRow.group_id).where(GroupMemberRow.user_id == user_id)
    return list(map(GroupId, await connection.scalars(statement.order_by(GroupMemberRow.group_id))))


async def list_members(connection: AsyncConnection, group_id: GroupId, request: PageRequest) -> Page[User]:
    """Who was known first comes first; those whom only a token's claim makes members are not among them.

    Raises: InvalidInput: a cursor of another list.
    """
    statement = (
        select(*USER_COLUMNS)
        .join(GroupMemberRow, GroupMemberRow.user_id == UserRow.id)
        .where(GroupMemberRow.group_id == bindparam("group_id", type_=GroupMemberRow.group_id.type))
    )
    statement = seek(statement, _BY_ARRIVAL, is_backward=request.is_backward, has_cursor=request.cursor is not None)
    parameters = seek_parameters(_BY_ARRIVAL, request) | {"group_id": group_id}
    rows: Any = (await connection.execute(statement, parameters)).all()
    return page_of(rows, request, _BY_ARRIVAL, user_of, lambda user: (user.id, user.id))


async def list_who_may_be(
    connection: AsyncConnection, subjects: Collection[str], limit: int, after: UserId | None = None
) -> Sequence[UserId]:
    """At most ``limit`` users who have signed in and may be meant by these ids of users and groups, in the order of
    their ids, which begin after ``after``. Not all of them are: what the last token called their groups is searched as
    the text that it is kept as.
    """
    named = {"subjects": list(subjects)}
    claims = await connection.scalars(select(GroupRow.claim).where(among(GroupRow.id, texts("subjects"))), named)
    members = select(GroupMemberRow.user_id).where(among(GroupMemberRow.group_id, texts("subjects")))
    by_claim = [
        UserRow.claim_groups.contains(orjson.dumps(claim).decode(), autoescape=True) for claim in claims if claim
    ]
    statement = select(UserRow.id).where(
        UserRow.signed_in_at.is_not(None),
        or_(among(UserRow.id, texts("subjects")), UserRow.id.in_(members), *by_claim),
    )
    if after is not None:
        statement = statement.where(UserRow.id > after)
    return list(map(UserId, await connection.scalars(statement.order_by(UserRow.id).limit(limit), named)))


def _changing(group: Group) -> dict[str, object]:
    return {
        "name": group.name,
        "name_key": name_key(group.name),
        "claim": group.claim,
        "updated_at": group.updated_at,
    }
