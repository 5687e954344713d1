"""What is kept equals what is there: after random histories, for old databases, and when it is counted anew. Whoever
counts does it last.
"""

from collections.abc import Awaitable
from contextlib import suppress
from random import Random

import pytest
from sqlalchemy import delete, text, update

from graphql_api.db.migration import migrate
from graphql_api.db.recount import recount
from graphql_api.db.tables import StorageUsageRow
from graphql_api.errors import DeliveryError
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import ROOT_FOLDER_ID
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.scan import Judge
from graphql_api.model.store_event import ScanResult, ScanVerdict
from graphql_api.model.upload import Upload, UploadStatus
from tests.services.counted_last import counted_last
from tests.services.stock import administrator, granted, limited, quota_of, require_exact, taken
from tests.services.stories import CONTENT, filed, foldered, home_of, promised, ruled, send, sent
from tests.world import World

SIZE = len(CONTENT)
WORDS = ("a", "b", "c", "d", "e", "f", "g")


class History:
    """Two people in one tree do at random whatever changes what is stored."""

    def __init__(self, world: World, people: list[Principal], root: Folder, random: Random) -> None:
        self.world, self.people, self.root, self.random = world, people, root, random
        self.folders: list[Folder] = [root]
        self.uploads: list[Upload] = []

    async def step(self) -> None:
        who = self.random.choice(self.people)
        services, world = self.world.services, self.world
        folder, upload = self.random.choice(self.folders), self.random.choice([None, *self.uploads])
        file = await self._some_file()
        match self.random.randrange(16):
            case 0:
                await self._try(self._make(who, folder))
            case 1 | 2 | 3:
                await self._try(self._promise(who, folder, None))
            case 4 if file is not None:
                await self._try(self._promise(who, folder, file))
            case 5 | 6 if upload is not None:
                send(world, upload, bytes(upload.size))
                await self._try(services.completion.arrived(upload.object_key))
            case 7 if upload is not None:
                send(world, upload, bytes(upload.size + 1))
                await self._try(services.completion.arrived(upload.object_key))
            case 8 if upload is not None:
                await self._try(services.uploads.abort(who, upload.id))
            case 9 if file is not None:
                await self._try(services.files.delete(who, [file.id]))
            case 10 if file is not None:
                await self._try(services.files.move(who, file.id, folder.id))
            case 11 if folder is not self.root:
                await self._try(services.folders.move(who, folder.id, self.random.choice(self.folders).id))
            case 12 if folder is not self.root and self.random.random() < 0.3:
                await self._try(services.folders.delete(who, folder.id, is_recursive=True))
            case 13 | 14 if upload is not None:
                result = self.random.choice(list(ScanResult))
                await self._try(world.verdicts.judged(ScanVerdict(upload.object_key, "etag", result, ("Eicar",))))
            case 15:
                quota = self.random.choice([None, 0, 20, 60, 500])
                await self._try(limited(world, folder.id, quota))
                world.clock.advance(hours=self.random.choice([0, 0, 30]))
                await world.sweep()

    async def _some_file(self) -> File | None:
        admin = await administrator(self.world)
        wanted = FileFilter(folder_id=self.root.id, is_recursive=True)
        page = await self.world.services.files.list(admin, wanted, FileOrder(), PageRequest(100))
        return self.random.choice([None, *page.nodes])

    async def _make(self, who: Principal, parent: Folder) -> None:
        self.folders.append(await foldered(self.world, who, self.random.choice(WORDS), parent.id))

    async def _promise(self, who: Principal, folder: Folder, file: File | None) -> None:
        upload = await promised(
            self.world,
            who,
            self.random.choice(WORDS),
            size=self.random.randrange(12),
            content_type="application/octet-stream",
            folder_id=folder.id,
            replaces=None if file is None else file.id,
        )
        self.uploads.append(upload)

    async def _try(self, work: Awaitable[object]) -> None:
        with suppress(DeliveryError):  # it is refused, and nothing may have changed
            await work


async def run(world: World, seed: int, steps: int) -> None:
    people = [await world.principal(name) for name in ("alice", "bob")]
    root = await foldered(world, people[0], "root")
    await ruled(world, people[1], root.id, Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE)
    history = History(world, people, root, Random(seed))
    with counted_last(world):
        for number in range(steps):
            await history.step()
            if number % 20 == 19:
                await require_exact(world)
    for person in people:
        quota = await quota_of(world, person)
        assert quota.limit is not None
        assert quota.used + quota.reserved <= quota.limit
    stored, reserved = await taken(world, ROOT_FOLDER_ID)
    both = [await taken(world, person) for person in people]
    assert (stored, reserved) == (sum(each[0] for each in both), sum(each[1] for each in both))


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_kept_equals_what_is_there_after_a_random_history(world: World, seed: int) -> None:
    world = World(world.database, user_quota=150, judge=(Judge.NOBODY, Judge.EVENTS)[seed % 2])
    await limited(world, ROOT_FOLDER_ID, 250)
    await run(world, seed, 60)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100, 120))
async def test_what_is_kept_equals_what_is_there_after_a_long_random_history(world: World, seed: int) -> None:
    world = World(world.database, user_quota=400, judge=(Judge.NOBODY, Judge.EVENTS)[seed % 2])
    await limited(world, ROOT_FOLDER_ID, 700)
    await run(world, seed, 600)


async def test_a_database_of_an_earlier_version_is_counted_when_it_is_migrated(world: World) -> None:
    """And so is what that version does meanwhile, by the next time."""
    alice, bob = await world.principal("alice"), await world.principal("bob")
    home = await home_of(world, alice)
    await filed(world, alice, "file")
    await limited(world, home, 100)
    await sent(world, alice, "pending")
    scanned = await sent(world, alice, "scanned")
    async with world.database.transaction() as connection:
        await connection.execute(
            text("UPDATE uploads SET status = :status WHERE id = :id"),
            {"status": UploadStatus.PROCESSING, "id": scanned.id},
        )
        await connection.execute(delete(StorageUsageRow).where(StorageUsageRow.holder == alice.user_id))
        await connection.execute(update(StorageUsageRow).values(stored=-7, reserved=11))
    await granted(world, bob, 5)  # whose row is made, and has nothing
    await migrate(world.database)
    assert await taken(world, alice) == await taken(world, home) == (SIZE, 2 * SIZE)
    assert await taken(world, bob) == (0, 0)
    assert (await quota_of(world, bob)).limit == 5
    assert await recount(world.database, size=1) == 0
    await require_exact(world)


async def test_numbers_that_an_earlier_version_made_negative_are_shown_as_nothing(world: World) -> None:
    alice = await world.principal("alice")
    upload = await promised(world, alice)
    async with world.database.transaction() as connection:
        await connection.execute(update(StorageUsageRow).values(reserved=0))
    await world.services.uploads.abort(alice, upload.id)
    assert await taken(world, alice) == (0, -SIZE)
    assert (await quota_of(world, alice)).reserved == 0
    assert await world.services.quotas.recount() == 1
    await require_exact(world)
