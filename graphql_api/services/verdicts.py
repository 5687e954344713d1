"""What a verdict on an upload's bytes comes to, whoever gives it, whenever it comes, and when none does."""

import logging
import re
from typing import Final

from graphql_api.db import audit, jobs, recorded_objects, uploads
from graphql_api.db.engine import Database
from graphql_api.errors import NotFound
from graphql_api.model import store_event
from graphql_api.model.audit import AuditAction, audit_event
from graphql_api.model.file import Evidence
from graphql_api.model.principal import Principal
from graphql_api.model.scan import Judge, ScanResult, ScanVerdict
from graphql_api.model.upload import UNFINISHED, Upload, UploadFailure, UploadFailureCode, UploadStatus
from graphql_api.services.announcements import bytes_withheld
from graphql_api.services.clock import Clock
from graphql_api.services.published_copies import PublishedCopies
from graphql_api.services.settling import LOOK_AGAIN, SCAN_JOB, Completer, Settling
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.verification import verify
from graphql_api.storage import ObjectStore

log = logging.getLogger(__name__)

MAX_THREAT: Final = 200  # characters of a scanner's own words
_UNPRINTABLE: Final = re.compile(r"[^!-~]")
_MEANING: Final = {  # the others are no verdict, and another may follow
    store_event.ScanResult.NO_THREATS_FOUND: ScanResult.CLEAN,
    store_event.ScanResult.THREATS_FOUND: ScanResult.INFECTED,
    store_event.ScanResult.UNSUPPORTED: ScanResult.UNSCANNABLE,
}
_NOT_SCANNED: Final = UploadFailure(UploadFailureCode.NOT_SCANNED, "the scanner does not scan files like this")
_NO_VERDICT: Final = UploadFailure(UploadFailureCode.NOT_SCANNED, "no scanner has judged the bytes in time")


