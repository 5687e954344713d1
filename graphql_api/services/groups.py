"""Groups of users: administrators change them; members, administrators and auditors see them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import audit, groups, rules, users
from graphql_api.db.engine import Database
from graphql_api.errors import Conflict, InputFault, InvalidInput, NotFound
from graphql_api.model.audit import AuditAction, AuditEvent, audit_event
from graphql_api.model.group import MAX_CHANGED_MEMBERS, Group, User, claim_fault
from graphql_api.model.ids import GroupId, UserId, new_group_id
from graphql_api.model.names import name_key
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Principal
from graphql_api.services.clock import Clock
from graphql_api.services.last_admin import keeping_an_admin
from graphql_api.services.naming import checked_name
from graphql_api.services.people import require_admin, sees_everybody
from graphql_api.services.standings import Standings


class Unchanged(Enum):
    """Of a value that may be None: that it stays as it is."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


class Groups:
    """A group that one may not see looks like one that does not exist. Every change raises ``Forbidden`` for who sees
    the group without being an administrator.
    """

    def __init__(self, database: Database, standings: Standings, clock: Clock) -> None:
        self._database = database
        self._standings = standings
        self._clock = clock

    async def find(self, principal: Principal, ids: Sequence[GroupId]) -> Mapping[GroupId, Group]:
        """Those of ``ids`` that the principal may see: is in, unless all may be seen. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            of = await self._only_those_of(connection, principal)
            return await groups.find_groups(connection, ids, of=of)

    async def find_named(self, ids: Sequence[GroupId]) -> Mapping[GroupId, Group]:
        """Those of ``ids``, which stand in something that the caller has been shown. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            return await groups.find_groups(connection, ids)

    async def list(self, principal: Principal, request: PageRequest, search: str | None = None) -> Page[Group]:
        """By name, those that the principal may see; with ``search`` those whose name has it somewhere.

        Raises: InvalidInput: a foreign cursor. Unavailable.
        """
        async with self._database.autocommit() as connection:
            of = await self._only_those_of(connection, principal)
            return await groups.list_groups(connection, request, of=of, search=search)

    async def list_own(self, principal: Principal, request: PageRequest) -> Page[Group]:
        """By name, those that the principal is in. Raises: InvalidInput: a foreign cursor. Unavailable."""
        async with self._database.autocommit() as connection:
            return await groups.list_groups(connection, request, of=principal)

    async def list_members(self, principal: Principal, group_id: GroupId, request: PageRequest) -> Page[User]:
        """Who was made a member; whom a token's claim brings in is not known here.

        Raises: NotFound. InvalidInput: a foreign cursor. Unavailable.
        """
        async with self._database.autocommit() as connection:
            of = await self._only_those_of(connection, principal)
            if not await groups.find_groups(connection, [group_id], of=of):
                raise _no_group()
            return await groups.list_members(connection, group_id, request)

    async def create(self, principal: Principal, name: str, *, claim: str | None = None) -> Group:
        """A group without members, but for those whose token names ``claim``.

        Raises: Forbidden. InvalidInput: a bad name or claim. Conflict: another group has it. Unavailable.
        """
        await self._require_admin(principal)
        name, claim = _checked(name, claim)
        async with self._changing(principal) as (connection, now):
            group = Group(new_group_id(now), name, claim, now, now)
            await _require_free(connection, group)
            await groups.insert_group(connection, group)
            event = audit_event(principal, AuditAction.GROUP_CREATED, group.id, now=now, after=group_json(group))
            await audit.insert_events(connection, [event])
        return group

    async def update(
        self,
        principal: Principal,
        group_id: GroupId,
        *,
        name: str | None = None,
        claim: str | Unchanged | None = UNCHANGED,
    ) -> Group:
        """Give it another name (None: the same) or another claim (None: none).

        Raises: NotFound. Forbidden. InvalidInput: a bad name or claim. Conflict: another group has it, or nobody would
        be left who may administer. Unavailable.
        """
        await self._require_admin(principal, group_id)
        async with self._changing(principal) as (connection, now):
            old = await _existing(connection, group_id)
            wanted = _checked(old.name if name is None else name, old.claim if claim is UNCHANGED else claim)
            if wanted == (old.name, old.claim):
                return old
            new = replace(old, name=wanted[0], claim=wanted[1], updated_at=now)
            await _require_free(connection, new)
            await groups.update_group(connection, new)
            before, after = group_json(old), group_json(new)
            event = audit_event(principal, AuditAction.GROUP_UPDATED, new.id, now=now, before=before, after=after)
            await audit.insert_events(connection, [event])
        return new

    async def delete(self, principal: Principal, group_id: GroupId) -> None:
        """Its members leave it.

        Raises: NotFound. Forbidden. Conflict: a rule names it, and would be about nobody. Unavailable.
        """
        await self._require_admin(principal, group_id)
        async with self._changing(principal) as (connection, now):
            group = await _existing(connection, group_id)
            naming = await rules.list_rules_about(connection, [group_id])
            if naming:
                raise Conflict("a rule names this group", conflicting_id=naming[0].id, path=("groupId",))
            await groups.delete_group(connection, group_id)
            event = audit_event(principal, AuditAction.GROUP_DELETED, group_id, now=now, before=group_json(group))
            await audit.insert_events(connection, [event])

    async def change_members(
        self, principal: Principal, group_id: GroupId, add: Sequence[UserId], remove: Sequence[UserId]
    ) -> Group:
        """Who is a member already, or is none, stays so. Who is in it by their token's claim is not removed by this.

        Raises: NotFound: the group. Forbidden. InvalidInput: an unknown user, one to be added and removed, too many.
        Conflict: nobody would be left who may administer. Unavailable.
        """
        await self._require_admin(principal, group_id)
        _check_members(add, remove)
        async with self._changing(principal) as (connection, now):
            group = await _existing(connection, group_id)
            known = await users.find_nameable(connection, add)
            unknown = [number for number, id_ in enumerate(add) if id_ not in known]
            if unknown:
                raise InvalidInput(*(InputFault("no such user", ("add", str(number))) for number in unknown))
            joined = await groups.add_members(connection, group_id, known)
            left = await groups.remove_members(connection, group_id, remove)
            await audit.insert_events(
                connection,
                [
                    *(joining(principal, group_id, user_id, now) for user_id in sorted(joined)),
                    *(leaving(principal, group_id, user_id, now) for user_id in sorted(left)),
                ],
            )
        return group

    async def _only_those_of(self, connection: AsyncConnection, principal: Principal) -> Principal | None:
        """None when the principal may see all groups, else the principal."""
        return None if sees_everybody(await self._standings.of(connection, principal)) else principal

    async def _require_admin(self, principal: Principal, group_id: GroupId | None = None) -> None:
        """Before anything is locked or looked at. Raises: NotFound, Forbidden."""
        async with self._database.autocommit() as connection:
            of = await self._only_those_of(connection, principal)
            if group_id is not None and not await groups.find_groups(connection, [group_id], of=of):
                raise _no_group()
            require_admin(await self._standings.of(connection, principal))

    @asynccontextmanager
    async def _changing(self, principal: Principal) -> AsyncIterator[tuple[AsyncConnection, datetime]]:
        """The transaction of a change, which may be made only by who is an administrator now."""
        now = self._clock()
        async with self._database.transaction() as connection:
            await rules.bump_version(connection)
            standing = await self._standings.of(connection, principal)
            require_admin(standing)
            async with keeping_an_admin(connection, standing, now):
                yield connection, now


