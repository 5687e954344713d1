"""A file that takes hours to copy holds up no other that is published."""

import asyncio

import anyio

from graphql_api.db.engine import Database
from graphql_api.running import COPIES_AT_ONCE, copying
from graphql_api.services.outbox import Outbox
from graphql_api.services.published_copies import COPY_JOB
from graphql_api.workers import Worker
from tests.memory_store import MemoryStore
from tests.services.publishing import public, states
from tests.world import World

PATIENCE = 60.0  # seconds


class LargeFileStore(MemoryStore):
    """The first copy takes until ``others`` are made."""

    others = 2 * COPIES_AT_ONCE
    under_way = 0
    most = 0
    has_begun = False

    async def copy(self, source: str, key: str, *, content_type: str, disposition: str, cache_control: str) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        if not self.has_begun:
            self.has_begun = True
            self.all_others_made = asyncio.Event()
            await self.all_others_made.wait()
        else:
            await anyio.lowlevel.checkpoint()
            self.others -= 1
            if not self.others:
                self.all_others_made.set()
        self.under_way -= 1
        await super().copy(source, key, content_type=content_type, disposition=disposition, cache_control=cache_control)


async def test_a_large_copy_holds_up_no_other_and_so_many_are_made_at_once(database: Database) -> None:
    world = World(database, store_of=LargeFileStore)
    store = world.store
    assert isinstance(store, LargeFileStore)
    alice = await world.principal("alice")
    number = store.others + 1
    for name in range(number):
        file = await public(world, alice, f"{name}.txt")
        await world.services.publications.publish(alice, file.id)
    copies = Outbox(database, world.clock, {COPY_JOB: world.publishing.copy}, batch=1)
    with anyio.fail_after(PATIENCE):
        assert await Worker(copying(copies)).run_once(asyncio.Event())
    assert await states(world) == ["LIVE"] * number
    assert 1 < store.most <= COPIES_AT_ONCE
