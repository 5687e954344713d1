"""Where bytes live (the origin), behind one protocol. Vendors stand in this package's modules."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from graphql_api.model.parts import JoinOutcome, OpenStoreUpload, PartTarget, PromisedPart, StoredPart, StoreUpload
from graphql_api.model.stored_object import (
    ListedObject,
    PostUploadTarget,
    PromisedObject,
    PutUploadTarget,
    SignedStoreRequest,
    StoredObject,
    StoreRequestKind,
)
from graphql_api.signing import UrlSigner


class ObjectReader(Protocol):
    """What can be listed and read. Raises ``Unavailable`` as a store does."""

    async def list_objects(self, prefix: str, *, after: str | None, limit: int) -> Sequence[ListedObject]:
        """At most ``limit`` (≤ 1,000) objects whose keys follow ``after``, in order of key; fewer only at the end."""

    def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """All bytes, in order and in pieces of at most 256 KiB. Close it when you leave it early.

        Raises: NotFound: nothing is there, which is not the same as an empty object. UnreadableLog: from a directory of
        logs, a file that the operating system refuses.
        """


class ObjectStore(ObjectReader, Protocol):
    """One bucket. What goes over the network raises ``Unavailable("store")`` when the store does not answer.

    What presigns is arithmetic: no request is sent. ``expires_at`` of what it gives may come before ``now + lifetime``
    when the store's credentials end earlier; ``Unavailable("store")`` when there are none.
    """

    async def presign_put(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PutUploadTarget:
        """A request that stores exactly what is promised, once, until it expires."""

    async def presign_post(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PostUploadTarget:
        """A form that stores exactly what is promised. It may be sent again and then stores the same bytes again.

        Raises: ValueError: no SHA-256 is promised, so that a repeat could store others.
        """

    async def begin_parts(self, promise: PromisedObject) -> StoreUpload:
        """Begin an upload in parts, whose object will have a CRC-64/NVME of the whole where the store knows that."""

    async def presign_parts(
        self, upload: StoreUpload, parts: Sequence[PromisedPart], *, now: datetime, lifetime: timedelta
    ) -> Sequence[PartTarget]:
        """A request for each part, in order, that stores exactly this many bytes and, if promised, this checksum."""

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
        """One request of the multipart protocol. ``upload_id``: but for CREATE_MULTIPART; ``part``: for UPLOAD_PART.

        COMPLETE_MULTIPART binds that nothing has the key yet; its body is the client's to write.
        """

    async def list_parts(self, upload: StoreUpload) -> Sequence[StoredPart] | None:
        """What is there, by number; None when the store knows no such upload (never begun, joined or aborted)."""

    async def join_parts(
        self, upload: StoreUpload, parts: Sequence[StoredPart], *, crc64nvme: str | None
    ) -> JoinOutcome:
        """Make the object of all ``parts``, unless something has its key. ``crc64nvme``: hex, of the whole; the store
        compares it with its own, if it knows that checksum.
        """

    async def abort_parts(self, upload: StoreUpload) -> None:
        """Give up; what is not there counts as given up. Parts under way may still arrive: abort again later."""

    async def list_open_uploads(
        self, prefix: str, *, after: StoreUpload | None, limit: int
    ) -> Sequence[OpenStoreUpload]:
        """At most ``limit`` (≤ 1,000) uploads in parts that are open, in order of key; fewer only at the end."""

    async def find(self, key: str) -> StoredObject | None:
        """What the store holds at ``key``, or None."""

    async def read_start(self, key: str, length: int) -> bytes:
        """At most the first ``length`` bytes; empty when the object is empty or absent."""

    async def copy(self, source: str, key: str, *, content_type: str, disposition: str, cache_control: str) -> None:
        """The bytes at ``source`` are at ``key`` too, with these headers and no others; the store copies them itself,
        of whatever size. To do it again is harmless.

        Raises: NotFound: nothing is at ``source``.
        """

    async def delete(self, keys: Sequence[str]) -> Sequence[str]:
        """Remove the objects; absent ones count as removed. Returns those that the store refuses to remove."""

    async def check(self) -> None:
        """Return when the bucket can be reached with our credentials."""


@dataclass(frozen=True, slots=True)
class HeldSigner:
    """Signs links that are opened at the store. Nothing that it signs opens after ``ends_at``, if that is not None."""

    signer: UrlSigner
    ends_at: datetime | None


class LinkSource(Protocol):
    """Whose credentials sign links at the store, where there is no CDN."""

    async def link_signer(self, now: datetime) -> HeldSigner:
        """With the credentials of ``now``, which are looked for again when they end soon.

        Raises: Unavailable: there are none to be had.
        """
