"""Store and database are compared both ways; what can be put right is, and nothing else is touched."""

from tests.agreement import assert_in_agreement, disagreements
from tests.services.stories import filed, promised, sent
from tests.world import World


async def test_a_world_in_use_agrees_at_any_time(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, "kept")
    await promised(world, alice, "expected")
    await sent(world, alice, "arrived")
    await filed(world, alice, "replaced", replaces=file.id)
    deleted, aborted = await filed(world, alice, "deleted"), await sent(world, alice, "aborted")
    world.store.is_up = False
    await world.services.files.delete(alice, [deleted.id])
    await world.services.uploads.abort(alice, aborted.id)
    world.store.is_up = True
    assert await disagreements(world) == []
    await assert_in_agreement(world)
    world.clock.advance(days=30)
    await assert_in_agreement(world)
    assert len(world.store.objects) == 3
