"""What a scanner says about an object's bytes."""

from dataclasses import dataclass
from enum import StrEnum


class ScanResult(StrEnum):
    """UNSCANNABLE: the scanner answers, and says that it did not look at all of it, such as for its size."""

    CLEAN = "CLEAN"
    INFECTED = "INFECTED"
    UNSCANNABLE = "UNSCANNABLE"


@dataclass(frozen=True, slots=True)
class ScanVerdict:
    """``threat``: the scanner's name for what it found, printable ASCII; None unless INFECTED."""

    result: ScanResult
    threat: str | None = None
