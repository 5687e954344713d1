"""The versions of a file: shown, put in the place of one another, deleted.

Which version is current is said by the file, which repeats the facts of that one. So an old version is restored by
pointing at it: no bytes are copied, nothing becomes a version twice, and what it costs to keep does not change.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import audit, files, usage, versions
from graphql_api.db.engine import Database
from graphql_api.errors import Conflict, NotFound
from graphql_api.model.audit import AuditAction, AuditEvent, audit_event
from graphql_api.model.file import File, FileVersion
from graphql_api.model.ids import FileId, VersionId
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.parts import Remains
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.upload import Upload
from graphql_api.services.announcements import file_updated
from graphql_api.services.clock import Clock
from graphql_api.services.published_copies import PublishedCopies
from graphql_api.services.requirements import lock_writable, no_file, require
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep


class Versions:
    """Whoever may see a file may see all its versions. ``max_versions``: of one file, the current one included."""

    def __init__(
        self,
        database: Database,
        standings: Standings,
        upkeep: Upkeep,
        clock: Clock,
        copies: PublishedCopies,
        *,
        max_versions: int,
    ) -> None:
        self._database = database
        self._standings = standings
        self._upkeep = upkeep
        self._clock = clock
        self._copies = copies
        self._max_versions = max_versions

    async def find(self, principal: Principal, ids: Sequence[VersionId]) -> Mapping[VersionId, FileVersion]:
        """Those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            return await versions.find_versions(connection, await self._standings.of(connection, principal), ids)

    async def list_of(
        self, principal: Principal, request: PageRequest, file_ids: Sequence[FileId]
    ) -> Mapping[FileId, Page[FileVersion]]:
        """A page for each of ``file_ids``, the newest first; an empty one for who is hidden or absent.

        Raises: InvalidInput: a foreign cursor. Unavailable.
        """
        async with self._database.autocommit() as connection:
            seen = await files.find_scopes(connection, await self._standings.of(connection, principal), file_ids)
            pages = await versions.page_versions(connection, file_ids, request)
        empty: Page[FileVersion] = Page((), lambda _: "", has_next_page=False, has_previous_page=False)
        return {file_id: page if file_id in seen else empty for file_id, page in pages.items()}

    async def replace(
        self,
        connection: AsyncConnection,
        principal: Principal,
        standing: Standing,
        file: File,
        upload: Upload,
        version: FileVersion,
    ) -> tuple[File, Sequence[Remains]]:
        """Part of the caller's transaction, which holds the lock of ``file``: it has the bytes of ``version``, which
        ``upload`` brought, from now on, under the next number. Who found it before gets the old ones, and nobody a
        mixture.

        Where there are too many, the oldest go. What remains of them is scheduled for removal, which the caller asks
        for after the commit.
        """
        now = self._clock()  # not earlier than the change that was waited for
        await versions.insert_first_versions(connection, [file.id])
        version = replace(version, number=await versions.take_number(connection, file.id), created_at=now)
        replaced = await files.switch_version(connection, standing, version, now=now)
        gone = await versions.delete_oldest(connection, file.id, keep=self._max_versions)
        before = {"size": file.size, "contentType": file.content_type}
        event = audit_event(principal, AuditAction.FILE_REPLACED, file.id, now=now, before=before, after=_json(version))
        await audit.insert_events(connection, [event, *(_deletion(principal, each, now) for each in gone)])
        remains = [Remains(each.object_key) for each in gone]
        await self._upkeep.schedule_removal(connection, remains)
        remains += await self._copies.review(connection, principal, [file.id], now)
        file_updated(connection, file)
        # This counts, and so it comes last.
        await versions.insert_version(connection, version, upload, going=[_less(file, gone)])
        return replaced, remains

    async def restore(self, principal: Principal, file_id: FileId, version_id: VersionId) -> File:
        """Make a version current again; the one that was stays beside it, under its number.

        Raises: NotFound: the file or the version. Forbidden: WRITE is missing. Unavailable.
        """
        async with self._database.transaction() as connection:
            standing = await self._standings.of(connection, principal)
            file = (await lock_writable(connection, standing, file_id)).file
            version = (await versions.find_versions(connection, standing, [version_id])).get(version_id)
            if version is None or version.file_id != file_id:
                raise _no_version("versionId")
            if version.is_current:
                return file
            now = self._clock()
            before = {"size": file.size, "contentType": file.content_type}
            event = audit_event(
                principal, AuditAction.FILE_VERSION_RESTORED, file_id, now=now, before=before, after=_json(version)
            )
            await audit.insert_events(connection, [event])
            file_updated(connection, file)
            restored = await files.switch_version(connection, standing, version, now=now)
            lost = await self._copies.review(connection, principal, [file_id], now)
        await self._copies.remove(lost)
        return restored

    async def delete(
        self, principal: Principal, file_id: FileId, version_ids: Sequence[VersionId]
    ) -> Sequence[VersionId | NotFound | Conflict]:
        """Delete old versions for good; one result for each id, in order: Conflict for the current one. The bytes are
        removed after the commit.

        Raises: NotFound: the file. Forbidden: DELETE is missing. Unavailable.
        """
        now = self._clock()
        results: list[VersionId | NotFound | Conflict] = []
        going: dict[VersionId, FileVersion] = {}
        async with self._database.transaction() as connection:
            standing = await self._standings.of(connection, principal)
            locked = (await files.lock_files(connection, standing, [file_id])).get(file_id)
            if locked is None:
                raise no_file()
            require(standing, Permission.DELETE, locked.scopes, "fileId")
            found = await versions.find_versions(connection, standing, version_ids)
            for index, version_id in enumerate(version_ids):
                version = found.get(version_id)
                if version is None or version.file_id != file_id:
                    results.append(_no_version("versionIds", str(index)))
                elif version.is_current:
                    message = "the current version goes only with its file, or after another was restored"
                    results.append(Conflict(message, conflicting_id=file_id, path=("versionIds", str(index))))
                else:
                    results.append(version_id)
                    going[version_id] = version
            await versions.delete_versions(connection, list(going))
            await audit.insert_events(connection, [_deletion(principal, each, now) for each in going.values()])
            remains = [Remains(each.object_key) for each in going.values()]
            await self._upkeep.schedule_removal(connection, remains)
            await usage.count_all(connection, [_less(locked.file, going.values())])
        await self._upkeep.remove(remains)
        return results


def _less(file: File, gone: Iterable[FileVersion]) -> usage.Change:
    return usage.Change(file.owner_id, file.folder_id, stored=-sum(version.size for version in gone))


def _no_version(*path: str) -> NotFound:
    """Hidden, absent, or of another file."""
    return NotFound("no such version of this file", path=path)


def _json(version: FileVersion) -> dict[str, Any]:
    return {
        "versionId": version.id,
        "number": version.number,
        "size": version.size,
        "contentType": version.content_type,
    }


def _deletion(principal: Principal, version: FileVersion, now: datetime) -> AuditEvent:
    return audit_event(principal, AuditAction.FILE_VERSION_DELETED, version.file_id, now=now, before=_json(version))
