"""What a caller may ask of a list, as conditions on rows."""

import sys
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, or_, select
from sqlalchemy.orm import aliased

from graphql_api.db.tables import FileRow, FileWordRow
from graphql_api.model.listing import FileFilter, FileOrderField

_LAST_CHARACTER: Final = chr(sys.maxunicode)
_SURROGATES: Final = range(0xD800, 0xE000)  # are no characters


@dataclass(frozen=True)
class FilterShape:
    """All of a filter that changes a statement's text but its folder and labels; values come as parameters."""

    families: int = 0  # of content types, such as image/*
    types: int = 0
    words: int = 0
    has_min_size: bool = False
    has_max_size: bool = False
    has_since: bool = False
    has_before: bool = False
    has_prefix: bool = False

    def is_bounds_of(self, field: FileOrderField) -> bool:
        """Whether there are no conditions but those that ``bounds`` gives."""
        of_size, of_name = self.has_min_size or self.has_max_size, self.has_prefix
        of_creation = self.has_since or self.has_before
        others = {
            FileOrderField.CREATED_AT: of_size or of_name,
            FileOrderField.NAME: of_size or of_creation,
            FileOrderField.SIZE: of_creation or of_name,
        }
        return not (self.families or self.types or self.words or others[field])


def filter_shape(wanted: FileFilter) -> FilterShape:
    families = sum(kind.endswith("/*") for kind in wanted.content_types)
    return FilterShape(
        families=families,
        types=len(wanted.content_types) - families,
        words=len(wanted.words),
        has_min_size=wanted.min_size is not None,
        has_max_size=wanted.max_size is not None,
        has_since=wanted.created_since is not None,
        has_before=wanted.created_before is not None,
        has_prefix=bool(wanted.name_prefix),
    )


def filter_parameters(wanted: FileFilter) -> dict[str, object]:
    parameters: dict[str, object] = {
        "min_size": wanted.min_size,
        "max_size": wanted.max_size,
        "since": wanted.created_since,
        "before": wanted.created_before,
    }
    families = [kind.removesuffix("*") for kind in wanted.content_types if kind.endswith("/*")]
    for index, family in enumerate(families):
        parameters |= {f"family_{index}": family, f"family_end_{index}": end_of(family)}
    types = [kind for kind in wanted.content_types if not kind.endswith("/*")]
    for index, kind in enumerate(types):
        parameters |= {f"type_{index}": kind, f"type_with_{index}": kind + ";", f"type_end_{index}": kind + "<"}
    for index, word in enumerate(wanted.words):
        parameters |= {f"word_{index}": word, f"word_end_{index}": end_of(word)}
    if wanted.name_prefix:
        parameters |= {"prefix": wanted.name_prefix, "prefix_end": end_of(wanted.name_prefix)}
    return parameters


def end_of(prefix: str) -> str:
    """The first text, by code points, after all that begin with ``prefix``, which is not empty."""
    stem = prefix.rstrip(_LAST_CHARACTER)
    if not stem:
        return prefix + _LAST_CHARACTER * 256  # longer than any name
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def bounds(shape: FilterShape, field: FileOrderField, key: Any) -> list[ColumnElement[bool]]:
    """The conditions on the order's key: where in the order to begin and end. ``key``: the column that has it."""
    match field:
        case FileOrderField.CREATED_AT:
            low = shape.has_since and key >= _value("since", key)
            high = shape.has_before and key < _value("before", key)
        case FileOrderField.NAME:
            low = shape.has_prefix and key >= _value("prefix", key)
            high = shape.has_prefix and key < _value("prefix_end", key)
        case FileOrderField.SIZE:
            low = shape.has_min_size and key >= _value("min_size", key)
            high = shape.has_max_size and key <= _value("max_size", key)
    return [condition for condition in (low, high) if condition is not False]


def conditions(shape: FilterShape) -> list[ColumnElement[bool]]:
    """All conditions, on ``FileRow``."""
    found = [
        *bounds(shape, FileOrderField.CREATED_AT, FileRow.created_at),
        *bounds(shape, FileOrderField.NAME, FileRow.name_key),
        *bounds(shape, FileOrderField.SIZE, FileRow.size),
        *(_has_word(index) for index in range(shape.words)),
    ]
    kind = FileRow.content_type
    kinds: list[ColumnElement[bool]] = [
        (kind >= bindparam(f"family_{index}")) & (kind < bindparam(f"family_end_{index}"))
        for index in range(shape.families)
    ]
    kinds += [
        (kind == bindparam(f"type_{index}"))
        | (  # the type with parameters, such as text/plain; charset=utf-8
            (kind >= bindparam(f"type_with_{index}")) & (kind < bindparam(f"type_end_{index}"))
        )
        for index in range(shape.types)
    ]
    return [*found, or_(*kinds)] if kinds else found


def _has_word(index: int) -> ColumnElement[bool]:
    word = aliased(FileWordRow)
    return (
        select(word.file_id)
        .where(
            word.file_id == FileRow.id,
            word.word >= bindparam(f"word_{index}"),
            word.word < bindparam(f"word_end_{index}"),
        )
        .exists()
    )


def _value(name: str, column: Any) -> Any:
    return bindparam(name, type_=column.type)
