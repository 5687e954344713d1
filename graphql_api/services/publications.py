"""Publishing files that anyone may read: what is asked for here is carried out by ``publishing``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access import read_grant
from graphql_api.db import audit, files, jobs, publications
from graphql_api.db.engine import Database
from graphql_api.db.files import LockedFile
from graphql_api.errors import Conflict
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.bundle import is_bundle_key
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, new_published_key
from graphql_api.model.parts import Remains
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import PLAIN
from graphql_api.services.announcements import file_updated
from graphql_api.services.clock import Clock
from graphql_api.services.requirements import no_file, require
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep

COPY_JOB = "copy_publication"
REMOVE_JOB = "remove_publication"


class Publications:
    """``base_url``: of the CDN that delivers copies without a signature; None: there is none, nothing is published."""

    def __init__(
        self, database: Database, standings: Standings, upkeep: Upkeep, clock: Clock, *, base_url: str | None
    ) -> None:
        self._database = database
        self._standings = standings
        self._upkeep = upkeep
        self._clock = clock
        self._base_url = base_url

    async def publish(self, principal: Principal, file_id: FileId) -> File:
        """Have the bytes copied to where anybody gets them, at an address that lasts while anyone may read the file.
        Idempotent.

        Raises: NotFound. Forbidden: SHARE is missing. Conflict: not everybody may download it, or not without
        conditions; or it is a bundle; or there is no CDN. Unavailable.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            locked = await self._shareable(connection, principal, file_id)
            if self._base_url is None:
                raise Conflict("without a CDN nothing is published", path=("fileId",))
            if is_bundle_key(locked.file.object_key):
                raise Conflict("a bundle is not published: it has many objects", path=("fileId",))
            everybody = await self._standings.of_anonymous(connection)
            if not is_public(replace(locked.file, terms=everybody.read_terms(locked.scopes))):
                raise Conflict(
                    "a file is published only if a rule lets anyone download it, from anywhere and without conditions",
                    path=("fileId",),
                )
            if await begin(connection, principal, file_id, locked.file.object_key, now):
                file_updated(connection, locked.file)
        return locked.file

    async def unpublish(self, principal: Principal, file_id: FileId) -> File:
        """Have the copy removed, and what the CDN keeps of it; rules stay as they are. Idempotent.

        Raises: NotFound. Forbidden: SHARE is missing. Unavailable.
        """
        async with self._database.transaction() as connection:
            locked = await self._shareable(connection, principal, file_id)
            key = await withdraw(connection, self._upkeep, principal, file_id, self._clock())
            if key is not None:
                file_updated(connection, locked.file)
        if key is not None:
            await self._upkeep.remove([Remains(key)])
        return locked.file

    async def addresses(self, _principal: Principal, ids: Sequence[FileId]) -> Mapping[FileId, str]:
        """Of the copies of those of ``ids`` that are published; they are for everybody. Raises: Unavailable."""
        if self._base_url is None:
            return {}
        async with self._database.autocommit() as connection:
            found = await publications.find_live(connection, ids)
        return {file_id: f"{self._base_url}/{key}" for file_id, key in found.items()}

    async def _shareable(self, connection: AsyncConnection, principal: Principal, file_id: FileId) -> LockedFile:
        standing = await self._standings.of(connection, principal)
        locked = (await files.lock_files(connection, standing, [file_id])).get(file_id)
        if locked is None:
            raise no_file()
        require(standing, Permission.SHARE, locked.scopes, "fileId")
        return locked


def is_public(file: File | None) -> bool:
    """Whether everybody, for whom ``file`` was found, may download it without conditions, for however long."""
    grant = None if file is None else read_grant(file)
    return grant is not None and replace(grant.terms, until=None) == PLAIN


async def begin(
    connection: AsyncConnection, principal: Principal | None, file_id: FileId, source_key: str, now: datetime
) -> bool:
    """Part of the caller's transaction: a copy is to be made. False if there is one, or will be."""
    key = new_published_key(now)
    if not await publications.begin(connection, key, file_id, source_key, now=now):
        return False
    await jobs.enqueue(connection, COPY_JOB, key, now=now)
    event = audit_event(principal, AuditAction.FILE_PUBLISHED, file_id, now=now, after={"objectKey": key})
    await audit.insert_events(connection, [event])
    return True


async def withdraw(
    connection: AsyncConnection,
    upkeep: Upkeep,
    principal: Principal | None,
    file_id: FileId,
    now: datetime,
    *,
    key: str | None = None,
) -> str | None:
    """Part of the caller's transaction: the file's copy, if it is ``key`` or that is None, is to go. Its key, which the
    caller has ``upkeep`` remove after the commit, or None if there is no such copy.

    It is removed once more, later: a copy that was being made may land after the first time.
    """
    gone = await publications.withdraw(connection, file_id, now=now, key=key)
    if gone is None:
        return None
    await upkeep.schedule_removal(connection, [Remains(gone)])
    await jobs.enqueue(connection, REMOVE_JOB, gone, now=now)
    event = audit_event(principal, AuditAction.FILE_UNPUBLISHED, file_id, now=now, before={"objectKey": gone})
    await audit.insert_events(connection, [event])
    return gone
