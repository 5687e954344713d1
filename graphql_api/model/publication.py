"""Published files: copies of their bytes that anybody gets at a lasting address, without a signature."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from graphql_api.model.ids import FileId


class PublicationState(StrEnum):
    """COPYING → LIVE → WITHDRAWN → REMOVED; a copy that is withdrawn before it is there skips LIVE. Never back, but
    from LIVE to COPYING if the store has lost the copy, and from REMOVED to WITHDRAWN if one came late.
    """

    COPYING = "COPYING"  # the store is to copy the bytes
    LIVE = "LIVE"  # the address opens
    WITHDRAWN = "WITHDRAWN"  # the copy is to go, and what the CDN has cached of it
    REMOVED = "REMOVED"  # both have gone; kept for a while, because logs come late


@dataclass(frozen=True, slots=True)
class Publication:
    """One copy, at ``object_key``, of the bytes that the file had at ``source_key`` when it was published.
    ``changed_at``: when it came to its state.
    """

    object_key: str
    file_id: FileId
    source_key: str
    state: PublicationState
    changed_at: datetime
