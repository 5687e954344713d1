"""What a store promises to take, what it holds, and the request that brings one to the other."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PromisedObject:
    """What a target binds: only these bytes can be sent to it, once."""

    key: str
    size: int  # bytes
    content_type: str
    sha256: str | None  # hex


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the store says it holds. ``sha256`` (hex) is None when the store keeps none for this object.

    ``content_encoding`` is what viewers would undo before they see the bytes; a target asks for none.
    """

    key: str
    size: int  # bytes
    content_type: str
    sha256: str | None
    etag: str
    content_encoding: str | None = None


@dataclass(frozen=True, slots=True)
class PutUploadTarget:
    """Send all bytes in one PUT to ``url`` with ``headers`` exactly as given; they are signed."""

    url: str
    headers: tuple[tuple[str, str], ...]
    expires_at: datetime
