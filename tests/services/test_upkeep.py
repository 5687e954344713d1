"""Bytes without a file go, now and again when nothing can arrive any longer; nothing is forgotten on the way."""

import logging
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from graphql_api.db import deletions
from graphql_api.db.tables import ObjectDeletionRow
from graphql_api.errors import Unavailable, UploadMismatch
from graphql_api.model.parts import Remains
from graphql_api.model.stored_object import PromisedObject
from graphql_api.model.upload import UploadMethod, UploadStatus
from graphql_api.services.upkeep import AT_ONCE, FAILED_AGAIN_AFTER, LEASE, Upkeep
from tests.memory_store import MemoryStore
from tests.services.stories import filed, promised, send, sent
from tests.world import World

LAST_ARRIVAL = timedelta(days=1, hours=1)  # the longest target and the grace for a transfer, see World


async def scheduled(world: World) -> int:
    async with world.database.autocommit() as connection:
        return await connection.scalar(select(func.count()).select_from(ObjectDeletionRow)) or 0


async def test_bytes_that_land_after_the_end_of_their_upload_go_as_well(world: World) -> None:
    alice, uploads, sweep = await world.principal("alice"), world.services.uploads, world.sweep
    aborted, failed = [await sent(world, alice, name) for name in ("aborted", "failed")]
    expired = await promised(world, alice, "expired")
    file = await filed(world, alice, "deleted")
    await uploads.abort(alice, aborted.id)
    send(world, failed, b"a lie")
    send(world, failed, b"another length")
    with pytest.raises(UploadMismatch):
        await world.services.completion.complete(alice, failed.id)
    await world.services.files.delete(alice, [file.id])
    assert world.store.objects == {}

    world.clock.now = expired.expires_at
    assert await sweep() == 0
    assert world.store.objects == {}
    assert (await uploads.find(alice, [expired.id]))[expired.id].status is UploadStatus.EXPIRED
    for upload in (aborted, failed, expired):
        send(world, upload)  # a slow PUT, begun while its target was good
    assert await sweep() == 0
    assert await scheduled(world) == 4

    world.clock.now = aborted.created_at + LAST_ARRIVAL
    assert await sweep() == 3
    assert set(world.store.objects) == {expired.object_key}
    world.clock.now = expired.expires_at + LAST_ARRIVAL
    assert await sweep() == 1
    assert world.store.objects == {}
    assert await scheduled(world) == 0
    assert await sweep() == 0


async def test_a_sweep_touches_nothing_that_lives(world: World) -> None:
    alice = await world.principal("alice")
    file, waiting = await filed(world, alice, "kept"), await sent(world, alice, "waiting")
    world.clock.now = waiting.expires_at - timedelta(microseconds=1)
    assert await world.services.upkeep.sweep() == 0
    assert set(world.store.objects) == {file.object_key, waiting.object_key}
    _, late = await world.services.completion.complete(alice, waiting.id)
    world.clock.advance(days=400)
    assert await world.sweep() == 0
    assert late is not None
    assert set(world.store.objects) == {file.object_key, late.object_key}


async def test_a_store_that_is_down_loses_no_removal(world: World, caplog: pytest.LogCaptureFixture) -> None:
    alice = await world.principal("alice")
    file, aborted, expired = (
        await filed(world, alice, "file"),
        await sent(world, alice, "a"),
        await sent(world, alice, "e", size=6),
    )
    world.store.is_up = False
    with caplog.at_level(logging.WARNING):
        assert await world.services.files.delete(alice, [file.id]) == [file.id]
        await world.services.uploads.abort(alice, aborted.id)
    assert caplog.text.count("removal_postponed") == 2
    world.clock.now = expired.expires_at
    with pytest.raises(Unavailable):
        await world.services.upkeep.sweep()
    with pytest.raises(Unavailable):
        await world.services.lookout.look()
    assert (await world.services.uploads.find(alice, [expired.id]))[expired.id].status is UploadStatus.PENDING
    assert len(world.store.objects) == 3
    world.store.is_up = True
    assert await world.sweep() == 2
    assert set(world.store.objects) == {expired.object_key}
    world.clock.advance(minutes=5)  # until then the upload is of the one who looked in vain
    assert await world.sweep() == 0
    assert (await world.services.uploads.find(alice, [expired.id]))[expired.id].status is UploadStatus.FAILED
    assert world.store.objects == {}


