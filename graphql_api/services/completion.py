"""How an upload becomes a file: by its client's word, the store's event or upkeep's look, all through one method."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import files, folders, rules, upload_parts, uploads, versions
from graphql_api.db.engine import Database
from graphql_api.errors import (
    BytesMissing,
    DeliveryError,
    NotFound,
    Unavailable,
    UploadMismatch,
    UploadStateConflict,
)
from graphql_api.model.file import File, FileVersion
from graphql_api.model.ids import FileId, UploadId, new_version_id
from graphql_api.model.parts import Remains
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.upload import OnConflict, Upload, UploadFailure, UploadMethod, UploadStatus
from graphql_api.services.clock import Clock
from graphql_api.services.joining import Joining
from graphql_api.services.naming import claim
from graphql_api.services.requirements import lock_writable, require
from graphql_api.services.sniffing import SNIFFED_BYTES, recognised_type
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.upload_wishes import checked_crc64
from graphql_api.services.uploads import Uploads
from graphql_api.services.verification import integrity_of, mismatch
from graphql_api.services.versions import Versions
from graphql_api.storage import ObjectStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Completer:
    """Who completes an upload, by what right, and what they say of it."""

    principal: Principal
    standing: Callable[[AsyncConnection], Awaitable[Standing]]
    on_conflict: OnConflict | None = None  # as was wished at the beginning if None
    crc64nvme: str | None = None  # hex, of the whole


class Completion:
    """Any number of completions of one upload may run at once, in any number of processes, and make one file."""

    def __init__(
        self,
        database: Database,
        standings: Standings,
        uploads: Uploads,
        store: ObjectStore,
        upkeep: Upkeep,
        versions: Versions,
        clock: Clock,
    ) -> None:
        self._database = database
        self._standings = standings
        self._uploads = uploads
        self._versions = versions
        self._store = store
        self._joining = Joining(database, store)
        self._upkeep = upkeep
        self._clock = clock

    async def complete(
        self,
        principal: Principal,
        upload_id: UploadId,
        *,
        on_conflict: OnConflict | None = None,
        crc64nvme: str | None = None,
    ) -> tuple[Upload, File | None]:
        """Make the file exist if the store holds what was promised. Idempotent; the file is None while the upload is
        PROCESSING, and if it was deleted since. ``crc64nvme``: hex, of the whole, for one who did not know it before.

        Raises: InvalidInput. NotFound: no such upload of ``principal``, or they see its folder or file no more.
        Forbidden: they may not WRITE there any more. BytesMissing: not there yet, or not all parts: send them and ask
        again. UploadMismatch: not what was promised; the upload has failed and its bytes are gone. UploadStateConflict:
        aborted or expired. Conflict: the name was taken meanwhile; the upload stays PENDING. Unavailable: ask again.
        """
        crc64nvme = checked_crc64(crc64nvme, "crc64nvme")
        upload = await self._uploads.get(principal, upload_id)
        completer = _Completer(
            principal,
            lambda connection: self._standings.of(connection, principal),
            on_conflict,
            upload.crc64nvme or crc64nvme,
        )
        return await self._complete(upload, completer)

    async def arrived(self, object_key: str) -> Upload | None:
        """The same when nobody asks: the store says, or upkeep guesses, that the bytes are there. By its owner's right.

        What the upload is now; None when no upload promised this object. Whatever keeps it from completing leaves it
        as it is, for its client to see. Raises: Unavailable.
        """
        async with self._database.autocommit() as connection:
            upload = await uploads.find_upload_of(connection, object_key)
        if upload is None:
            return None
        completer = _Completer(Principal(upload.owner_id), self._right_of_owner(upload), crc64nvme=upload.crc64nvme)
        try:
            done, _ = await self._complete(upload, completer)
        except Unavailable:
            raise
        except DeliveryError as refusal:
            log.info("upload_not_completed upload=%s code=%s", upload.id, refusal.code)
            async with self._database.autocommit() as connection:
                return await uploads.find_upload_of(connection, object_key)
        return done

    def _right_of_owner(self, upload: Upload) -> Callable[[AsyncConnection], Awaitable[Standing]]:
        return lambda connection: self._standings.of_absent(connection, upload.owner_id, is_admin=upload.by_admin)

    async def _complete(self, upload: Upload, completer: _Completer) -> tuple[Upload, File | None]:
        if upload.status is not UploadStatus.PENDING:
            return await self._outcome(upload, completer)
        joined = None
        found = await self._store.find(upload.object_key)
        if found is None and upload.method is UploadMethod.MULTIPART:
            try:
                joined = await self._joining.join(upload, completer.crc64nvme)
            except BytesMissing:
                if upload.expires_at > self._clock():
                    raise
                return await self._nothing_there(upload, completer)
            if joined.failure is not None:
                return await self._fail(upload, joined.failure, completer)
            found = await self._store.find(upload.object_key)
        if found is None:
            return await self._nothing_there(upload, completer)
        start = await self._store.read_start(upload.object_key, SNIFFED_BYTES) if found.size else b""
        recognised = recognised_type(start)
        promised = completer.crc64nvme or (joined.crc64nvme if joined else None)
        if (failure := mismatch(upload, found, recognised, crc64nvme=promised)) is not None:
            return await self._fail(upload, failure, completer)
        known = integrity_of(upload, found, promised=completer.crc64nvme, combined=joined.crc64nvme if joined else None)
        version = FileVersion(
            id=new_version_id(self._clock()),
            file_id=upload.result_id,
            number=1,
            object_key=upload.object_key,
            size=upload.size,
            content_type=upload.content_type,
            stored_content_type=upload.content_type,
            detected_content_type=recognised,
            integrity=known,
            etag=found.etag,
            created_by=upload.owner_id,
            created_at=self._clock(),
            is_current=True,
        )
        return await self._settle(upload, version, completer)

    async def _nothing_there(self, upload: Upload, completer: _Completer) -> tuple[Upload, File | None]:
        if upload.expires_at <= self._clock():
            ended = await self._upkeep.end(upload, UploadStatus.EXPIRED)
            return await self._outcome(ended or await self._again(upload), completer)
        again = await self._again(upload)  # it may have become something else while the store was asked
        if again.status is not UploadStatus.PENDING:
            return await self._outcome(again, completer)
        raise BytesMissing("the store does not hold the bytes yet", status=upload.status, path=("uploadId",))

    async def _settle(self, upload: Upload, version: FileVersion, completer: _Completer) -> tuple[Upload, File | None]:
        """Claim the upload, the name and the file in one transaction; whoever comes second gets what the first made."""
        now = version.created_at
        remains: Sequence[Remains] = ()
        async with self._database.transaction() as connection:
            await rules.hold_version(connection)  # the new file's scopes depend on where its folder stands
            standing = await completer.standing(connection)
            if upload.replaces is None:
                place = None
                if upload.folder_id is not None:
                    place = await folders.lock_folder(connection, standing, upload.folder_id)
            else:
                locked = await lock_writable(connection, standing, upload.replaces, field="uploadId")
            ended = await uploads.move_upload(connection, upload.id, UploadStatus.COMPLETED, now=now)
            if ended is not None:
                if upload.replaces is None:
                    if place is None:
                        raise NotFound("the folder of this upload is gone", path=("uploadId",))
                    require(standing, Permission.WRITE, place.scopes, "uploadId")
                    mode = completer.on_conflict or upload.on_conflict
                    file = await self._new_file(connection, standing, upload, place, version, mode)
                else:
                    file, remains = await self._versions.replace(
                        connection, completer.principal, standing, locked.file, version
                    )
                if upload.method is UploadMethod.MULTIPART:
                    await upload_parts.forget_promises(connection, upload.id)
        if ended is None:
            return await self._outcome(await self._again(upload), completer)
        await self._upkeep.remove(remains)
        return replace(ended, filename=file.name if upload.replaces is None else ended.filename), file

    async def _new_file(
        self,
        connection: AsyncConnection,
        standing: Standing,
        upload: Upload,
        place: folders.PlacedFolder,
        version: FileVersion,
        mode: OnConflict,
    ) -> File:
        name = await claim(connection, standing, place.folder.id, upload.filename, upload.file_id, mode)
        file = File(
            id=upload.file_id,
            folder_id=place.folder.id,
            owner_id=upload.owner_id,
            name=name,
            size=version.size,
            content_type=version.content_type,
            stored_content_type=version.stored_content_type,
            sha256=version.sha256,
            object_key=version.object_key,
            created_at=version.created_at,
            updated_at=version.created_at,
            terms=standing.read_terms({upload.file_id, upload.owner_id, *place.chain}),
        )
        await files.insert_file(connection, file, detected_content_type=version.detected_content_type)
        await versions.insert_version(connection, version)
        if name != upload.filename:
            await uploads.rename_upload(connection, upload.id, name)
        return file

    async def _fail(self, upload: Upload, failure: UploadFailure, completer: _Completer) -> tuple[Upload, File | None]:
        ended = await self._upkeep.end(upload, UploadStatus.FAILED, failure)
        return await self._outcome(ended or await self._again(upload), completer)

    async def _again(self, upload: Upload) -> Upload:
        async with self._database.autocommit() as connection:
            found = await uploads.find_upload_of(connection, upload.object_key)
        assert found is not None, "rows of uploads stay"
        return found

    async def _outcome(self, upload: Upload, completer: _Completer) -> tuple[Upload, File | None]:
        """What completing an upload that is over, or about to be, comes to."""
        match upload.status:
            case UploadStatus.COMPLETED:
                async with self._database.autocommit() as connection:
                    standing = await completer.standing(connection)
                    found = await files.find_files(connection, standing, [upload.result_id])
                return upload, found.get(FileId(upload.result_id))
            case UploadStatus.PROCESSING:
                return upload, None
            case _:
                if upload.failure is not None:
                    raise UploadMismatch(upload.failure, path=("uploadId",))
                status = upload.status
                raise UploadStateConflict(f"the upload is {status.lower()}", status=status, path=("uploadId",))
