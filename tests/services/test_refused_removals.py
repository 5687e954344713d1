"""Orphans that the store does not remove when it is told to: they are not called removed."""

from collections.abc import Sequence

from graphql_api.errors import Unavailable
from graphql_api.model.finding import FindingKind, Remedy
from graphql_api.model.ids import new_object_key
from graphql_api.model.stored_object import PromisedObject
from tests.memory_store import MemoryStore
from tests.services.comparing import everything, fixed, found, kinds, steps_of, told
from tests.services.stories import filed
from tests.world import World


def orphan(world: World) -> str:
    key = new_object_key(world.clock())
    world.store.put(PromisedObject(key, 5, "text/plain", None), b"bytes")
    return key


async def test_what_the_store_refuses_to_remove_is_left_and_told_by_each_run(world: World) -> None:
    key, other = orphan(world), orphan(world)
    world.clock.advance(days=1)
    world.store.locked = {key}
    steps = await steps_of(everything(world), fix=True)
    assert kinds(told(steps)) == [(FindingKind.ORPHAN, each) for each in sorted([key, other])]
    assert [finding.subject for finding in fixed(steps)] == [other]
    since = world.clock()
    for days in (0, 30):
        world.clock.advance(days=days)
        await world.sweep()
        [finding] = told(await steps_of(everything(world), fix=True))
        assert (finding.kind, finding.subject) == (FindingKind.REFUSED, key)
        assert f"since {since:%Y-%m-%dT%H:%M:%SZ}" in finding.detail
    world.store.locked = set()
    world.clock.advance(hours=1)
    await world.sweep()
    assert world.store.objects == {}
    assert await found(world) == []


async def test_so_are_bytes_of_a_deleted_file(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    world.store.locked = {file.object_key}
    await world.services.files.delete(alice, [file.id])
    world.clock.advance(days=1)
    assert await found(world) == [(FindingKind.REFUSED, file.object_key)]
    world.store.locked = set()
    await world.sweep()
    assert await found(world) == []


class RemovesNothing(MemoryStore):
    """While it is busy."""

    is_busy = True

    async def delete(self, keys: Sequence[str]) -> Sequence[str]:
        if self.is_busy:
            raise Unavailable("store")
        return await super().delete(keys)


async def test_what_a_store_that_is_busy_does_not_remove_now_goes_later(sqlite_world: World) -> None:
    world = World(sqlite_world.database, store_of=RemovesNothing)
    key = orphan(world)
    world.clock.advance(days=1)
    [step] = [step for step in await steps_of(everything(world), fix=True) if step.fixed]
    assert [(finding.subject, remedy) for finding, remedy in step.fixed.items()] == [(key, Remedy.SCHEDULED)]
    assert await found(world) == []
    assert isinstance(world.store, RemovesNothing)
    world.store.is_busy = False
    await world.sweep()
    assert world.store.objects == {}
