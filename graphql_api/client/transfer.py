"""Many files and folders, several at a time. What fails is told to the progress, and the others go on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx

from graphql_api.client.api import Api
from graphql_api.client.download import Downloader, local_name
from graphql_api.client.errors import TransferFailed
from graphql_api.client.patience import Patience, in_parallel
from graphql_api.client.progress import Progress
from graphql_api.client.protocol import RemoteFile, RemoteFolder
from graphql_api.client.remote import OnConflict, Remote
from graphql_api.client.tree import LocalFile, LocalFolder, Unreadable, below, find_folder
from graphql_api.client.upload import ONE_REQUEST, Uploader


@dataclass(frozen=True, slots=True)
class Client:
    """One user of one API. ``store``: for the store and the edge, which are told no token."""

    remote: Remote
    store: httpx.AsyncClient
    slots: anyio.CapacityLimiter
    patience: Patience
    progress: Progress

    async def upload(
        self,
        paths: Sequence[Path],
        to: str,
        *,
        on_conflict: OnConflict = "FAIL",
        skips_taken: bool = False,
        parts_above: int = ONE_REQUEST,
    ) -> None:
        """Bring files, and folders with all below, into the remote folder ``to``, which is made if it is not there.
        Files of more than ``parts_above`` bytes are sent in parts.

        Raises: ServiceGone. TransferFailed: ``to`` can be no folder.
        """
        uploader = Uploader(
            self.remote,
            self.store,
            self.slots,
            self.patience,
            self.progress,
            on_conflict=on_conflict,
            skips_taken=skips_taken,
            parts_above=parts_above,
        )
        folders: dict[tuple[str, ...], RemoteFolder] = {}
        folders[()] = await find_folder(self.remote, to, makes_missing=True)
        # All of them at once, in memory: how much will come is told before the first byte is sent.
        found = [entry for path in paths for entry in below(path)]
        self.progress.expect(sum(entry.size for entry in found if isinstance(entry, LocalFile)))

        async def files() -> AsyncIterator[LocalFile]:
            for entry in found:
                if isinstance(entry, Unreadable):
                    self.progress.failed(str(entry.path), entry.reason)
                elif isinstance(entry, LocalFile) and entry.folders in folders:
                    yield entry
                elif isinstance(entry, LocalFolder) and entry.folders[:-1] in folders:
                    await make(entry)

        async def make(entry: LocalFolder) -> None:
            if entry.folders in folders:  # two of the paths have the same name: they become one folder
                return
            try:
                parent = folders[entry.folders[:-1]]
                folders[entry.folders] = await self.remote.ensure_folder(parent, entry.folders[-1])
            except TransferFailed as failure:
                self.progress.failed(f"{entry.path}, with all below", failure.message)

        async def upload(entry: LocalFile) -> None:
            try:
                outcome = await uploader.upload(entry.path, folders[entry.folders])
            except TransferFailed as failure:
                self.progress.failed(str(entry.path), failure.message)
            else:
                self.progress.arrived(str(entry.path), outcome)

        await in_parallel(int(self.slots.total_tokens), files(), upload)

    async def download(self, names: Sequence[str], to: Path, *, overwrites: bool = False) -> None:
        """Bring remote files, and folders with all below, into the local folder ``to``. Each name is a path as the
        viewer sees the tree, or an id. ``to`` is made if it is not there.

        Raises: ServiceGone. OSError: ``to`` can be no folder.
        """
        to.mkdir(parents=True, exist_ok=True)
        downloader = Downloader(
            self.remote, self.store, self.slots, self.patience, self.progress, overwrites=overwrites
        )

        async def files() -> AsyncIterator[tuple[RemoteFile, Path]]:
            for name in names:
                try:
                    found = await self._find(name)
                except TransferFailed as failure:
                    self.progress.failed(name, failure.message)
                    continue
                if isinstance(found, RemoteFile):
                    yield found, to
                else:
                    async for pair in self._below(found, to):
                        yield pair

        async def download(pair: tuple[RemoteFile, Path]) -> None:
            file, folder = pair
            self.progress.expect(file.size)
            try:
                outcome = await downloader.download(file, folder)
            except TransferFailed as failure:
                self.progress.failed(file.path, failure.message)
            else:
                self.progress.arrived(file.path, outcome)

        await in_parallel(int(self.slots.total_tokens), files(), download)

    async def _find(self, name: str) -> RemoteFile | RemoteFolder:
        by_id = name.startswith("file_")
        file = await self.remote.find_file(file_id=name) if by_id else await self.remote.find_file(path=name)
        if file:
            return file
        if by_id:
            raise TransferFailed("there is no such file")
        return await find_folder(self.remote, name)

    async def _below(self, folder: RemoteFolder, to: Path) -> AsyncIterator[tuple[RemoteFile, Path]]:
        try:
            here = to / local_name(folder.name) if folder.name else to  # the root has none
            here.mkdir(parents=True, exist_ok=True)
            async for file in self.remote.files(folder):
                yield file, here
            async for child in self.remote.subfolders(folder):
                async for pair in self._below(child, here):
                    yield pair
        except OSError as error:
            self.progress.failed(f"{folder.path}, with all below", error.strerror or "cannot be written")
        except TransferFailed as failure:
            self.progress.failed(f"{folder.path}, with all below", failure.message)


@asynccontextmanager
async def connected(
    url: str, token: str, progress: Progress, *, jobs: int = 4, patience: Patience | None = None
) -> AsyncIterator[Client]:
    """A client of the API at ``url``, with at most ``jobs`` requests at a time to the store or the edge."""
    patience = patience or Patience()
    async with httpx.AsyncClient() as http, httpx.AsyncClient() as store:
        remote = Remote(Api(http, url, token, patience))
        yield Client(remote, store, anyio.CapacityLimiter(jobs), patience, progress)
