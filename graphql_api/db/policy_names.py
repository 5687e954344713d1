"""What people call things in policy files, and what that means: paths, groups and persons, in bulk and both ways.

Authorised by nobody: for the operator only, who may know everything.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import orjson
from sqlalchemy import exists, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db.among import among, texts
from graphql_api.db.folders import list_ancestry
from graphql_api.db.groups import group_of
from graphql_api.db.rules import COLUMNS, rule_of
from graphql_api.db.tables import AccessRuleRow, FileRow, FolderEntryRow, FolderRow, GroupMemberRow, GroupRow, UserRow
from graphql_api.db.users import IS_RELEASED
from graphql_api.model.group import Group
from graphql_api.model.ids import ROOT_FOLDER_ID, FileId, FolderId, GroupId, UserId
from graphql_api.model.names import name_key
from graphql_api.model.rule import AccessRule, is_file, is_folder

T = TypeVar("T")
NamePath = tuple[str, ...]  # the names from below the root down

_IN_ONE_STATEMENT = 5_000  # pairs


@dataclass(frozen=True, slots=True)
class NamedUser:
    """What a user can be named by."""

    id: UserId
    issuer: str
    subject: str
    email: str | None
    email_key: str | None
    has_signed_in: bool


async def find_entries(connection: AsyncConnection, paths: Collection[NamePath]) -> Mapping[NamePath, str]:
    """The file or folder at each of ``paths`` that there is one at: one statement for each level of the tree."""
    keys = {path: tuple(map(name_key, path)) for path in paths}
    found: dict[NamePath, str] = {(): ROOT_FOLDER_ID}
    for depth in range(1, 1 + max(map(len, paths), default=0)):
        wanted = {path[:depth] for path in keys.values() if len(path) >= depth and path[: depth - 1] in found}
        pairs = {(found[path[:-1]], path[-1]): path for path in wanted}
        for portion in _portions(list(pairs)):
            place = tuple_(FolderEntryRow.folder_id, FolderEntryRow.name_key)
            statement = select(FolderEntryRow.folder_id, FolderEntryRow.name_key, FolderEntryRow.entry_id)
            is_folder_row = exists().where(FolderRow.id == FolderEntryRow.entry_id)
            is_file_row = exists().where(FileRow.id == FolderEntryRow.entry_id)
            statement = statement.where(or_(is_folder_row, is_file_row))  # a name may wait for a verdict on its file
            for folder_id, key, entry_id in await connection.execute(statement.where(place.in_(portion))):
                found[pairs[folder_id, key]] = entry_id
    return {path: found[path_keys] for path, path_keys in keys.items() if path_keys in found}


async def paths_of(connection: AsyncConnection, ids: Collection[str]) -> Mapping[str, NamePath]:
    """Where each of the files and folders among ``ids`` stands; the root's path is empty."""
    file_ids = {"ids": [FileId(id_) for id_ in ids if is_file(id_)]}
    of_files = select(FileRow.id, FileRow.folder_id, FileRow.name).where(among(FileRow.id, texts("ids")))
    files = {id_: (folder_id, name) for id_, folder_id, name in await connection.execute(of_files, file_ids)}
    folders = {FolderId(id_) for id_ in ids if is_folder(id_)} | {
        FolderId(folder_id) for folder_id, _ in files.values()
    }
    paths: dict[str, NamePath] = {}
    for portion in _portions(sorted(folders)):
        for id_, chain in (await list_ancestry(connection, portion)).items():
            paths[id_] = tuple(folder.name for folder in reversed(chain[:-1]))
    above = {id_: (*paths[folder_id], name) for id_, (folder_id, name) in files.items()}
    return {id_: path for id_, path in (paths | above).items() if id_ in ids}


async def list_everyones_rules(connection: AsyncConnection) -> Sequence[AccessRule]:
    """All rules that there are."""
    return [rule_of(row) for row in await connection.execute(select(*COLUMNS).order_by(AccessRuleRow.id))]


async def list_homes(connection: AsyncConnection) -> Mapping[FolderId, UserId]:
    """Whose homes which folders are."""
    rows = await connection.execute(select(FolderRow.id, FolderRow.home_of).where(FolderRow.home_of.is_not(None)))
    return {FolderId(id_): UserId(user_id) for id_, user_id in rows if user_id}


async def list_all_groups(connection: AsyncConnection) -> Sequence[Group]:
    """By name."""
    columns = (GroupRow.id, GroupRow.name, GroupRow.claim, GroupRow.created_at, GroupRow.updated_at)
    return [group_of(row) for row in await connection.execute(select(*columns).order_by(GroupRow.name_key))]


async def members_of(
    connection: AsyncConnection, group_ids: Collection[GroupId]
) -> Mapping[GroupId, frozenset[UserId]]:
    """Who was made a member of each; not who is in it by a token's claim."""
    statement = select(GroupMemberRow.group_id, GroupMemberRow.user_id).where(
        among(GroupMemberRow.group_id, texts("ids"))
    )
    found: dict[GroupId, set[UserId]] = {group_id: set() for group_id in group_ids}
    for group_id, user_id in await connection.execute(statement, {"ids": list(group_ids)}):
        found[GroupId(group_id)].add(UserId(user_id))
    return {group_id: frozenset(user_ids) for group_id, user_ids in found.items()}


async def list_claiming(connection: AsyncConnection, claim: str) -> frozenset[UserId]:
    """Whose last token named ``claim`` among their groups."""
    statement = select(UserRow.id, UserRow.claim_groups).where(
        UserRow.claim_groups.contains(orjson.dumps(claim).decode(), autoescape=True)
    )
    rows = await connection.execute(statement)
    return frozenset(UserId(id_) for id_, said in rows if claim in orjson.loads(said or "[]"))


async def find_people(
    connection: AsyncConnection,
    issuer: str,
    *,
    email_keys: Collection[str] = (),
    subjects: Collection[str] = (),
    ids: Collection[str] = (),
) -> Sequence[NamedUser]:
    """Everybody whom one of these may mean: several, where an address is not one user's alone."""
    is_of_issuer = UserRow.issuer == issuer
    found: dict[UserId, NamedUser] = {}
    for values, condition in (
        (email_keys, is_of_issuer & among(UserRow.email_key, texts("values"))),
        (subjects, is_of_issuer & among(UserRow.subject, texts("values"))),
        (ids, among(UserRow.id, texts("values")) & ~IS_RELEASED),
    ):
        if not values:
            continue
        columns = (UserRow.id, UserRow.issuer, UserRow.subject, UserRow.email, UserRow.email_key, UserRow.signed_in_at)
        rows = await connection.execute(select(*columns).where(condition), {"values": list(values)})
        for id_, issuer_, subject, email, email_key, since in rows:
            found[UserId(id_)] = NamedUser(UserId(id_), issuer_, subject, email, email_key, since is not None)
    return list(found.values())


def _portions(values: Sequence[T]) -> Iterable[Sequence[T]]:
    for start in range(0, len(values), _IN_ONE_STATEMENT):
        yield values[start : start + _IN_ONE_STATEMENT]
