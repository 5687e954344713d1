"""Signals: what a committed change tells those who watch, in this process and in others.

A signal holds ids and kinds, nothing that people wrote. Whoever is told reads what is true then, with their own rights.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FileId, FolderId, UploadId, UserId
from graphql_api.model.upload import Upload, UploadStatus


class FolderChange(StrEnum):
    """What happened in a folder. REFRESH stands for everything that was not told one by one."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    MOVED_IN = "MOVED_IN"
    MOVED_OUT = "MOVED_OUT"
    DELETED = "DELETED"
    REFRESH = "REFRESH"


@dataclass(frozen=True, slots=True)
class UploadChanged:
    """An upload has another status than before."""

    upload_id: UploadId

    @property
    def topic(self) -> str:
        return self.upload_id

    @property
    def subject(self) -> str:
        return self.upload_id


@dataclass(frozen=True, slots=True)
class Departed:
    """By what a file or folder that is no longer there could be named in rules, besides the folders above and itself.

    ``labels``: as ``label_tag`` writes them. ``allowed_to`` and ``denied_to``: subjects of rules about the very thing,
    which went with it. Denials count whatever their conditions, allowances only without any: who could not see the
    thing does not learn that it went.
    """

    owner_id: UserId | None
    labels: frozenset[str] = frozenset()
    allowed_to: frozenset[str] = frozenset()
    denied_to: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EntryChanged:
    """Something happened to a file or folder directly in the folder. ``departed``: with MOVED_OUT and DELETED only."""

    change: FolderChange
    folder_id: FolderId
    entry_id: FileId | FolderId
    departed: Departed | None = None

    @property
    def topic(self) -> str:
        return self.folder_id

    @property
    def subject(self) -> str:
        return self.entry_id


@dataclass(frozen=True, slots=True)
class FolderGone:
    """The folder was deleted with all that was in it."""

    folder_id: FolderId

    @property
    def topic(self) -> str:
        return self.folder_id

    @property
    def subject(self) -> str:
        return self.folder_id


KEYS_TOPIC: Final = "signing_keys"


@dataclass(frozen=True, slots=True)
class KeysChanged:
    """The keyring is another."""

    @property
    def topic(self) -> str:
        return KEYS_TOPIC

    @property
    def subject(self) -> str:
        return KEYS_TOPIC


Signal = UploadChanged | EntryChanged | FolderGone | KeysChanged
"""``topic``: what one watches to be told. ``subject``: of several signals about one, the last is enough."""


def label_tag(scope: str) -> str:
    """A label's scope without its text, to be compared with the labels that rules name."""
    return hashlib.blake2b(scope.encode(), digest_size=9).hexdigest()


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """What a watcher of an upload is told. ``previous_status``: what they were told before; None at first."""

    upload: Upload
    previous_status: UploadStatus | None


@dataclass(frozen=True, slots=True)
class FolderEvent:
    """What a watcher of a folder is told. ``entry``: as it is now, None when they may not see it or it is gone.
    ``entry_id``: None for REFRESH only.
    """

    change: FolderChange
    entry_id: FileId | FolderId | None = None
    entry: File | Folder | None = None


REFRESH = FolderEvent(FolderChange.REFRESH)
