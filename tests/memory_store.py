"""A store without a network, honest about lengths and checksums; what arrives there is a test's to say."""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from itertools import count

from awscrt import checksums

from graphql_api.errors import NotFound, Unavailable
from graphql_api.model.parts import (
    MIN_PART_SIZE,
    JoinOutcome,
    OpenStoreUpload,
    PartTarget,
    PromisedPart,
    StoredPart,
    StoreUpload,
)
from graphql_api.model.stored_object import (
    ListedObject,
    PostUploadTarget,
    PromisedObject,
    PutUploadTarget,
    SignedStoreRequest,
    StoredObject,
    StoreRequestKind,
)
from graphql_api.services.clock import Clock


def crc_of(content: bytes) -> str:
    """CRC-64/NVME in hex."""
    return f"{checksums.crc64nvme(content):016x}"


class MemoryStore:
    """An ``ObjectStore``: what it holds is a dictionary, and it can be switched off.

    ``tells_part_checksums``: Amazon's store lists them, SeaweedFS does not.
    """

    def __init__(self, clock: Clock, *, tells_part_checksums: bool = False) -> None:
        self.objects: dict[str, tuple[StoredObject, bytes]] = {}
        self.modified: dict[str, datetime] = {}
        self.headers: dict[str, tuple[str, str]] = {}  # disposition and caching of copies
        self.open: dict[StoreUpload, dict[int, bytes]] = {}
        self.begun: dict[StoreUpload, tuple[datetime, str]] = {}
        self.locked: set[str] = set()  # keys that may not be removed
        self.broken: set[str] = set()  # keys with which nothing can be done
        self.is_up = True
        self._clock = clock
        self.tells_part_checksums = tells_part_checksums
        self._numbers = count(1)

    def put(self, promise: PromisedObject, content: bytes, *, sha256: str | None = None) -> None:
        """The bytes arrive, whatever was promised."""
        self._keep(promise.key, content, promise.content_type, sha256 or promise.sha256)

    def put_part(self, upload: StoreUpload, number: int, content: bytes) -> None:
        """A part arrives, whatever was promised."""
        self.open[upload][number] = content

    async def presign_put(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PutUploadTarget:
        headers = (("Content-Type", promise.content_type), ("If-None-Match", "*"))
        return PutUploadTarget(f"https://store.test/{promise.key}", headers, now + lifetime)

    async def presign_post(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PostUploadTarget:
        if promise.sha256 is None:
            raise ValueError("A form needs a SHA-256.")
        fields = (("key", promise.key), ("x-amz-checksum-sha256", promise.sha256))
        return PostUploadTarget("https://store.test/", fields, now + lifetime)

    async def begin_parts(self, promise: PromisedObject) -> StoreUpload:
        self._require_up()
        upload = StoreUpload(promise.key, f"store-upload-{next(self._numbers)}")
        self.open[upload] = {}
        self.begun[upload] = (self._clock(), promise.content_type)
        return upload

    async def presign_parts(
        self, upload: StoreUpload, parts: Sequence[PromisedPart], *, now: datetime, lifetime: timedelta
    ) -> Sequence[PartTarget]:
        return [
            PartTarget(
                part.number,
                f"https://store.test/{upload.key}?partNumber={part.number}&uploadId={upload.id}",
                () if part.crc64nvme is None else (("x-amz-checksum-crc64nvme", part.crc64nvme),),
                now + lifetime,
            )
            for part in parts
        ]

    async def presign_request(
        self,
        kind: StoreRequestKind,
        promise: PromisedObject,
        upload_id: str | None = None,
        part: PromisedPart | None = None,
        *,
        now: datetime,
        lifetime: timedelta,
    ) -> SignedStoreRequest:
        return SignedStoreRequest("POST", f"https://store.test/{promise.key}?{kind}", promise.key, (), now + lifetime)

    async def list_parts(self, upload: StoreUpload) -> Sequence[StoredPart] | None:
        self._require_up()
        found = self.open.get(upload)
        if found is None:
            return None
        return [
            StoredPart(
                number,
                len(content),
                hashlib.md5(content, usedforsecurity=False).hexdigest(),
                crc_of(content) if self.tells_part_checksums else None,
            )
            for number, content in sorted(found.items())
        ]

    async def join_parts(
        self, upload: StoreUpload, parts: Sequence[StoredPart], *, crc64nvme: str | None
    ) -> JoinOutcome:
        self._require_up()
        if upload.key in self.objects:
            return JoinOutcome.ALREADY_THERE
        if upload not in self.open:
            return JoinOutcome.NO_SUCH_UPLOAD
        held = {part.number: part for part in await self.list_parts(upload) or ()}
        numbers = [part.number for part in parts]
        if numbers != sorted(set(numbers)) or any(held.get(part.number) != part for part in parts):
            return JoinOutcome.MISMATCH
        if any(part.size < MIN_PART_SIZE for part in parts[:-1]):
            return JoinOutcome.MISMATCH
        content = b"".join(self.open[upload][part.number] for part in parts)
        if crc64nvme is not None and crc_of(content) != crc64nvme:
            return JoinOutcome.MISMATCH
        self._keep(upload.key, content, self.begun[upload][1], None, crc64nvme=crc_of(content))
        self._forget(upload)
        return JoinOutcome.JOINED

    async def abort_parts(self, upload: StoreUpload) -> None:
        self._require_up(upload.key)
        self._forget(upload)

    async def list_open_uploads(
        self, prefix: str, *, after: StoreUpload | None, limit: int
    ) -> Sequence[OpenStoreUpload]:
        self._require_up()
        place = None if after is None else (after.key, after.id)
        found = [
            OpenStoreUpload(upload, begun_at)
            for upload, (begun_at, _) in sorted(self.begun.items(), key=lambda item: (item[0].key, item[0].id))
            if upload.key.startswith(prefix) and (place is None or (upload.key, upload.id) > place)
        ]
        return found[:limit]

    async def list_objects(self, prefix: str, *, after: str | None, limit: int) -> Sequence[ListedObject]:
        self._require_up()
        found = [
            ListedObject(key, stored.size, self.modified[key], stored.etag)
            for key, (stored, _) in sorted(self.objects.items())
            if key.startswith(prefix) and (after is None or key > after)
        ]
        return found[:limit]

    async def find(self, key: str) -> StoredObject | None:
        self._require_up(key)
        found = self.objects.get(key)
        return found[0] if found else None

    async def read_start(self, key: str, length: int) -> bytes:
        self._require_up()
        return self.objects[key][1][:length] if key in self.objects else b""

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        self._require_up()
        if key not in self.objects:
            raise NotFound("The bytes are not there.")
        if content := self.objects[key][1]:
            yield content

    async def copy(self, source: str, key: str, *, content_type: str, disposition: str, cache_control: str) -> None:
        self._require_up(source)
        if source not in self.objects:
            raise NotFound("The bytes are not there.")
        stored, content = self.objects[source]
        self._keep(key, content, content_type, stored.sha256)
        self.headers[key] = (disposition, cache_control)

    async def delete(self, keys: Sequence[str]) -> Sequence[str]:
        self._require_up()
        for key in set(keys) - self.locked:
            self.objects.pop(key, None)
        return [key for key in keys if key in self.locked]

    async def check(self) -> None:
        self._require_up()

    def _keep(
        self, key: str, content: bytes, content_type: str, sha256: str | None, *, crc64nvme: str | None = None
    ) -> None:
        stored = StoredObject(key, len(content), content_type, sha256, "etag", crc64nvme=crc64nvme)
        self.objects[key] = (stored, content)
        self.modified[key] = self._clock()

    def _forget(self, upload: StoreUpload) -> None:
        self.open.pop(upload, None)
        self.begun.pop(upload, None)

    def _require_up(self, key: str = "") -> None:
        if not self.is_up or key in self.broken:
            raise Unavailable("store")
