"""What the store, or who watches it, tells of an object. Told at least once, and in any order."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ObjectArrived:
    """An object was stored, by a PUT, a POST or the joining of parts.

    ``sequencer``: of two events about one key the later has the greater text, once both are padded to one length with
    zeros on the right; None where the store tells none. Source: Amazon S3 user guide, "Event message structure".
    """

    key: str
    size: int  # bytes
    etag: str  # without quotes
    sequencer: str | None = None


class ScanResult(StrEnum):
    """What a malware scan of an object came to.

    Source: Amazon GuardDuty user guide, "Monitoring S3 object scans in Malware Protection for S3".
    """

    NO_THREATS_FOUND = "NO_THREATS_FOUND"
    THREATS_FOUND = "THREATS_FOUND"
    UNSUPPORTED = "UNSUPPORTED"  # not scanned: too large, encrypted by its owner, nested too deep
    ACCESS_DENIED = "ACCESS_DENIED"  # not scanned: the scanner may not read it
    FAILED = "FAILED"  # not scanned: the scanner's own failure


@dataclass(frozen=True, slots=True)
class ScanVerdict:
    """``threats``: the names that the scanner gives to what it found. ``etag`` says of which bytes at ``key``."""

    key: str
    etag: str
    result: ScanResult
    threats: tuple[str, ...] = ()


StoreEvent = ObjectArrived | ScanVerdict
