"""Publishing files that anyone may read: what is asked for here is carried out by ``publishing``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import files, publications
from graphql_api.db.engine import Database
from graphql_api.db.files import LockedFile
from graphql_api.errors import Conflict
from graphql_api.model.bundle import is_bundle_key
from graphql_api.model.file import File
from graphql_api.model.ids import FileId
from graphql_api.model.principal import Permission, Principal
from graphql_api.services.announcements import file_updated
from graphql_api.services.clock import Clock
from graphql_api.services.published_copies import PublishedCopies, is_public
from graphql_api.services.requirements import no_file, require
from graphql_api.services.standings import Standings


class Publications:
    """``base_url``: of the CDN that delivers copies without a signature; None: there is none, nothing is published."""

    def __init__(
        self, database: Database, standings: Standings, copies: PublishedCopies, clock: Clock, *, base_url: str | None
    ) -> None:
        self._database = database
        self._standings = standings
        self._copies = copies
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
            # A copy that is there, and stays, is of the bytes that the file has now.
            remains = await self._copies.review(connection, principal, [file_id], now)
            if await self._copies.begin(connection, principal, locked.file, now):
                file_updated(connection, locked.file)
        await self._copies.remove(remains)
        return locked.file

    async def unpublish(self, principal: Principal, file_id: FileId) -> File:
        """Have the copy removed, and what the CDN keeps of it; rules stay as they are. Idempotent.

        Raises: NotFound. Forbidden: SHARE is missing. Unavailable.
        """
        async with self._database.transaction() as connection:
            locked = await self._shareable(connection, principal, file_id)
            open_ = await publications.lock_open(connection, [file_id], 1)
            remains = await self._copies.withdraw(connection, principal, open_, self._clock())
        await self._copies.remove(remains)
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
