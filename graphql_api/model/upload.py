"""The life of one upload, from reservation to file."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from graphql_api.model.ids import FileId, FolderId, UploadId, UserId


class UploadStatus(StrEnum):
    """PENDING moves to exactly one of the others, by conditional UPDATE, and never back."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    EXPIRED = "EXPIRED"


class UploadFailureCode(StrEnum):
    """Why an upload failed."""

    SIZE_MISMATCH = "SIZE_MISMATCH"
    CHECKSUM_MISMATCH = "CHECKSUM_MISMATCH"
    CONTENT_TYPE_MISMATCH = "CONTENT_TYPE_MISMATCH"


class OnConflict(StrEnum):
    """What to do when the name is taken."""

    FAIL = "FAIL"
    RENAME = "RENAME"


@dataclass(frozen=True, slots=True)
class UploadFailure:
    """``code`` for programs, ``message`` for people."""

    code: UploadFailureCode
    message: str


@dataclass(frozen=True, slots=True)
class Upload:
    """What was promised, and what became of it. ``file_id`` is minted at the start; it names a file once COMPLETED."""

    id: UploadId
    owner_id: UserId
    folder_id: FolderId | None  # None once the folder is gone
    file_id: FileId
    filename: str
    size: int  # bytes
    content_type: str
    sha256: str | None  # hex
    object_key: str
    on_conflict: OnConflict
    status: UploadStatus
    failure: UploadFailure | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
