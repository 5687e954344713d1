"""Whatever takes a file from the public takes its published copy in the same transaction, before a worker looks."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.db import jobs, usage
from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.model.audit import AuditAction
from graphql_api.model.file import File
from graphql_api.model.ids import PUBLISHED_PREFIX, FolderId
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Principal
from graphql_api.model.publication import PublicationState
from graphql_api.model.rule import ANYONE, label_scope
from graphql_api.model.store_event import ScanResult, ScanVerdict
from graphql_api.model.stored_object import PromisedObject
from graphql_api.model.upload import UploadMethod
from graphql_api.services.admission import Admission
from graphql_api.services.folders import Folders
from graphql_api.services.outbox import Outbox
from graphql_api.services.published_copies import COPY_JOB, LATE_AFTER, PublishedCopies
from graphql_api.services.publishing import STUCK_AFTER, Publishing
from tests.memory_edge import MemoryEdgeCache
from tests.services.counted_last import counted_last
from tests.services.publishing import HOUR, delete_rule, public, published, states, unpublish, url_of, work
from tests.services.rulings import events, ruled, wish
from tests.services.stories import filed, foldered, home_of
from tests.world import World

HEADERS = {"content_type": "text/plain", "disposition": "inline", "cache_control": "public"}


async def in_open_folder(world: World, alice: Principal, filename: str = "cat.txt") -> tuple[File, FolderId]:
    """A published file in a folder that anyone may read; and that folder."""
    folder = await foldered(world, alice, f"open {filename}")
    await ruled(world, alice, wish(ANYONE, folder.id))
    file = await filed(world, alice, filename, folder_id=folder.id)
    await world.services.publications.publish(alice, file.id)
    await work(world)
    assert await url_of(world, file, alice) is not None
    return file, folder.id


async def delete_file(world: World, alice: Principal) -> File:
    file, _ = await published(world, alice)
    await world.services.files.delete(alice, [file.id])
    return file


async def delete_folder(world: World, alice: Principal) -> File:
    file, folder_id = await in_open_folder(world, alice)
    await world.services.folders.delete(alice, folder_id, is_recursive=True)
    return file


async def move_file(world: World, alice: Principal) -> File:
    file, _ = await in_open_folder(world, alice)
    await world.services.files.move(alice, file.id, (await foldered(world, alice, "closed")).id)
    return file


async def move_folder(world: World, alice: Principal) -> File:
    outer = await foldered(world, alice, "outer")
    inner = await foldered(world, alice, "inner", outer.id)
    await ruled(world, alice, wish(ANYONE, outer.id))
    file = await filed(world, alice, folder_id=inner.id)
    await world.services.publications.publish(alice, file.id)
    await work(world)
    await world.services.folders.move(alice, inner.id, (await foldered(world, alice, "closed")).id)
    return file


async def take_label_off(world: World, alice: Principal) -> File:
    file = await filed(world, alice)
    await world.services.notes.change_labels(alice, file.id, ["free"])
    root = await world.principal("root", is_admin=True)
    await ruled(world, root, wish(ANYONE, label_scope("free")))
    await world.services.publications.publish(alice, file.id)
    await work(world)
    await world.services.notes.change_labels(alice, file.id, remove=["free"])
    return file


async def call_infected(world: World, alice: Principal) -> File:
    file, _ = await published(world, alice)
    await world.verdicts.judged(ScanVerdict(file.object_key, "etag", ScanResult.THREATS_FOUND, ("Eicar",)))
    return file


async def store_others(world: World, alice: Principal) -> File:
    file, _ = await published(world, alice, method=UploadMethod.POST, sha256="0" * 64)
    world.store.put(PromisedObject(file.object_key, file.size, file.content_type, "1" * 64), b"jello")
    world.clock.advance(days=2)
    assert await world.services.rechecks.sweep() == 1
    return file


Loss = Callable[[World, Principal], Awaitable[File]]


@pytest.mark.parametrize(
    "lose", [delete_file, delete_folder, move_file, move_folder, take_label_off, call_infected, store_others]
)
async def test_what_takes_a_file_from_the_public_takes_its_copy_at_once(world: World, lose: Loss) -> None:
    alice = await world.principal("alice")
    with counted_last(world):
        file = await lose(world, alice)
    assert await url_of(world, file, alice) is None
    assert [key for key in world.store.objects if key.startswith(PUBLISHED_PREFIX)] == []
    assert await states(world) == [PublicationState.WITHDRAWN]
    admin = await world.principal("root", is_admin=True)
    (event,) = await events(world, admin, actions=(AuditAction.FILE_UNPUBLISHED,))
    assert event.target == file.id
    assert event.actor_id == (None if lose in (call_infected, store_others) else alice.user_id)
    await work(world)
    assert await states(world) == [PublicationState.REMOVED]
    assert len(world.edge_cache.dropped) == 1


async def test_a_deletion_that_is_undone_leaves_no_memory_of_rules_that_were_gone_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules go with their files, and the version of the policy does not tell."""
    alice, root = await world.principal("alice"), await world.principal("root", is_admin=True)
    published_one, folder_id = await in_open_folder(world, alice)
    denied = await filed(world, alice, "denied.txt", folder_id=folder_id)
    await ruled(world, alice, wish(ANYONE, denied.id, deny=True))  # what everybody may do is read anew

    async def fails(*_: object) -> None:
        raise Unavailable("database")

    with monkeypatch.context() as patched:
        patched.setattr(usage, "count_all", fails)
        with pytest.raises(Unavailable):
            await world.services.files.delete(root, [published_one.id, denied.id])
    ids = [published_one.id, denied.id]
    assert list(await world.services.files.find(ANONYMOUS, ids)) == [published_one.id]


