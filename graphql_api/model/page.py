"""One page of a keyset-ordered list."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most ``size`` items after or before an opaque ``cursor``; ``is_backward`` asks for those that precede it."""

    size: int
    cursor: str | None = None
    is_backward: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``nodes`` in list order with their ``cursors``; both tuples have the same length."""

    nodes: tuple[T, ...]
    cursors: tuple[str, ...]
    has_next_page: bool
    has_previous_page: bool
