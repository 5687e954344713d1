"""Where the bytes of an upload go: targets, parts, and requests to the store for clients that drive it themselves.

All but the beginning of an upload in parts is arithmetic, so targets are made anew each time they are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from graphql_api.db import upload_parts, uploads
from graphql_api.db.engine import Database
from graphql_api.errors import InputFault, InvalidInput, NotFound, UploadStateConflict
from graphql_api.model.ids import UploadId
from graphql_api.model.parts import PartPlan, PartsTarget, PartTarget, PromisedPart, StoredPart, StoreUpload
from graphql_api.model.principal import Principal
from graphql_api.model.stored_object import PostUploadTarget, PutUploadTarget, SignedStoreRequest, StoreRequestKind
from graphql_api.model.upload import Upload, UploadMethod, UploadStatus
from graphql_api.services.clock import Clock
from graphql_api.services.upload_wishes import UploadLimits, checked_crc64, checked_part
from graphql_api.services.uploads import Uploads
from graphql_api.storage import ObjectStore

MAX_SIGNED: Final = 100  # parts of one request
FIRST_PARTS: Final = 10  # that a target brings along: small uploads need no further request

Target = PutUploadTarget | PostUploadTarget | PartsTarget


@dataclass(frozen=True, slots=True)
class PartWish:
    """A part to sign; ``crc64nvme``: hex, of this part."""

    number: int
    crc64nvme: str | None = None


class UploadTargets:
    """Only a PENDING upload has targets, and none outlives it."""

    def __init__(
        self, database: Database, uploads: Uploads, store: ObjectStore, clock: Clock, limits: UploadLimits
    ) -> None:
        self._database = database
        self._uploads = uploads
        self._store = store
        self._clock = clock
        self._limits = limits

    async def target(self, upload: Upload) -> Target | None:
        """Where and how to send the bytes; None once the upload is over. Raises: Unavailable."""
        now = self._clock()
        if self._lifetime(upload, now) is None:
            return None
        if upload.method is UploadMethod.MULTIPART:
            begun = await self._begun(upload)
            return None if begun is None else await self._parts_target(*begun, now)
        lifetime = self._lifetime(upload, now) or timedelta()
        if upload.method is UploadMethod.POST:
            return await self._store.presign_post(upload.promise, now=now, lifetime=lifetime)
        return await self._store.presign_put(upload.promise, now=now, lifetime=lifetime)

    async def sign_parts(
        self, principal: Principal, upload_id: UploadId, wishes: Sequence[PartWish]
    ) -> tuple[Upload, Sequence[PartTarget]]:
        """A target for each of these parts, in order, and the upload, whose end moves away with it.

        Raises: InvalidInput: 1 to ``MAX_SIGNED`` different parts of those that there are. NotFound.
        UploadStateConflict: it is over, or not sent in parts. Unavailable.
        """
        if not 1 <= len(wishes) <= MAX_SIGNED:
            raise InvalidInput(InputFault(f"parts takes 1 to {MAX_SIGNED} entries", ("parts",)))
        upload = await self._uploads.get(principal, upload_id)
        plan = _plan(upload)
        parts = [_promise(plan, wish, "parts", str(index)) for index, wish in enumerate(wishes)]
        if len({part.number for part in parts}) < len(parts):
            raise InvalidInput(InputFault("a part is listed twice", ("parts",)))
        upload, store_upload, now = await self._active(upload)
        await self._note_promises(upload, parts)
        lifetime = self._lifetime(upload, now) or timedelta()
        return upload, await self._store.presign_parts(store_upload, parts, now=now, lifetime=lifetime)

    async def sign_request(
        self,
        principal: Principal,
        upload_id: UploadId,
        kind: StoreRequestKind,
        store_upload_id: str | None = None,
        wish: PartWish | None = None,
    ) -> SignedStoreRequest:
        """One request of the store's multipart protocol, for a client that sends those itself.

        A client that begins the upload at the store itself names it from then on, and it takes the place of the one
        that was begun here. Raises: InvalidInput: what the kind needs is missing, or there is no such part. NotFound:
        the upload; or at the store there is none of this key and ``store_upload_id``. UploadStateConflict: it is over,
        or not sent in parts. Unavailable.
        """
        upload = await self._uploads.get(principal, upload_id)
        plan = _plan(upload)
        if kind is StoreRequestKind.CREATE_MULTIPART:
            part = None
        elif not store_upload_id:
            raise InvalidInput(InputFault(f"{kind} takes a storeUploadId", ("storeUploadId",)))
        elif kind is StoreRequestKind.UPLOAD_PART:
            if wish is None:
                raise InvalidInput(InputFault(f"{kind} takes a partNumber", ("partNumber",)))
            part = _promise(plan, wish)
        else:
            part = None
        now = self._clock()
        _require_pending(upload, self._lifetime(upload, now))
        if store_upload_id is not None and kind is not StoreRequestKind.CREATE_MULTIPART:
            upload = await self._adopt(upload, store_upload_id)
            upload = await self._extended(upload, now)
        if part is not None:
            await self._note_promises(upload, [part])
        return await self._store.presign_request(
            kind,
            upload.promise,
            None if kind is StoreRequestKind.CREATE_MULTIPART else store_upload_id,
            part,
            now=now,
            lifetime=self._lifetime(upload, now) or timedelta(),
        )

    async def list_parts(self, upload: Upload) -> Sequence[StoredPart]:
        """What the store holds of an upload in parts that is not over. Raises: Unavailable."""
        if upload.status is not UploadStatus.PENDING or upload.store_upload is None:
            return ()
        return await self._store.list_parts(upload.store_upload) or ()

    def _lifetime(self, upload: Upload, now: datetime) -> timedelta | None:
        """How long a target made now may live; None when there is none."""
        lifetime = min(self._limits.target_lifetime, upload.expires_at - now)
        return lifetime if upload.status is UploadStatus.PENDING and lifetime >= timedelta(seconds=1) else None

    async def _active(self, upload: Upload) -> tuple[Upload, StoreUpload, datetime]:
        """The upload with its end moved away, begun at the store. Raises: UploadStateConflict, Unavailable."""
        now = self._clock()
        _require_pending(upload, self._lifetime(upload, now))
        upload = await self._extended(upload, now)
        begun = await self._begun(upload)
        if begun is None:
            raise await self._over(upload)
        return *begun, now

    async def _note_promises(self, upload: Upload, parts: Sequence[PromisedPart]) -> None:
        """What will be compared when the parts are joined. Raises: UploadStateConflict, Unavailable."""
        async with self._database.transaction() as connection:
            is_noted = await upload_parts.replace_promises(connection, upload.id, parts)
        if not is_noted:
            raise await self._over(upload)

    async def _over(self, upload: Upload) -> UploadStateConflict:
        """It has ended since it was read."""
        async with self._database.autocommit() as connection:
            now_is = await uploads.find_upload_of(connection, upload.object_key) or upload
        return UploadStateConflict(f"the upload is {now_is.status.lower()}", status=now_is.status, path=("uploadId",))

    async def _extended(self, upload: Upload, now: datetime) -> Upload:
        """Whoever sends parts wants to go on."""
        expires_at = self._limits.extended(upload, now)
        if expires_at is None:
            return upload
        async with self._database.autocommit() as connection:
            return await uploads.extend_upload(connection, upload.id, expires_at) or upload

    async def _begun(self, upload: Upload) -> tuple[Upload, StoreUpload] | None:
        """Row first, then the store's upload, then its id: what stops half way is found by upkeep. None: it is over."""
        if upload.store_upload is not None:
            return upload, upload.store_upload
        store_upload = await self._store.begin_parts(upload.promise)
        async with self._database.autocommit() as connection:
            recorded = await uploads.record_begun(connection, upload.id, store_upload.id)
            if recorded is not None:
                return recorded, store_upload
            now_is = await uploads.find_upload_of(connection, upload.object_key)
        await self._store.abort_parts(store_upload)  # another was begun at the same time, or the upload has ended
        if now_is is None or now_is.store_upload is None or now_is.status is not UploadStatus.PENDING:
            return None
        return now_is, now_is.store_upload

    async def _adopt(self, upload: Upload, store_upload_id: str) -> Upload:
        """The client has begun one at the store itself: that is the upload's from now on."""
        if upload.store_upload_id == store_upload_id:
            return upload
        if await self._store.list_parts(StoreUpload(upload.object_key, store_upload_id)) is None:
            raise NotFound("the store has no such upload", path=("storeUploadId",))
        former = upload.store_upload
        async with self._database.autocommit() as connection:
            adopted = await uploads.replace_begun(
                connection, upload.id, store_upload_id, instead_of=upload.store_upload_id
            )
        if adopted is None:
            raise UploadStateConflict("the upload has changed: ask again", status=upload.status, path=("uploadId",))
        if former is not None:
            await self._store.abort_parts(former)
        return adopted

    async def _parts_target(self, upload: Upload, store_upload: StoreUpload, now: datetime) -> PartsTarget | None:
        plan, lifetime = upload.plan, self._lifetime(upload, now)
        if plan is None or lifetime is None:
            return None
        first = [PromisedPart(number, plan.length_of(number)) for number in range(1, min(plan.count, FIRST_PARTS) + 1)]
        targets = await self._store.presign_parts(store_upload, first, now=now, lifetime=lifetime)
        return PartsTarget(store_upload, plan, tuple(targets), targets[0].expires_at)


def _plan(upload: Upload) -> PartPlan:
    if upload.plan is None:
        raise UploadStateConflict("the upload is not sent in parts", status=upload.status, path=("uploadId",))
    return upload.plan


def _promise(plan: PartPlan, wish: PartWish, *path: str) -> PromisedPart:
    checked_part(plan, wish.number, *path, "partNumber")
    crc64nvme = checked_crc64(wish.crc64nvme, *path, "crc64nvme")
    return PromisedPart(wish.number, plan.length_of(wish.number), crc64nvme)


def _require_pending(upload: Upload, lifetime: timedelta | None) -> None:
    if lifetime is None:
        status = upload.status
        if status is UploadStatus.PENDING:
            status = UploadStatus.EXPIRED
        raise UploadStateConflict(f"the upload is {status.lower()}", status=status, path=("uploadId",))
