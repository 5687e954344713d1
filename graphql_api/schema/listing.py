"""Inputs of a list of files."""

from datetime import datetime

import strawberry

from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.labels import MAX_LABELS
from graphql_api.model.listing import FileFilter, FileOrder, FileOrderField, OrderDirection
from graphql_api.model.names import name_key, name_words
from graphql_api.schema import ids
from graphql_api.schema.inputs import ABSENT, given, sound_label
from graphql_api.schema.scalars import ByteSize


@strawberry.input(name="FileOrder", description="Order of files.")
class FileOrderInput:
    field: FileOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(description="Which way.")

    def noun(self) -> FileOrder:
        return FileOrder(self.field, self.direction)


@strawberry.input(name="FileFilter", description="All given conditions must hold.")
class FileFilterInput:
    folder_id: strawberry.ID | None = strawberry.field(description="In this folder.", default=ABSENT)
    is_recursive: bool = strawberry.field(description="In folders below as well.", default=False)
    labels: list[str] | None = strawberry.field(description="With all of these labels.", default=ABSENT)
    name_prefix: str | None = strawberry.field(
        description="With a name that begins so; case does not matter.", default=ABSENT
    )
    content_types: list[str] | None = strawberry.field(
        description="One of these types; a trailing * is a wildcard, as in image/*.", default=ABSENT
    )
    min_size: ByteSize | None = strawberry.field(description="At least.", default=ABSENT)
    max_size: ByteSize | None = strawberry.field(description="At most.", default=ABSENT)
    created_since: datetime | None = strawberry.field(description="From, inclusive.", default=ABSENT)
    created_before: datetime | None = strawberry.field(description="Until, exclusive.", default=ABSENT)

    def noun(self) -> FileFilter:
        folder_id, labels = given(self.folder_id), given(self.labels) or []
        if len(labels) > MAX_LABELS:
            raise InvalidInput(InputFault(f"a file has at most {MAX_LABELS} labels", ("filter", "labels")))
        return FileFilter(
            folder_id=None if folder_id is None else ids.folder_id(folder_id),
            is_recursive=self.is_recursive,
            labels=tuple(sound_label(label, "filter", "labels") for label in labels),
            name_prefix=name_key(given(self.name_prefix) or "") or None,
            content_types=tuple(kind.lower() for kind in given(self.content_types) or ()),
            min_size=given(self.min_size),
            max_size=given(self.max_size),
            created_since=given(self.created_since),
            created_before=given(self.created_before),
        )


def search_words(search: str | None) -> tuple[str, ...]:
    """What to search for; nothing for an empty field. Raises: InvalidInput."""
    words = name_words(search or "")
    if not words and search and not search.isspace():
        raise InvalidInput(InputFault("needs a letter or a digit", ("search",)))
    return words
