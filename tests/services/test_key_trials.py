"""A key is tried before it takes over: on which file, what the edge may say, and who comes first meanwhile."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from graphql_api.edge import EdgeAnswer
from graphql_api.errors import Conflict, EdgeRefused, Unavailable
from graphql_api.model.signing_key import KeyStatus
from graphql_api.services.canary import Canary
from graphql_api.services.signing_keys import SigningKeys
from tests.memory_keys import MemoryEdge
from tests.services.rotating import WHY, House, fault
from tests.services.stories import filed, promised, send
from tests.world import World

PENDING, ACTIVE, RETIRING, _ = KeyStatus


def keys_at(house: House, edge: MemoryEdge) -> SigningKeys:
    """What changes the keyring where keys are tried at this edge."""
    world = house.world
    canary = Canary(world.database, edge, world.clock)
    return SigningKeys(world.database, world.standings, world.clock, world.loader, canary)


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_key_that_the_edge_refuses_stays_pending(house: House, is_known: bool) -> None:
    await house.add()
    del house.world.edge.group["K2"]
    if is_known:  # under the id of another
        house.trust("K2", "")
    with pytest.raises(EdgeRefused) as raised:
        await house.rotate()
    expected = (403, "AccessDenied") if is_known else (403, "InvalidKey")
    assert (raised.value.status, raised.value.edge_code) == expected
    assert "Signature" not in raised.value.message
    assert await house.statuses() == {"K1": ACTIVE, "K2": PENDING}
    house.trust("K2", "/K2.pem")
    await house.rotate()
    assert await house.statuses() == {"K1": RETIRING, "K2": ACTIVE}


async def test_an_edge_that_is_silent_changes_nothing(house: House) -> None:
    await house.add()
    house.world.edge.is_up = False
    await fault(house.rotate(), Unavailable)
    assert await house.statuses() == {"K1": ACTIVE, "K2": PENDING}


async def test_without_a_file_there_is_nothing_to_try_a_key_on(world: World) -> None:
    house = await House.build(world)
    await house.add()
    assert "no file" in await fault(house.rotate(), Conflict)
    assert await house.statuses() == {"K1": ACTIVE, "K2": PENDING}


async def test_an_empty_file_is_not_what_a_key_is_tried_on(house: House) -> None:
    """A range of it cannot be had, so the edge would seem to refuse the key."""
    alice = await house.world.principal("alice")
    house.world.clock.advance(seconds=1)  # so that it is clear which is the newest
    full = await filed(house.world, alice, "b.txt")
    house.world.clock.advance(seconds=1)
    upload = await promised(house.world, alice, "empty.txt", size=0)
    send(house.world, upload, b"")
    await house.world.services.completion.complete(alice, upload.id)
    await house.add()
    await house.rotate()
    assert urlsplit(house.world.edge.opened[-1]).path == f"/{full.object_key}"


class Overtaken(MemoryEdge):
    """An edge that is so slow that somebody else rotates meanwhile."""

    def __init__(self, world: World, rotate: Callable[[], Awaitable[object]]) -> None:
        super().__init__(world.clock, world.edge.group)
        self.rotate = rotate

    async def open(self, url: str) -> EdgeAnswer:
        answer = await super().open(url)
        await self.rotate()
        return answer


@pytest.mark.parametrize("is_immediate", [False, True])
async def test_who_was_overtaken_while_the_edge_was_asked_changes_nothing(house: House, is_immediate: bool) -> None:
    world = house.world
    world.key_places.put("/K3.pem")
    house.trust("K3", "/K3.pem")
    await house.add()
    await house.add("K3", "/K3.pem")
    keys = keys_at(house, Overtaken(world, lambda: house.rotate("K2")))
    message = await fault(keys.rotate(None, "K3", reason=WHY, is_immediate=is_immediate), Conflict)
    assert "somebody else" in message
    assert await house.statuses() == {"K1": RETIRING, "K2": ACTIVE, "K3": PENDING}
