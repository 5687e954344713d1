"""Uploads in parts: how many there are and how large, what is promised of one, and what the store holds of them.

Source: Amazon S3 user guide, "Amazon S3 multipart upload limits".
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

MIB: Final = 1024**2
MAX_PARTS: Final = 10_000
MIN_PART_SIZE: Final = 5 * MIB  # bytes; the last part may be smaller
MAX_PART_SIZE: Final = 5 * 1024**3  # bytes
MAX_PUT_SIZE: Final = 5 * 1024**3  # bytes; the largest object that one PUT or POST can make
MAX_OBJECT_SIZE: Final = MAX_PARTS * MAX_PART_SIZE  # bytes; 48.8 TiB


def part_size_for(size: int, *, preferred: int) -> int:
    """Bytes in every part but the last of an object of ``size``: ``preferred``, or as many whole MiB as it takes to
    stay within ``MAX_PARTS``.
    """
    least = -(-size // MAX_PARTS)
    return max(preferred, MIN_PART_SIZE, -(-least // MIB) * MIB)


@dataclass(frozen=True, slots=True)
class PartPlan:
    """An object of ``size`` bytes, in parts of ``part_size`` but for the last. ``size`` is at least 1."""

    size: int  # bytes
    part_size: int  # bytes

    @property
    def count(self) -> int:
        """The number of parts, which are numbered from 1."""
        return -(-self.size // self.part_size)

    def length_of(self, number: int) -> int:
        """Bytes in the part of this number, from 1 to ``count``."""
        return min(self.part_size, self.size - (number - 1) * self.part_size)


@dataclass(frozen=True, slots=True)
class StoreUpload:
    """A multipart upload at the store: ``id`` is the store's, good together with its key only."""

    key: str
    id: str


@dataclass(frozen=True, slots=True)
class Remains:
    """What an upload or a file that is over leaves at the store: an object, and parts that were not joined."""

    key: str
    store_upload_id: str | None = None

    @property
    def store_upload(self) -> StoreUpload | None:
        return None if self.store_upload_id is None else StoreUpload(self.key, self.store_upload_id)


@dataclass(frozen=True, slots=True)
class OpenStoreUpload:
    """One that is neither completed nor aborted, as the store lists it."""

    upload: StoreUpload
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class PromisedPart:
    """What a part's target binds: its length and, if given, its checksum."""

    number: int
    size: int  # bytes
    crc64nvme: str | None = None  # hex


@dataclass(frozen=True, slots=True)
class PartTarget:
    """PUT the bytes of the part to ``url`` with ``headers`` exactly as given; may be done again until it expires."""

    number: int
    url: str
    headers: tuple[tuple[str, str], ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PartsTarget:
    """Send the parts that ``plan`` says in any order and number of connections; ``first`` are targets of the first."""

    upload: StoreUpload
    plan: PartPlan
    first: tuple[PartTarget, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that the store holds; ``crc64nvme`` (hex) where the store tells it."""

    number: int
    size: int  # bytes
    etag: str  # as the store spells it, without quotes
    crc64nvme: str | None = None


class JoinOutcome(StrEnum):
    """What became of the wish to make one object of the parts."""

    JOINED = "JOINED"
    ALREADY_THERE = "ALREADY_THERE"  # an object has this key
    NO_SUCH_UPLOAD = "NO_SUCH_UPLOAD"  # it was joined or aborted before
    MISMATCH = "MISMATCH"  # the parts are not what was said of them; the store upload is still open
