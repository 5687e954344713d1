"""Custom scalars. Ranges are checked here, so that a resolver never sees a value that its type excludes."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final, NewType

import orjson
import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

Url = NewType("Url", str)
ByteSize = NewType("ByteSize", int)
Json = NewType("Json", object)

MAX_BYTE_SIZE: Final = 2**53 - 1  # the largest integer that every JSON reader keeps exact (RFC 8259, section 6)


def instant_text(value: datetime) -> str:
    """As RFC 3339 has it. Raises: AttributeError, OverflowError: it is no instant, or none that UTC has."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant_texts(values: Iterable[datetime]) -> list[str]:
    """What ``instant_text`` gives for each, in a seventh of the time. Raises: as it does."""
    there = [value if value.tzinfo is UTC else value.astimezone(UTC) for value in values]
    texts: list[str] = orjson.loads(orjson.dumps(there, option=orjson.OPT_UTC_Z))
    return texts


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise _refused("DateTime is written as text, such as 2026-01-31T12:00:00Z")
    try:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is None:
            raise _refused("DateTime needs a time zone, such as the Z in 2026-01-31T12:00:00Z")
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refused("DateTime is not a valid RFC 3339 instant") from None


def _day(value: object) -> date:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise _refused("Date is written as text, such as 2026-01-31")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise _refused("Date is not a day of the calendar") from None


def _byte_size(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
        value = int(value)
    if isinstance(value, float) and value.is_integer():  # some JSON writers know only floating point
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_BYTE_SIZE:
        raise _refused(f"ByteSize is an integer from 0 to {MAX_BYTE_SIZE}")
    return value


def _url(value: object) -> str:
    raise _refused("URL is an output type")


def _json(value: object) -> object:
    raise _refused("JSON is an output type")


def _refused(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "BAD_USER_INPUT"})


SCALARS: Final[dict[object, ScalarDefinition]] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="An exact instant, RFC 3339 with a time zone; always UTC (`Z`) in output.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
        serialize=instant_text,
        parse_value=_instant,
    ),
    date: strawberry.scalar(
        name="Date",
        description="A day of the calendar, such as 2026-01-31; RFC 3339, full-date.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
        serialize=date.isoformat,
        parse_value=_day,
    ),
    Url: strawberry.scalar(
        name="URL",
        description="An absolute URL (RFC 3986). Use signed URLs as they are: re-encoding breaks the signature.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3986",
        serialize=str,
        parse_value=_url,
    ),
    ByteSize: strawberry.scalar(
        name="ByteSize",
        description="A number of bytes from 0 to 2^53-1. A JSON number in output; a number or digits in input.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc8259#section-6",
        serialize=int,
        parse_value=_byte_size,
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        serialize=lambda value: value,
        parse_value=_json,
    ),
}
