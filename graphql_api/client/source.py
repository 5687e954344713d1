"""A local file that is read in pieces while it is sent, and that must stay as it is meanwhile."""

import hashlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio.to_thread
from awscrt import checksums

from graphql_api.client.errors import FileChanged, TransferFailed

CHUNK: Final = 256 * 1024  # bytes read at a time; what one request holds in memory


class Source:
    """An open file. Several readers may read at once, each at its own place."""

    def __init__(self, path: Path) -> None:
        """Raises: TransferFailed: it cannot be read, or is no regular file."""
        self.path = path
        try:
            # A named pipe without a writer would make us wait for ever, were it not for O_NONBLOCK.
            self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise TransferFailed(error.strerror or "cannot be read") from None
        found = os.fstat(self._file)
        self.size = found.st_size  # bytes
        self._modified = found.st_mtime_ns
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise TransferFailed("is not a regular file")

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def require_unchanged(self) -> None:
        """Raises: FileChanged: its length or the time of its last change is another than at the beginning."""
        found = os.fstat(self._file)
        if (found.st_size, found.st_mtime_ns) != (self.size, self._modified):
            raise FileChanged("changed while it was read")

    async def read(self, start: int, length: int) -> AsyncIterator[bytes]:
        """Exactly ``length`` bytes from ``start`` on, a chunk at a time.

        Raises: FileChanged: it has become shorter. TransferFailed: the disk does not give them.
        """
        end = start + length
        while start < end:
            try:
                chunk = await anyio.to_thread.run_sync(os.pread, self._file, min(CHUNK, end - start), start)
            except OSError as error:
                raise TransferFailed(error.strerror or "cannot be read") from None
            if not chunk:
                raise FileChanged("became shorter while it was read")
            start += len(chunk)
            yield chunk

    async def sha256(self) -> str:
        """Of the whole, in hex."""
        digest = hashlib.sha256()
        async for chunk in self.read(0, self.size):
            await anyio.to_thread.run_sync(digest.update, chunk)
        return digest.hexdigest()

    async def crc64nvme(self, start: int = 0, length: int | None = None) -> int:
        """CRC-64/NVME of these bytes; of the whole if not told."""
        crc = 0
        async for chunk in self.read(start, self.size if length is None else length):
            crc = checksums.crc64nvme(chunk, crc)
        return crc

    async def md5(self, start: int, length: int) -> str:
        """In hex; what a store's entity tag of a part is, where it keeps no checksum and does not encrypt with KMS."""
        digest = hashlib.md5(usedforsecurity=False)
        async for chunk in self.read(start, length):
            await anyio.to_thread.run_sync(digest.update, chunk)
        return digest.hexdigest()


def crc64nvme_hex(crc: int) -> str:
    """As the API spells it: 16 digits."""
    return f"{crc:016x}"