async def test_other_bytes_take_the_place_of_the_published_ones_at_once(world: World) -> None:
    alice = await world.principal("alice")
    file, first = await published(world, alice)
    with counted_last(world):
        await filed(world, alice, "any", replaces=file.id)
    assert await states(world) == [PublicationState.WITHDRAWN, PublicationState.COPYING]
    assert first not in world.store.objects
    await work(world)
    versions = (await world.services.versions.list_of(alice, PageRequest(), [file.id]))[file.id].nodes
    await world.services.versions.restore(alice, file.id, versions[-1].id)
    assert (await states(world))[1:] == [PublicationState.WITHDRAWN, PublicationState.COPYING]
    await work(world)
    assert (await states(world))[2:] == [PublicationState.LIVE]


async def test_what_stays_public_keeps_its_address(world: World) -> None:
    alice = await world.principal("alice")
    file, folder_id = await in_open_folder(world, alice)
    url = await url_of(world, file, alice)
    below = await foldered(world, alice, "below", folder_id)
    await world.services.files.move(alice, file.id, below.id)
    await world.services.notes.change_labels(alice, file.id, ["any"])
    await ruled(world, alice, wish(ANYONE, below.id))
    await world.services.folders.move(alice, below.id, await home_of(world, alice))
    await work(world)
    assert await url_of(world, file, alice) == url
    assert await states(world) == [PublicationState.LIVE]


async def test_a_folder_of_many_copies_is_looked_at_in_part_and_a_worker_hurries_through_the_rest(world: World) -> None:
    alice = await world.principal("alice")
    outer, closed = await foldered(world, alice, "outer"), await foldered(world, alice, "closed")
    inner = await foldered(world, alice, "inner", outer.id)
    await ruled(world, alice, wish(ANYONE, outer.id))
    for number in range(4):
        file = await filed(world, alice, f"{number}.txt", folder_id=inner.id)
        await world.services.publications.publish(alice, file.id)
    await work(world)
    copies = PublishedCopies(world.standings, world.services.upkeep, at_once=3)
    upkeep, admission = world.services.upkeep, Admission(user_quota=None)
    folders = Folders(world.database, world.standings, upkeep, world.clock, admission, copies)
    await folders.move(alice, inner.id, closed.id)
    assert sorted(await states(world)) == [PublicationState.LIVE] + [PublicationState.WITHDRAWN] * 3
    await work(world)
    assert set(await states(world)) == {PublicationState.REMOVED}


class SlowEdgeCache(MemoryEdgeCache):
    """Much happens before it has dropped anything."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def invalidate(self, path: str, *, reference: str) -> None:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        await super().invalidate(path, reference=reference)


class BusyDatabase(Database):
    """Much happens before a transaction begins."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        async with super().transaction() as connection:
            yield connection


async def test_who_was_told_that_a_file_is_published_is_not_refuted_by_a_look_from_before(
    database_url: str, world: World
) -> None:
    """A worker saw that the rule was gone, then it came back, and `publish` said that there was a copy."""
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    busy = BusyDatabase(database_url)
    publishing = Publishing(
        busy, world.standings, world.store, world.copies, world.edge_cache, world.clock, max_age=HOUR
    )

    async def meanwhile() -> None:
        await ruled(world, alice, wish(ANYONE, file.id))
        await world.services.publications.publish(alice, file.id)

    await delete_rule(world, alice, file)
    busy.meanwhile = meanwhile
    await publishing.turn()
    await busy.close()
    assert busy.meanwhile is None
    await work(world)
    assert await states(world) == [PublicationState.LIVE]
    assert key in world.store.objects


