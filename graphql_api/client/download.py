"""One file: into a ``.part`` file beside its place, from where an earlier try ended; checked; then put in its place."""

import errno
import fcntl
import hashlib
import os
import re
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import httpx

from graphql_api.client.errors import Busy, StoreRefused, TransferFailed
from graphql_api.client.patience import Patience, persist
from graphql_api.client.progress import Outcome, Progress
from graphql_api.client.protocol import RemoteFile
from graphql_api.client.remote import Remote
from graphql_api.client.source import Source
from graphql_api.client.store import TIMEOUT, refusal
from graphql_api.client.upload import is_same

TAKEN: Final = "something else has this name here"
_RANGE: Final = re.compile(r"bytes (\d+)-")


class Downloader:
    """Downloads files; safe to use for several at a time."""

    def __init__(
        self,
        remote: Remote,
        http: httpx.AsyncClient,
        slots: anyio.CapacityLimiter,
        patience: Patience,
        progress: Progress,
        *,
        overwrites: bool = False,
    ) -> None:
        self._remote = remote
        self._http = http
        self._slots = slots
        self._patience = patience
        self._progress = progress
        self._overwrites = overwrites

    async def download(self, file: RemoteFile, folder: Path) -> Outcome:
        """Make ``file`` a local one of the same name in ``folder``. Whatever else has this name there is left as it is
        unless the downloader overwrites.

        Raises: TransferFailed, ServiceGone.
        """
        if file.is_bundle:
            raise TransferFailed("is a bundle of many objects, which this command does not fetch")
        place = folder / local_name(file.name)
        try:
            if place.is_file():
                with Source(place) as there:
                    is_there = await is_same(file, there)
                if is_there:
                    self._progress.advance(file.size)
                    return Outcome.THERE_ALREADY
            if not self._overwrites and (place.exists() or place.is_symlink()):
                raise TransferFailed(TAKEN)
            await self._fetch_to(place, file)
        except OSError as error:
            raise TransferFailed(error.strerror or "cannot be written") from None
        return Outcome.FETCHED

    async def _fetch_to(self, place: Path, file: RemoteFile) -> None:
        part = place.parent / part_name(file)
        opened = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TransferFailed("is being downloaded to this place already") from None
            try:
                await self._fetch(file, opened)
            finally:
                if file.size and not os.fstat(opened).st_size:
                    part.unlink(missing_ok=True)  # nothing came, so there is nothing to go on with
            await anyio.to_thread.run_sync(os.fsync, opened)
            await _require_intact(file, part)
            self._put_in_place(part, place)
        finally:
            os.close(opened)  # which also unlocks it

    async def _fetch(self, file: RemoteFile, opened: int) -> None:
        """All bytes, those that are there already not again."""
        if not file.has_checksum:  # whether what an earlier run left is the beginning of this could never be told
            os.ftruncate(opened, 0)
        self._progress.advance(os.fstat(opened).st_size)
        fetch = _Fetch(self._remote, self._http, self._progress, file, opened)
        refusals = 0
        most = os.fstat(opened).st_size  # bytes that were ever here; those that come again are no progress

        async def once() -> None:
            nonlocal refusals, most
            while (start := os.fstat(opened).st_size) != file.size:
                try:
                    async with self._slots:
                        await fetch.rest(start)
                except StoreRefused:
                    refusals += 1
                    if refusals > 1:  # a fresh link did not help
                        raise
                    continue
                except httpx.TransportError:
                    pass
                if (came := os.fstat(opened).st_size) != file.size:
                    has_progressed, most = came > most, max(came, most)
                    raise Busy("the download was cut off", has_progressed=has_progressed)

        await persist(self._patience, once)

    def _put_in_place(self, part: Path, place: Path) -> None:
        if self._overwrites:
            part.replace(place)
            return
        try:
            os.link(part, place)  # unlike a rename, it never replaces what came there meanwhile
            part.unlink()
        except FileExistsError:
            raise TransferFailed(TAKEN) from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
                raise
            part.rename(place)  # a file system without hard links, such as FAT


class _Fetch:
    """One file on its way; ``etag`` is what the edge called its bytes at first."""

    def __init__(
        self, remote: Remote, http: httpx.AsyncClient, progress: Progress, file: RemoteFile, opened: int
    ) -> None:
        self._remote = remote
        self._http = http
        self._progress = progress
        self._file = file
        self._opened = opened
        self._etag: str | None = None

    async def rest(self, start: int) -> None:
        """What comes after the first ``start`` bytes, or all where the edge gives no rest.

        Raises: httpx.TransportError: cut off; what came is kept. Busy, StoreRefused, TransferFailed.
        """
        link = await self._remote.link(self._file.id)  # new each time: arithmetic for the API, and it has not expired
        if link is None:
            raise TransferFailed("there is no link to it: it is gone, or may not be read")
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if self._etag:
                headers["If-Range"] = self._etag
        async with self._http.stream("GET", link, headers=headers, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:
                self._begin_again(start)
                raise Busy("the edge does not know this range")
            if not answer.is_success:
                raise refusal("edge", answer, await answer.aread())
            given = _RANGE.match(answer.headers.get("Content-Range", ""))
            if start and (given is None or int(given[1]) != start):
                self._begin_again(start)
                if given is not None:
                    raise Busy("the edge gives another range")
                start = 0
            self._etag = answer.headers.get("ETag")
            async for chunk in answer.aiter_raw():
                if start + len(chunk) > self._file.size:
                    self._begin_again(start)
                    raise TransferFailed("more bytes come than the file has")
                await anyio.to_thread.run_sync(_write, self._opened, chunk, start)
                start += len(chunk)
                self._progress.advance(len(chunk))

    def _begin_again(self, had: int) -> None:
        os.ftruncate(self._opened, 0)
        self._progress.advance(-had)


def part_name(file: RemoteFile) -> str:
    """The same for the same bytes of the same file, so that the rest of other bytes is never put behind them; hidden,
    and short whatever the file is called.
    """
    identity = repr((file.id, file.size, file.sha256, file.crc64nvme))
    return f".{hashlib.sha256(identity.encode()).hexdigest()[:32]}.part"


def local_name(name: str) -> str:
    """Raises: TransferFailed: one that would lead elsewhere; the API has none such, but is not asked to be trusted."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise TransferFailed("cannot have this name here")
    return name


async def _require_intact(file: RemoteFile, part: Path) -> None:
    """The length alone is checked where the API knows no checksum."""
    with Source(part) as source:
        if source.size != file.size or (file.has_checksum and not await is_same(file, source)):
            part.unlink()
            raise TransferFailed("its bytes arrived damaged: they were thrown away")


def _write(opened: int, chunk: bytes, start: int) -> None:
    while chunk:
        written = os.pwrite(opened, chunk, start)
        chunk, start = chunk[written:], start + written
