"""What a scanner says about an object's bytes, and who is asked."""

from dataclasses import dataclass
from enum import StrEnum


class ScanResult(StrEnum):
    """UNSCANNABLE: the scanner answers, and says that it did not look at all of it, such as for its size."""

    CLEAN = "CLEAN"
    INFECTED = "INFECTED"
    UNSCANNABLE = "UNSCANNABLE"


class Judge(StrEnum):
    """Who must call an upload's bytes clean before they become a file.

    SCANNER: one that we ask, by a job. EVENTS: one that looks at the bucket by itself and tells by event.
    """

    NOBODY = "NOBODY"
    SCANNER = "SCANNER"
    EVENTS = "EVENTS"


@dataclass(frozen=True, slots=True)
class ScanVerdict:
    """``threat``: the scanner's name for what it found, printable ASCII; None unless INFECTED."""

    result: ScanResult
    threat: str | None = None
