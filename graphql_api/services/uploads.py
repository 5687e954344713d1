"""The life of an upload: reserve, find again, give up. Where its bytes go is told in ``upload_targets``, how it becomes
a file in ``completion``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db import files, folders, idempotency, reservations, rules, uploads
from graphql_api.db.engine import Database
from graphql_api.errors import Conflict, Forbidden, NotFound, UploadStateConflict
from graphql_api.model.bundle import is_bundle_key
from graphql_api.model.ids import ROOT_FOLDER_ID, FileId, FolderId, UploadId, new_file_id, new_object_key, new_upload_id
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.upload import Fingerprint, OnConflict, Upload, UploadStatus
from graphql_api.services.accounts import Accounts
from graphql_api.services.admission import Admission
from graphql_api.services.clock import Clock
from graphql_api.services.naming import free_names, taken
from graphql_api.services.requirements import lock_writable, require
from graphql_api.services.standings import Standings
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.upload_wishes import UploadLimits, UploadWish, checked_fingerprint, checked_wish

FIRST_LOOK: Final = timedelta(minutes=5)
"""When upkeep looks for the first time whether the bytes are there; most clients have said so by then."""


class Uploads:
    """Use cases of uploads that are not yet files. One's own are seen, and administrators see all."""

    def __init__(
        self,
        database: Database,
        standings: Standings,
        accounts: Accounts,
        upkeep: Upkeep,
        clock: Clock,
        limits: UploadLimits,
        admission: Admission,
    ) -> None:
        self._database = database
        self._standings = standings
        self._accounts = accounts
        self._upkeep = upkeep
        self._clock = clock
        self._limits = limits
        self._admission = admission

    async def create(self, principal: Principal, wish: UploadWish) -> Upload:
        """Promise a file, or new bytes for one: from now on ``UploadTargets.target`` tells where they go. Room for them
        is reserved. Of a wish that is made again with the same idempotency key, the upload as it is by now.

        Raises: InvalidInput: also what a gate does not take. Forbidden: nobody is signed in, or WRITE is missing on the
        folder or file. NotFound: no such folder or file for ``principal``. Conflict: the name is taken, the key was
        used for another wish, or the file is a bundle. QuotaExceeded. Unavailable.
        """
        checked = checked_wish(wish, self._limits)
        wish = checked.wish
        if wish.idempotency_key is not None:
            idempotency.require_key(wish.idempotency_key)
        if principal.user_id is None:
            raise Forbidden("sign in to upload", required_permission=Permission.WRITE)
        now = self._clock()
        upload = Upload(
            id=new_upload_id(now),
            owner_id=principal.user_id,
            folder_id=wish.folder_id,
            file_id=new_file_id(now),
            filename=wish.filename,
            size=wish.size,
            content_type=wish.content_type,
            sha256=wish.sha256,
            crc64nvme=wish.crc64nvme,
            method=checked.method,
            part_size=checked.part_size,
            store_upload_id=None,
            object_key=new_object_key(now),
            on_conflict=wish.on_conflict,
            replaces=wish.replaces,
            by_admin=principal.is_admin,
            status=UploadStatus.PENDING,
            failure=None,
            created_at=now,
            updated_at=now,
            expires_at=now + self._limits.upload_lifetime,
        )
        if wish.replaces is None:
            folder_id = wish.folder_id or await self._accounts.find_home(principal) or ROOT_FOLDER_ID
            upload = replace(upload, folder_id=folder_id)
            if wish.idempotency_key is None and await self._is_reserved_at_once(principal, upload):
                return upload
        async with self._database.transaction() as connection:
            if wish.idempotency_key is not None:
                known = await self._known(connection, principal, upload, wish, wish.idempotency_key)
                if known is not None:
                    return known
            if upload.replaces is not None:
                return await self._reserve_version(connection, principal, upload, upload.replaces)
            return await self._reserve(connection, principal, upload, folder_id)

    async def _known(
        self, connection: AsyncConnection, principal: Principal, upload: Upload, wish: UploadWish, key: str
    ) -> Upload | None:
        """What was promised with this key before, as it is now; else ``upload`` will be found by it. Two that ask at
        once wait for each other here.
        """
        asked = idempotency.fingerprint_of("createUpload", asdict(replace(wish, idempotency_key=None)))
        owner_id, now = upload.owner_id, upload.created_at
        while not await idempotency.claim(connection, owner_id, key, asked, upload.id, now):
            promised = await idempotency.remembered(connection, owner_id, key, asked)
            if promised is not None:  # else it has just been swept
                standing = await self._standings.of(connection, principal)
                return (await uploads.find_uploads(connection, standing, [promised]))[promised]
        return None

    async def _is_reserved_at_once(self, principal: Principal, upload: Upload) -> bool:
        """In one statement, where the database knows one, and for one of whom is remembered what they may."""
        recalled = self._standings.recall(principal)
        if recalled is None or self._database.is_sqlite:
            return False
        version, standing = recalled
        look_at, quota = upload.created_at + FIRST_LOOK, self._admission.user_quota
        async with self._database.autocommit() as connection:
            return await reservations.reserve_at_once(
                connection, standing, upload, look_at=look_at, version=version, user_quota=quota
            )

    async def _reserve(
        self, connection: AsyncConnection, principal: Principal, upload: Upload, folder_id: FolderId
    ) -> Upload:
        look_at, is_reserved = upload.created_at + FIRST_LOOK, False
        recalled = self._standings.recall(principal) if self._database.is_sqlite else None  # else it was tried before
        if recalled is not None:
            version, standing = recalled
            is_reserved = await reservations.reserve(connection, standing, upload, look_at=look_at, version=version)
        if not is_reserved:
            standing = await self._standings.of(connection, principal)
            is_reserved = await reservations.reserve(connection, standing, upload, look_at=look_at)
        if not is_reserved:
            upload = await self._reserve_otherwise(connection, standing, upload, folder_id)
        await self._admission.reserve(connection, standing, upload, owner_id=upload.owner_id)
        return upload

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
                if await reservations.reserve(connection, standing, renamed, look_at=upload.created_at + FIRST_LOOK):
                    return renamed
        raise await taken(connection, standing, folder_id, upload.filename, "filename")

    async def _reserve_version(
        self, connection: AsyncConnection, principal: Principal, upload: Upload, file_id: FileId
    ) -> Upload:
        """New bytes for a file that stays where it is, under its name."""
        # Before the file, as a deletion of the folder does.
        await rules.hold_version(connection)
        await files.lock_folder_of(connection, file_id)
        standing = await self._standings.of(connection, principal)
        file = (await lock_writable(connection, standing, file_id, field="replaceFileId")).file
        if is_bundle_key(file.object_key):
            raise Conflict("a bundle is not replaced: make another", conflicting_id=file.id, path=("replaceFileId",))
        upload = replace(upload, folder_id=file.folder_id)
        await reservations.insert_upload(connection, upload, look_at=upload.created_at + FIRST_LOOK)
        await self._admission.reserve(connection, standing, upload, owner_id=file.owner_id)
        return upload

    async def abort(self, principal: Principal, upload_id: UploadId) -> Upload:
        """Give up an upload; its bytes are removed. Idempotent; an upload that failed or expired is returned as it is.
        With an entry of a bundle the whole bundle is given up, as long as it is not a file.

        Raises: NotFound. UploadStateConflict: it has become a file, or its bytes are being judged. Unavailable.
        """
        upload = await self.get(principal, upload_id)
        while upload.status is UploadStatus.PENDING or (
            upload.status is UploadStatus.PROCESSING and upload.bundle_id is not None
        ):  # an entry may have come in meanwhile, which is no end
            ended = await self._upkeep.end(upload, UploadStatus.ABORTED)
            upload = ended or await self.get(principal, upload_id)
        if upload.status in (UploadStatus.COMPLETED, UploadStatus.PROCESSING):
            raise UploadStateConflict(
                "all bytes are in: the upload can no longer be given up", status=upload.status, path=("uploadId",)
            )
        return upload

    async def find(self, principal: Principal, ids: Sequence[UploadId]) -> Mapping[UploadId, Upload]:
        """Those of ``ids`` that the principal may see. Raises: Unavailable."""
        async with self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return await uploads.find_uploads(connection, standing, ids)

    async def get(self, principal: Principal, upload_id: UploadId) -> Upload:
        """Raises: NotFound: there is none that the principal may see. Unavailable."""
        found = (await self.find(principal, [upload_id])).get(upload_id)
        if found is None:
            raise NotFound("no such upload", path=("uploadId",))
        return found

    async def list(
        self,
        principal: Principal,
        request: PageRequest,
        statuses: Sequence[UploadStatus] = (),
        fingerprint: Fingerprint | None = None,
    ) -> Page[Upload]:
        """The principal's uploads, newest first; with ``fingerprint`` those of this very content.

        Raises: InvalidInput: a foreign cursor, a fingerprint that no upload can have. Unavailable.
        """
        wanted = None if fingerprint is None else checked_fingerprint(fingerprint)
        async with self._database.autocommit() as connection:
            return await uploads.list_uploads(connection, principal.user_id, statuses, wanted, request)
