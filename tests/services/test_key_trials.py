"""A key is tried before it takes over: on which file, what the edge may say, and who comes first meanwhile."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from graphql_api.db.engine import Database
from graphql_api.edge import EdgeAnswer
from graphql_api.edge.function import revocation_function
from graphql_api.errors import Conflict, EdgeRefused, Unavailable
from graphql_api.localcloud.function import EdgeFunction, FunctionResponse
from graphql_api.localcloud.key_value_store import KeyValueStore
from graphql_api.localcloud.signature import ViewerRequest
from graphql_api.model.file import File
from graphql_api.model.revocation import mark_of
from graphql_api.model.signing_key import KeyStatus
from graphql_api.services.bundle_wishes import EntryWish
from graphql_api.services.canary import Canary
from graphql_api.services.signing_keys import SigningKeys
from tests.memory_keys import MemoryEdge
from tests.services.bundled import PLAYLIST, bundled, wish
from tests.services.rotating import WHY, House, fault
from tests.services.stories import CONTENT, filed, promised, send
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


class WithFunction(MemoryEdge):
    """An edge whose function reads ``store``."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock, world.edge.group)
        self.store = KeyValueStore()
        self.function = EdgeFunction(revocation_function(failure="refuse"), self.store)

    async def open(self, url: str) -> EdgeAnswer:
        answer = await super().open(url)
        parts = urlsplit(url)
        request = ViewerRequest(parts.scheme, parts.netloc, parts.path, parts.query, cookie="", address="192.0.2.1")
        outcome = self.function(request, "GET", {})
        return EdgeAnswer(outcome.status) if isinstance(outcome, FunctionResponse) else answer

    def revoke(self, file: File) -> None:
        self.store.items[mark_of(file.id)] = "1"


async def test_where_there_are_only_bundles_a_key_is_tried_on_one_that_the_function_lets_through(
    database: Database,
) -> None:
    world = World(database, revokes=True)
    house, edge = await House.build(world), WithFunction(world)
    house.trust("K2", "/K2.pem")
    alice = await world.principal("alice")
    usable = await bundled(world, alice, name="usable")
    world.clock.advance(seconds=1)  # so that it is clear which is the newest
    entries = [EntryWish("index.m3u8", 0, PLAYLIST), EntryWish("0.ts", len(CONTENT), "video/mp2t")]
    _, uploads = await world.services.bundles.create(alice, wish(name="begins empty", entries=entries))
    for upload in uploads:
        send(world, upload, CONTENT[: upload.size])
        await world.services.completion.complete(alice, upload.id)
    world.clock.advance(seconds=1)
    revoked = await bundled(world, alice, name="revoked")
    await world.services.revocations.revoke_file(alice, revoked.id)
    edge.revoke(revoked)
    await house.add()
    await keys_at(house, edge).rotate(None, "K2", reason=WHY)
    assert [urlsplit(url).path for url in edge.opened] == [f"/{usable.object_key}"]
    assert await house.statuses() == {"K1": RETIRING, "K2": ACTIVE}


async def test_a_key_that_the_edge_refuses_for_a_bundle_stays_pending(world: World) -> None:
    house = await House.build(world)
    await bundled(world, await world.principal("alice"))
    await house.add()
    with pytest.raises(EdgeRefused):
        await house.rotate()
    assert await house.statuses() == {"K1": ACTIVE, "K2": PENDING}


async def test_a_revoked_bundle_alone_is_nothing_to_try_a_key_on(database: Database) -> None:
    world = World(database, revokes=True)
    house = await House.build(world)
    alice = await world.principal("alice")
    await world.services.revocations.revoke_file(alice, (await bundled(world, alice)).id)
    await house.add()
    message = await fault(house.rotate(), Conflict)
    assert "no file" in message
    assert "bundle" in message
    assert world.edge.opened == []


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
