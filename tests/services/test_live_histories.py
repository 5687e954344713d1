"""Who follows events from the first REFRESH on knows at the end what is there, after random histories."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from random import Random

import pytest

from graphql_api.errors import NotFound
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FolderId, UploadId
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.scan import Judge
from graphql_api.model.signal import REFRESH, FolderChange, FolderEvent
from graphql_api.model.upload import UNFINISHED, UploadStatus
from tests.services.stories import foldered, ruled
from tests.services.test_usage import History
from tests.watching import PATIENCE
from tests.world import World


async def contents_of(world: World, who: Principal, folder_id: FolderId) -> dict[str, File | Folder]:
    request = PageRequest(100)
    found = await world.services.files.list(who, FileFilter(folder_id=folder_id), FileOrder(), request)
    below = await world.services.folders.list_subfolders(who, folder_id, request)
    entries: list[File | Folder] = [*found.nodes, *below.nodes]
    return {entry.id: entry for entry in entries}


class Follower:
    """Watches every folder and every upload as ``who``; ``contents`` has those that are there, as they were told."""

    def __init__(self, world: World, who: Principal) -> None:
        self._world = world
        self._who = who
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.contents: dict[FolderId, dict[str, File | Folder]] = {}
        self.told: dict[UploadId, list[UploadStatus]] = {}
        self.refreshed = 0

    @property
    def statuses(self) -> Mapping[UploadId, UploadStatus]:
        return {id_: told[-1] for id_, told in self.told.items() if told}

    async def follow(self, history: History) -> None:
        for upload in history.uploads:
            if upload.id not in self._tasks:
                self.told[upload.id] = []
                self._tasks[upload.id] = asyncio.create_task(self._upload(upload.id))
        for folder in history.folders:
            if folder.id not in self._tasks:
                self._tasks[folder.id] = asyncio.create_task(self._folder(folder.id))

    async def _upload(self, id_: UploadId) -> None:
        root = await self._world.principal("root", is_admin=True)
        async for progress in await self._world.services.live.upload_progress(root, id_):
            assert progress.previous_status == self.statuses.get(id_)
            self.told[id_].append(progress.upload.status)

    async def _folder(self, id_: FolderId) -> None:
        with suppress(NotFound):  # it went before this began
            async for event in await self._world.services.live.folder_events(self._who, id_):
                if event == REFRESH:
                    self.refreshed += 1
                    self.contents[id_] = await contents_of(self._world, self._who, id_)
                else:
                    self._apply(self.contents[id_], event)
        self.contents.pop(id_, None)

    def _apply(self, contents: dict[str, File | Folder], event: FolderEvent) -> None:
        assert event.entry_id is not None
        if event.change in (FolderChange.MOVED_OUT, FolderChange.DELETED):
            contents.pop(event.entry_id, None)
        elif event.entry is not None:
            contents[event.entry_id] = event.entry

    async def end(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        ended = await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        assert [each for each in ended if isinstance(each, Exception)] == []


async def follow(world: World, seed: int, steps: int) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    root = await foldered(world, alice, "root")
    await ruled(world, bob, root.id, Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE)
    history, follower = History(world, [alice, bob], root, Random(seed)), Follower(world, bob)
    for _ in range(steps):
        await follower.follow(history)
        await history.step()
    await follower.follow(history)
    admin = await world.principal("root", is_admin=True)
    uploads = await world.services.uploads.find(admin, [upload.id for upload in history.uploads])
    there = await world.services.folders.find(bob, [folder.id for folder in history.folders])
    truth = {id_: await contents_of(world, bob, id_) for id_ in there}
    statuses = {id_: upload.status for id_, upload in uploads.items()}
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while (follower.contents, follower.statuses) != (truth, statuses):  # noqa: ASYNC110 -- events are on the way
                await asyncio.sleep(0.01)
    assert follower.contents == truth
    assert follower.statuses == statuses
    assert follower.refreshed <= len(history.folders)
    assert {status for told in follower.told.values() for status in told} > set(UNFINISHED)
    await follower.end()


@pytest.mark.parametrize("seed", range(2))
async def test_who_follows_what_happens_knows_what_is_there(live_world: World, seed: int) -> None:
    await follow(World(live_world.database, user_quota=1000, judge=Judge.EVENTS), seed, 80)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100, 104))
async def test_who_follows_for_long_knows_what_is_there(live_world: World, seed: int) -> None:
    await follow(World(live_world.database, user_quota=10_000, judge=Judge.EVENTS), seed, 800)
