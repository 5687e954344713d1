"""How an upload becomes a file: by its client's word, the store's event or upkeep's look, all through one method."""

import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import files, uploads
from graphql_api.db.engine import Database
from graphql_api.errors import (
    BytesMissing,
    DeliveryError,
    InputFault,
    InvalidInput,
    Unavailable,
    UploadMismatch,
    UploadStateConflict,
)
from graphql_api.model.file import File, FileVersion
from graphql_api.model.ids import FileId, UploadId
from graphql_api.model.principal import Principal
from graphql_api.model.upload import OnConflict, Upload, UploadFailure, UploadFailureCode, UploadMethod, UploadStatus
from graphql_api.services.clock import Clock
from graphql_api.services.joining import Joining
from graphql_api.services.settling import Completer, Settling
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.upload_wishes import checked_crc64
from graphql_api.services.uploads import Uploads
from graphql_api.services.verdicts import Verdicts
from graphql_api.services.verification import verify
from graphql_api.storage import ObjectStore

log = logging.getLogger(__name__)


class Completion:
    """Any number of completions of one upload may run at once, in any number of processes, and make one file."""

    def __init__(
        self,
        database: Database,
        standings: Standings,
        uploads: Uploads,
        store: ObjectStore,
        upkeep: Upkeep,
        settling: Settling,
        verdicts: Verdicts,
        clock: Clock,
    ) -> None:
        self._database = database
        self._standings = standings
        self._uploads = uploads
        self._store = store
        self._joining = Joining(database, store)
        self._upkeep = upkeep
        self._settling = settling
        self._verdicts = verdicts
        self._clock = clock

    async def complete(
        self,
        principal: Principal,
        upload_id: UploadId,
        *,
        on_conflict: OnConflict | None = None,
        crc64nvme: str | None = None,
    ) -> tuple[Upload, File | None]:
        """Make the file exist if the store holds what was promised; where bytes are judged, have that done first.
        Idempotent; the file is None while the upload is PROCESSING, and if it was deleted since. ``crc64nvme``: hex, of
        the whole, for one who did not know it before. It is heeded whoever was first: where there is a file already,
        the file stays, and its uploader is told that it has other bytes.

        Raises: InvalidInput, also for another checksum than was promised. NotFound: no such upload of ``principal``, or
        they see its folder or file no more. Forbidden: they may not WRITE there any more. BytesMissing: not there yet,
        or not all parts: send them and ask again. UploadMismatch: not what was promised, or not called clean; the
        upload has failed and its bytes are gone, unless it was COMPLETED before this was asked. UploadStateConflict:
        aborted or expired. Conflict: the name was taken meanwhile; the upload stays PENDING. Unavailable: ask again.
        """
        crc64nvme = checked_crc64(crc64nvme, "crc64nvme")
        upload = await self._uploads.get(principal, upload_id)
        if crc64nvme is not None and upload.crc64nvme not in (None, crc64nvme):
            raise InvalidInput(InputFault("is not the one that was promised", ("crc64nvme",)))
        completer = Completer(
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
        completer = Completer(Principal(upload.owner_id), self._right_of_owner(upload), crc64nvme=upload.crc64nvme)
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

    async def _complete(self, upload: Upload, completer: Completer) -> tuple[Upload, File | None]:
        if upload.status is not UploadStatus.PENDING:
            return await self._outcome(await self._judged(upload), completer)
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
        verified = await verify(
            self._store,
            upload,
            found,
            now=self._clock(),
            promised=completer.crc64nvme,
            combined=joined.crc64nvme if joined else None,
        )
        if isinstance(verified, UploadFailure):
            return await self._fail(upload, verified, completer)
        return await self._settle(upload, verified, completer)

    async def _nothing_there(self, upload: Upload, completer: Completer) -> tuple[Upload, File | None]:
        ended = None
        if upload.expires_at <= self._clock():
            ended = await self._upkeep.end(upload, UploadStatus.EXPIRED)
        again = ended or await self._again(upload)  # it may have become something else while the store was asked
        if again.status is not UploadStatus.PENDING:
            return await self._outcome(again, completer)
        raise BytesMissing("the store does not hold the bytes yet", status=upload.status, path=("uploadId",))

    async def _settle(self, upload: Upload, version: FileVersion, completer: Completer) -> tuple[Upload, File | None]:
        settled = await self._settling.settle(upload, version, completer)
        if settled is None:
            return await self._outcome(await self._again(upload), completer)
        if isinstance(settled, UploadFailure):
            return await self._fail(upload, settled, completer)
        moved, file = settled
        if moved.status is UploadStatus.PROCESSING:
            return await self._outcome(await self._judged(moved), completer)
        return moved, file

    async def _judged(self, upload: Upload) -> Upload:
        """Its verdict may have come before it was complete."""
        if upload.status is UploadStatus.PROCESSING and upload.clean_etag is not None:
            return await self._verdicts.heed(upload)
        return upload

    async def _fail(self, upload: Upload, failure: UploadFailure, completer: Completer) -> tuple[Upload, File | None]:
        ended = await self._upkeep.end(upload, UploadStatus.FAILED, failure)
        return await self._outcome(ended or await self._again(upload), completer)

    async def _contradiction(self, upload: Upload, completer: Completer) -> UploadFailure | None:
        """Whoever was first may not have known the checksum that is told now."""
        if completer.crc64nvme is None or upload.crc64nvme is not None:
            return None
        found = await self._store.find(upload.object_key)
        if found is None or found.crc64nvme in (None, completer.crc64nvme):
            return None
        return UploadFailure(UploadFailureCode.CHECKSUM_MISMATCH, "the stored bytes have another CRC-64/NVME")

    async def _again(self, upload: Upload) -> Upload:
        async with self._database.autocommit() as connection:
            found = await uploads.find_upload_of(connection, upload.object_key)
        assert found is not None, "rows of uploads stay"
        return found

    async def _outcome(self, upload: Upload, completer: Completer) -> tuple[Upload, File | None]:
        """What completing an upload that is over, or about to be, comes to."""
        match upload.status:
            case UploadStatus.COMPLETED | UploadStatus.PROCESSING if failure := await self._contradiction(
                upload, completer
            ):
                if upload.status is UploadStatus.PROCESSING:
                    return await self._fail(upload, failure, completer)
                raise UploadMismatch(failure, path=("uploadId",))
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
