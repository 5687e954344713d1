"""The one step of an upload whose bytes are as promised: to a file, or to whoever must call them clean first."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import bundles, files, folders, jobs, object_checks, rules, uploads, versions
from graphql_api.db.engine import Database
from graphql_api.errors import NotFound
from graphql_api.model.bundle import Bundle
from graphql_api.model.file import File, FileVersion
from graphql_api.model.ids import BundleId, FolderId, new_version_id
from graphql_api.model.parts import Remains
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.scan import Judge
from graphql_api.model.upload import OnConflict, Upload, UploadFailure, UploadMethod, UploadStatus
from graphql_api.services.admission import Admission
from graphql_api.services.announcements import file_created, upload_changed
from graphql_api.services.naming import claim
from graphql_api.services.requirements import lock_writable, require
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.upload_wishes import UploadLimits
from graphql_api.services.versions import Versions

SCAN_JOB: Final = "scan"  # its subject is an object key
LOOK_AGAIN: Final = timedelta(hours=1)  # while a verdict does not come


@dataclass(frozen=True, slots=True)
class Completer:
    """Who completes an upload, by what right, and what they say of it."""

    principal: Principal
    standing: Callable[[AsyncConnection], Awaitable[Standing]]
    on_conflict: OnConflict | None = None  # as was wished at the beginning if None
    crc64nvme: str | None = None  # hex, of the whole


class _NotAllowed(Exception):
    """The folder does not take files like this any more: the transaction is undone."""

    def __init__(self, failure: UploadFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Settling:
    """``patience``: how long an upload waits for a verdict of ``judge``."""

    def __init__(
        self,
        database: Database,
        versions: Versions,
        upkeep: Upkeep,
        judge: Judge,
        patience: timedelta,
        admission: Admission,
        limits: UploadLimits,
    ) -> None:
        self._database = database
        self._versions = versions
        self._upkeep = upkeep
        self.judge = judge
        self._patience = patience
        self._admission = admission
        self._limits = limits

    def waits_until(self, upload: Upload) -> datetime:
        """When a PROCESSING upload fails for want of a verdict."""
        return upload.updated_at + self._patience

    async def settle(
        self, upload: Upload, version: FileVersion, completer: Completer
    ) -> tuple[Upload, File | None] | UploadFailure | None:
        """Claim the upload, and the name and the file with it, in one transaction. PENDING becomes PROCESSING where
        bytes are judged, and has its name from then on; else, and from PROCESSING, it becomes COMPLETED.

        The upload as it is then, and its file; None when somebody else was first; why it is to fail when a gate has
        come between. Raises: NotFound, Forbidden, Conflict. Unavailable.
        """
        try:
            if upload.bundle_id is not None:
                return await self._settle_entry(upload, upload.bundle_id, version, completer)
            return await self._settle(upload, version, completer)
        except _NotAllowed as refusal:
            return refusal.failure

    async def _settle(
        self, upload: Upload, version: FileVersion, completer: Completer
    ) -> tuple[Upload, File | None] | None:
        """Raises: _NotAllowed, and what ``settle`` does."""
        now, is_admitted = version.created_at, upload.status is UploadStatus.PROCESSING
        becomes_file = is_admitted or self.judge is Judge.NOBODY
        goal = UploadStatus.COMPLETED if becomes_file else UploadStatus.PROCESSING
        file: File | None = None
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
            moved = await uploads.move_upload(connection, upload.id, goal, now=now, come_from=upload.status)
            if moved is None:
                return None
            upload_changed(connection, moved.id)
            if becomes_file and upload.method is UploadMethod.POST:  # a form may be sent again until it expires
                await object_checks.schedule_check(connection, upload.object_key, form_ends_at=upload.expires_at)
            if upload.replaces is None:
                if place is None:
                    raise NotFound("the folder of this upload is gone", path=("uploadId",))
                require(standing, Permission.WRITE, place.scopes, "uploadId")
                await self._require_allowed(connection, place.folder.id, version)
                if not is_admitted:
                    mode = completer.on_conflict or upload.on_conflict
                    moved = await self._named(connection, standing, moved, place, mode)
                if becomes_file:
                    file = await self._new_file(connection, standing, moved, place, version)
            else:
                await self._require_allowed(connection, locked.file.folder_id, version)
                if becomes_file:
                    file, remains = await self._versions.replace(
                        connection, completer.principal, standing, locked.file, upload, version
                    )
            if not becomes_file:
                moved = await self._await_verdict(connection, moved, version)
        await self._upkeep.remove(remains)
        return moved, file

    async def _settle_entry(
        self, upload: Upload, bundle_id: BundleId, version: FileVersion, completer: Completer
    ) -> tuple[Upload, File | None] | None:
        """An entry of a bundle is in; it is PROCESSING until all are. Whoever brings the last makes the file.

        Raises: _NotAllowed, and what ``settle`` does.
        """
        now, is_admitted = version.created_at, upload.status is UploadStatus.PROCESSING
        async with self._database.transaction() as connection:
            await rules.hold_version(connection)
            standing = await completer.standing(connection)
            place = None
            if upload.folder_id is not None:
                place = await folders.lock_folder(connection, standing, upload.folder_id)
            bundle = await bundles.lock_bundle(connection, bundle_id)
            moved = await uploads.move_upload(
                connection, upload.id, UploadStatus.PROCESSING, now=now, come_from=upload.status
            )
            if moved is None or bundle is None:
                return None
            upload_changed(connection, moved.id)
            if place is None:
                raise NotFound("the folder of this upload is gone", path=("uploadId",))
            require(standing, Permission.WRITE, place.scopes, "uploadId")
            await self._require_allowed(connection, place.folder.id, version)
            if not is_admitted and self.judge is not Judge.NOBODY:
                return await self._await_verdict(connection, moved, version), None
            missing = await bundles.add_entry(connection, bundle, upload.filename, version)
            await uploads.await_verdict(connection, upload.id, evidence=moved.evidence, look_at=None)
            if missing != 0:
                await self._extend(connection, upload, bundle_id, now)
                return moved, None
            # Whoever has it judged is not there to choose another name.
            mode = OnConflict.RENAME if is_admitted else completer.on_conflict or bundle.on_conflict
            file = await self._bundle_file(connection, standing, bundle, moved, place, mode, now)
            return replace(moved, status=UploadStatus.COMPLETED), file

    async def _extend(self, connection: AsyncConnection, upload: Upload, bundle_id: BundleId, now: datetime) -> None:
        """Whoever sends an entry wants to go on with the others."""
        expires_at = self._limits.extended(upload, now)
        if expires_at is not None:
            await uploads.extend_entries(connection, bundle_id, expires_at)

    async def _bundle_file(
        self,
        connection: AsyncConnection,
        standing: Standing,
        bundle: Bundle,
        upload: Upload,
        place: folders.PlacedFolder,
        mode: OnConflict,
        now: datetime,
    ) -> File:
        """Of a bundle whose entries are all in; one version stands for them all."""
        whole = FileVersion(
            id=new_version_id(now),
            file_id=upload.result_id,
            number=1,
            object_key=bundle.main_key,
            size=bundle.size,
            content_type=bundle.content_type,
            stored_content_type=bundle.content_type,
            detected_content_type=await bundles.main_detected(connection, bundle),
            integrity=None,
            etag=None,
            created_by=upload.owner_id,
            created_at=now,
            is_current=True,
        )
        await self._require_allowed(connection, place.folder.id, whole)
        name = await claim(connection, standing, place.folder.id, bundle.name, whole.file_id, mode)
        upload_changed(connection, *await uploads.complete_entries(connection, bundle.id, now=now))
        return await self._new_file(connection, standing, replace(upload, filename=name), place, whole)

    async def _require_allowed(self, connection: AsyncConnection, folder_id: FolderId, version: FileVersion) -> None:
        """The gates may be newer than the promise, or the folder stands elsewhere. Raises: _NotAllowed."""
        failure = await self._admission.failure(connection, folder_id, version.size, version.content_type)
        if failure is not None:
            raise _NotAllowed(failure)

    async def _named(
        self,
        connection: AsyncConnection,
        standing: Standing,
        upload: Upload,
        place: folders.PlacedFolder,
        mode: OnConflict,
    ) -> Upload:
        name = await claim(connection, standing, place.folder.id, upload.filename, upload.file_id, mode)
        if name != upload.filename:
            await uploads.rename_upload(connection, upload.id, name)
        return replace(upload, filename=name)

    async def _await_verdict(self, connection: AsyncConnection, upload: Upload, version: FileVersion) -> Upload:
        now, evidence = version.created_at, None if version.integrity is None else version.integrity.evidence
        look_at = min(now + LOOK_AGAIN, self.waits_until(upload))
        await uploads.await_verdict(connection, upload.id, evidence=evidence, look_at=look_at)
        if self.judge is Judge.SCANNER:
            await jobs.enqueue(connection, SCAN_JOB, upload.object_key, now=now)
        return replace(upload, evidence=evidence)

    async def _new_file(
        self,
        connection: AsyncConnection,
        standing: Standing,
        upload: Upload,
        place: folders.PlacedFolder,
        version: FileVersion,
    ) -> File:
        file = File(
            id=version.file_id,
            folder_id=place.folder.id,
            owner_id=upload.owner_id,
            name=upload.filename,
            size=version.size,
            content_type=version.content_type,
            stored_content_type=version.stored_content_type,
            sha256=version.sha256,
            object_key=version.object_key,
            created_at=version.created_at,
            updated_at=version.created_at,
            terms=standing.read_terms({version.file_id, upload.owner_id, *place.chain}),
        )
        await files.insert_file(connection, file, detected_content_type=version.detected_content_type)
        file_created(connection, file)
        await versions.insert_version(connection, version, upload)
        return file
