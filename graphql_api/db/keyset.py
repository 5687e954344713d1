"""Keyset pages: a cursor is a position in an order, not a number of rows, so nothing is skipped or shown twice
when rows come and go between two pages.

The cursor of a row that the viewer sees is plain, for it tells nothing new. Where a search stopped may be a row that
the viewer may not see: such a position is sealed.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import ColumnElement, RowMapping, Select, bindparam, tuple_

from graphql_api.db.seal import ViewerSeal
from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.page import Page, PageRequest

T = TypeVar("T")
Position = tuple[datetime | str | int, str]  # a sort key and an id
MAX_CURSOR_LENGTH: Final = 4096  # characters; a name of 255 characters fits several times
_SEALED: Final = "~"  # begins a sealed cursor; no base64 has it
_SEALED_LENGTHS: Final = {datetime: 128, int: 128, str: 1536}  # bytes, for each type of key; no position has more
SEEK_KEY: Final = "seek_key"
SEEK_ID: Final = "seek_id"


@dataclass(frozen=True)
class Ordering:
    """A total order: a sort key, ties broken by id. ``name`` stands in cursors: one of another order is refused."""

    name: str
    key: Any  # column
    id: Any  # column
    key_type: type[datetime] | type[str] | type[int]
    is_descending: bool = False


def seek(
    statement: Select[*tuple[Any, ...]], ordering: Ordering, *, is_backward: bool, has_cursor: bool
) -> Select[*tuple[Any, ...]]:
    """Order ``statement`` and start after (backward: before) the parameters that ``seek_parameters`` gives."""
    goes_down = ordering.is_descending != is_backward
    columns = (ordering.key, ordering.id)
    if has_cursor:
        here = tuple_(*columns)
        there = tuple_(bindparam(SEEK_KEY, type_=ordering.key.type), bindparam(SEEK_ID, type_=ordering.id.type))
        position: ColumnElement[bool] = here < there if goes_down else here > there
        statement = statement.where(position)
    return statement.order_by(*(column.desc() if goes_down else column.asc() for column in columns)).limit(
        bindparam("page_size")
    )


def seek_parameters(ordering: Ordering, request: PageRequest, seal: ViewerSeal | None = None) -> dict[str, object]:
    """Raises ``InvalidInput`` at ``after`` or ``before`` for a cursor that is not one of this order. ``seal`` is for
    lists whose search can stop early.
    """
    parameters: dict[str, object] = {"page_size": request.size + 1}  # one more tells whether the list goes on
    if request.cursor is not None:
        fault = InputFault("is not a cursor of this list", ("before" if request.is_backward else "after",))
        parameters[SEEK_KEY], parameters[SEEK_ID] = _decode(ordering, request.cursor, seal, fault)
    return parameters


def page_of(
    rows: list[RowMapping],
    request: PageRequest,
    ordering: Ordering,
    noun: Callable[[RowMapping], T],
    position: Callable[[T], Position],
    *,
    resume: str | None = None,
) -> Page[T]:
    """The page in list order. ``position`` gives a noun's sort key and id; ``resume`` is the ``sealed_cursor`` of where
    the search for rows was given up before there were enough.
    """
    has_more = len(rows) > request.size or resume is not None
    nodes = [noun(row) for row in rows[: request.size]]
    if request.is_backward:
        nodes.reverse()
    return Page(
        nodes=tuple(nodes),
        cursor_of=lambda node: _encode(ordering, *position(node)),
        has_next_page=request.cursor is not None if request.is_backward else has_more,
        has_previous_page=has_more if request.is_backward else request.cursor is not None,
        resume=resume,
    )


def sealed_cursor(ordering: Ordering, position: Position, seal: ViewerSeal) -> str:
    """A cursor that tells its viewer nothing, not even how long the sort key is."""
    padded = orjson.dumps([ordering.name, *position]).ljust(_SEALED_LENGTHS[ordering.key_type])
    return _SEALED + base64.urlsafe_b64encode(seal.close(ordering.name, padded)).decode()


def _encode(ordering: Ordering, key: datetime | str | int, id_: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([ordering.name, key, id_])).decode()


def _decode(ordering: Ordering, cursor: str, seal: ViewerSeal | None, fault: InputFault) -> Position:
    if len(cursor) > MAX_CURSOR_LENGTH:
        raise InvalidInput(fault)
    try:
        name, key, id_ = orjson.loads(_content(ordering, cursor, seal))
        if ordering.key_type is datetime:
            key = datetime.fromisoformat(key)
            key.astimezone(UTC)  # the first and the last hours of the calendar are no instants in every time zone
    except (binascii.Error, UnicodeError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(fault) from error
    is_sound = (
        name == ordering.name
        and type(key) is ordering.key_type
        and isinstance(id_, str)
        and not (isinstance(key, datetime) and key.tzinfo is None)
        and not (isinstance(key, int) and not 0 <= key < 2**63)
        and not any("\0" in text for text in (key, id_) if isinstance(text, str))  # PostgreSQL takes no NUL in text
    )
    if not is_sound:
        raise InvalidInput(fault)
    return key, id_


def _content(ordering: Ordering, cursor: str, seal: ViewerSeal | None) -> bytes:
    content = base64.b64decode(cursor.removeprefix(_SEALED).encode("ascii"), altchars=b"-_", validate=True)
    if not cursor.startswith(_SEALED):
        return content
    if seal is None:
        raise ValueError("nothing is sealed in this list")
    return seal.open(ordering.name, content)
