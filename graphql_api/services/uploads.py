"""The life of an upload: reserve, send (between the client and the store), complete or give up."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import files, folders, rules, uploads
from graphql_api.db.engine import Database
from graphql_api.errors import (
    BytesMissing,
    Forbidden,
    InputFault,
    InvalidInput,
    NotFound,
    UploadMismatch,
    UploadStateConflict,
)
from graphql_api.model.file import File
from graphql_api.model.ids import ROOT_FOLDER_ID, FileId, FolderId, UploadId, new_file_id, new_object_key, new_upload_id
from graphql_api.model.media_type import normalized_media_type
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.stored_object import PromisedObject, PutUploadTarget, StoredObject
from graphql_api.model.upload import OnConflict, Upload, UploadFailure, UploadFailureCode, UploadStatus
from graphql_api.services.accounts import Accounts
from graphql_api.services.announcements import file_created, upload_changed
from graphql_api.services.clock import Clock
from graphql_api.services.naming import checked_name, claim, free_names, taken
from graphql_api.services.requirements import require
from graphql_api.services.sniffing import SNIFFED_BYTES, contradicts, recognised_type
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep
from graphql_api.storage import ObjectStore

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class UploadWish:
    """What a caller wants to upload, not yet checked."""

    filename: str
    size: int  # bytes
    content_type: str
    folder_id: FolderId | None = None  # the caller's home if None
    sha256: str | None = None  # hex
    on_conflict: OnConflict = OnConflict.FAIL


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """``target_lifetime`` ≤ ``upload_lifetime``: a target never outlives its upload."""

    max_size: int  # bytes
    target_lifetime: timedelta
    upload_lifetime: timedelta


class Uploads:
    """Use cases of one upload. A target is arithmetic, so it is made anew each time it is asked for."""

    def __init__(
        self,
        database: Database,
        standings: Standings,
        store: ObjectStore,
        accounts: Accounts,
        upkeep: Upkeep,
        clock: Clock,
        limits: UploadLimits,
    ) -> None:
        self._database = database
        self._standings = standings
        self._store = store
        self._accounts = accounts
        self._upkeep = upkeep
        self._clock = clock
        self._limits = limits

    async def create(self, principal: Principal, wish: UploadWish) -> Upload:
        """Promise a file: from now on ``target`` tells where its bytes go.

        Raises: InvalidInput. Forbidden: nobody is signed in, or WRITE is missing on the folder. NotFound: no such
        folder for ``principal``. Conflict: the name is taken. Unavailable.
        """
        wish = self._checked(wish)
        if principal.user_id is None:
            raise Forbidden("sign in to upload", required_permission=Permission.WRITE)
        folder_id = wish.folder_id or await self._accounts.find_home(principal) or ROOT_FOLDER_ID
        now = self._clock()
        upload = Upload(
            id=new_upload_id(now),
            owner_id=principal.user_id,
            folder_id=folder_id,
            file_id=new_file_id(now),
            filename=wish.filename,
            size=wish.size,
            content_type=wish.content_type,
            sha256=wish.sha256,
            object_key=new_object_key(now),
            on_conflict=wish.on_conflict,
            status=UploadStatus.PENDING,
            failure=None,
            created_at=now,
            updated_at=now,
            expires_at=now + self._limits.upload_lifetime,
        )
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            if await uploads.reserve(connection, standing, upload):
                return upload
            return await self._reserve_otherwise(connection, standing, upload, folder_id)

    async def _reserve_otherwise(
        self, connection: AsyncConnection, standing: Standing, upload: Upload, folder_id: FolderId
    ) -> Upload:
        """The folder is not there or not to be written in, or the name is taken: find out which, and number the name
        where that was asked.
        """
        found = (await folders.find_placed(connection, standing, [folder_id])).get(folder_id)
        if found is None:
            raise NotFound("no such folder", path=("folderId",))
        require(standing, Permission.WRITE, found.scopes, "folderId")
        if upload.on_conflict is OnConflict.RENAME:
            for name in await free_names(connection, folder_id, upload.filename):
                renamed = replace(upload, filename=name)
                if await uploads.reserve(connection, standing, renamed):
                    return renamed
        raise await taken(connection, standing, folder_id, upload.filename, "filename")

    async def target(self, upload: Upload) -> PutUploadTarget | None:
        """Where and how to send the bytes; None once the upload is over. Raises: Unavailable."""
        now = self._clock()
        lifetime = min(self._limits.target_lifetime, upload.expires_at - now)
        if upload.status is not UploadStatus.PENDING or lifetime < timedelta(seconds=1):
            return None
        promise = PromisedObject(upload.object_key, upload.size, upload.content_type, upload.sha256)
        return await self._store.presign_put(promise, now=now, lifetime=lifetime)

    async def complete(
        self, principal: Principal, upload_id: UploadId, *, on_conflict: OnConflict | None = None
    ) -> tuple[Upload, File | None]:
        """Make the file exist if the store holds what was promised. Idempotent; the file is None if deleted since.

        Raises: NotFound: no such upload of ``principal``, or they see its folder no more. Forbidden: they may not WRITE
        there any more. BytesMissing: not there yet, ask again. UploadMismatch: not what was promised; the upload has
        failed and its bytes are gone. UploadStateConflict: aborted or expired. Conflict: the name was taken meanwhile;
        the upload stays PENDING. Unavailable: ask again.
        """
        upload = await self._get(principal, upload_id)
        if upload.status is not UploadStatus.PENDING:
            return await self._outcome(principal, upload)
        if upload.expires_at <= self._clock():
            upload = await self._end(principal, upload, UploadStatus.EXPIRED)
            return await self._outcome(principal, upload)
        found = await self._store.find(upload.object_key)
        if found is None:
            raise BytesMissing("the store does not hold the bytes yet", status=upload.status, path=("uploadId",))
        start = await self._store.read_start(upload.object_key, SNIFFED_BYTES) if found.size else b""
        recognised = recognised_type(start)
        if (failure := _mismatch(upload, found, recognised)) is not None:
            upload = await self._end(principal, upload, UploadStatus.FAILED, failure)
            return await self._outcome(principal, upload)
        return await self._settle(principal, upload, on_conflict or upload.on_conflict, recognised)

    async def _settle(
        self, principal: Principal, upload: Upload, mode: OnConflict, recognised: str | None
    ) -> tuple[Upload, File | None]:
        """Claim the upload, the name and the file in one transaction; whoever comes second gets what the first made."""
        now = self._clock()
        async with self._database.transaction() as connection:
            await rules.hold_version(connection)  # the new file's scopes depend on where its folder stands
            standing = await self._standings.of(connection, principal)
            found = None
            if upload.folder_id is not None:
                found = await folders.lock_folder(connection, standing, upload.folder_id)
            ended = await uploads.end_upload(connection, upload.id, UploadStatus.COMPLETED, now=now)
            if ended is not None:
                if found is None:
                    raise NotFound("the folder of this upload is gone", path=("uploadId",))
                require(standing, Permission.WRITE, found.scopes, "uploadId")
                name = await claim(connection, standing, found.folder.id, upload.filename, upload.file_id, mode)
                file = File(
                    id=upload.file_id,
                    folder_id=found.folder.id,
                    owner_id=upload.owner_id,
                    name=name,
                    size=upload.size,
                    content_type=upload.content_type,
                    stored_content_type=upload.content_type,
                    sha256=upload.sha256,
                    object_key=upload.object_key,
                    created_at=now,
                    updated_at=now,
                    terms=standing.read_terms({upload.file_id, upload.owner_id, *found.chain}),
                )
                await files.insert_file(connection, file, detected_content_type=recognised)
                if name != upload.filename:
                    await uploads.rename_upload(connection, upload.id, name)
                upload_changed(connection, upload.id)
                file_created(connection, file)
        if ended is None:
            return await self._outcome(principal, await self._get(principal, upload.id))
        return replace(ended, filename=name), file

    async def abort(self, principal: Principal, upload_id: UploadId) -> Upload:
        """Give up an upload; its bytes are removed. Idempotent; an upload that failed or expired is returned as it is.

        Raises: NotFound. UploadStateConflict: it has become a file. Unavailable.
        """
        upload = await self._get(principal, upload_id)
        if upload.status is UploadStatus.PENDING:
            upload = await self._end(principal, upload, UploadStatus.ABORTED)
        if upload.status is UploadStatus.COMPLETED:
            raise UploadStateConflict("the upload is complete", status=upload.status, path=("uploadId",))
        return upload

    async def find(self, principal: Principal, ids: Sequence[UploadId]) -> Mapping[UploadId, Upload]:
        """Those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return await uploads.find_uploads(connection, standing, ids)

    async def list(
        self, principal: Principal, request: PageRequest, statuses: Sequence[UploadStatus] = ()
    ) -> Page[Upload]:
        """The principal's uploads, newest first. Raises: InvalidInput for a foreign cursor, Unavailable."""
        async with self._database.autocommit() as connection:
            return await uploads.list_uploads(connection, principal.user_id, statuses, request)

    async def _get(self, principal: Principal, upload_id: UploadId) -> Upload:
        found = (await self.find(principal, [upload_id])).get(upload_id)
        if found is None:
            raise NotFound("no such upload", path=("uploadId",))
        return found

    async def _end(
        self, principal: Principal, upload: Upload, status: UploadStatus, failure: UploadFailure | None = None
    ) -> Upload:
        """Move a PENDING upload to an end without a file and remove its bytes; what it is now, whoever ended it."""
        async with self._database.transaction() as connection:
            ended = await uploads.end_upload(connection, upload.id, status, now=self._clock(), failure=failure)
            if ended is not None:
                await self._upkeep.schedule_removal(connection, [ended.object_key])
                upload_changed(connection, ended.id)
        if ended is None:
            return await self._get(principal, upload.id)
        await self._upkeep.remove([ended.object_key])
        return ended

    async def _outcome(self, principal: Principal, upload: Upload) -> tuple[Upload, File | None]:
        """What completing an upload that is over comes to."""
        if upload.status is UploadStatus.COMPLETED:
            async with self._database.autocommit() as connection:
                standing = await self._standings.of(connection, principal)
                found = await files.find_files(connection, standing, [upload.file_id])
            return upload, found.get(FileId(upload.file_id))
        if upload.failure is not None:
            raise UploadMismatch(upload.failure, path=("uploadId",))
        raise UploadStateConflict(f"the upload is {upload.status.lower()}", status=upload.status, path=("uploadId",))

    def _checked(self, wish: UploadWish) -> UploadWish:
        faults: list[InputFault] = []
        filename = checked_name(wish.filename, "filename", faults)
        if not 0 <= wish.size <= self._limits.max_size:
            faults.append(InputFault(f"size must be from 0 to {self._limits.max_size} bytes", ("size",)))
        content_type = normalized_media_type(wish.content_type)
        if content_type is None:
            faults.append(InputFault("contentType must be a media type such as image/jpeg", ("contentType",)))
        sha256 = None if wish.sha256 is None else wish.sha256.lower()
        if sha256 is not None and _SHA256.fullmatch(sha256) is None:
            faults.append(InputFault("sha256 must be 64 hexadecimal digits", ("sha256",)))
        if faults or content_type is None:
            raise InvalidInput(*faults)
        return UploadWish(filename, wish.size, content_type, wish.folder_id, sha256, wish.on_conflict)


def _mismatch(upload: Upload, found: StoredObject, recognised: str | None) -> UploadFailure | None:
    """How what the store holds differs from what was promised, or None."""
    if found.size != upload.size:
        return UploadFailure(
            UploadFailureCode.SIZE_MISMATCH, f"{upload.size} bytes were announced, {found.size} were stored"
        )
    if upload.sha256 is not None and found.sha256 != upload.sha256:
        return UploadFailure(UploadFailureCode.CHECKSUM_MISMATCH, "the stored bytes have another SHA-256")
    if found.content_encoding is not None:  # viewers would undo it, and see other bytes than were promised and sniffed
        return UploadFailure(
            UploadFailureCode.CONTENT_TYPE_MISMATCH,
            f"the bytes were stored with Content-Encoding {found.content_encoding}",
        )
    if found.content_type != upload.content_type:
        return UploadFailure(UploadFailureCode.CONTENT_TYPE_MISMATCH, "the bytes were stored with another content type")
    if contradicts(upload.content_type, recognised):
        return UploadFailure(
            UploadFailureCode.CONTENT_TYPE_MISMATCH, f"the content is {recognised}, not {upload.content_type}"
        )
    return None
