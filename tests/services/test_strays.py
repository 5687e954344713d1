"""Uploads in parts that are open at the store and that no row names are aborted, and no others."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from graphql_api.db.tables import PublicationRow
from graphql_api.errors import Unavailable
from graphql_api.model.ids import new_object_key, new_published_key
from graphql_api.model.parts import OpenStoreUpload, StoreUpload
from graphql_api.model.principal import Principal
from graphql_api.model.stored_object import PromisedObject, StoreRequestKind
from graphql_api.model.upload import Upload, UploadMethod
from graphql_api.services.strays import EVERY, PREFIXES, SAFE_AGE, Strays
from graphql_api.services.turns import MAX_FAILURES, Turn
from tests.agreement import disagreements
from tests.memory_store import MemoryStore
from tests.services.publishing import public, work
from tests.services.stories import promised
from tests.world import World


async def begun(world: World, key: str | None = None) -> StoreUpload:
    """By somebody who then stops."""
    key = key or new_object_key(world.clock())
    return await world.store.begin_parts(PromisedObject(key, 5, "text/plain", None))


async def in_parts(world: World, principal: Principal, filename: str) -> Upload:
    return await promised(world, principal, filename, method=UploadMethod.MULTIPART)


async def with_a_target(world: World, principal: Principal, filename: str) -> StoreUpload:
    """One that is begun, and named by its row."""
    upload = await in_parts(world, principal, filename)
    await world.services.upload_targets.target(upload)
    named = (await world.services.uploads.get(principal, upload.id)).store_upload
    assert named is not None
    return named


async def test_what_no_row_names_is_aborted_when_it_is_old_enough(world: World) -> None:
    alice = await world.principal("alice")
    named, stray = await with_a_target(world, alice, "named"), await begun(world)
    world.store.put_part(stray, 1, b"costs money")
    world.clock.advance(seconds=SAFE_AGE.total_seconds() - 1)
    assert await world.services.strays.sweep() == 0
    world.clock.advance(seconds=EVERY.total_seconds())
    young = await begun(world)
    assert await world.services.strays.sweep() == 1
    assert set(world.store.open) == {named, young}


async def test_an_upload_that_its_row_names_is_never_aborted(world: World) -> None:
    alice = await world.principal("alice")
    named = await with_a_target(world, alice, "named")
    for _ in range(23):
        world.clock.advance(hours=1)
        assert await world.services.strays.sweep() == 0
    assert set(world.store.open) == {named}


async def test_what_stopped_before_its_id_was_written_down_goes_with_its_upload(world: World) -> None:
    alice = await world.principal("alice")
    upload = await in_parts(world, alice, "stopped")
    stray = await begun(world, upload.object_key)
    world.clock.advance(hours=3)
    assert await world.services.strays.sweep() == 0  # its client may have begun it, and be about to say so
    await world.services.uploads.abort(alice, upload.id)
    assert set(world.store.open) == {stray}
    world.clock.advance(hours=1)
    assert await world.services.strays.sweep() == 1
    assert world.store.open == {}


async def test_a_second_one_beside_the_one_that_is_named_is_aborted(world: World) -> None:
    alice = await world.principal("alice")
    named = await with_a_target(world, alice, "named")
    await begun(world, named.key)
    world.clock.advance(hours=1)
    assert await world.services.strays.sweep() == 1
    assert set(world.store.open) == {named}


async def test_what_its_upload_adopts_meanwhile_is_kept(world: World) -> None:
    alice = await world.principal("alice")
    upload = await in_parts(world, alice, "film")
    await world.services.upload_targets.target(upload)
    own = await begun(world, upload.object_key)
    world.clock.advance(hours=1)
    strays = world.services.strays
    page = await strays.page("o/", after=None, safe_age=SAFE_AGE)
    assert [stray.upload for stray in page.strays] == [own]
    await world.services.upload_targets.sign_request(
        alice, upload.id, StoreRequestKind.LIST_PARTS, store_upload_id=own.id
    )
    assert not await strays.abort(own)
    assert set(world.store.open) == {own}


async def test_what_is_not_ours_is_not_aborted(world: World) -> None:
    foreign = await begun(world, "backup.tar")
    world.clock.advance(days=30)
    assert await world.services.strays.sweep() == 0
    assert set(world.store.open) == {foreign}


class Counting(MemoryStore):
    """How often somebody looks."""

    looks = 0

    async def list_open_uploads(
        self, prefix: str, *, after: StoreUpload | None, limit: int
    ) -> Sequence[OpenStoreUpload]:
        self.looks += 1
        return await super().list_open_uploads(prefix, after=after, limit=limit)


async def test_of_many_processes_one_looks_each_hour(world: World) -> None:
    store = Counting(world.clock)
    processes = [Strays(world.database, store, world.clock) for _ in range(5)]
    for hour in range(1, 4):
        await asyncio.gather(*[each.turn() for each in processes])
        await asyncio.gather(*[each.turn() for each in processes])
        assert store.looks == len(PREFIXES) * hour
        world.clock.advance(seconds=EVERY.total_seconds())


async def test_a_store_that_does_not_answer_is_asked_again_at_once(world: World) -> None:
    await begun(world)
    world.clock.advance(hours=1)
    world.store.is_up = False
    for _ in range(2):
        with pytest.raises(Unavailable):
            await world.services.strays.turn()
    world.store.is_up = True
    assert await world.services.strays.turn() == Turn(1, is_more=False)
    assert await world.services.strays.turn() == Turn(0, is_more=False)


async def test_all_pages_are_looked_at(sqlite_world: World) -> None:
    world = sqlite_world
    key = new_object_key(world.clock())
    for each in (key, key, key, None, None):
        await begun(world, each)
    world.clock.advance(hours=1)
    assert await Strays(world.database, world.store, world.clock, page_size=2).sweep() == 5
    assert world.store.open == {}


async def test_what_upkeep_has_had_no_time_for_is_no_disagreement(sqlite_world: World) -> None:
    world = sqlite_world
    await begun(world)
    world.clock.advance(seconds=(SAFE_AGE + EVERY - timedelta(seconds=1)).total_seconds())
    assert await disagreements(world) == []
    world.clock.advance(seconds=1)
    assert len(await disagreements(world)) == 1
    assert await world.services.strays.sweep() == 1
    assert await disagreements(world) == []


async def test_one_that_the_store_fails_to_abort_holds_up_no_other(world: World) -> None:
    strays = [await begun(world) for _ in range(3)]
    world.store.broken = {min(stray.key for stray in strays)}
    world.clock.advance(hours=1)
    assert await world.services.strays.sweep() == 2
    world.store.broken = set()
    world.clock.advance(seconds=EVERY.total_seconds())
    assert await world.services.strays.sweep() == 1


@pytest.mark.parametrize("page_size", [2, 3, 1_000])
async def test_any_number_that_the_store_fails_to_abort_hold_up_no_other(sqlite_world: World, page_size: int) -> None:
    world = sqlite_world
    strays = sorted([(await begun(world)).key for _ in range(2 * MAX_FAILURES + 2)])
    world.store.broken = set(strays[: 2 * MAX_FAILURES])
    world.clock.advance(hours=1)
    assert await Strays(world.database, world.store, world.clock, page_size=page_size).sweep() == 2
    assert sorted(stray.key for stray in world.store.open) == strays[: 2 * MAX_FAILURES]


class GoesDown(MemoryStore):
    """Lists once, and then does not answer any more."""

    async def abort_parts(self, upload: StoreUpload) -> None:
        self.is_up = False
        await super().abort_parts(upload)


async def test_a_store_that_goes_down_in_the_middle_is_tried_again_at_once(sqlite_world: World) -> None:
    world = World(sqlite_world.database, store_of=GoesDown)
    for _ in range(MAX_FAILURES + 1):
        await begun(world)
    world.clock.advance(hours=1)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await world.services.strays.sweep()
        world.store.is_up = True


async def test_parts_of_a_copy_are_wanted_until_it_is_made_or_withdrawn(world: World) -> None:
    """A worker that copies a large file may be killed; the next begins anew, under the same key."""
    alice = await world.principal("alice")
    made, withdrawn = await public(world, alice, "made"), await public(world, alice, "withdrawn")
    for file in (made, withdrawn):
        await world.services.publications.publish(alice, file.id)
    async with world.database.autocommit() as connection:
        keys = list(await connection.scalars(select(PublicationRow.object_key)))
    assert len({await begun(world, key) for key in keys}) == 2
    nobodys = await begun(world, new_published_key(world.clock()))
    world.clock.advance(hours=2)
    assert await world.services.strays.sweep() == 1
    assert nobodys not in world.store.open
    await world.services.publications.unpublish(alice, withdrawn.id)
    await work(world)
    world.clock.advance(hours=2)
    assert await world.services.strays.sweep() == 2
    assert set(world.store.open) == set()
