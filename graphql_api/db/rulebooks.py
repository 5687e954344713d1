"""Everything that the rules say about one principal, with as much of the tree as they need."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import orjson
from sqlalchemy import bindparam, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from graphql_api.access.plan import folders_to_open
from graphql_api.access.standing import Rulebook
from graphql_api.db.rules import list_rules_about
from graphql_api.db.tables import FileRow, FolderRow, GroupMemberRow, GroupRow, UserRow
from graphql_api.model.ids import FOLDER_PREFIX, GroupId, UserId
from graphql_api.model.principal import ANONYMOUS, Principal
from graphql_api.model.rule import ANYONE, SIGNED_IN, AccessRule, is_file

MAX_SIBLINGS: Final = 2_000  # folders beside denied ones that one rulebook carries; beyond, denials are filtered
_IN_ONE_STATEMENT: Final = 10_000


def subjects_of(user_id: UserId | None, groups: Collection[GroupId]) -> list[str]:
    """All subjects that mean this principal."""
    return [ANYONE] if user_id is None else [ANYONE, SIGNED_IN, user_id, *groups]


async def load_rulebook(connection: AsyncConnection, principal: Principal) -> Rulebook:
    """What the rules say about who asks, in the groups that the database and the token tell."""
    groups = frozenset[GroupId]()
    if principal.user_id is not None:
        groups = await _groups_of(connection, principal.user_id, principal.groups)
    rules = await list_rules_about(connection, subjects_of(principal.user_id, groups))
    return await with_rules(connection, Rulebook(principal.user_id, principal.is_admin, groups), rules)


async def load_rulebook_of(connection: AsyncConnection, user_id: UserId | None) -> Rulebook:
    """The same about somebody who is not asking; the groups in their token are those of the last one."""
    claims: frozenset[str] = frozenset()
    if user_id is not None:
        said = await connection.scalar(select(UserRow.claim_groups).where(UserRow.id == user_id))
        claims = frozenset(orjson.loads(said or "[]"))
    return await load_rulebook(connection, replace(ANONYMOUS, user_id=user_id, groups=claims))


async def with_rules(connection: AsyncConnection, book: Rulebook, rules: Sequence[AccessRule]) -> Rulebook:
    """The same principal under other rules, with the tree that these need."""
    chains = await chains_of(connection, {rule.terms.resource for rule in rules})
    children = await _children_of(connection, folders_to_open(rules, chains))
    return replace(book, rules=tuple(rules), chains=chains, children=children)


async def _groups_of(connection: AsyncConnection, user_id: UserId, claims: Collection[str]) -> frozenset[GroupId]:
    is_member = select(literal(1)).where(GroupMemberRow.group_id == GroupRow.id, GroupMemberRow.user_id == user_id)
    statement = select(GroupRow.id).where(or_(is_member.exists(), GroupRow.claim.in_(claims)))
    return frozenset(GroupId(id_) for id_ in await connection.scalars(statement))


async def chains_of(connection: AsyncConnection, scopes: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """For each of the folders and files among ``scopes`` that exist: itself and the folders above, the root last."""
    homes: dict[str, str] = {}
    for portion in _portions([scope for scope in scopes if is_file(scope)]):
        found = await connection.execute(select(FileRow.id, FileRow.folder_id).where(FileRow.id.in_(portion)))
        homes.update((id_, folder_id) for id_, folder_id in found)
    folders = {scope for scope in scopes if scope.startswith(FOLDER_PREFIX)} | set(homes.values())
    parents: dict[str, str | None] = {}
    for portion in _portions(sorted(folders)):
        parents |= await _parents_above(connection, portion)
    chains: dict[str, tuple[str, ...]] = {}
    for folder in folders & parents.keys():
        chain, here = [], parents[folder]
        while here is not None:
            chain.append(here)
            here = parents[here]
        chains[folder] = (folder, *chain)
    return {scope: chain for scope, chain in chains.items() if scope in scopes} | {
        file: (file, *chains[folder]) for file, folder in homes.items()
    }


async def _parents_above(connection: AsyncConnection, folders: Sequence[str]) -> dict[str, str | None]:
    """The parent of each of the folders and of each folder above them. UNION keeps one row of each, so that a thousand
    rules in one branch of the tree walk it once.
    """
    start = select(FolderRow.id, FolderRow.parent_id).where(FolderRow.id.in_(bindparam("folders", expanding=True)))
    above = start.cte("above", recursive=True)
    upper = aliased(FolderRow)
    above = above.union(select(upper.id, upper.parent_id).where(upper.id == above.c.parent_id))
    rows = await connection.execute(select(above.c.id, above.c.parent_id), {"folders": folders})
    return {row.id: row.parent_id for row in rows}


async def _children_of(connection: AsyncConnection, folders: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """The folders directly below each. When there are too many in all, the folders with the most are left out."""
    if not folders:
        return {}
    sizes = select(FolderRow.parent_id, func.count()).where(FolderRow.parent_id.in_(folders))
    counted = (await connection.execute(sizes.group_by(FolderRow.parent_id))).all()
    children: dict[str, list[str]] = {folder: [] for folder in folders}
    total = 0
    for number, folder in sorted((number, str(folder)) for folder, number in counted):
        total += number
        if total > MAX_SIBLINGS:
            del children[folder]
    statement = select(FolderRow.parent_id, FolderRow.id).where(FolderRow.parent_id.in_(children))
    for parent_id, id_ in await connection.execute(statement.order_by(FolderRow.id)):
        children[str(parent_id)].append(id_)
    return {folder: tuple(below) for folder, below in children.items()}


def _portions(values: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(values), _IN_ONE_STATEMENT):
        yield values[start : start + _IN_ONE_STATEMENT]
