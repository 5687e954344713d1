"""Presigned requests to one bucket: which headers, fields and parameters S3's operations take, and until when.

The arithmetic is ``signing``'s. No request is sent, though a look for credentials may ask the metadata service.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from graphql_api.errors import Unavailable
from graphql_api.model.parts import MAX_PARTS, PartTarget, PromisedPart, StoreUpload
from graphql_api.model.stored_object import (
    PostUploadTarget,
    PromisedObject,
    PutUploadTarget,
    SignedStoreRequest,
    StoreRequestKind,
)
from graphql_api.signing.post_policy import sign_post
from graphql_api.signing.sigv4 import QueryPresigner, StoreCredentials
from graphql_api.signing.sigv4_links import StoreLinkSigner
from graphql_api.signing.sigv4_parts import CHECKSUM_HEADER, PartPresigner
from graphql_api.storage import HeldSigner
from graphql_api.storage.credentials import CredentialSource
from graphql_api.storage.s3_checksums import in_base64
from graphql_api.storage.s3_failures import FAILURES, unavailable

logger = logging.getLogger(__name__)

CHECKSUM_ALGORITHM: Final = "CRC64NVME"
CHECKSUM_TYPE: Final = "FULL_OBJECT"  # the only one that CRC-64/NVME has

_METHODS: Final = {
    StoreRequestKind.CREATE_MULTIPART: "POST",
    StoreRequestKind.UPLOAD_PART: "PUT",
    StoreRequestKind.LIST_PARTS: "GET",
    StoreRequestKind.COMPLETE_MULTIPART: "POST",
    StoreRequestKind.ABORT_MULTIPART: "DELETE",
}


class S3Presigner:
    """The presigning half of an ``ObjectStore``; its methods are described there.

    ``base_url`` precedes every key. Raises ``ValueError`` for a key that is not ASCII, and for a lifetime that SigV4
    cannot express; ``Unavailable`` when no credentials can be had.
    """

    def __init__(self, base_url: str, bucket: str, region: str, credentials: CredentialSource) -> None:
        self._presigner = QueryPresigner(base_url, region)
        self._bucket = bucket
        self._credentials = credentials

    async def put(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PutUploadTarget:
        path = _path(promise.key)
        held, presigned_at, expires_at = await self._term("presign_put", now, lifetime)
        headers = [("Content-Type", promise.content_type), ("If-None-Match", "*")]
        if promise.sha256 is not None:
            headers.append(("x-amz-checksum-sha256", in_base64(promise.sha256)))
        url = self._presigner.presign(
            "PUT",
            path,
            headers=[*headers, ("content-length", str(promise.size))],
            now=presigned_at,
            lifetime=expires_at - presigned_at,
            credentials=held,
        )
        return PutUploadTarget(url, tuple(headers), expires_at)

    async def post(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PostUploadTarget:
        if promise.sha256 is None:
            raise ValueError("A form may be sent again: without a checksum it could store other bytes then.")
        path = _path(promise.key)
        held, presigned_at, expires_at = await self._term("presign_post", now, lifetime)
        fields = sign_post(
            self._bucket,
            path[1:],
            [
                ("Content-Type", promise.content_type),
                ("x-amz-checksum-sha256", in_base64(promise.sha256)),
                ("success_action_status", "201"),  # S3 then says in the body where the object is, too
            ],
            size=promise.size,
            region=self._presigner.region,
            now=presigned_at,
            lifetime=expires_at - presigned_at,
            credentials=held,
        )
        return PostUploadTarget(self._presigner.bucket_url, fields, expires_at)

    async def parts(
        self, upload: StoreUpload, parts: Sequence[PromisedPart], *, now: datetime, lifetime: timedelta
    ) -> Sequence[PartTarget]:
        path = _path(upload.key)
        held, presigned_at, expires_at = await self._term("presign_parts", now, lifetime)
        with_checksum, without = (
            PartPresigner(
                self._presigner,
                path,
                upload.id,
                has_checksum=has_checksum,
                now=presigned_at,
                lifetime=expires_at - presigned_at,
                credentials=held,
            )
            for has_checksum in (True, False)
        )
        targets = []
        for part in parts:
            if not 1 <= part.number <= MAX_PARTS:
                raise ValueError(f"Parts are numbered from 1 to {MAX_PARTS:,}.")
            if part.crc64nvme is None:
                targets.append(PartTarget(part.number, without.presign(part.number, part.size), (), expires_at))
            else:
                checksum = in_base64(part.crc64nvme)
                url = with_checksum.presign(part.number, part.size, checksum)
                targets.append(PartTarget(part.number, url, ((CHECKSUM_HEADER, checksum),), expires_at))
        return targets

    async def request(
        self,
        kind: StoreRequestKind,
        promise: PromisedObject,
        upload_id: str | None,
        part: PromisedPart | None,
        *,
        now: datetime,
        lifetime: timedelta,
    ) -> SignedStoreRequest:
        """Raises ``ValueError`` as well when ``upload_id`` or ``part`` is missing."""
        if kind is StoreRequestKind.CREATE_MULTIPART:
            query = [("uploads", "")]
            headers = [
                ("Content-Type", promise.content_type),
                ("x-amz-checksum-algorithm", CHECKSUM_ALGORITHM),
                ("x-amz-checksum-type", CHECKSUM_TYPE),
            ]
        elif upload_id is None:
            raise ValueError("All requests but the first are about an upload.")
        elif kind is StoreRequestKind.UPLOAD_PART:
            if part is None:
                raise ValueError("Which part?")
            [target] = await self.parts(StoreUpload(promise.key, upload_id), [part], now=now, lifetime=lifetime)
            return SignedStoreRequest(_METHODS[kind], target.url, promise.key, target.headers, target.expires_at)
        else:
            query = [("uploadId", upload_id)]
            headers = [("If-None-Match", "*")] if kind is StoreRequestKind.COMPLETE_MULTIPART else []
        path = _path(promise.key)
        held, presigned_at, expires_at = await self._term("presign_request", now, lifetime)
        url = self._presigner.presign(
            _METHODS[kind],
            path,
            query=query,
            headers=headers,
            now=presigned_at,
            lifetime=expires_at - presigned_at,
            credentials=held,
        )
        return SignedStoreRequest(_METHODS[kind], url, promise.key, tuple(headers), expires_at)

    async def _term(
        self, operation: str, now: datetime, lifetime: timedelta
    ) -> tuple[StoreCredentials, datetime, datetime]:
        """Who presigns, from when on and until when, in whole seconds: not longer than the credentials are good."""
        try:
            held = await self._credentials.current(now)
        except FAILURES as error:
            raise unavailable(operation, error) from error
        presigned_at = now.astimezone(UTC).replace(microsecond=0)
        expires_at = (presigned_at + lifetime).replace(microsecond=0)
        if held.ends_at is not None and held.ends_at < expires_at:
            expires_at = held.ends_at.replace(microsecond=0)
            if expires_at <= presigned_at:
                logger.warning("store_unavailable operation=%s error=credentials_expired", operation)
                raise Unavailable("store")
        return held.credentials, presigned_at, expires_at


class S3Links:
    """A ``LinkSource``: links to one bucket, of which none ends later than ``longest`` from when it is signed."""

    def __init__(self, base_url: str, region: str, credentials: CredentialSource, *, longest: timedelta) -> None:
        self._presigner = QueryPresigner(base_url, region)
        self._credentials = credentials
        self._longest = longest

    @property
    def origin(self) -> str:
        """Scheme and host of every link."""
        return self._presigner.origin

    async def link_signer(self, now: datetime) -> HeldSigner:
        """See ``LinkSource``."""
        try:
            held = await self._credentials.current(now)
        except FAILURES as error:
            raise unavailable("link_signer", error) from error
        return HeldSigner(StoreLinkSigner(self._presigner, held.credentials, longest=self._longest), held.ends_at)


def _path(key: str) -> str:
    if not key.isascii():
        raise ValueError("Object keys are ASCII.")
    return f"/{key}"
