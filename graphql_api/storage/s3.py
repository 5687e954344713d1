"""A bucket at Amazon S3 or at a store that speaks its protocol.

Presigning is arithmetic of our own (``signing.sigv4``); everything that goes over the network is boto3, in a thread.
The credentials need ``s3:PutObject``, ``s3:GetObject``, ``s3:DeleteObject`` on the objects and ``s3:ListBucket`` on the
bucket; without the last S3 answers 403 instead of 404 for an absent object, which looks like a store that refuses us.
"""

import ipaddress
import logging
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.model.stored_object import PromisedObject, PutUploadTarget, StoredObject
from graphql_api.signing.sigv4 import QueryPresigner
from graphql_api.storage.credentials import CredentialSource

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteObjectsOutputTypeDef

logger = logging.getLogger(__name__)

AddressingStyle = Literal["virtual", "path"]
T = TypeVar("T")

CONNECT_TIMEOUT: Final = 2.0  # seconds
READ_TIMEOUT: Final = 10.0  # seconds between two bytes
TOTAL_ATTEMPTS: Final = 2  # a request and one retry
MAX_CONNECTIONS: Final = 32  # and as many threads, so that a store that hangs takes none from others
DELETE_BATCH: Final = 1_000  # keys; S3's limit for one DeleteObjects

# botocore raises a bare RuntimeError when renewed credentials have expired already.
_FAILURES: Final = (BotoCoreError, ClientError, RuntimeError)
_DNS_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_BASE64_SHA256_LENGTH: Final = 44  # characters; a checksum of a multipart upload's checksums is longer: "...=-3"


