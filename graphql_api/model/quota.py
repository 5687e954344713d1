"""How much may be stored: quotas of users and folders, and the gates of folders."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from graphql_api.model.media_type import is_in

MAX_GATE_TYPES: Final = 100  # entries of one gate's list


@dataclass(frozen=True, slots=True)
class Quota:
    """What a user or a folder has used of what it may have. More can be used than ``limit`` once that was lowered."""

    used: int  # bytes of all versions of files
    reserved: int  # bytes of uploads that may yet become files
    limit: int | None  # bytes; None: as much as one likes
    max_file_size: int | None = None  # bytes; None: not limited here

    @property
    def is_exceeded(self) -> bool:
        return self.limit is not None and self.used + self.reserved > self.limit


@dataclass(frozen=True, slots=True)
class Gate:
    """What a folder, and all below it, takes; None does not limit. Of several gates above a file all hold."""

    quota: int | None = None  # bytes
    max_file_size: int | None = None  # bytes
    allowed_content_types: tuple[str, ...] | None = None  # types such as image/png, families such as image/*

    def takes_size(self, size: int) -> bool:
        return self.max_file_size is None or size <= self.max_file_size

    def takes_type(self, content_type: str) -> bool:
        allowed = self.allowed_content_types
        return allowed is None or any(is_in(content_type, kind) for kind in allowed)


OPEN: Final = Gate()
"""Takes everything: as good as none."""


def smallest_size(gates: Iterable[Gate]) -> int | None:
    """The largest file (bytes) that all of them take; None: any."""
    return min((gate.max_file_size for gate in gates if gate.max_file_size is not None), default=None)


@dataclass(frozen=True, slots=True)
class FolderGate:
    """The gate of one folder, with what is used of its quota; ``quota`` is None where there is none."""

    gate: Gate
    quota: Quota | None
