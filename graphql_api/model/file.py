"""The thing users see, and the folder that holds it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from graphql_api.model.ids import FileId, FolderId, UserId, VersionId
from graphql_api.model.rule import ReadTerms


@dataclass(frozen=True, slots=True)
class File:
    """Stable id, name and folder; its bytes are immutable and live at ``object_key``."""

    id: FileId
    folder_id: FolderId
    owner_id: UserId
    name: str
    size: int  # bytes
    content_type: str
    stored_content_type: str  # what the store answers with; differs once `content_type` was changed
    sha256: str | None  # hex; None when the uploader promised none
    object_key: str
    created_at: datetime
    updated_at: datetime
    altered_at: datetime | None = None  # when its bytes were found to differ from what was uploaded
    infected_at: datetime | None = None  # when a scanner called its bytes infected
    terms: ReadTerms | None = None  # on which the one it was found for may download it; None: not at all


class ChecksumAlgorithm(StrEnum):
    """How a checksum was computed."""

    SHA256 = "SHA256"
    CRC64NVME = "CRC64NVME"


class Evidence(StrEnum):
    """Who said what a checksum should be; in each case the store computed it over the bytes it holds."""

    PROMISED = "PROMISED"  # the uploader, of the whole, beforehand
    FROM_PARTS = "FROM_PARTS"  # the uploader, of each part; it was combined from those
    FROM_STORE = "FROM_STORE"  # nobody: it is what the store computed


@dataclass(frozen=True, slots=True)
class Integrity:
    """What is known about the bytes; ``value``: hex."""

    algorithm: ChecksumAlgorithm
    value: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class FileVersion:
    """Bytes that a file has or had; they are immutable and live at ``object_key``. ``number`` counts from 1, and no
    other version of the file ever has the same.
    """

    id: VersionId
    file_id: FileId
    number: int
    object_key: str
    size: int  # bytes
    content_type: str  # as promised, or as corrected since
    stored_content_type: str  # as promised, and as the store answers with
    detected_content_type: str | None  # what the first bytes prove
    integrity: Integrity | None
    etag: str | None  # the store's, without quotes; None for files of an earlier time
    created_by: UserId
    created_at: datetime
    is_current: bool  # the file has these bytes
    altered_at: datetime | None = None  # when the store was found to hold others
    infected_at: datetime | None = None  # when a scanner called them infected

    def of(self, file: File) -> File:
        """The file with these bytes: whoever may download it may download them, on the same terms."""
        return replace(
            file,
            size=self.size,
            content_type=self.content_type,
            stored_content_type=self.stored_content_type,
            sha256=self.sha256,
            object_key=self.object_key,
            altered_at=self.altered_at,
            infected_at=self.infected_at,
        )

    @property
    def sha256(self) -> str | None:
        """Hex; None unless it was promised and verified."""
        known = self.integrity
        return known.value if known is not None and known.algorithm is ChecksumAlgorithm.SHA256 else None


@dataclass(frozen=True, slots=True)
class Folder:
    """A node of the one tree. ``parent_id`` and ``owner_id`` are None for the root only."""

    id: FolderId
    parent_id: FolderId | None
    owner_id: UserId | None
    name: str
    created_at: datetime
    updated_at: datetime
