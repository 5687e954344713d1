"""Uploads in parts at S3, call by call. All of it blocks, and raises what boto3 raises.

Source: Amazon S3 API reference, "CreateMultipartUpload", "ListParts", "CompleteMultipartUpload" and its error codes,
"AbortMultipartUpload", "ListMultipartUploads".
"""

from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from graphql_api.model.parts import JoinOutcome, OpenStoreUpload, StoredPart, StoreUpload
from graphql_api.model.stored_object import PromisedObject
from graphql_api.storage.s3_checksums import crc64nvme_in_hex, in_base64
from graphql_api.storage.s3_failures import code_of, status_of

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        CompleteMultipartUploadRequestTypeDef,
        ListMultipartUploadsOutputTypeDef,
        PartTypeDef,
    )

PAGE: Final = 1_000  # parts or uploads; S3's limit for one list

# Errors that prove that the parts are not what they were said to be. InvalidRequest is none of them: S3 answers so when
# they have another length than was said, which is their sum, but also when it does not like a header; and InvalidDigest
# is about how a checksum is written, which is our affair.
_MISMATCHES: Final = frozenset(
    [
        *("BadDigest", "XAmzContentChecksumMismatch"),
        *("InvalidPart", "InvalidPartOrder", "EntityTooSmall", "EntityTooLarge"),
    ]
)


class Contended(Exception):
    """Somebody else is writing or removing this key at the moment; nothing has changed, and asking again may help."""


def begin(client: "S3Client", bucket: str, promise: PromisedObject) -> StoreUpload:
    begun = client.create_multipart_upload(
        Bucket=bucket,
        Key=promise.key,
        ContentType=promise.content_type,
        ChecksumAlgorithm="CRC64NVME",
        ChecksumType="FULL_OBJECT",
    )
    return StoreUpload(promise.key, begun["UploadId"])


def stored_parts(
    client: "S3Client", bucket: str, upload: StoreUpload, *, page: int = PAGE
) -> Sequence[StoredPart] | None:
    """All of them, however many pages that takes; None when there is no such upload.

    SeaweedFS lists a part that was sent again twice: the later one counts.
    """
    found: dict[int, PartTypeDef] = {}
    marker = 0
    while True:
        try:
            answer = client.list_parts(
                Bucket=bucket, Key=upload.key, UploadId=upload.id, MaxParts=page, PartNumberMarker=marker
            )
        except ClientError as error:
            if _is_absent(error):
                return None
            raise
        for part in answer.get("Parts", ()):
            marker = part["PartNumber"]
            if marker not in found or part["LastModified"] >= found[marker]["LastModified"]:
                found[marker] = part
        if not answer["IsTruncated"] or not answer.get("Parts"):
            return [_stored_part(found[number]) for number in sorted(found)]


def join(
    client: "S3Client", bucket: str, upload: StoreUpload, parts: Sequence[StoredPart], crc64nvme: str | None
) -> JoinOutcome:
    """Takes minutes for a large object. boto3 raises an error that comes at the end of a 200 like any other.

    Raises: Contended.
    """
    request: CompleteMultipartUploadRequestTypeDef = {
        "Bucket": bucket,
        "Key": upload.key,
        "UploadId": upload.id,
        "MultipartUpload": {"Parts": [_completed_part(part) for part in parts]},
        "MpuObjectSize": sum(part.size for part in parts),
        "IfNoneMatch": "*",
    }
    if crc64nvme is not None:
        request |= {"ChecksumCRC64NVME": in_base64(crc64nvme), "ChecksumType": "FULL_OBJECT"}
    try:
        client.complete_multipart_upload(**request)
    except ClientError as error:
        code, status = code_of(error), status_of(error)
        if status == 412 or code == "PreconditionFailed":
            return JoinOutcome.ALREADY_THERE
        if status == 409:
            raise Contended from error
        if _is_absent(error):
            return JoinOutcome.NO_SUCH_UPLOAD
        if code in _MISMATCHES:
            return JoinOutcome.MISMATCH
        raise
    return JoinOutcome.JOINED


def abort(client: "S3Client", bucket: str, upload: StoreUpload) -> None:
    try:
        client.abort_multipart_upload(Bucket=bucket, Key=upload.key, UploadId=upload.id)
    except ClientError as error:
        if not _is_absent(error):
            raise


def open_uploads(
    client: "S3Client", bucket: str, prefix: str, after: StoreUpload | None, limit: int, *, page: int = PAGE
) -> Sequence[OpenStoreUpload]:
    """Those that follow ``after``, in order of key and id.

    S3 pages through them in this order. Other stores have orders of their own and read markers otherwise: SeaweedFS
    goes by id and takes a key marker for the only key, moto ignores both. What they list is read whole and sorted.
    """
    answer = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix, MaxUploads=page)
    found = _opened(answer)
    if answer["IsTruncated"] and answer.get("NextKeyMarker"):
        return _open_uploads_after(client, bucket, prefix, after, limit)
    while answer["IsTruncated"]:
        answer = client.list_multipart_uploads(
            Bucket=bucket, Prefix=prefix, MaxUploads=page, UploadIdMarker=answer["NextUploadIdMarker"]
        )
        found += _opened(answer)
    found.sort(key=_place)
    return [one for one in found if after is None or _place(one) > (after.key, after.id)][:limit]


def _open_uploads_after(
    client: "S3Client", bucket: str, prefix: str, after: StoreUpload | None, limit: int
) -> Sequence[OpenStoreUpload]:
    found: list[OpenStoreUpload] = []
    while True:
        answer = client.list_multipart_uploads(
            Bucket=bucket,
            Prefix=prefix,
            MaxUploads=limit - len(found),
            KeyMarker=after.key if after else "",
            UploadIdMarker=after.id if after else "",
        )
        found += _opened(answer)
        if not answer["IsTruncated"] or len(found) >= limit:
            return found
        after = StoreUpload(answer["NextKeyMarker"], answer["NextUploadIdMarker"])


def _opened(answer: "ListMultipartUploadsOutputTypeDef") -> list[OpenStoreUpload]:
    return [
        OpenStoreUpload(StoreUpload(entry["Key"], entry["UploadId"]), entry["Initiated"].astimezone(UTC))
        for entry in answer.get("Uploads", ())
    ]


def _place(opened: OpenStoreUpload) -> tuple[str, str]:
    return opened.upload.key, opened.upload.id


def _stored_part(part: "PartTypeDef") -> StoredPart:
    return StoredPart(
        number=part["PartNumber"],
        size=part["Size"],
        etag=part["ETag"].strip('"'),
        crc64nvme=crc64nvme_in_hex(part.get("ChecksumCRC64NVME")),
    )


def _completed_part(part: StoredPart) -> "CompletedPartTypeDef":
    completed: CompletedPartTypeDef = {"PartNumber": part.number, "ETag": f'"{part.etag}"'}
    if part.crc64nvme is not None:
        completed["ChecksumCRC64NVME"] = in_base64(part.crc64nvme)
    return completed


def _is_absent(error: ClientError) -> bool:
    return code_of(error) == "NoSuchUpload" or (status_of(error) == 404 and code_of(error) != "NoSuchBucket")
