"""A bundle: one file whose bytes are many objects, such as an HLS stream or the tiles of a map.

It has the ULID of its file, so each of the two names the other, and the keys of its objects begin with it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from graphql_api.model.ids import (
    BUNDLE_PREFIX,
    BUNDLES_PREFIX,
    FILE_PREFIX,
    BundleId,
    FileId,
    FolderId,
    UserId,
    bundle_prefix,
)
from graphql_api.model.upload import OnConflict

MAX_ENTRIES: Final = 500
"""Of one bundle. All are promised in one request, of which a body may have 100,000 bytes."""

MAX_PATH_LENGTH: Final = 255  # characters

# No character that an address has to escape, none that stands for others in a policy, and no segment of dots.
_PATH: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_KEY: Final = re.compile(rf"{BUNDLES_PREFIX}([0-9a-hjkmnp-tv-z]{{26}})/(.+)", re.DOTALL)
_MARKED: Final = re.compile(rf"({BUNDLES_PREFIX}[0-9a-z]{{26}})\.[A-Za-z0-9._-]+(/.*)", re.DOTALL)


class BundleStatus(StrEnum):
    """PENDING → COMPLETED when the last entry is in; ABORTED when one of them cannot be."""

    PENDING = "PENDING"
    COMPLETED = "COMPLETED"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True)
class Bundle:
    """``missing``: entries that are not in yet. ``folder_id`` is where it goes; None once that folder is gone."""

    id: BundleId
    owner_id: UserId
    folder_id: FolderId | None
    name: str
    main_path: str  # where a player begins
    size: int  # bytes of all entries
    content_type: str  # of the main entry
    on_conflict: OnConflict
    entry_count: int
    missing: int
    status: BundleStatus
    created_at: datetime

    @property
    def main_key(self) -> str:
        return entry_key(self.id, self.main_path)


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """One object of a bundle, at ``path`` from its root."""

    path: str
    size: int  # bytes
    content_type: str


def bundle_of(file_id: FileId) -> BundleId:
    """The bundle that the file is, if it is one."""
    return BundleId(BUNDLE_PREFIX + file_id.removeprefix(FILE_PREFIX))


def entry_key(bundle_id: BundleId, path: str) -> str:
    """Where the bytes of an entry are. ``path`` has no fault."""
    return bundle_prefix(bundle_id) + path


def marked_prefix(bundle_id: BundleId, by: str | None) -> str:
    """What the addresses of a bundle's objects begin with, as a path: its keys' beginning, with what the link can be
    revoked ``by`` between the id and the slash, which the function at the edge takes out again.

    The dot before it is in no id, and no client escapes it, as some do ``~``.
    """
    prefix = "/" + bundle_prefix(bundle_id)
    return prefix if by is None else f"{prefix.removesuffix('/')}.{by}/"


def key_of_marked(path: str) -> str:
    """The key of an object, from what a viewer asked for: without what ``marked_prefix`` puts into it."""
    match = _MARKED.fullmatch(path)
    return path if match is None else match[1] + match[2]


def is_bundle_key(object_key: str) -> bool:
    """Whether the object belongs to a bundle; quick, for keys that are ours."""
    return object_key.startswith(BUNDLES_PREFIX)


def bundle_of_key(key: str) -> BundleId | None:
    """The bundle to which the object belongs, if it belongs to one."""
    match = _KEY.fullmatch(key)
    return None if match is None else BundleId(BUNDLE_PREFIX + match[1])


def may_be_entry_key(key: str) -> bool:
    """Whether ``entry_key`` may have made it."""
    match = _KEY.fullmatch(key)
    return match is not None and path_fault(match[2]) is None


def path_fault(path: str) -> str | None:
    """Why ``path`` is none that an entry can have, or None when it is one."""
    if len(path) > MAX_PATH_LENGTH:
        return f"a path has at most {MAX_PATH_LENGTH} characters"
    if _PATH.fullmatch(path) is None:
        return (
            "a path is made of segments with '/' between them; each begins with a letter, digit, '_' or '-', and has "
            "only these and '.'"
        )
    return None


def clashes(paths: Iterable[str]) -> set[str]:
    """Those that are there twice, or that are a folder of another."""
    seen: set[str] = set()
    twice: set[str] = set()
    for path in paths:
        (twice if path in seen else seen).add(path)
    folders = {path[:index] for path in seen for index, character in enumerate(path) if character == "/"}
    return twice | (seen & folders)
