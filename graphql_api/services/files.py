"""Files that exist: find, list, rename, move, delete."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import (
    audit,
    bundles,
    files,
    folders,
    revocations,
    rules,
    scopes,
    share_links,
    uploads,
    usage,
    versions,
)
from graphql_api.db.engine import Database
from graphql_api.db.files import LockedFile
from graphql_api.db.rulebooks import chains_of
from graphql_api.db.seal import CursorSeal
from graphql_api.errors import Conflict, Forbidden, InputFault, InvalidInput, NotFound
from graphql_api.model.audit import AuditAction, AuditEvent, audit_event
from graphql_api.model.bundle import is_bundle_key
from graphql_api.model.file import File, Integrity
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.media_type import is_type_or_family, normalized_media_type
from graphql_api.model.names import name_key
from graphql_api.model.page import Count, Page, PageRequest
from graphql_api.model.parts import Remains
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.upload import OnConflict
from graphql_api.services.admission import Admission
from graphql_api.services.announcements import file_moved, file_updated, files_deleted, upload_changed
from graphql_api.services.clock import Clock
from graphql_api.services.naming import checked_name, claim
from graphql_api.services.published_copies import PublishedCopies
from graphql_api.services.requirements import chains_in, lock_writable, no_file, require, require_to_refile
from graphql_api.services.rule_json import rules_gone
from graphql_api.services.share_links import links_gone
from graphql_api.services.sniffing import contradicts
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep

MAX_CONTENT_TYPES = 20  # in one filter


class Files:
    """Every method sees only what the principal may see: hidden and absent files look alike."""

    def __init__(
        self,
        database: Database,
        standings: Standings,
        upkeep: Upkeep,
        clock: Clock,
        cursor_seal: CursorSeal,
        admission: Admission,
        copies: PublishedCopies,
    ) -> None:
        self._database = database
        self._standings = standings
        self._upkeep = upkeep
        self._clock = clock
        self._cursor_seal = cursor_seal
        self._admission = admission
        self._copies = copies

    async def find(self, principal: Principal, ids: Sequence[FileId]) -> Mapping[FileId, File]:
        """Those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            return await files.find_files(connection, await self._standings.of(connection, principal), ids)

    async def find_in(self, principal: Principal, folder_id: FolderId, name: str) -> File | None:
        """The file of that name in the folder. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return await files.find_file_in(connection, standing, folder_id, name_key(name))

    async def list(
        self, principal: Principal, wanted: FileFilter, order: FileOrder, request: PageRequest
    ) -> Page[File]:
        """One page. Raises: InvalidInput: a foreign cursor, a filter that makes no sense. Unavailable."""
        _check_filter(wanted)
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return await files.list_files(connection, standing, wanted, order, request, self._cursor_seal)

    async def count(self, principal: Principal, wanted: FileFilter) -> Count:
        """How many files the list has in all, counted up to a limit. Raises: InvalidInput, Unavailable."""
        _check_filter(wanted)
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return await files.count_files(connection, standing, wanted)

    async def update(
        self,
        principal: Principal,
        file_id: FileId,
        *,
        name: str | None = None,
        content_type: str | None = None,
        if_unmodified_since: datetime | None = None,
    ) -> File:
        """Rename a file or change the type its bytes are delivered as; None leaves a value as it is. A type belongs to
        the bytes: other versions of the file keep theirs.

        Raises: InvalidInput: a bad name or type, or a type that the file's first bytes contradict or a gate above it
        does not take. NotFound. Forbidden: WRITE is missing. Conflict: the name is taken, the file changed after
        ``if_unmodified_since``, or it is a bundle, which has many types. Unavailable.
        """
        faults: list[InputFault] = []
        if name is not None:
            name = checked_name(name, "name", faults)
        if content_type is not None:
            content_type = normalized_media_type(content_type)
            if content_type is None:
                faults.append(InputFault("contentType must be a media type such as image/jpeg", ("contentType",)))
        if faults:
            raise InvalidInput(*faults)
        async with self._database.transaction() as connection:
            if name is not None:
                await files.lock_folder_of(connection, file_id)
            standing = await self._standings.of(connection, principal)
            locked = await lock_writable(connection, standing, file_id)
            file = locked.file
            if if_unmodified_since is not None and file.updated_at > if_unmodified_since:
                raise Conflict("the file has changed since", conflicting_id=file.id, path=("ifUnmodifiedSince",))
            if content_type is not None and contradicts(content_type, locked.detected_content_type):
                raise InvalidInput(InputFault(f"the content is {locked.detected_content_type}", ("contentType",)))
            if content_type is not None and content_type != file.content_type and is_bundle_key(file.object_key):
                message = "the entries of a bundle are delivered as the types that they were uploaded with"
                raise Conflict(message, conflicting_id=file.id, path=("contentType",))
            changes = {}
            if name is not None and name != file.name:
                await folders.release_names(connection, [file.id])
                changes["name"] = await claim(
                    connection, standing, file.folder_id, name, file.id, OnConflict.FAIL, field="name"
                )
            if content_type is not None and content_type != file.content_type:
                await self._admission.require_type(connection, file, content_type)
                changes["content_type"] = content_type
                await versions.correct_content_type(connection, file.object_key, content_type)
            if not changes:
                return file
            file_updated(connection, file)
            return await files.update_file(connection, standing, file.id, now=self._clock(), **changes)

    async def move(self, principal: Principal, file_id: FileId, folder_id: FolderId) -> File:
        """Put a file into another folder under its name. That is sharing: what others would gain is the principal's to
        give. What is returned is on the terms that the new folder gives the principal.

        Raises: NotFound: the file or the folder. Forbidden: WRITE on one of them is missing, or SHARE. Conflict: the
        name is taken there. InvalidInput: a gate there does not take it. QuotaExceeded. Unavailable.
        """
        now = self._clock()
        async with self._database.transaction() as connection:
            await self._note_new_place(connection, principal, file_id)
            standing = await self._standings.of(connection, principal)
            target = await folders.lock_folder(connection, standing, folder_id)
            locked = await lock_writable(connection, standing, file_id)
            if target is None:
                raise NotFound("no such folder", path=("folderId",))
            require(standing, Permission.WRITE, target.scopes, "folderId")
            file = locked.file
            if file.folder_id == target.folder.id:
                return file
            old_chain = (await chains_of(connection, [file.folder_id]))[file.folder_id]
            await require_to_refile(
                connection,
                standing,
                file.id,
                before=locked.scopes,
                after=locked.scopes.difference(old_chain).union(target.chain),
                chains=chains_in(old_chain),
                now=now,
                path="folderId",
            )
            await folders.release_names(connection, [file.id])
            await claim(connection, standing, folder_id, file.name, file.id, OnConflict.FAIL, field="folderId")
            await scopes.refile(connection, file.id, file.created_at, old_chain, target.chain)
            await revocations.note_move(connection, file.id, now=now)
            event = audit_event(
                principal,
                AuditAction.FILE_MOVED,
                file.id,
                now=now,
                before={"folderId": file.folder_id},
                after={"folderId": folder_id},
            )
            await audit.insert_events(connection, [event])
            file_moved(connection, locked, folder_id)
            moved = await files.update_file(connection, standing, file.id, now=now, folder_id=folder_id)
            lost = await self._copies.review(connection, principal, [file.id], now)
            await self._admission.move_file(connection, standing, moved, old_chain, target.chain)
        await self._copies.remove(lost)
        return moved

    async def delete(self, principal: Principal, file_ids: Sequence[FileId]) -> Sequence[FileId | NotFound | Forbidden]:
        """Delete files for good, with the rules about them; one result for each id, in order: Forbidden where DELETE is
        missing. The bytes are removed after the commit.

        Raises: Unavailable.
        """
        now = self._clock()
        results: dict[FileId, FileId | NotFound | Forbidden] = {}
        going: list[LockedFile] = []
        async with self._database.transaction() as connection:
            await rules.hold_version(connection)  # so that nobody makes a rule about what is going
            standing = await self._standings.of(connection, principal)
            for file_id, locked in (await files.lock_files(connection, standing, file_ids)).items():
                try:
                    require(standing, Permission.DELETE, locked.scopes, "fileId")
                except Forbidden as refusal:
                    results[file_id] = refusal
                else:
                    results[file_id] = file_id
                    going.append(locked)
            ids = [locked.file.id for locked in going]
            remains = [Remains(key) for key in await versions.list_keys(connection, ids)]
            aborted = await uploads.abort_uploads_for(connection, ids, now=now)
            remains += aborted.values()
            whole = await bundles.delete_bundles(connection, ids, now=now)
            less = [*await usage.of_ended(connection, aborted), *await usage.of_going(connection, ids)]
            await folders.release_names(connection, ids)
            links = await share_links.delete_links_on(connection, ids)
            gone = await files.delete_files(connection, ids)
            events = [_deletion(principal, locked.file, now) for locked in going]
            events += [*rules_gone(principal, gone, now), *links_gone(principal, links, now)]
            await audit.insert_events(connection, events)
            files_deleted(connection, going, gone)
            upload_changed(connection, *aborted)
            await self._upkeep.schedule_removal(connection, remains)
            remains += await self._copies.withdraw_all(connection, principal, ids, now)
            await usage.count_all(connection, less)
        await self._upkeep.remove(remains, whole)
        return [results.get(file_id) or no_file() for file_id in file_ids]

    async def integrity(self, principal: Principal, ids: Sequence[FileId]) -> Mapping[FileId, Integrity]:
        """What is known about the bytes of those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            seen = await files.find_scopes(connection, await self._standings.of(connection, principal), ids)
            return await versions.find_integrity(connection, list(seen))

    async def visibility(self, principal: Principal, ids: Sequence[FileId]) -> Mapping[FileId, bool]:
        """Whether anyone may read them, from anywhere; for those of ``ids`` that the principal may see.

        Raises: Unavailable.
        """
        async with self._database.autocommit() as connection:
            found = await files.find_scopes(connection, await self._standings.of(connection, principal), ids)
            everybody = await self._standings.of_anonymous(connection)
        return {id_: everybody.may(Permission.READ, within) for id_, within in found.items()}

    async def _note_new_place(self, connection: AsyncConnection, principal: Principal, file_id: FileId) -> None:
        """To be done first when a file moves: remembered rules know where the files stand that they name.

        Raises: NotFound, before it makes a difference whether there are any.
        """
        if not await files.find_scopes(connection, await self._standings.of(connection, principal), [file_id]):
            raise no_file()
        await rules.lock_version(connection)  # a rule that is being made is waited for
        if await rules.count_rules_on(connection, file_id):
            await rules.bump_version(connection)


def _deletion(principal: Principal, file: File, now: datetime) -> AuditEvent:
    before = {"name": file.name, "folderId": file.folder_id, "ownerId": file.owner_id}
    return audit_event(principal, AuditAction.FILE_DELETED, file.id, now=now, before=before)


def _check_filter(wanted: FileFilter) -> None:
    if len(wanted.content_types) > MAX_CONTENT_TYPES:
        raise InvalidInput(InputFault(f"at most {MAX_CONTENT_TYPES} content types", ("filter", "contentTypes")))
    for kind in wanted.content_types:
        if not is_type_or_family(kind):
            raise InvalidInput(
                InputFault("must be types such as image/png or families such as image/*", ("filter", "contentTypes"))
            )
    if wanted.is_recursive and wanted.folder_id is None:
        raise InvalidInput(InputFault("needs a folderId", ("filter", "isRecursive")))
