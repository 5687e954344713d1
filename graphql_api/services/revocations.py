"""Links can be revoked: each names what it can be revoked by, and the edge is told what has been since."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access import revocable
from graphql_api.access.standing import Standing
from graphql_api.db import audit, files, folders, jobs, revocations, users
from graphql_api.db.engine import Database
from graphql_api.db.revocations import InForce
from graphql_api.errors import Conflict, Forbidden, NotFound
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.bundle import bundle_of, is_bundle_key
from graphql_api.model.delivery import ReadGrant
from graphql_api.model.file import File, Folder
from graphql_api.model.group import User
from graphql_api.model.ids import FileId, FolderId, UserId
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.revocation import (
    FOLDERS_NAMED,
    LinkRevocation,
    Markable,
    Revocable,
    RevocationLimits,
    mark_of,
    parameter_of,
)
from graphql_api.model.rule import ANYONE, ReadTerms
from graphql_api.services.announcements import file_updated, folder_renamed
from graphql_api.services.clock import Clock
from graphql_api.services.old_links import longest_life
from graphql_api.services.requirements import no_file, require
from graphql_api.services.standings import Standings
from graphql_api.services.turns import Turn

T = TypeVar("T")

JOB: Final = "tell_revocations"
SUBJECT: Final = "edge"  # one job tells all that is to be told

SKEW: Final = timedelta(minutes=10)
"""By which the clocks of processes that sign may differ: for so much longer than the longest link a number is kept."""

MOVES: Final = 1000  # that are forgotten in one turn


class Revocations:
    """``is_on``: the edge runs the function. Otherwise nothing can be revoked, and links live until they end."""

    def __init__(
        self,
        database: Database,
        standings: Standings,
        clock: Clock,
        *,
        is_on: bool,
        link_max_lifetime: timedelta,
        limits: RevocationLimits = RevocationLimits(),  # noqa: B008 -- frozen
    ) -> None:
        self._database = database
        self._standings = standings
        self._clock = clock
        self.is_on = is_on
        self._link_max_lifetime = link_max_lifetime
        self._limits = limits

    async def and_links_end(self, change: Callable[[], Awaitable[T]]) -> tuple[T, datetime]:
        """What comes of ``change``, and when the last of the links has ended by itself that were signed until it was
        made. Raises: what ``change`` does. Unavailable: before it was made.
        """
        async with self._database.autocommit() as connection:
            longest = await longest_life(connection, self._link_max_lifetime)
        return await change(), self._clock() + longest

    def is_named(self, terms: ReadTerms) -> bool:
        """Whether a link on these terms has to say by what it can be revoked: whoever signs it asks ``parameters``."""
        return self.is_on or terms.personal_links

    async def parameters(self, principal: Principal, wanted: Sequence[Markable]) -> Mapping[Markable, str]:
        """What links to these files say for the principal, in one statement for a whole page. Raises: Unavailable."""
        person = principal.user_id or ANYONE
        if not self.is_on:  # whoever turns it on finds the links that are personal already named so
            async with self._database.autocommit() as connection:
                _, numbers = await revocations.find_numbers(connection, (), (person,))
            number = numbers.get(person, 0)  # of when it was on, or of a process where it is on already
            return {each: parameter_of(number, [mark_of(person)] if each.is_personal else []) for each in wanted}
        others = {str(each.file_id) for each in wanted}
        if any(each.is_personal for each in wanted):
            others.add(person)
        async with self._database.autocommit() as connection:
            chains, numbers = await revocations.find_numbers(connection, {each.folder_id for each in wanted}, others)
        found = {}
        for each in wanted:
            people = [person] if each.is_personal else []
            named = [each.file_id, *people, *chains.get(each.folder_id, ())[:FOLDERS_NAMED]]
            found[each] = parameter_of(max(numbers.get(id_, 0) for id_ in named), map(mark_of, named))
        return found

    async def named(self, principal: Principal, grant: ReadGrant) -> ReadGrant:
        """The grant for a link that says by what it can be revoked, where it has to. Raises: Unavailable."""
        if not self.is_named(grant.terms):
            return grant
        wanted = markable(grant)
        return revocable(grant, (await self.parameters(principal, [wanted]))[wanted])

    async def revoke_file(self, principal: Principal, file_id: FileId) -> tuple[File, LinkRevocation | None]:
        """Make all links to the file stop working that were signed before; None where that cannot be done.

        Raises: NotFound. Forbidden: SHARE is missing. Conflict: too much is revoked at the moment. Unavailable.
        """
        async with self._database.transaction() as connection:
            standing = await self._standings.of(connection, principal)
            locked = (await files.lock_files(connection, standing, [file_id])).get(file_id)
            if locked is None:
                raise no_file()
            require(standing, Permission.SHARE, locked.scopes, "fileId")
            if not self.is_on:
                return locked.file, None
            # Links to a bundle that name nothing are known by what every path to it has.
            of_path: set[str] = {bundle_of(file_id)} if is_bundle_key(locked.file.object_key) else set()
            revoked = await self._revoke(connection, principal, standing, file_id, of_path)
            file_updated(connection, locked.file)
        return locked.file, revoked

    async def revoke_folder(self, principal: Principal, folder_id: FolderId) -> tuple[Folder, LinkRevocation | None]:
        """The same for links to whatever is below the folder, or was when they were signed.

        Raises: NotFound. Forbidden: SHARE is missing on the folder. Conflict: too much is revoked at the moment, or
        would be. Unavailable.
        """
        async with self._database.transaction() as connection:
            standing = await self._standings.of(connection, principal)
            found = await folders.lock_folder(connection, standing, folder_id)
            if found is None:
                raise NotFound("no such folder", path=("folderId",))
            require(standing, Permission.SHARE, found.scopes, "folderId")
            if not self.is_on:
                return found.folder, None
            most = self._limits.in_force if standing.is_admin else self._limits.of_one
            relays = await revocations.list_relays(connection, folder_id, most=most)
            if len(relays) > most:
                raise Conflict(f"more than {most} folders and moved files below: {_WAY_OUT}")
            revoked = await self._revoke(connection, principal, standing, folder_id, relays)
            if found.folder.parent_id is not None:
                folder_renamed(connection, found.folder, found.folder.parent_id)
        return found.folder, revoked

    async def revoke_user(self, principal: Principal, user_id: UserId) -> tuple[User, LinkRevocation | None]:
        """The same for all personal links of somebody, wherever they lead.

        Raises: NotFound. Forbidden: neither an administrator nor the one whose links they are. Conflict: too much is
        revoked at the moment. Unavailable.
        """
        async with self._database.transaction() as connection:
            standing = await self._standings.of(connection, principal)
            _require_self_or_admin(standing, principal, user_id)
            user = (await users.find_users(connection, [user_id])).get(user_id)
            if user is None:
                raise NotFound("no such user", path=("userId",))
            return user, await self._revoke(connection, principal, standing, user_id) if self.is_on else None

    async def of_files(self, principal: Principal, ids: Sequence[FileId]) -> Mapping[FileId, LinkRevocation]:
        """The last one, if it is in force, of each of ``ids`` that the principal may share. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            seen = await files.find_scopes(connection, standing, ids)
            mine = [id_ for id_, within in seen.items() if standing.may(Permission.SHARE, within)]
            found = await revocations.find_revocations(connection, mine)
        return {FileId(id_): each for id_, each in found.items()}

    async def of_folders(self, principal: Principal, ids: Sequence[FolderId]) -> Mapping[FolderId, LinkRevocation]:
        """The same of folders. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            seen = await folders.find_placed(connection, standing, ids)
            mine = [id_ for id_, each in seen.items() if standing.may(Permission.SHARE, each.scopes)]
            found = await revocations.find_revocations(connection, mine)
        return {FolderId(id_): each for id_, each in found.items()}

    async def of_users(self, principal: Principal, ids: Sequence[UserId]) -> Mapping[UserId, LinkRevocation]:
        """The same of those of ``ids`` that are the principal; of all for administrators. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            mine = [id_ for id_ in ids if standing.is_admin or id_ == principal.user_id]
            found = await revocations.find_revocations(connection, mine)
        return {UserId(id_): each for id_, each in found.items()}

    async def turn(self) -> Turn:
        """Forget what was moved so long ago that no link from before lives. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            before = self._clock() - await longest_life(connection, self._link_max_lifetime) - SKEW
            gone = await revocations.forget_moves(connection, before=before, limit=MOVES)
        return Turn(gone, is_more=gone == MOVES)

    async def _revoke(
        self,
        connection: AsyncConnection,
        principal: Principal,
        standing: Standing,
        target: Revocable,
        relays: Collection[str] = (),
    ) -> LinkRevocation:
        now = self._clock()
        number = await revocations.next_number(connection)
        end = now + await longest_life(connection, self._link_max_lifetime) + SKEW
        person = None if standing.is_admin else principal.user_id or ANYONE
        await revocations.put_revocations(
            connection, target, relays, number=number, now=now, links_end_by=end, counted_for=person
        )
        self._require_room(await revocations.count_in_force(connection, person), standing)
        event = audit_event(
            principal,
            AuditAction.LINKS_REVOKED,
            target,
            now=now,
            after={"number": number, "linksEndBy": end.isoformat()},
        )
        await audit.insert_events(connection, [event])
        await jobs.enqueue(connection, JOB, SUBJECT, now=now, hurries=False)
        return LinkRevocation(target, number, now, end, None, relays=len(relays))

    def _require_room(self, in_force: InForce, standing: Standing) -> None:
        """Raises: Conflict; what was written goes with the transaction."""
        limits = self._limits
        if not standing.is_admin and in_force.person > limits.of_one:
            raise Conflict(f"you have more than {limits.of_one} things revoked at the moment: {_WAY_OUT}")
        is_full = in_force.everybody > limits.in_force
        if is_full or (not standing.is_admin and in_force.people > limits.in_force - limits.kept_for_admins):
            raise Conflict("too many things are revoked at the moment: try again when some have ended")


_WAY_OUT: Final = "revoke in portions when some have ended, or ask an administrator"


def markable(grant: ReadGrant) -> Markable:
    """What is asked about a link on this grant."""
    file = grant.file
    return Markable(file.id, file.folder_id, grant.terms.personal_links)


def _require_self_or_admin(standing: Standing, principal: Principal, user_id: UserId) -> None:
    if not standing.is_admin and principal.user_id != user_id:
        raise Forbidden(
            "only an administrator may do this for others",
            required_permission=Permission.ADMINISTER,
            path=("userId",),
        )
