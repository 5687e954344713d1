"""The CDN, as we ask it ourselves, behind one protocol."""

from dataclasses import dataclass
from typing import Protocol


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
