"""How much users and folders may store and have stored, and what folders take: told to those whom it concerns, and
changed by administrators. ``admission`` enforces it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import audit, folders, gates, rules, usage, usage_sums, users
from graphql_api.db.engine import Database
from graphql_api.db.recount import BATCH, recount
from graphql_api.errors import InputFault, InvalidInput, NotFound
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.file import Folder
from graphql_api.model.group import User
from graphql_api.model.ids import FolderId, UserId
from graphql_api.model.media_type import is_type_or_family
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.quota import MAX_GATE_TYPES, OPEN, FolderGate, Gate, Quota
from graphql_api.services.admission import Admission
from graphql_api.services.clock import Clock
from graphql_api.services.people import require_admin, sees_everybody
from graphql_api.services.requirements import require
from graphql_api.services.standings import Standings

_NOTHING: Final = Quota(0, 0, None)


class Quotas:
    """What one may not see looks as if it were not there."""

    def __init__(
        self, database: Database, standings: Standings, admission: Admission, clock: Clock, *, max_file_size: int
    ) -> None:
        """``max_file_size``: bytes, of any upload."""
        self._database = database
        self._standings = standings
        self._admission = admission
        self._clock = clock
        self._max_file_size = max_file_size

    async def of_users(self, principal: Principal, ids: Sequence[UserId]) -> Mapping[UserId, Quota]:
        """Of the principal, if among ``ids``; of all of them for administrators and auditors. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            seen = [id_ for id_ in ids if id_ == principal.user_id or sees_everybody(standing)]
            found = await usage.find_counted(connection, seen)
        return {id_: self._of_user(found.get(id_, _NOTHING)) for id_ in seen}

    async def set_user_quota(self, principal: Principal, user_id: UserId, limit: int | None) -> User:
        """Let a user store ``limit`` bytes, whatever the setting says; None: as the setting says.

        Raises: Forbidden: not an administrator. NotFound. Unavailable.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            require_admin(await self._standings.of(connection, principal))
            user = (await users.find_users(connection, [user_id])).get(user_id)
            if user is None:
                raise NotFound("no such user", path=("userId",))
            await rules.lock_version(connection)  # one change at a time, so that the log tells them in order
            before = (await usage.find_counted(connection, [user_id])).get(user_id, _NOTHING).limit
            if before != limit:
                event = audit_event(
                    principal,
                    AuditAction.QUOTA_CHANGED,
                    user_id,
                    now=now,
                    before={"quota": before},
                    after={"quota": limit},
                )
                await audit.insert_events(connection, [event])
                await usage.set_quota(connection, user_id, limit)
        return user

    async def gates(self, principal: Principal, ids: Sequence[FolderId]) -> Mapping[FolderId, FolderGate]:
        """Of those of ``ids`` that have one and in which the principal may WRITE. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            placed = await folders.find_placed(connection, standing, ids)
            seen = [id_ for id_, each in placed.items() if standing.may(Permission.WRITE, each.scopes)]
            found = await gates.find_gates(connection, seen)
        return {id_: replace(each, quota=each.quota and _shown(each.quota)) for id_, each in found.items()}

    async def set_folder_gate(self, principal: Principal, folder_id: FolderId, wished: Gate) -> Folder:
        """Let a folder, with all below, take what ``wished`` says and nothing else from now on; what is there stays.

        Raises: InvalidInput: what is no list of types. NotFound. Forbidden: not an administrator. Unavailable.
        """
        gate = _checked(wished)
        now = self._clock()
        async with self._database.transaction() as connection:
            await rules.lock_version(connection)  # what is below stays there
            standing = await self._standings.of(connection, principal)
            found = (await folders.find_placed(connection, standing, [folder_id])).get(folder_id)
            if found is None:
                raise NotFound("no such folder", path=("folderId",))
            require(standing, Permission.ADMINISTER, found.scopes, "folderId")
            known = (await gates.find_gates(connection, [folder_id])).get(folder_id)
            before = OPEN if known is None else known.gate
            if before != gate:
                event = audit_event(
                    principal,
                    AuditAction.GATE_CHANGED,
                    folder_id,
                    now=now,
                    before=_json(before),
                    after=_json(gate),
                )
                await audit.insert_events(connection, [event])
                if gate.quota is not None and before.quota is None:
                    await usage.lock_all(connection)
                await gates.set_gate(connection, folder_id, gate)
                if gate.quota is not None and before.quota is None:
                    await self._count(connection, folder_id)
        return found.folder

    async def recount(self, *, batch: int = BATCH) -> int:
        """Count all users and folders anew; how many numbers were wrong. Nobody has to stop for it: what others store
        meanwhile is counted once. Raises: Unavailable.
        """
        return await recount(self._database, size=batch)

    async def _count(self, connection: AsyncConnection, folder_id: FolderId) -> None:
        stored, reserved = await usage_sums.sums_below(connection, folder_id)
        await usage.set_counted(connection, folder_id, stored=stored, reserved=reserved)

    def _of_user(self, found: Quota) -> Quota:
        return replace(_shown(self._admission.limited(found)), max_file_size=self._max_file_size)


def _shown(quota: Quota) -> Quota:
    """Never negative, whatever a version that does not count has left behind."""
    return replace(quota, used=max(quota.used, 0), reserved=max(quota.reserved, 0))


def _checked(gate: Gate) -> Gate:
    """With its types in lower case, each once. Raises: InvalidInput."""
    if gate.allowed_content_types is None:
        return gate
    types = tuple(sorted({kind.lower() for kind in gate.allowed_content_types}))
    if not 1 <= len(types) <= MAX_GATE_TYPES:
        raise InvalidInput(InputFault(f"takes 1 to {MAX_GATE_TYPES} entries", ("allowedContentTypes",)))
    if not all(map(is_type_or_family, types)):
        raise InvalidInput(
            InputFault("must be types such as image/png or families such as image/*", ("allowedContentTypes",))
        )
    return replace(gate, allowed_content_types=types)


def _json(gate: Gate) -> dict[str, Any] | None:
    if gate == OPEN:
        return None
    types = gate.allowed_content_types
    return {
        "quota": gate.quota,
        "maxFileSize": gate.max_file_size,
        "allowedContentTypes": None if types is None else list(types),
    }
