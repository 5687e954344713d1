"""One page of a keyset-ordered list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_PAGE_SIZE: Final = 100
DEFAULT_PAGE_SIZE: Final = 20
MAX_COUNTED: Final = 10_000  # a total is counted up to here; an exact count of a million rows costs a second


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most ``size`` items after (backward: before) an opaque ``cursor``."""

    size: int = DEFAULT_PAGE_SIZE
    cursor: str | None = None
    is_backward: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``nodes`` in list order; ``cursor_of`` gives the opaque position of one of them.

    ``resume``: the cursor to go on from when the search for nodes stopped early. Such a page may have few nodes or none
    and yet be followed (backward: preceded) by others; None: go on from its last (backward: first) node.
    """

    nodes: tuple[T, ...]
    cursor_of: Callable[[T], str]
    has_next_page: bool
    has_previous_page: bool
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are, counted up to ``MAX_COUNTED``."""

    number: int
    is_exact: bool