class Verdicts:
    """Verdicts may come twice, in any order and before the upload is complete. One that says INFECTED counts whatever
    others say; of bytes that are a file's by then, nobody gets a link any more.
    """

    def __init__(
        self,
        database: Database,
        standings: Standings,
        settling: Settling,
        store: ObjectStore,
        upkeep: Upkeep,
        clock: Clock,
        copies: PublishedCopies,
    ) -> None:
        self._database = database
        self._standings = standings
        self._settling = settling
        self._store = store
        self._upkeep = upkeep
        self._clock = clock
        self._copies = copies

    async def judged(self, event: store_event.ScanVerdict) -> Upload | None:
        """Somebody who looks at the bucket by himself has a verdict: good news only from whom we have asked for it.

        The upload as it is then; None when no upload promised this object. Raises: Unavailable.
        """
        async with self._database.autocommit() as connection:
            upload = await uploads.find_upload_of(connection, event.key)
        if upload is None:
            return None
        result = _MEANING.get(event.result)
        if result is None:
            log.warning("scan_without_verdict upload=%s result=%s", upload.id, event.result)
            return upload
        if result is not ScanResult.INFECTED and self._settling.judge is not Judge.EVENTS:
            return upload
        threat = ",".join(event.threats) if result is ScanResult.INFECTED else None
        return await self.give(upload, ScanVerdict(result, threat), event.etag.strip('"'))

    async def give(self, upload: Upload, verdict: ScanVerdict, etag: str) -> Upload:
        """``verdict`` is about the bytes with this ETag, without quotes. The upload as it is then.

        Of a PENDING upload a clean verdict is kept until it is completed. Raises: Unavailable.
        """
        if verdict.result is ScanResult.CLEAN:
            async with self._database.autocommit() as connection:
                noted = await uploads.record_clean(connection, upload.id, etag)
            if noted is None:
                return await self._again(upload)
            return await self.heed(noted) if noted.status is UploadStatus.PROCESSING else noted
        if verdict.result is ScanResult.UNSCANNABLE:
            return await self._fail(upload, _NOT_SCANNED)
        threat = _UNPRINTABLE.sub("_", verdict.threat or "")[:MAX_THREAT] or "something"
        ended = await self._fail(upload, UploadFailure(UploadFailureCode.INFECTED, f"the scanner found {threat}"))
        if ended.status is UploadStatus.COMPLETED:  # with a verdict that said otherwise, or before anybody was asked
            await self._withhold(ended, threat)
        return ended

    async def _withhold(self, upload: Upload, threat: str) -> None:
        """Nobody gets a link to these bytes any more, while they are a file's or a version's."""
        now = self._clock()
        async with self._database.transaction() as connection:
            marked = await recorded_objects.mark_infected(connection, upload.object_key, now=now)
            if marked is None:
                return
            bytes_withheld(connection, marked.file_id, marked.folder_id)
            reason = {"uploadId": upload.id, "threat": threat}
            event = audit_event(None, AuditAction.FILE_WITHHELD, marked.file_id, now=now, after=reason)
            await audit.insert_events(connection, [event])
            lost = await self._copies.review(connection, None, [marked.file_id], now)
        await self._copies.remove(lost)
        log.error("file_infected file=%s upload=%s threat=%s", marked.file_id, upload.id, threat)

    async def heed(self, upload: Upload) -> Upload:
        """Make the file of a PROCESSING upload that was called clean, if the store still holds those very bytes.

        Whoever completed it had the right, and has the name: nobody is asked again. Raises: Unavailable.
        """
        found = await self._store.find(upload.object_key)
        if found is None or found.etag != upload.clean_etag:
            log.warning("verdict_on_other_bytes upload=%s", upload.id)
            return upload
        said = {upload.evidence: found.crc64nvme}
        version = await verify(
            self._store,
            upload,
            found,
            now=self._clock(),
            promised=upload.crc64nvme or said.get(Evidence.PROMISED),
            combined=said.get(Evidence.FROM_PARTS),
        )
        if isinstance(version, UploadFailure):
            return await self._fail(upload, version)
        completer = Completer(
            Principal(upload.owner_id),
            lambda connection: self._standings.of_absent(connection, upload.owner_id, is_admin=True),
        )
        try:
            settled = await self._settling.settle(upload, version, completer)
        except NotFound:  # what it was for is gone, and so should it be
            return await self._upkeep.end(upload, UploadStatus.ABORTED) or await self._again(upload)
        if isinstance(settled, UploadFailure):
            return await self._fail(upload, settled)
        return await self._again(upload) if settled is None else settled[0]

    async def look(self, upload: Upload) -> Upload:
        """What to do about a PROCESSING upload when nobody says anything: heed a verdict that was not, ask the scanner
        once more, or give up. The upload as it is then. Raises: Unavailable.
        """
        if upload.clean_etag is not None:
            upload = await self.heed(upload)
        now, ends_at = self._clock(), self._settling.waits_until(upload)
        if upload.status is not UploadStatus.PROCESSING:
            return upload
        if ends_at <= now:
            return await self._fail(upload, _NO_VERDICT)
        async with self._database.transaction() as connection:
            if self._settling.judge is Judge.SCANNER:  # its job may have been given up, or there is none yet
                await jobs.enqueue(connection, SCAN_JOB, upload.object_key, now=now)
            await uploads.look_again(connection, upload, min(now + LOOK_AGAIN, ends_at))
        return upload

    async def _fail(self, upload: Upload, failure: UploadFailure) -> Upload:
        """End it from whichever state it is in, unless it has ended."""
        while upload.status in UNFINISHED:
            ended = await self._upkeep.end(upload, UploadStatus.FAILED, failure)
            if ended is not None:
                log.warning("upload_rejected upload=%s code=%s reason=%r", ended.id, failure.code, failure.message)
                return ended
            upload = await self._again(upload)
        return upload

    async def _again(self, upload: Upload) -> Upload:
        async with self._database.autocommit() as connection:
            found = await uploads.find_upload_of(connection, upload.object_key)
        assert found is not None, "rows of uploads stay"
        return found
