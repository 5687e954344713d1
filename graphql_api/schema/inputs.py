"""Reading arguments: absent is not null, and what is malformed is refused before it reaches a service."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import strawberry

from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.labels import normalized_label
from graphql_api.model.page import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PageRequest

T = TypeVar("T")

ABSENT: Any = strawberry.UNSET
"""Default of an optional input. Its type is Any because strawberry types the marker apart from the value."""

INPUT = strawberry.argument(description="Arguments.")


def given(value: T | None) -> T | None:
    """The value, or None when it is absent or null."""
    return None if value is strawberry.UNSET else value


@contextmanager
def below(*prefix: str) -> Iterator[None]:
    """Says of faults found within that their place is below ``prefix``."""
    try:
        yield
    except InvalidInput as error:
        faults = (InputFault(fault.message, (*prefix, *fault.path)) for fault in error.faults)
        raise InvalidInput(*faults) from None


def true(value: bool | None, meaning: T, *path: str) -> T:
    """``meaning`` of a flag that can only be set. Raises: InvalidInput at ``path``."""
    if value is not True:
        raise InvalidInput(InputFault("must be true", path))
    return meaning


def sound_label(label: str, *path: str) -> str:
    """The label as it is kept. Raises: InvalidInput at ``path``."""
    normalized = normalized_label(label)
    if normalized is None:
        raise InvalidInput(InputFault("is not a label", path))
    return normalized


def page_request(first: int | None, after: str | None, last: int | None, before: str | None) -> PageRequest:
    """Forward (``first``, ``after``) or backward (``last``, ``before``); raises InvalidInput for a mixture.

    Source: GraphQL Cursor Connections Specification, section "Arguments".
    """
    first, after, last, before = given(first), given(after), given(last), given(before)
    if (first is not None or after is not None) and (last is not None or before is not None):
        raise InvalidInput(InputFault("page forward (first, after) or backward (last, before), not both", ("first",)))
    is_backward = last is not None or before is not None
    size, name = (last, "last") if is_backward else (first, "first")
    if size is None:
        size = DEFAULT_PAGE_SIZE
    if not 1 <= size <= MAX_PAGE_SIZE:
        raise InvalidInput(InputFault(f"{name} must be from 1 to {MAX_PAGE_SIZE}", (name,)))
    return PageRequest(size, before if is_backward else after, is_backward)
