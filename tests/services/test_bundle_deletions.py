"""Bundles that are deleted go at once as files and in pieces as objects: no transaction is as long as they are many."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, event, insert, select, update

from graphql_api.db import recorded_objects
from graphql_api.db.tables import BundleEntryRow, BundleRow, ObjectDeletionRow
from graphql_api.model.bundle import bundle_of, entry_key
from graphql_api.model.file import File
from graphql_api.model.stored_object import PromisedObject
from graphql_api.services.upkeep import AT_ONCE, BATCH, Upkeep
from tests.services.bundled import bundled
from tests.services.stock import require_exact
from tests.services.stories import foldered
from tests.world import World

MORE = 440  # entries that are written down without having been uploaded one by one


async def grown(world: World, file: File) -> None:
    """The bundle has more entries, of one byte each."""
    bundle_id = bundle_of(file.id)
    keys = {f"more/{number}": entry_key(bundle_id, f"more/{number}") for number in range(MORE)}
    for key in keys.values():
        world.store.put(PromisedObject(key, 1, "text/plain", None), b"a")
    rows = [
        {"bundle_id": bundle_id, "path": path, "object_key": key, "size": 1, "content_type": "text/plain"}
        for path, key in keys.items()
    ]
    async with world.database.transaction() as connection:
        await connection.execute(insert(BundleEntryRow), rows)
        more = BundleRow.entry_count + MORE
        await connection.execute(update(BundleRow).where(BundleRow.id == bundle_id).values(entry_count=more))


@contextmanager
def scheduled(world: World) -> Iterator[list[int]]:
    """How many removals each transaction writes down."""
    counts: list[int] = []

    def note(_connection: object, _cursor: object, statement: str, rows: Sequence[object], *more: object) -> None:
        if statement.startswith("INSERT INTO object_deletions"):
            counts.append(len(rows) if more[-1] else 1)

    engine = world.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield counts
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("with_folder", [False, True], ids=["files", "folder"])
async def test_many_bundles_go_in_pieces(world: World, with_folder: bool) -> None:
    alice, services = await world.principal("alice"), world.services
    folder = await foldered(world, alice, "films")
    films = [await bundled(world, alice, name=f"film {number}", folder_id=folder.id) for number in range(7)]
    for film in films:
        await grown(world, film)
    total = len(world.store.objects)
    assert total > AT_ONCE + BATCH / 2
    with scheduled(world) as counts:
        if with_folder:
            await services.folders.delete(alice, folder.id, is_recursive=True)
        else:
            await services.files.delete(alice, [film.id for film in films])
        assert counts[0] == len(films)  # what the deletion itself writes down
        await require_exact(world)
        left = sorted(world.store.objects)
        assert 0 < len(left) <= total - AT_ONCE + BATCH  # nobody waits for all
        async with world.database.autocommit() as connection:
            assert await recorded_objects.list_recorded(connection, "b/", after=None, limit=10) == ([], None)
            assert await recorded_objects.find_recorded(connection, left) == {}
            assert await recorded_objects.find_known(connection, left) == set(left)  # so nobody takes them for strays
        await world.sweep()
    assert max(counts) <= BATCH
    assert world.store.objects == {}
    async with world.database.autocommit() as connection:
        assert list(await connection.scalars(select(BundleRow.id))) == []
        assert list(await connection.scalars(select(BundleEntryRow.path))) == []


async def test_a_sweep_removes_what_it_has_taken_apart_while_time_goes_on(world: World) -> None:
    alice = await world.principal("alice")
    films = [await bundled(world, alice, name=name) for name in ("one", "two")]
    world.store.is_up = False
    await world.services.files.delete(alice, [film.id for film in films])
    world.store.is_up = True
    async with world.database.transaction() as connection:  # nothing is due but what is taken apart now
        await connection.execute(delete(ObjectDeletionRow))

    def ticking() -> datetime:
        world.clock.advance(seconds=1)
        return world.clock.now

    upkeep = Upkeep(
        world.database, world.store, ticking, longest_target=timedelta(days=1), transfer_grace=timedelta(hours=1)
    )
    assert await upkeep.sweep() == 6
    assert world.store.objects == {}


async def test_what_the_store_does_not_remove_now_it_removes_later(world: World) -> None:
    alice = await world.principal("alice")
    films = [await bundled(world, alice, name=name) for name in ("one", "two")]
    kept = await bundled(world, alice, name="kept")
    world.store.is_up = False
    await world.services.files.delete(alice, [film.id for film in films])
    world.store.is_up = True
    assert len(world.store.objects) == 9
    await world.sweep()
    world.clock.advance(minutes=6)
    await world.sweep()
    prefix = entry_key(bundle_of(kept.id), "")
    assert {key for key in world.store.objects if not key.startswith(prefix)} == set()
    assert len(world.store.objects) == 3
