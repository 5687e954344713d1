"""What the CDN delivered: single requests as its logs tell of them, and their sums by day or month.

A **download** is an answer that begins at the first byte of a file, whether or not the viewer takes all of it: one
that is broken off and resumed is one download, and so is a film that a player fetches in a thousand ranges. Of a
bundle only its main entry begins one: with it a player begins, and the others follow. **Bytes** are all that the edge
sent for a file, every entry of a bundle, headers, errors and broken-off answers included. Days and months are UTC's.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from graphql_api.model.file import File

MAX_DOWNLOADS: Final = 2**31 - 1  # where sums stop: GraphQL's Int goes so far
MAX_BYTES: Final = 2**53 - 1  # where sums stop: every reader of JSON keeps these exact (RFC 8259, section 6)

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 366  # of one question


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A viewer's request, as a log tells it. ``key``: of the object that was asked for, or whatever text was there."""

    day: date  # on which the answer ended
    key: str
    size: int  # bytes sent
    begins_download: bool  # if it is no entry of a bundle but the main one


class TrafficInterval(StrEnum):
    """How wide a bucket is."""

    DAY = "DAY"
    MONTH = "MONTH"


@dataclass(frozen=True, slots=True)
class TrafficSpan:
    """Which days are asked for, and in which buckets. ``until``: the first day after them."""

    since: date
    until: date
    interval: TrafficInterval = TrafficInterval.DAY


@dataclass(frozen=True, slots=True)
class TrafficBucket:
    """What was delivered in the day or month that begins on ``starts_on``, as far as it is in the span."""

    starts_on: date
    downloads: int
    delivered_bytes: int


class TrafficOrder(StrEnum):
    """What the busiest files have most of."""

    DOWNLOADS = "DOWNLOADS"
    DELIVERED_BYTES = "DELIVERED_BYTES"


@dataclass(frozen=True, slots=True)
class BusyFile:
    """A file and what was delivered of it in all the days that were asked for."""

    file: File
    downloads: int
    delivered_bytes: int
