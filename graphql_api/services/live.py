"""What happens, told to those who watch, each with their own rights at that moment."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Final

from graphql_api.access.standing import Rulebook, Standing
from graphql_api.db import files, folders, uploads
from graphql_api.db.engine import Database
from graphql_api.db.signals import Told
from graphql_api.errors import NotFound, Unavailable
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FileId, FolderId, UploadId
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import ANYONE, SIGNED_IN, Effect, is_file, is_folder, is_label
from graphql_api.model.signal import (
    REFRESH,
    Departed,
    EntryChanged,
    FolderEvent,
    FolderGone,
    Signal,
    UploadProgress,
    label_tag,
)
from graphql_api.model.upload import UNFINISHED, Upload, UploadStatus
from graphql_api.services.standings import Standings

MAX_READERS: Final = 4  # watchers that look into the database at one time; requests need its connections too
RETRY_AFTER: Final = 5.0  # seconds until a watcher looks again when the database did not answer


class Live:
    """Each watcher is told in order and at its own pace: who is slow misses what was in between, never how it ended.

    A watcher holds no connection while it waits. When the database does not answer, it looks again.
    """

    def __init__(self, database: Database, standings: Standings, *, retry_after: float = RETRY_AFTER) -> None:
        self._database = database
        self._standings = standings
        self._retry_after = retry_after
        self._reading = asyncio.Semaphore(MAX_READERS)

    async def upload_progress(self, principal: Principal, upload_id: UploadId) -> AsyncGenerator[UploadProgress]:
        """The upload now, and again whenever its status is another, until it is over or may not be seen any more.

        Raises: NotFound: hidden or absent. Unavailable.
        """
        if await self._find_upload(principal, upload_id) is None:
            raise NotFound("no such upload", path=("uploadId",))
        return self._upload_progress(principal, upload_id)

    async def _upload_progress(self, principal: Principal, upload_id: UploadId) -> AsyncGenerator[UploadProgress]:
        told: UploadStatus | None = None
        with self._database.signals.watch(upload_id) as box:
            while True:
                try:
                    upload = await self._find_upload(principal, upload_id)
                except Unavailable:
                    await asyncio.sleep(self._retry_after)
                    continue
                if upload is None:
                    return
                if upload.status is not told:
                    yield UploadProgress(upload, told)
                    told = upload.status
                if upload.status not in UNFINISHED:
                    return
                await box.take()

    async def _find_upload(self, principal: Principal, upload_id: UploadId) -> Upload | None:
        async with self._reading, self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return (await uploads.find_uploads(connection, standing, [upload_id])).get(upload_id)

    async def folder_events(self, principal: Principal, folder_id: FolderId) -> AsyncGenerator[FolderEvent]:
        """What happens to files and folders directly in the folder, until it is gone or may not be seen any more.

        First comes REFRESH: whoever reads the folder after that misses nothing. It comes again when something may not
        have been told. Of what the principal may not see nothing is told, nor that it went.

        Raises: NotFound: hidden or absent. Unavailable.
        """
        if await self._look(principal, folder_id, ()) is None:
            raise NotFound("no such folder", path=("folderId",))
        return self._folder_events(principal, folder_id)

    async def _folder_events(self, principal: Principal, folder_id: FolderId) -> AsyncGenerator[FolderEvent]:
        with self._database.signals.watch(folder_id) as box:
            told = Told((), is_all=False)
            while True:
                try:
                    events = await self._look(principal, folder_id, told.signals)
                except Unavailable:
                    await asyncio.sleep(self._retry_after)
                    continue
                if events is None:
                    return
                if not told.is_all:
                    yield REFRESH
                for event in events:
                    yield event
                told = await box.take()

    async def _look(
        self, principal: Principal, folder_id: FolderId, signals: Collection[Signal]
    ) -> Sequence[FolderEvent] | None:
        """What ``principal`` may know of ``signals``; None when they may not see the folder, or it is gone."""
        if any(isinstance(signal, FolderGone) for signal in signals):
            return None
        changes = [signal for signal in signals if isinstance(signal, EntryChanged)]
        file_ids = [FileId(change.entry_id) for change in changes if is_file(change.entry_id)]
        subfolder_ids = [FolderId(change.entry_id) for change in changes if is_folder(change.entry_id)]
        async with self._reading, self._database.autocommit() as connection:
            book, standing = await self._standings.with_book(connection, principal)
            placed = await folders.find_placed(connection, standing, [folder_id, *subfolder_ids])
            if folder_id not in placed:
                return None
            found = await files.find_files(connection, standing, file_ids) if file_ids else {}
        entries: dict[str, File | Folder] = {id_: each.folder for id_, each in placed.items()}
        entries |= {str(id_): file for id_, file in found.items()}
        events = []
        for change in changes:
            entry = entries.get(change.entry_id)
            is_here = entry is not None and _folder_of(entry) == folder_id
            if change.departed is None:  # what has moved on since is told of there
                may_know = is_here
            else:  # what is here again is told of next
                chain = placed[folder_id].chain
                may_know = not is_here and _could_see(book, standing, chain, change.entry_id, change.departed)
            if may_know:
                events.append(FolderEvent(change.change, change.entry_id, entry))
        return events


def _folder_of(entry: File | Folder) -> FolderId | None:
    return entry.folder_id if isinstance(entry, File) else entry.parent_id


def _could_see(
    book: Rulebook, standing: Standing, chain: Collection[str], entry_id: FileId | FolderId, departed: Departed
) -> bool:
    """Whether what has departed could be seen in the folder by the rules as they are, and those that went with it."""
    if standing.is_admin:
        return True
    subjects = _subjects(book)
    if not departed.denied_to.isdisjoint(subjects):
        return False
    scopes = {entry_id, *chain, *_labels(standing, departed)}
    if departed.owner_id is not None:
        scopes.add(departed.owner_id)
    if departed.allowed_to.isdisjoint(subjects):
        return standing.may(Permission.READ, scopes)
    return standing.scopes_with(Effect.DENY, Permission.READ).keys().isdisjoint(scopes)


def _subjects(book: Rulebook) -> frozenset[str]:
    """As what rules may name who asks."""
    if book.user_id is None:
        return frozenset({ANYONE})
    return frozenset({ANYONE, SIGNED_IN, book.user_id, *book.groups})


def _labels(standing: Standing, departed: Departed) -> Collection[str]:
    """Those of the file's labels that rules name: the others make no difference."""
    if not departed.labels:
        return ()
    return {
        scope
        for effect in Effect
        for scope in standing.scopes_with(effect, Permission.READ)
        if is_label(scope) and label_tag(scope) in departed.labels
    }
