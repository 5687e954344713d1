"""What a caller may ask of a list of files."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from graphql_api.model.ids import FolderId


class OrderDirection(StrEnum):
    """Smallest or largest first."""

    ASC = "ASC"
    DESC = "DESC"


class FileOrderField(StrEnum):
    """What files can be ordered by; ties are broken by id."""

    CREATED_AT = "CREATED_AT"
    NAME = "NAME"
    SIZE = "SIZE"


@dataclass(frozen=True, slots=True)
class FileOrder:
    """By what and which way."""

    field: FileOrderField = FileOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


@dataclass(frozen=True, slots=True)
class FileFilter:
    """All given conditions must hold. ``content_types`` are types (``image/png``) or families (``image/*``).

    ``labels``, of which a file must have all, are normalised. ``name_prefix`` is a beginning of a name's key, and each
    of ``words`` of a word of the name, as ``names.name_key`` and ``names.name_words`` have them.
    """

    folder_id: FolderId | None = None
    is_recursive: bool = False
    content_types: tuple[str, ...] = ()
    min_size: int | None = None  # bytes
    max_size: int | None = None  # bytes
    created_since: datetime | None = None
    created_before: datetime | None = None
    labels: tuple[str, ...] = ()
    name_prefix: str | None = None
    words: tuple[str, ...] = ()
