"""The life of one upload, from reservation to file."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from graphql_api.model.file import Evidence
from graphql_api.model.ids import BUNDLE_PREFIX, FILE_PREFIX, BundleId, FileId, FolderId, UploadId, UserId
from graphql_api.model.parts import PartPlan, Remains, StoreUpload
from graphql_api.model.stored_object import PromisedObject


class UploadStatus(StrEnum):
    """PENDING → PROCESSING → COMPLETED, or PENDING → COMPLETED where nothing is scanned; FAILED and ABORTED from either
    of the first two, EXPIRED from PENDING only. Every move is a conditional UPDATE, and none goes back. An entry of a
    bundle is PROCESSING until all others are in.
    """

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    EXPIRED = "EXPIRED"


UNFINISHED: Final = (UploadStatus.PENDING, UploadStatus.PROCESSING)
"""What may still become a file: it has room reserved, and its object is wanted."""


class UploadMethod(StrEnum):
    """How bytes are to be sent."""

    PUT = "PUT"
    POST = "POST"
    MULTIPART = "MULTIPART"


class UploadFailureCode(StrEnum):
    """Why an upload failed."""

    SIZE_MISMATCH = "SIZE_MISMATCH"
    CHECKSUM_MISMATCH = "CHECKSUM_MISMATCH"
    CONTENT_TYPE_MISMATCH = "CONTENT_TYPE_MISMATCH"
    INFECTED = "INFECTED"
    NOT_SCANNED = "NOT_SCANNED"
    NOT_ALLOWED = "NOT_ALLOWED"


class OnConflict(StrEnum):
    """What to do when the name is taken."""

    FAIL = "FAIL"
    RENAME = "RENAME"


def file_of(bundle_id: BundleId) -> FileId:
    """The file that the bundle is once it is whole; it has the same ULID."""
    return FileId(FILE_PREFIX + bundle_id.removeprefix(BUNDLE_PREFIX))


@dataclass(frozen=True, slots=True)
class UploadFailure:
    """``code`` for programs, ``message`` for people."""

    code: UploadFailureCode
    message: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """By what a client knows again what it was uploading. A checksum that is None is not compared."""

    filename: str
    size: int  # bytes
    sha256: str | None = None  # hex
    crc64nvme: str | None = None  # hex


@dataclass(frozen=True, slots=True)
class Upload:
    """What was promised, and what became of it. ``file_id`` is minted at the start; it names a file once COMPLETED,
    unless the bytes are a new version of the file ``replaces``.
    """

    id: UploadId
    owner_id: UserId
    folder_id: FolderId | None  # None once the folder is gone
    file_id: FileId
    filename: str
    size: int  # bytes
    content_type: str
    sha256: str | None  # hex; verified where one request sends all bytes, else what the client knows it by
    crc64nvme: str | None  # hex, of the whole; verified when the parts are joined
    method: UploadMethod
    part_size: int | None  # bytes in every part but the last; None unless MULTIPART
    store_upload_id: str | None  # the store's; None unless MULTIPART, and until the store has begun it
    object_key: str
    on_conflict: OnConflict
    replaces: FileId | None
    by_admin: bool  # a token or the settings made its owner an administrator when they promised it
    status: UploadStatus
    failure: UploadFailure | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    evidence: Evidence | None = None  # for the CRC-64/NVME of the whole, once PROCESSING
    clean_etag: str | None = None  # of the bytes that were called clean; they become a file once PROCESSING
    bundle_id: BundleId | None = None  # it brings an entry of that, and its filename is the path there

    @property
    def result_id(self) -> FileId:
        """The file that has the bytes once the upload is COMPLETED."""
        if self.bundle_id is not None:
            return file_of(self.bundle_id)
        return self.replaces or self.file_id

    @property
    def bundle_file_id(self) -> FileId | None:
        """The file that its bundle is once it is whole; None of an upload that stands alone."""
        return None if self.bundle_id is None else file_of(self.bundle_id)

    @property
    def promise(self) -> PromisedObject:
        """What the store is to hold in the end."""
        return PromisedObject(self.object_key, self.size, self.content_type, self.sha256)

    @property
    def store_upload(self) -> StoreUpload | None:
        """The multipart upload at the store, once it was begun."""
        return None if self.store_upload_id is None else StoreUpload(self.object_key, self.store_upload_id)

    @property
    def remains(self) -> Remains:
        """What it leaves at the store when it ends without a file."""
        return Remains(self.object_key, self.store_upload_id)

    @property
    def plan(self) -> PartPlan | None:
        """How the bytes are cut; None unless MULTIPART."""
        return None if self.part_size is None else PartPlan(self.size, self.part_size)
