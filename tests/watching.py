"""Watchers for tests: what they are told, one thing after the other, and a listener where the database needs one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

import pytest

from graphql_api.db.engine import Database
from graphql_api.db.listener import Listener
from graphql_api.model.ids import FolderId, UploadId
from graphql_api.model.principal import Principal
from graphql_api.model.signal import FolderChange, FolderEvent, UploadProgress
from tests.world import World

PATIENCE = 60.0  # seconds until a test gives up on what must come
T = TypeVar("T")


class Watcher(Generic[T]):
    """Reads what a stream tells."""

    def __init__(self, stream: AsyncGenerator[T]) -> None:
        self._stream = stream

    async def next(self) -> T:
        return await asyncio.wait_for(anext(self._stream), PATIENCE)

    async def has_ended(self) -> bool:
        """Waits for the next thing, which must be the end."""
        with suppress(StopAsyncIteration):
            pytest.fail(f"told instead of ending: {await self.next()}")
        return True

    async def close(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def watching_upload(
    world: World, principal: Principal, upload_id: UploadId
) -> AsyncIterator[Watcher[UploadProgress]]:
    watcher = Watcher(await world.services.live.upload_progress(principal, upload_id))
    yield watcher
    await watcher.close()


@asynccontextmanager
async def watching_folder(
    world: World, principal: Principal, folder_id: FolderId
) -> AsyncIterator[Watcher[FolderEvent]]:
    """From after the first REFRESH on."""
    watcher = Watcher(await world.services.live.folder_events(principal, folder_id))
    assert await watcher.next() == FolderEvent(FolderChange.REFRESH)
    yield watcher
    await watcher.close()


@asynccontextmanager
async def listening(world: World, url: str) -> AsyncIterator[Listener]:
    """What is announced on the database at ``url``, by whomever, reaches the world's watchers."""
    listener = Listener(Database(url), world.database.signals)
    task = asyncio.create_task(listener.run())
    await asyncio.wait_for(listener.is_listening.wait(), PATIENCE)
    yield listener
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await listener.close()


@pytest.fixture
async def live_world(world: World, database_url: str) -> AsyncIterator[World]:
    async with listening(world, database_url):
        yield world
