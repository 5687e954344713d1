"""The CDN from outside, behind protocols: what it answers to a viewer, how it writes its logs, how it drops what it has
cached, and the store from which its function reads what is revoked. Vendors stand in modules.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from graphql_api.model.revocation import Mark
from graphql_api.model.traffic import LoggedRequest

MAX_CHANGES: Final = 50
"""Of one request. Source: CloudFront developer guide, "Quotas on key value stores"."""


class LogReader(Protocol):
    """Reads one log file, piece by piece as it lies in the store. Its memory is a line.

    Both methods raise ``UnreadableLog``; what was read before is then worth nothing. They are lazy: take everything.
    """

    @property
    def malformed(self) -> int:
        """Lines so far that make no sense; they are left out."""

    @property
    def tells_its_end(self) -> bool:
        """Whether a file of this form that was cut off is always told from a whole one; plain text is not, between two
        lines.
        """

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


class RevocationStore(Protocol):
    """Numbers by mark, as the edge's function sees them a few seconds later.

    Both methods raise ``Unavailable("edge")`` when it does not answer, or refuses for any other reason.
    """

    async def version(self) -> str:
        """Which state it is in; opaque."""

    async def change(self, version: str, *, put: Mapping[Mark, int], remove: Collection[Mark] = ()) -> str | None:
        """All at once or nothing; at most ``MAX_CHANGES``. The version after it; None, and nothing is done, when it is
        in another state than ``version``: somebody else has changed it.
        """


class EdgeCache(Protocol):
    """What the CDN keeps of what it has fetched."""

    async def invalidate(self, path: str, *, reference: str) -> None:
        """Have it drop what it keeps at ``path`` (begins with ``/``, ASCII, no wildcard), which takes it some minutes.

        The same ``reference`` means the same invalidation. Raises: Unavailable("edge"): it does not answer, or refuses,
        such as while too many are under way.
        """
