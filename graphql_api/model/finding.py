"""What does not agree: the store with the database, or the database with itself."""

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """What is wrong with a thing."""

    ORPHAN = "ORPHAN"  # bytes that no row has a use for, and that nobody removes
    REFUSED = "REFUSED"  # the same, and the store refuses to remove them, such as locked ones
    FOREIGN = "FOREIGN"  # bytes under a key that this product does not make
    BROKEN = "BROKEN"  # a row without bytes
    LOST = "LOST"  # a published address without its copy
    ALTERED = "ALTERED"  # a row with other bytes than were uploaded
    WITHHELD = "WITHHELD"  # a row whose bytes nobody is given because they were others, and they are right
    STRAY = "STRAY"  # an upload in parts, open at the store, that no row names
    MISCOUNTED = "MISCOUNTED"  # a counter that is not the sum of what it counts


REMOVED: frozenset[FindingKind] = frozenset({FindingKind.ORPHAN, FindingKind.STRAY})
"""What is put right by removing something from the store, which nobody can bring back."""


class Remedy(StrEnum):
    """How far a thing was put right."""

    DONE = "DONE"
    SCHEDULED = "SCHEDULED"  # the store could not be asked for it now: upkeep will


@dataclass(frozen=True, slots=True)
class Finding:
    """``subject``: an object's key, or what else the kind is about. ``detail``: for people; no user's text in it."""

    kind: FindingKind
    subject: str
    detail: str
    store_upload_id: str | None = None  # of a stray