async def test_a_store_that_was_down_all_along_is_cleaned_once_it_is_back(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent(world, alice)
    world.store.is_up = False
    await world.services.uploads.abort(alice, upload.id)
    world.clock.advance(days=30)
    world.store.is_up = True
    assert await world.sweep() == 1
    assert (world.store.objects, await scheduled(world)) == ({}, 0)


async def test_health_names_the_parts_that_do_not_answer(world: World) -> None:
    assert await world.services.health.failing_parts() == ()
    world.store.is_up = False
    assert await world.services.health.failing_parts() == ("store",)


async def test_only_an_upload_past_its_time_expires(world: World) -> None:
    alice = await world.principal("alice")
    upload = await promised(world, alice)
    world.clock.now = upload.expires_at
    other = await promised(world, alice, "later")
    await world.sweep()
    found = await world.services.uploads.find(alice, [upload.id, other.id])
    assert [found[each.id].status for each in (upload, other)] == [UploadStatus.EXPIRED, UploadStatus.PENDING]


async def test_an_object_that_may_not_be_removed_does_not_hold_up_the_others(world: World) -> None:
    alice = await world.principal("alice")
    locked, other = [await filed(world, alice, name) for name in ("locked", "other")]
    world.store.locked = {locked.object_key}
    await world.services.files.delete(alice, [locked.id, other.id])
    assert set(world.store.objects) == {locked.object_key}
    assert await world.sweep() == 0  # it is tried again later, not again and again
    world.store.locked = set()
    world.clock.advance(hours=1)
    assert await world.sweep() == 1
    assert world.store.objects == {}


async def test_parts_that_the_store_fails_to_remove_do_not_hold_up_other_removals(world: World) -> None:
    alice, uploads, store = await world.principal("alice"), world.services.uploads, world.store
    store.is_up = False
    for number in range(4):  # what is due longest is taken first
        upload = await promised(world, alice, str(number), method=UploadMethod.MULTIPART)
        store.is_up = True
        assert await world.services.upload_targets.target(upload)
        store.broken.add(upload.object_key)
        store.is_up = False
        await uploads.abort(alice, upload.id)
        world.clock.advance(seconds=1)
    await uploads.abort(alice, (await sent(world, alice, "other")).id)
    store.is_up = True
    with pytest.raises(Unavailable):  # in the second turn, with the fourth alone
        await world.services.upkeep.sweep()
    assert (store.objects, len(store.open)) == ({}, 4)
    store.broken = set()
    assert await world.services.upkeep.sweep() == 1
    world.clock.advance(seconds=FAILED_AGAIN_AFTER.total_seconds())
    assert await world.services.upkeep.sweep() == 3
    assert store.open == {}


async def test_an_object_of_which_the_store_cannot_tell_does_not_hold_up_other_uploads(world: World) -> None:
    alice, lookout = await world.principal("alice"), world.services.lookout
    broken, *others = [await sent(world, alice, str(number)) for number in range(20)]
    world.store.broken = {broken.object_key}
    world.clock.advance(minutes=5)
    assert await lookout.look() == 19
    found = await world.services.uploads.find(alice, [upload.id for upload in (broken, *others)])
    assert found[broken.id].status is UploadStatus.PENDING
    assert {found[upload.id].status for upload in others} == {UploadStatus.COMPLETED}
    world.store.broken = set()
    world.clock.advance(minutes=5)
    assert await lookout.look() == 1


async def test_of_many_sweepers_each_object_is_removed_by_one(world: World) -> None:
    alice = await world.principal("alice")
    world.store.is_up = False
    for number in range(6):
        await world.services.uploads.abort(alice, (await sent(world, alice, str(number))).id)
    world.store.is_up = True
    asked: list[str] = []

    class Watched(MemoryStore):
        async def delete(self, keys: Sequence[str]) -> Sequence[str]:
            asked.extend(keys)
            for _ in range(2):
                assert await world.services.upkeep.sweep() == 0  # while this one is at it
            return await world.store.delete(keys)

    watched = Upkeep(
        world.database,
        Watched(world.clock),
        world.clock,
        longest_target=timedelta(days=1),
        transfer_grace=timedelta(hours=1),
    )
    assert await watched.sweep() == 6
    assert len(asked) == len(set(asked)) == 6


async def test_what_a_sweeper_took_before_it_died_is_removed_after_its_lease(world: World) -> None:
    alice = await world.principal("alice")
    world.store.is_up = False
    await world.services.uploads.abort(alice, (await sent(world, alice)).id)
    world.store.is_up = True
    async with world.database.autocommit() as connection:
        now = world.clock()
        assert await deletions.claim_due(connection, now=now, until=now + LEASE, limit=9)
    assert await world.services.upkeep.sweep() == 0
    world.clock.advance(seconds=LEASE.total_seconds())
    assert await world.services.upkeep.sweep() == 1
    assert world.store.objects == {}


async def test_nobody_waits_for_thousands_of_removals(sqlite_world: World) -> None:
    world = sqlite_world
    remains = [Remains(f"b/01jd9x2q6c8s5v7e0k3m4n5p6t/{number}") for number in range(AT_ONCE + 1)]
    for each in remains:
        world.store.put(PromisedObject(each.key, 1, "text/plain", None), b"a")
    upkeep = world.services.upkeep
    async with world.database.transaction() as connection:
        await upkeep.schedule_removal(connection, remains)
    removal = await upkeep.remove(remains)
    assert len(removal.gone) == AT_ONCE
    assert list(world.store.objects) == [remains[-1].key]
    await world.sweep()
    assert world.store.objects == {}
