"""The CDN from outside, behind protocols: what it answers to a viewer, and how it writes its logs. Vendors stand in
modules.
"""

from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class EdgeAnswer:
    """``code`` and ``message``: what an answer that is no file says in the CDN's or the store's words; else empty."""

    status: int
    code: str = ""
    message: str = ""

    @property
    def is_let_through(self) -> bool:
        """Whether a viewer has got the file, or would have."""
        return self.status in (200, 206)


class Edge(Protocol):
    """The CDN as a viewer meets it."""

    async def open(self, url: str) -> EdgeAnswer:
        """What it answers to whoever asks for the first byte at ``url``. Raises: Unavailable("edge")."""
