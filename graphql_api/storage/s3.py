"""A bucket at Amazon S3 or at a store that speaks its protocol.

Presigning is arithmetic of our own (``s3_presigning``); everything that goes over the network is boto3, in a thread.
The credentials need ``s3:PutObject``, ``s3:GetObject``, ``s3:DeleteObject``, ``s3:AbortMultipartUpload`` and
``s3:ListMultipartUploadParts`` on the objects, ``s3:ListBucket`` and ``s3:ListBucketMultipartUploads`` on the bucket.
Without ``s3:ListBucket`` S3 answers 403 instead of 404 for an absent object, which looks like a store that refuses us.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import anyio
from botocore.exceptions import ClientError

from graphql_api.errors import NotFound, Unavailable
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
from graphql_api.storage import s3_parts
from graphql_api.storage.s3_checksums import crc64nvme_in_hex, sha256_in_hex
from graphql_api.storage.s3_connection import AddressingStyle, S3Connection
from graphql_api.storage.s3_copies import CopyHeaders, S3Copier
from graphql_api.storage.s3_failures import status_of
from graphql_api.storage.s3_presigning import S3Links, S3Presigner

if TYPE_CHECKING:  # stubs are installed for the checks only
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteObjectsOutputTypeDef

logger = logging.getLogger(__name__)

READ_PIECE: Final = 256 * 1024  # bytes
DELETE_BATCH: Final = 1_000  # keys; S3's limit for one DeleteObjects
JOIN_READ_TIMEOUT: Final = 300.0  # seconds; "processing could take several minutes" for a large object
JOIN_ATTEMPTS: Final = 4
JOIN_PAUSE: Final = 0.1  # seconds before the second attempt, doubled each time


class S3Store:
    """An ``ObjectStore``; what its methods promise is said there.

    ``endpoint_url`` None means Amazon's regional endpoint. With ``addressing_style`` "virtual" the bucket is part of
    the host name, unless it has a dot (no certificate would match) or the endpoint is an IP address. Without
    ``access_key_id`` the credentials are those of the AWS default chain. Opens no connection before it is used; raises
    ``ConfigurationError`` for an endpoint that is no address and for an AWS profile that does not exist.
    """

    def __init__(
        self,
        *,
        bucket: str,
        region: str,
        endpoint_url: str | None = None,
        addressing_style: AddressingStyle = "virtual",
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> None:
        self._bucket = bucket
        self._connection = S3Connection(
            bucket=bucket,
            region=region,
            endpoint_url=endpoint_url,
            addressing_style=addressing_style,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
        )
        self._ask = self._connection.ask
        self._copier = S3Copier(self._connection.ask, bucket)
        self._region = region
        self._presigner = S3Presigner(self._connection.base_url, bucket, region, self._connection.credentials)

    def links(self, *, longest: timedelta) -> S3Links:
        """What signs links that are opened at this store, for a service without a CDN; ``longest``: 1 s to 7 days."""
        connection = self._connection
        return S3Links(connection.base_url, self._region, connection.credentials, longest=longest)

    async def presign_put(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PutUploadTarget:
        """See ``ObjectStore``. The length is signed but not listed: clients set it themselves.

        Raises ``Unavailable`` when no credentials can be had, ``ValueError`` for a lifetime that SigV4 cannot express;
        so does all that presigns.
        """
        return await self._presigner.put(promise, now=now, lifetime=lifetime)

    async def presign_post(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PostUploadTarget:
        """See ``ObjectStore``."""
        return await self._presigner.post(promise, now=now, lifetime=lifetime)

    async def presign_parts(
        self, upload: StoreUpload, parts: Sequence[PromisedPart], *, now: datetime, lifetime: timedelta
    ) -> Sequence[PartTarget]:
        """See ``ObjectStore``. The length is signed but not listed. ``ValueError`` for a number that no part has."""
        return await self._presigner.parts(upload, parts, now=now, lifetime=lifetime)

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
        """See ``ObjectStore``. ``ValueError`` without what this ``kind`` needs."""
        return await self._presigner.request(kind, promise, upload_id, part, now=now, lifetime=lifetime)

    async def begin_parts(self, promise: PromisedObject) -> StoreUpload:
        """See ``ObjectStore``. When it raises, one may have been begun all the same."""
        return await self._ask("begin_parts", lambda client: s3_parts.begin(client, self._bucket, promise))

    async def list_parts(self, upload: StoreUpload) -> Sequence[StoredPart] | None:
        """See ``ObjectStore``."""
        return await self._ask("list_parts", lambda client: s3_parts.stored_parts(client, self._bucket, upload))

    async def join_parts(
        self, upload: StoreUpload, parts: Sequence[StoredPart], *, crc64nvme: str | None
    ) -> JoinOutcome:
        """See ``ObjectStore``. When it raises, the object may be there all the same. May take minutes."""
        if not parts:
            raise ValueError("An object has at least one part.")

        def join(client: "S3Client") -> JoinOutcome:
            return s3_parts.join(client, self._bucket, upload, parts, crc64nvme)

        for attempt in range(JOIN_ATTEMPTS):
            if attempt:
                await anyio.sleep(JOIN_PAUSE * 2 ** (attempt - 1))
            try:
                return await self._ask("join_parts", join, read_timeout=JOIN_READ_TIMEOUT)
            except s3_parts.Contended:
                continue
        logger.warning("store_unavailable operation=join_parts error=contended attempts=%d", JOIN_ATTEMPTS)
        raise Unavailable("store")

    async def abort_parts(self, upload: StoreUpload) -> None:
        """See ``ObjectStore``."""
        await self._ask("abort_parts", lambda client: s3_parts.abort(client, self._bucket, upload))

    async def list_open_uploads(
        self, prefix: str, *, after: StoreUpload | None, limit: int
    ) -> Sequence[OpenStoreUpload]:
        """See ``ObjectStore``."""
        return await self._ask(
            "list_open_uploads", lambda client: s3_parts.open_uploads(client, self._bucket, prefix, after, limit)
        )

    async def list_objects(self, prefix: str, *, after: str | None, limit: int) -> Sequence[ListedObject]:
        """See ``ObjectStore``."""

        def list_(client: "S3Client") -> Sequence[ListedObject]:
            found: list[ListedObject] = []
            start = after or ""
            while True:
                answer = client.list_objects_v2(
                    Bucket=self._bucket, Prefix=prefix, StartAfter=start, MaxKeys=limit - len(found)
                )
                found += [
                    ListedObject(
                        entry["Key"], entry["Size"], entry["LastModified"].astimezone(UTC), entry["ETag"].strip('"')
                    )
                    for entry in answer.get("Contents", ())
                ]
                if not answer["IsTruncated"] or len(found) >= limit or not answer.get("Contents"):
                    return found
                start = found[-1].key  # a page may be shorter than asked for

        return await self._ask("list_objects", list_)

    async def find(self, key: str) -> StoredObject | None:
        """See ``ObjectStore``."""

        def head(client: "S3Client") -> StoredObject | None:
            try:
                found = client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if status_of(error) == 404:
                    return None
                raise
            return StoredObject(
                key=key,
                size=found["ContentLength"],
                content_type=found.get("ContentType", ""),
                sha256=sha256_in_hex(found.get("ChecksumSHA256")),
                etag=found["ETag"].strip('"'),
                content_encoding=found.get("ContentEncoding") or None,
                crc64nvme=(
                    crc64nvme_in_hex(found.get("ChecksumCRC64NVME"))
                    if found.get("ChecksumType") == "FULL_OBJECT"
                    else None
                ),
            )

        return await self._ask("find", head)

    async def read_start(self, key: str, length: int) -> bytes:
        """See ``ObjectStore``."""

        def get(client: "S3Client") -> bytes:
            try:
                found = client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes=0-{length - 1}")
            except ClientError as error:
                if status_of(error) in (404, 416):  # an empty object has no first byte to range over
                    return b""
                raise
            # Not `with found["Body"]`: that hands out the raw stream, whose failures are urllib3's and not boto's.
            with closing(found["Body"]) as body:
                start = body.read(length)  # bounded, because a store that ignores the range sends everything
                if len(start) < length:
                    body.read(1)  # at the end boto compares what came with what was announced, and raises
                return start

        return await self._ask("read_start", get)

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """See ``ObjectStore``. A thread is taken for each piece, not for as long as the reader needs for all."""

        def get(client: "S3Client") -> "StreamingBody":
            try:
                return client.get_object(Bucket=self._bucket, Key=key)["Body"]
            except ClientError as error:
                if status_of(error) == 404:
                    raise NotFound("The bytes are not there.") from None
                raise

        with closing(await self._ask("read", get)) as body:
            while piece := await self._ask("read", lambda _: body.read(READ_PIECE)):  # raises if the end comes early
                yield piece

    async def copy(self, source: str, key: str, *, content_type: str, disposition: str, cache_control: str) -> None:
        """See ``ObjectStore``. What is larger than 5 GiB is copied in parts, some at a time."""
        await self._copier.copy(source, key, CopyHeaders(content_type, disposition, cache_control))

    async def delete(self, keys: Sequence[str]) -> Sequence[str]:
        """See ``ObjectStore``. When it raises, some objects may be gone already."""
        refused: list[str] = []
        for start in range(0, len(keys), DELETE_BATCH):
            batch = keys[start : start + DELETE_BATCH]

            def delete_batch(client: "S3Client", batch: Sequence[str] = batch) -> "DeleteObjectsOutputTypeDef":
                return client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )

            answer = await self._ask("delete", delete_batch)
            faults = [fault for fault in answer.get("Errors", ()) if fault.get("Code") != "NoSuchKey"]
            if faults:
                logger.warning("deletion_refused objects=%d error=%s", len(faults), faults[0].get("Code"))
                refused += [fault["Key"] for fault in faults if "Key" in fault]
        return refused

    async def check(self) -> None:
        """See ``ObjectStore``."""
        await self._ask("check", lambda client: client.head_bucket(Bucket=self._bucket))

    def close(self) -> None:
        """Close the idle connections. Idempotent."""
        self._connection.close()