async def test_a_copy_that_is_wanted_again_before_the_worker_withdraws_it_is_made(
    database_url: str, world: World
) -> None:
    alice = await world.principal("alice")
    file = await public(world, alice)
    await world.services.publications.publish(alice, file.id)
    await delete_rule(world, alice, file)
    busy = BusyDatabase(database_url)
    publishing = Publishing(
        busy, world.standings, world.store, world.copies, world.edge_cache, world.clock, max_age=HOUR
    )

    async def meanwhile() -> None:
        await ruled(world, alice, wish(ANYONE, file.id))

    busy.meanwhile = meanwhile
    await Outbox(world.database, world.clock, {COPY_JOB: publishing.copy}).turn()
    await busy.close()
    await work(world)
    assert await states(world) == [PublicationState.LIVE]


async def test_a_copy_that_a_dying_worker_left_behind_is_removed_by_whoever_takes_its_job(world: World) -> None:
    alice = await world.principal("alice")
    file = await public(world, alice)
    await world.services.publications.publish(alice, file.id)
    async with world.database.autocommit() as connection:  # a worker takes the job
        assert await jobs.claim(connection, [COPY_JOB], now=world.clock(), lease=HOUR / 60, limit=1)
    await unpublish(world, alice, file)
    await work(world)
    (key,) = [path.removeprefix("/") for path in world.edge_cache.dropped]
    await world.store.copy(file.object_key, key, **HEADERS)  # and dies when the copy is there
    world.clock.advance(minutes=1)
    await work(world)
    assert key not in world.store.objects
    assert world.edge_cache.dropped == [f"/{key}"] * 2


async def test_a_copy_that_came_late_and_went_unseen_is_told_to_the_cdn(world: World) -> None:
    """Upkeep may remove it first, which knows of no CDN."""
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    old, _ = await published(world, alice, "old.txt")
    await unpublish(world, alice, file)
    await work(world)
    assert await states(world) == [PublicationState.REMOVED, PublicationState.LIVE]
    world.clock.now += LATE_AFTER  # whoever read it meanwhile had the CDN keep it
    await work(world)
    assert world.edge_cache.dropped == [f"/{key}"] * 2
    assert await states(world) == [PublicationState.REMOVED, PublicationState.LIVE]
    await unpublish(world, alice, old)  # this one has been there for so long that none is under way
    await work(world)
    world.clock.now += LATE_AFTER
    await work(world)
    assert len(world.edge_cache.dropped) == 3


async def test_the_cdn_is_told_of_a_late_copy_even_if_it_refuses_for_days(world: World) -> None:
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    world.clock.now += LATE_AFTER
    await unpublish(world, alice, file)
    await work(world)
    await world.store.copy(file.object_key, key, **HEADERS)
    world.edge_cache.is_up = False
    world.clock.now += LATE_AFTER
    for _ in range(30):  # until the job is given up
        await work(world)
        world.clock.advance(hours=1)
    assert await states(world) == [PublicationState.WITHDRAWN]
    world.edge_cache.is_up = True
    world.clock.now += STUCK_AFTER
    await work(world)
    assert world.edge_cache.dropped == [f"/{key}"] * 2
    assert await states(world) == [PublicationState.REMOVED]


async def test_a_late_copy_that_is_found_during_a_removal_is_removed_after_it(database: Database) -> None:
    world = World(database, edge_cache=SlowEdgeCache())
    cache = world.edge_cache
    assert isinstance(cache, SlowEdgeCache)
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    await unpublish(world, alice, file)

    async def meanwhile() -> None:
        world.clock.advance(seconds=1)
        await world.store.copy(file.object_key, key, **HEADERS)
        await world.publishing.look_for_late(key, {})

    cache.meanwhile = meanwhile
    await world.publishing.remove(key, {})
    assert await states(world) == [PublicationState.WITHDRAWN]
    await work(world)
    assert key not in world.store.objects
    assert cache.dropped == [f"/{key}"] * 2
    assert await states(world) == [PublicationState.REMOVED]


async def test_a_copy_that_lands_when_all_is_done_is_found_a_quarter_of_an_hour_later(world: World) -> None:
    """The store may end a request whose sender has died. An edge that does not answer is told again."""
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    await unpublish(world, alice, file)
    await work(world)
    await world.store.copy(file.object_key, key, **HEADERS)
    world.clock.now += LATE_AFTER - timedelta(minutes=1)
    await work(world)
    assert key in world.store.objects
    world.edge_cache.is_up = False
    world.clock.advance(minutes=1)
    await work(world)
    assert key not in world.store.objects
    world.edge_cache.is_up = True
    world.clock.advance(hours=1)
    await work(world)
    assert world.edge_cache.dropped == [f"/{key}"] * 2
    assert await states(world) == [PublicationState.REMOVED]
