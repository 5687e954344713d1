"""Copies inside one bucket at S3, made by the store itself: in one request, or in parts where that takes no more.

What is under way can be cut off between two requests, and then leaves no parts behind. Whoever cancels it waits for the
request that has been sent. Whoever is killed leaves parts for upkeep, as clients do.

Source: Amazon S3 API reference, "CopyObject", "UploadPartCopy"; user guide, "Multipart upload limits".
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import anyio
from botocore.exceptions import ClientError

from graphql_api.errors import NotFound, Unavailable
from graphql_api.model.parts import StoreUpload
from graphql_api.storage import s3_parts
from graphql_api.storage.s3_failures import code_of, status_of

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

T = TypeVar("T")

PARTS_ABOVE: Final = 5 * 1024**3  # bytes; S3's limit for one CopyObject
PART_SIZE: Final = 512 * 1024**2  # bytes; more where S3's number of parts would not be enough
MAX_PARTS: Final = 10_000
AT_ONCE: Final = 4  # parts
TIMEOUT: Final = 300.0  # seconds until the store begins to answer; it has copied all by then, or nearly


class Ask(Protocol):
    """``S3Connection.ask``."""

    async def __call__(self, operation: str, request: Callable[["S3Client"], T], *, read_timeout: float = ...) -> T: ...


@dataclass(frozen=True, slots=True)
class CopyHeaders:
    """What the copy is delivered with, instead of what its source is."""

    content_type: str
    disposition: str
    cache_control: str

    @property
    def arguments(self) -> Mapping[str, str]:
        return {
            "ContentType": self.content_type,
            "ContentDisposition": self.disposition,
            "CacheControl": self.cache_control,
        }


class S3Copier:
    """``parts_above``, ``part_size``: in bytes; S3 takes no part below 5 MiB but the last."""

    def __init__(self, ask: Ask, bucket: str, *, parts_above: int = PARTS_ABOVE, part_size: int = PART_SIZE) -> None:
        self._ask = ask
        self._bucket = bucket
        self._parts_above = parts_above
        self._part_size = part_size

    async def copy(self, source: str, key: str, headers: CopyHeaders) -> None:
        """Raises: NotFound: nothing is at ``source``. Unavailable."""
        # In a task of its own, which waits for its threads: asyncio's cancellation of this one would not.
        await _together([partial(self._copy, source, key, headers)])

    async def _copy(self, source: str, key: str, headers: CopyHeaders) -> None:
        def head(client: "S3Client") -> int:
            return client.head_object(Bucket=self._bucket, Key=source)["ContentLength"]

        def whole(client: "S3Client") -> None:
            client.copy_object(
                Bucket=self._bucket,
                Key=key,
                CopySource={"Bucket": self._bucket, "Key": source},
                MetadataDirective="REPLACE",
                **headers.arguments,  # type: ignore[arg-type]  # all of them are texts
            )

        size = await self._ask("copy", _of_source(head))
        if size <= self._parts_above:
            await self._ask("copy", _of_source(whole), read_timeout=TIMEOUT)
        else:
            await self._in_parts(source, key, headers, size)

    async def _in_parts(self, source: str, key: str, headers: CopyHeaders, size: int) -> None:
        def begin(client: "S3Client") -> StoreUpload:
            arguments: Any = headers.arguments
            begun = client.create_multipart_upload(Bucket=self._bucket, Key=key, **arguments)
            return StoreUpload(key, begun["UploadId"])

        upload = await self._ask("copy", begin)
        try:
            parts = await self._copied(source, upload, size)

            def join(client: "S3Client") -> None:
                client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload.id, MultipartUpload={"Parts": parts}
                )

            await self._ask("copy", join, read_timeout=TIMEOUT)
        except BaseException:
            # Nothing of it is under way any more: each request was waited for.
            with anyio.CancelScope(shield=True), suppress(Unavailable):
                await self._ask("abort_parts", lambda client: s3_parts.abort(client, self._bucket, upload))
            raise

    async def _copied(self, source: str, upload: StoreUpload, size: int) -> list["CompletedPartTypeDef"]:
        """All parts, in order."""
        part_size = max(self._part_size, -(-size // MAX_PARTS))
        etags: dict[int, str] = {}
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def copy_part(number: int) -> None:
            first = (number - 1) * part_size
            last = min(first + part_size, size) - 1

            def copy(client: "S3Client") -> str:
                answer = client.upload_part_copy(
                    Bucket=self._bucket,
                    Key=upload.key,
                    UploadId=upload.id,
                    PartNumber=number,
                    CopySource={"Bucket": self._bucket, "Key": source},
                    CopySourceRange=f"bytes={first}-{last}",
                )
                return answer["CopyPartResult"]["ETag"]

            async with limiter:
                etags[number] = await self._ask("copy", _of_source(copy), read_timeout=TIMEOUT)

        numbers = range(1, -(-size // part_size) + 1)
        await _together([partial(copy_part, number) for number in numbers])
        return [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]


async def _together(tasks: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Raises: NotFound, Unavailable: the first one; callers know the typed errors, not groups of them."""
    try:
        async with anyio.create_task_group() as group:
            for task in tasks:
                group.start_soon(task)
    except* (NotFound, Unavailable) as errors:
        raise errors.exceptions[0] from None


def _of_source(request: Callable[["S3Client"], T]) -> Callable[["S3Client"], T]:
    """The same request, which raises NotFound when there is no source. An upload in parts that was aborted meanwhile is
    no such thing.
    """

    def asked(client: "S3Client") -> T:
        try:
            return request(client)
        except ClientError as error:
            if status_of(error) == 404 and code_of(error) not in ("NoSuchUpload", "NoSuchBucket"):
                raise NotFound("The bytes are not there.") from None
            raise

    return asked
