"""What is known of the CDN from outside, behind protocols: how it writes its logs. Vendors stand in modules."""

from collections.abc import Iterator
from datetime import date
from typing import Protocol

from graphql_api.model.traffic import LoggedRequest


class LogReader(Protocol):
    """Reads one log file, piece by piece as it lies in the store. Its memory is a line.

    Both methods raise ``UnreadableLog``; what was read before is then worth nothing. They are lazy: take everything.
    """

    @property
    def malformed(self) -> int:
        """Lines so far that make no sense; they are left out."""

    def feed(self, piece: bytes) -> Iterator[LoggedRequest]:
        """The requests that are complete with this piece."""

    def finish(self) -> Iterator[LoggedRequest]:
        """The last ones. Raises ``UnreadableLog`` also if something is missing at the end."""


class LogFormat(Protocol):
    """How a CDN names and writes its logs."""

    def name_of(self, key: str) -> str | None:
        """By which the log file at this key or path is known for good, wherever it lies; None: it is no log."""

    def reader(self, *, latest: date) -> LogReader:
        """For one file. A line of a day after ``latest`` (UTC) makes no sense."""
