"""A directory of this machine, listed and read as if it were a bucket: a file's key is its path below, with slashes."""

import logging
import os
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from graphql_api.errors import ConfigurationError, NotFound, UnreadableLog
from graphql_api.model.stored_object import ListedObject

READ_PIECE: Final = 256 * 1024  # bytes

log = logging.getLogger(__name__)


class Directory:
    """An ``ObjectReader`` of logs. What is no plain file is not there.

    Where the operating system refuses the directory itself, listing raises ``ConfigurationError``. What it refuses
    below is passed over, and the log tells of it; a file that is listed and cannot be read raises ``UnreadableLog``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._walk: Iterator[ListedObject] = iter(())
        self._place: str | None = None  # key of the last that was taken from the walk

    async def list_objects(self, prefix: str, *, after: str | None, limit: int) -> Sequence[ListedObject]:
        """See ``ObjectReader``. Page after page is one walk through the directory."""
        try:
            return await anyio.to_thread.run_sync(self._page, prefix, after, limit)
        except OSError as error:
            raise ConfigurationError(f"{error.filename}: cannot be read: {error.strerror}") from None

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """See ``ObjectReader``."""
        try:
            async with await anyio.open_file(self._root / key, "rb") as file:
                while piece := await file.read(READ_PIECE):
                    yield piece
        except FileNotFoundError:
            raise NotFound("The bytes are not there.") from None
        except OSError as error:
            raise UnreadableLog(f"it cannot be read: {error.strerror}") from None

    def _page(self, prefix: str, after: str | None, limit: int) -> Sequence[ListedObject]:
        if after is None or after != self._place:
            self._walk = (entry for entry in _walk(self._root, "") if after is None or entry.key > after)
        found: list[ListedObject] = []
        while len(found) < limit and (entry := next(self._walk, None)) is not None:
            if entry.key.startswith(prefix):
                found.append(entry)
        self._place = found[-1].key if found else None
        return found


def _walk(directory: Path, path: str) -> Iterator[ListedObject]:
    """All files below ``directory``, whose own key would be ``path``, in order of key."""
    with os.scandir(directory) as scanned:
        # A directory stands where the keys below it do, which go on with a slash.
        entries = {entry.name + ("/" if entry.is_dir(follow_symlinks=False) else ""): entry for entry in scanned}
    for name in sorted(entries):
        entry = entries[name]
        try:
            if name.endswith("/"):
                below: Iterator[ListedObject] = _walk(directory / entry.name, path + name)
            elif entry.is_file():
                status = entry.stat()
                modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
                below = iter([ListedObject(path + name, status.st_size, modified_at)])
            else:
                continue
            yield from below
        except FileNotFoundError:  # it has gone meanwhile
            continue
        except OSError as error:
            log.warning("directory_passed_over path=%r reason=%r", path + name, error.strerror)