class S3Store:
    """An ``ObjectStore``.

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
        self._endpoint_url = endpoint_url or _amazon_endpoint(region)
        self._style = _effective_style(addressing_style, bucket, self._endpoint_url)
        self._presigner = QueryPresigner(_base_url(self._endpoint_url, bucket, self._style), region)
        try:
            self._session = boto3.Session(access_key_id, secret_access_key, region_name=region)
        except BotoCoreError as error:
            raise ConfigurationError(f"The AWS configuration cannot be used: {error}") from None
        self._credentials = CredentialSource(self._session)
        self._limiter = anyio.CapacityLimiter(MAX_CONNECTIONS)
        self._client: S3Client | None = None
        self._client_lock = Lock()

    async def presign_put(self, promise: PromisedObject, *, now: datetime, lifetime: timedelta) -> PutUploadTarget:
        """See ``ObjectStore``. The length is signed but not listed: clients set it themselves.

        Raises ``Unavailable`` when no credentials can be had, ``ValueError`` for a lifetime that SigV4 cannot express.
        """
        if not promise.key.isascii():
            raise ValueError("Object keys are ASCII.")
        try:
            held = await self._credentials.current(now)
        except _FAILURES as error:
            raise _unavailable("presign_put", error) from error
        presigned_at = now.astimezone(UTC).replace(microsecond=0)
        expires_at = (presigned_at + lifetime).replace(microsecond=0)
        if held.ends_at is not None and held.ends_at < expires_at:
            expires_at = held.ends_at.replace(microsecond=0)
            if expires_at <= presigned_at:
                logger.warning("store_unavailable operation=presign_put error=credentials_expired")
                raise Unavailable("store")
        headers = [("Content-Type", promise.content_type), ("If-None-Match", "*")]
        if promise.sha256 is not None:
            headers.append(("x-amz-checksum-sha256", b64encode(bytes.fromhex(promise.sha256)).decode()))
        url = self._presigner.presign(
            "PUT",
            f"/{promise.key}",
            headers=[*headers, ("content-length", str(promise.size))],
            now=presigned_at,
            lifetime=expires_at - presigned_at,
            credentials=held.credentials,
        )
        return PutUploadTarget(url, tuple(headers), expires_at)

    async def find(self, key: str) -> StoredObject | None:
        """See ``ObjectStore``."""

        def head(client: "S3Client") -> StoredObject | None:
            try:
                found = client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if _status(error) == 404:
                    return None
                raise
            return StoredObject(
                key=key,
                size=found["ContentLength"],
                content_type=found.get("ContentType", ""),
                sha256=_as_hex(found.get("ChecksumSHA256")),
                etag=found["ETag"].strip('"'),
                content_encoding=found.get("ContentEncoding") or None,
            )

        return await self._ask("find", head)

    async def read_start(self, key: str, length: int) -> bytes:
        """See ``ObjectStore``."""

        def get(client: "S3Client") -> bytes:
            try:
                found = client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes=0-{length - 1}")
            except ClientError as error:
                if _status(error) in (404, 416):  # an empty object has no first byte to range over
                    return b""
                raise
            # Not `with found["Body"]`: that hands out the raw stream, whose failures are urllib3's and not boto's.
            with closing(found["Body"]) as body:
                start = body.read(length)  # bounded, because a store that ignores the range sends everything
                if len(start) < length:
                    body.read(1)  # at the end boto compares what came with what was announced, and raises
                return start

        return await self._ask("read_start", get)

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
        if self._client is not None:
            self._client.close()

    async def _ask(self, operation: str, request: Callable[["S3Client"], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(lambda: request(self._connected()), limiter=self._limiter)
        except _FAILURES as error:
            raise _unavailable(operation, error) from error

    def _connected(self) -> "S3Client":
        """The one client of this store. Making it reads files for 0.1 s and may look for credentials, hence late."""
        with self._client_lock:
            if self._client is None:
                self._client = self._session.client(
                    "s3",
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        signature_version="s3v4",
                        s3={"addressing_style": self._style},
                        connect_timeout=CONNECT_TIMEOUT,
                        read_timeout=READ_TIMEOUT,
                        retries={"mode": "standard", "total_max_attempts": TOTAL_ATTEMPTS},
                        max_pool_connections=MAX_CONNECTIONS,
                        # A store on this machine is never behind a proxy, whatever HTTP_PROXY says.
                        proxies={} if _is_on_this_machine(self._endpoint_url) else None,
                        # Stores other than Amazon's may not know the checksums that boto adds of its own accord.
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
            return self._client


def _amazon_endpoint(region: str) -> str:
    """The regional endpoint: the global one redirects, and a browser cannot follow that with a presigned PUT."""
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _ip_address(endpoint_url: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(urlsplit(endpoint_url).hostname or "")
    except ValueError:
        return None


def _is_on_this_machine(endpoint_url: str) -> bool:
    address = _ip_address(endpoint_url)
    return address.is_loopback if address else f".{urlsplit(endpoint_url).hostname}".endswith(".localhost")


def _effective_style(style: AddressingStyle, bucket: str, endpoint_url: str) -> AddressingStyle:
    """As boto chooses, so that its requests and ours go to the same place."""
    return style if _DNS_LABEL.fullmatch(bucket) and not _ip_address(endpoint_url) else "path"


def _base_url(endpoint_url: str, bucket: str, style: AddressingStyle) -> str:
    if style == "path":
        return f"{endpoint_url.rstrip('/')}/{bucket}"
    return endpoint_url.replace("://", f"://{bucket}.", 1)


def _as_hex(checksum: str | None) -> str | None:
    return b64decode(checksum).hex() if checksum is not None and len(checksum) == _BASE64_SHA256_LENGTH else None


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _unavailable(operation: str, error: Exception) -> Unavailable:
    """Says in the log what kind of failure it was; the text of an error may hold what a credential program printed."""
    if isinstance(error, ClientError):
        cause = f"{error.response['Error'].get('Code')} status={_status(error)}"
    else:
        cause = type(error).__name__
    logger.warning("store_unavailable operation=%s error=%s", operation, cause)
    return Unavailable("store")
