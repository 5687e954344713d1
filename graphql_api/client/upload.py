"""One file: is it there already? is there an upload to go on with? else promise it; send; say that it is sent."""

import mimetypes
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
import httpx

from graphql_api.client.errors import FileChanged, Refused, StoreRefused, TransferFailed, UploadGone
from graphql_api.client.parts import PartSender
from graphql_api.client.patience import Patience, persist
from graphql_api.client.progress import Outcome, Progress
from graphql_api.client.protocol import InParts, RemoteFile, RemoteFolder, RemoteUpload, SignedPut
from graphql_api.client.remote import OnConflict, Remote
from graphql_api.client.source import Source, crc64nvme_hex
from graphql_api.client.store import put

ONE_REQUEST: Final = 64 * 1024**2
"""Bytes up to which one PUT sends a file. Its SHA-256 is promised, so it is read once before. What is larger goes in
parts, each with a checksum of its own, so that nothing has to be read before the first byte is sent.
"""
ROUNDS: Final = 3  # how often a file is sent when the API says that bytes are missing
VERDICT_PAUSE: Final = 2.0  # seconds between looks at an upload that is being checked
VERDICT_PATIENCE: Final = 600.0  # seconds

_COMPRESSED: Final = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


class Uploader:
    """Uploads files; safe to use for several at a time."""

    def __init__(
        self,
        remote: Remote,
        http: httpx.AsyncClient,
        slots: anyio.CapacityLimiter,
        patience: Patience,
        progress: Progress,
        *,
        on_conflict: OnConflict = "FAIL",
        skips_taken: bool = False,
        parts_above: int = ONE_REQUEST,
    ) -> None:
        """``parts_above``: bytes."""
        self._remote = remote
        self._http = http
        self._slots = slots
        self._patience = patience
        self._progress = progress
        self._parts = PartSender(remote, http, slots, patience, progress)
        self._on_conflict = on_conflict
        self._skips_taken = skips_taken
        self._parts_above = parts_above

    async def upload(self, path: Path, folder: RemoteFolder) -> Outcome:
        """Make ``path`` a file of the same name in ``folder``. What is there already with the same bytes is left alone,
        whatever is to be done about taken names, so that the same command can be run again and again.

        Raises: TransferFailed, ServiceGone.
        """
        with Source(path) as source:
            name = _unicode_name(path)
            sha256 = await source.sha256() if source.size <= self._parts_above else None
            taken = await self._remote.find_file(path=f"{folder.path.rstrip('/')}/{name}")
            if taken:
                if await is_same(taken, source, sha256):
                    self._progress.advance(source.size)
                    return Outcome.THERE_ALREADY
                if self._skips_taken:
                    self._progress.advance(source.size)
                    return Outcome.SKIPPED
                if self._on_conflict == "FAIL":
                    raise TransferFailed("another file has this name there")
            upload = await self._find_unfinished(name, folder, source, sha256)
            upload = upload or await self._promise(name, folder, source, sha256)
            try:
                await self._bring(upload, source)
            except FileChanged:
                with suppress(TransferFailed):  # then it ends by itself, in time
                    await self._remote.abort_upload(upload.id)
                raise
            return Outcome.SENT

    async def _find_unfinished(
        self, name: str, folder: RemoteFolder, source: Source, sha256: str | None
    ) -> RemoteUpload | None:
        """One that was promised for the same bytes; in parts, for as many: what differs in a part is sent again."""
        for found in await self._remote.find_unfinished(name, source.size, sha256):
            in_parts = found.method == "MULTIPART" and found.sha256 is None and found.crc64nvme is None
            fits = found.sha256 == sha256 if sha256 else in_parts and found.status == "PENDING"
            if fits and found.folder_id == folder.id:
                upload = await self._remote.get_upload(found.id)
                if upload.target or upload.status == "PROCESSING":
                    return upload
        return None

    async def _promise(self, name: str, folder: RemoteFolder, source: Source, sha256: str | None) -> RemoteUpload:
        wish = {"filename": name, "size": source.size, "contentType": content_type(name), "folderId": folder.id}
        how = {"sha256": sha256} if sha256 else {"method": "MULTIPART"}
        return await self._remote.create_upload(wish | how | {"onConflict": self._on_conflict})

    async def _bring(self, upload: RemoteUpload, source: Source) -> None:
        """Until the file exists."""
        for rounds_left in reversed(range(ROUNDS)):
            crc64nvme = await self._send(upload, source)
            source.require_unchanged()
            try:
                done = await self._remote.complete_upload(upload.id, self._on_conflict, crc64nvme)
            except Refused as refused:
                if refused.status != "PENDING" or not rounds_left:
                    raise
                self._progress.advance(-source.size)
                upload = await self._remote.get_upload(upload.id)  # the bytes, or some parts, are not there after all
                continue
            await self._await_verdict(done)
            return

    async def _send(self, upload: RemoteUpload, source: Source) -> str | None:
        """CRC-64/NVME of the whole (hex) if it was sent in parts."""
        try:
            if isinstance(upload.target, InParts):
                return await self._parts.send(upload, upload.target, source)
            if isinstance(upload.target, SignedPut):
                await self._put(upload, upload.target, source)
            else:
                self._progress.advance(source.size)  # all of it is there, and is being checked
        except UploadGone:
            pass  # somebody else completed it, or gave it up: completing tells which
        return None

    async def _put(self, upload: RemoteUpload, target: SignedPut, source: Source) -> None:
        async def once(target: SignedPut) -> None:
            async with self._slots:
                await put(self._http, target, source, self._progress, length=source.size)

        try:
            await persist(self._patience, lambda: once(target))
        except StoreRefused:  # the target has expired; or these are not the promised bytes
            source.require_unchanged()
            fresh = (await self._remote.get_upload(upload.id)).target
            if not isinstance(fresh, SignedPut):
                raise
            await persist(self._patience, lambda: once(fresh))

    async def _await_verdict(self, upload: RemoteUpload) -> None:
        """Return when the file exists; where files are scanned that takes a moment."""
        with anyio.move_on_after(VERDICT_PATIENCE):
            while upload.status == "PROCESSING":
                await anyio.sleep(VERDICT_PAUSE)
                upload = await self._remote.get_upload(upload.id)
        if upload.status == "PROCESSING":
            raise TransferFailed("all bytes are there, but are still being checked: ask again later")
        if upload.status != "COMPLETED":
            raise TransferFailed(upload.failure or f"the upload was {upload.status.lower()}")


async def is_same(file: RemoteFile, source: Source, sha256: str | None = None) -> bool:
    """Whether ``file`` has the bytes of ``source``; not if the API knows no checksum. ``sha256``: if already known."""
    if file.size != source.size:
        return False
    if file.sha256 is not None:
        return file.sha256 == (sha256 or await source.sha256())
    if file.crc64nvme is not None:
        return file.crc64nvme == crc64nvme_hex(await source.crc64nvme())
    return False


def content_type(name: str) -> str:
    """By the name's ending, as far as Python knows it."""
    guessed, encoding = mimetypes.guess_type(name)
    if encoding:
        return _COMPRESSED.get(encoding, "application/octet-stream")
    return guessed or "application/octet-stream"


def _unicode_name(path: Path) -> str:
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise TransferFailed("its name is not Unicode") from None
    return path.name
