"""Whom the client tells how it goes."""

from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """How a file came to be where it belongs."""

    SENT = "sent"
    FETCHED = "fetched"
    THERE_ALREADY = "was there already"
    SKIPPED = "skipped, another file has this name"


class Progress(Protocol):
    """A bar, lines, or a test. What is announced and what moved are bytes; a try that failed moves them back."""

    def expect(self, size: int) -> None:
        """So many bytes more will come."""

    def advance(self, size: int) -> None:
        """So many of them have; fewer than none when they must be sent again."""

    def arrived(self, name: str, outcome: Outcome) -> None:
        """One file is where it belongs."""

    def failed(self, name: str, reason: str) -> None:
        """One file or folder will not be."""
