"""The thing users see, and the folder that holds it."""

from dataclasses import dataclass
from datetime import datetime

from graphql_api.model.ids import FileId, FolderId, UserId
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
    terms: ReadTerms | None = None  # on which the one it was found for may download it; None: not at all


@dataclass(frozen=True, slots=True)
class Folder:
    """A node of the one tree. ``parent_id`` and ``owner_id`` are None for the root only."""

    id: FolderId
    parent_id: FolderId | None
    owner_id: UserId | None
    name: str
    created_at: datetime
    updated_at: datetime