def _no_group() -> NotFound:
    return NotFound("no such group", path=("groupId",))


def _checked(name: str, claim: str | None) -> tuple[str, str | None]:
    faults: list[InputFault] = []
    name = checked_name(name, "name", faults)
    if claim is not None and (fault := claim_fault(claim)) is not None:
        faults.append(InputFault(fault, ("claim",)))
    if faults:
        raise InvalidInput(*faults)
    return name, claim


def _check_members(add: Sequence[UserId], remove: Sequence[UserId]) -> None:
    faults = [
        InputFault(f"at most {MAX_CHANGED_MEMBERS} users at once", (field,))
        for field, user_ids in (("add", add), ("remove", remove))
        if len(user_ids) > MAX_CHANGED_MEMBERS
    ]
    faults += [
        InputFault("cannot be added and removed at once", ("remove", str(number)))
        for number, user_id in enumerate(remove)
        if user_id in add
    ]
    if faults:
        raise InvalidInput(*faults)


async def _existing(connection: AsyncConnection, group_id: GroupId) -> Group:
    found = await groups.find_groups(connection, [group_id])
    if group_id not in found:
        raise _no_group()
    return found[group_id]


async def _require_free(connection: AsyncConnection, group: Group) -> None:
    """Raises: Conflict: another group has the name or the claim."""
    other = await groups.find_taken(connection, group)
    if other is not None:
        field = "name" if name_key(other.name) == name_key(group.name) else "claim"
        raise Conflict(f"another group has this {field}", conflicting_id=other.id, path=(field,))


def group_json(group: Group) -> dict[str, Any]:
    """What the audit log keeps of it."""
    return {"name": group.name, "claim": group.claim}


def joining(principal: Principal | None, group_id: GroupId, user_id: UserId, now: datetime) -> AuditEvent:
    """A user becomes a member."""
    after = {"userId": user_id}
    return audit_event(principal, AuditAction.MEMBER_ADDED, group_id, now=now, resource=user_id, after=after)


def leaving(principal: Principal | None, group_id: GroupId, user_id: UserId, now: datetime) -> AuditEvent:
    """A user is a member no longer."""
    before = {"userId": user_id}
    return audit_event(principal, AuditAction.MEMBER_REMOVED, group_id, now=now, resource=user_id, before=before)
