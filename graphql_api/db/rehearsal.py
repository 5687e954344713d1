"""Whom and what a change of rules is about: what a rehearsal looks at. Authorised by nobody."""

from collections.abc import Collection, Mapping, Sequence

import orjson
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.tables import FileRow, FileScopeRow, GroupMemberRow, GroupRow, UserRow
from graphql_api.model.ids import FileId, GroupId, UserId
from graphql_api.model.rule import ANYONE, ROOT, SIGNED_IN


async def list_users_meant(connection: AsyncConnection, subjects: Collection[str], limit: int) -> Sequence[UserId]:
    """At most ``limit`` users, the oldest first: all of them when everybody is meant, else these, and those who are or
    may be in these groups. What the last token called their groups is searched as the text that it is kept as.
    """
    statement = select(UserRow.id)
    if {ANYONE, SIGNED_IN}.isdisjoint(subjects):
        claims = await connection.scalars(
            select(GroupRow.claim).where(among(GroupRow.id, texts("subjects")), GroupRow.claim.is_not(None)),
            {"subjects": list(subjects)},
        )
        members = select(GroupMemberRow.user_id).where(among(GroupMemberRow.group_id, texts("subjects")))
        by_claim = [UserRow.claim_groups.contains(orjson.dumps(claim).decode(), autoescape=True) for claim in claims]
        statement = statement.where(or_(among(UserRow.id, texts("subjects")), UserRow.id.in_(members), *by_claim))
    rows = await connection.scalars(statement.order_by(UserRow.id).limit(limit), {"subjects": list(subjects)})
    return list(map(UserId, rows))


async def groups_of(connection: AsyncConnection, user_ids: Collection[UserId]) -> Mapping[UserId, frozenset[GroupId]]:
    """The groups that each is in, as a member or by what the last token said."""
    ids = {"ids": list(user_ids)}
    found: dict[UserId, set[GroupId]] = {user_id: set() for user_id in user_ids}
    members = select(GroupMemberRow.user_id, GroupMemberRow.group_id).where(among(GroupMemberRow.user_id, texts("ids")))
    for user_id, group_id in await connection.execute(members, ids):
        found[UserId(user_id)].add(GroupId(group_id))
    last_said = select(UserRow.id, UserRow.claim_groups).where(among(UserRow.id, texts("ids")))
    said = {UserId(id_): set(orjson.loads(claims or "[]")) for id_, claims in await connection.execute(last_said, ids)}
    claims = {"claims": list(set().union(*said.values()))}
    by_claim = select(GroupRow.claim, GroupRow.id).where(among(GroupRow.claim, texts("claims")))
    for claim, group_id in await connection.execute(by_claim, claims):
        for user_id, claimed in said.items():
            if claim in claimed:
                found[user_id].add(GroupId(group_id))
    return {user_id: frozenset(group_ids) for user_id, group_ids in found.items()}


async def list_files_on(connection: AsyncConnection, scope: str, limit: int) -> Sequence[FileId]:
    """At most ``limit`` files that a rule on ``scope``, which is no file, is about; the newest first."""
    if scope == ROOT:
        statement = select(FileRow.id).order_by(FileRow.created_at.desc(), FileRow.id.desc())
    else:
        statement = (
            select(FileScopeRow.file_id)
            .where(FileScopeRow.scope == scope)
            .order_by(FileScopeRow.created_at.desc(), FileScopeRow.file_id.desc())
        )
    return list(map(FileId, await connection.scalars(statement.limit(limit))))
