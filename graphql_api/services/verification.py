"""Whether what the store holds is what was promised, what is known of it then, and whether it is the same later."""

from datetime import datetime

from graphql_api.model.file import ChecksumAlgorithm, Evidence, FileVersion, Integrity
from graphql_api.model.ids import new_version_id
from graphql_api.model.stored_object import RecordedObject, StoredObject
from graphql_api.model.upload import Upload, UploadFailure, UploadFailureCode, UploadMethod
from graphql_api.services.sniffing import SNIFFED_BYTES, contradicts, recognised_type
from graphql_api.storage import ObjectStore


async def verify(
    store: ObjectStore,
    upload: Upload,
    found: StoredObject,
    *,
    now: datetime,
    promised: str | None = None,
    combined: str | None = None,
) -> FileVersion | UploadFailure:
    """What will be kept of ``found``, which the store holds, if it is what was promised. ``promised``, ``combined``:
    CRC-64/NVME (hex) of the whole, as its uploader and as the parts say.

    Raises: Unavailable.
    """
    start = await store.read_start(upload.object_key, SNIFFED_BYTES) if found.size else b""
    recognised = recognised_type(start)
    if (failure := mismatch(upload, found, recognised, crc64nvme=promised or combined)) is not None:
        return failure
    return FileVersion(
        id=new_version_id(now),
        file_id=upload.result_id,
        number=1,
        object_key=upload.object_key,
        size=upload.size,
        content_type=upload.content_type,
        stored_content_type=upload.content_type,
        detected_content_type=recognised,
        integrity=integrity_of(upload, found, promised=promised, combined=combined),
        etag=found.etag,
        created_by=upload.owner_id,
        created_at=now,
        is_current=True,
    )


def mismatch(
    upload: Upload, found: StoredObject, recognised: str | None, *, crc64nvme: str | None
) -> UploadFailure | None:
    """How what the store holds differs from what was promised, or None. ``crc64nvme``: hex, of the whole."""
    if found.size != upload.size:
        return UploadFailure(
            UploadFailureCode.SIZE_MISMATCH, f"{upload.size} bytes were announced, {found.size} were stored"
        )
    if _binds_sha256(upload) and found.sha256 != upload.sha256:
        return UploadFailure(UploadFailureCode.CHECKSUM_MISMATCH, "the stored bytes have another SHA-256")
    if None not in (crc64nvme, found.crc64nvme) and crc64nvme != found.crc64nvme:
        return UploadFailure(UploadFailureCode.CHECKSUM_MISMATCH, "the stored bytes have another CRC-64/NVME")
    if found.content_encoding is not None:  # viewers would undo it, and see other bytes than were promised and sniffed
        return UploadFailure(
            UploadFailureCode.CONTENT_TYPE_MISMATCH,
            f"the bytes were stored with Content-Encoding {found.content_encoding}",
        )
    if found.content_type != upload.content_type:
        return UploadFailure(UploadFailureCode.CONTENT_TYPE_MISMATCH, "the bytes were stored with another content type")
    if contradicts(upload.content_type, recognised):
        return UploadFailure(
            UploadFailureCode.CONTENT_TYPE_MISMATCH, f"the content is {recognised}, not {upload.content_type}"
        )
    return None


def integrity_of(
    upload: Upload, found: StoredObject, *, promised: str | None, combined: str | None
) -> Integrity | None:
    """What is known of bytes that do not differ from what was promised: the strongest of it.

    ``promised``, ``combined``: CRC-64/NVME (hex) of the whole, as its uploader and as the parts say. Neither counts
    unless the store has compared it with the bytes, or tells the same.
    """
    if _binds_sha256(upload) and upload.sha256 is not None:
        return Integrity(ChecksumAlgorithm.SHA256, upload.sha256, Evidence.PROMISED)
    if found.crc64nvme is None:
        return None
    evidence = Evidence.FROM_STORE
    if promised is not None:
        evidence = Evidence.PROMISED
    elif combined is not None:
        evidence = Evidence.FROM_PARTS
    return Integrity(ChecksumAlgorithm.CRC64NVME, found.crc64nvme, evidence)


def _binds_sha256(upload: Upload) -> bool:
    """No store computes a SHA-256 over parts: of those uploads it is what the client knows them by, and no more."""
    return upload.sha256 is not None and upload.method is not UploadMethod.MULTIPART


def alteration(recorded: RecordedObject, found: StoredObject) -> str | None:
    """How what the store holds differs from what was uploaded, for people; None when it is the same.

    An ETag counts only where no checksum tells: a copy with other encryption has another one.
    """
    if found.size != recorded.size:
        return f"{recorded.size} bytes were uploaded, the store holds {found.size}"
    if found.content_type != recorded.content_type or found.content_encoding is not None:
        return "the store presents the bytes as another content type"
    pairs = ((recorded.sha256, found.sha256), (recorded.crc64nvme, found.crc64nvme))
    told = [ours == theirs for ours, theirs in pairs if ours is not None and theirs is not None]
    if told:
        return None if all(told) else "the bytes have another checksum"
    if recorded.etag is not None and recorded.etag != found.etag:
        return "the object has another ETag"
    return None
