"""What a store promises to take, what it holds, and the requests that bring one to the other."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from graphql_api.model.ids import FileId


@dataclass(frozen=True, slots=True)
class PromisedObject:
    """What a target binds: only these bytes can be sent to it."""

    key: str
    size: int  # bytes
    content_type: str
    sha256: str | None  # hex


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the store says it holds. A checksum (hex) is None when the store keeps none of that kind for this object.

    ``crc64nvme``: of the whole object; the store computed it itself, whether or not it was asked to compare.
    ``content_encoding`` is what viewers would undo before they see the bytes; a target asks for none.
    """

    key: str
    size: int  # bytes
    content_type: str
    sha256: str | None
    etag: str  # without quotes
    content_encoding: str | None = None
    crc64nvme: str | None = None


@dataclass(frozen=True, slots=True)
class PutUploadTarget:
    """Send all bytes in one PUT to ``url`` with ``headers`` exactly as given; they are signed."""

    url: str
    headers: tuple[tuple[str, str], ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PostUploadTarget:
    """Send ``fields`` in order, then the bytes as the field ``file``, in one multipart/form-data POST to ``url``."""

    url: str
    fields: tuple[tuple[str, str], ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One entry of a bucket's list."""

    key: str
    size: int  # bytes
    modified_at: datetime
    etag: str | None = None  # without quotes


@dataclass(frozen=True, slots=True)
class RecordedObject:
    """What our rows say that a file's object is; None where they do not know."""

    key: str
    file_id: FileId
    size: int  # bytes
    content_type: str
    sha256: str | None  # hex
    crc64nvme: str | None  # hex, of the whole
    etag: str | None  # without quotes
    altered_at: datetime | None = None  # since when nobody is given it, because it was found to be another


class StoreRequestKind(StrEnum):
    """A request of the S3 multipart protocol, for clients that drive it themselves."""

    CREATE_MULTIPART = "CREATE_MULTIPART"
    UPLOAD_PART = "UPLOAD_PART"
    LIST_PARTS = "LIST_PARTS"
    COMPLETE_MULTIPART = "COMPLETE_MULTIPART"
    ABORT_MULTIPART = "ABORT_MULTIPART"


@dataclass(frozen=True, slots=True)
class SignedStoreRequest:
    """One request that may be sent to the store, with ``headers`` exactly as given, until it expires."""

    method: str
    url: str
    key: str
    headers: tuple[tuple[str, str], ...]
    expires_at: datetime
