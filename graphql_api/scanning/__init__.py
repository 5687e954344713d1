"""Whether an object's bytes are harmless, behind one protocol. Vendors stand in this package's modules.

A scanner that looks at the bucket by itself and reports by event, such as GuardDuty, needs no module here.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from graphql_api.model.scan import ScanVerdict


class Scanner(Protocol):
    """Raises ``Unavailable("scanner")`` when it does not answer, or gives an answer that is no verdict."""

    async def scan(self, content: AsyncIterator[bytes]) -> ScanVerdict:
        """The verdict on all that ``content`` yields; what that raises is passed on. It may be left half read."""

    async def check(self) -> None:
        """Return when the scanner answers."""
