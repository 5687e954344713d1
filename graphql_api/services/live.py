"""What happens, told to those who watch, each with their own rights at that moment."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Final

from graphql_api.access.standing import Rulebook, Standing
from graphql_api.db import files, folders, uploads
from graphql_api.db.engine import Database
from graphql_api.db.signals import Told
from graphql_api.errors import NotFound, Unavailable
from graphql_api.model.ids import FolderId, UploadId
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import ANYONE, LABEL_PREFIX, SIGNED_IN, Effect
from graphql_api.model.signal import (
    REFRESH,
    Departed,
    FileChanged,
    FolderChange,
    FolderEvent,
    FolderGone,
    UploadProgress,
    label_tag,
)
from graphql_api.model.upload import Upload, UploadStatus
from graphql_api.services.standings import Standings

MAX_READERS: Final = 4  # watchers that look into the database at one time; requests need its connections too
RETRY_AFTER: Final = 5.0  # seconds until a watcher looks again when the database did not answer
UNDER_WAY: Final = frozenset({UploadStatus.PENDING, UploadStatus.PROCESSING})

_GONE_FROM: Final = frozenset({FolderChange.MOVED_OUT, FolderChange.DELETED})


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
                if upload.status not in UNDER_WAY:
                    return
                await box.take()

    async def _find_upload(self, principal: Principal, upload_id: UploadId) -> Upload | None:
        async with self._reading, self._database.autocommit() as connection:
            standing = await self._standings.of(connection, principal)
            return (await uploads.find_uploads(connection, standing, [upload_id])).get(upload_id)

    async def folder_events(self, principal: Principal, folder_id: FolderId) -> AsyncGenerator[FolderEvent]:
        """What happens to files directly in the folder, until it is gone or may not be seen any more.

        First comes REFRESH: whoever reads the folder after that misses nothing. It comes again when something may not
        have been told. Of files that the principal may not see nothing is told, nor that they went.

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
        self, principal: Principal, folder_id: FolderId, signals: Collection[object]
    ) -> Sequence[FolderEvent] | None:
        """What ``principal`` may know of ``signals``; None when they may not see the folder, or it is gone."""
        if any(isinstance(signal, FolderGone) for signal in signals):
            return None
        changes = [signal for signal in signals if isinstance(signal, FileChanged)]
        async with self._reading, self._database.autocommit() as connection:
            book, standing = await self._standings.with_book(connection, principal)
            placed = (await folders.find_placed(connection, standing, [folder_id])).get(folder_id)
            if placed is None:
                return None
            ids = [change.file_id for change in changes if change.change is not FolderChange.DELETED]
            found = await files.find_files(connection, standing, ids) if ids else {}
        events = []
        for change in changes:
            file = found.get(change.file_id)
            if change.change in _GONE_FROM:
                may_know = change.departed is not None and _could_see(book, standing, placed.chain, change)
            else:  # what has moved on since is told of there
                may_know = file is not None and file.folder_id == folder_id
            if may_know:
                events.append(FolderEvent(change.change, change.file_id, file))
        return events


def _could_see(book: Rulebook, standing: Standing, chain: Collection[str], change: FileChanged) -> bool:
    """Whether the file could be seen in the folder by the rules as they are. Of the rules about the very file, which
    may have gone with it, only the denials count, and in doubt they do.
    """
    departed = change.departed
    assert departed is not None
    if standing.is_admin:
        return True
    if not departed.denied_to.isdisjoint(_subjects(book)):
        return False
    scopes = {change.file_id, departed.owner_id, *chain, *_labels(standing, departed)}
    return standing.may(Permission.READ, scopes)


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
        if scope.startswith(LABEL_PREFIX) and label_tag(scope) in departed.labels
    }
