"""A world with a keyring, for tests of its keys."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from graphql_api.errors import DeliveryError
from graphql_api.model.delivery import Link, LinkWish
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import PageRequest
from graphql_api.model.signing_key import HashAlgorithm, KeyPlace, KeyReference, KeyStatus
from graphql_api.services.keyring import ConfiguredId, Keyring
from graphql_api.services.link_signing import SignerInUse
from graphql_api.services.signing_keys import Rotation
from tests.world import World

SHA256 = HashAlgorithm.SHA256
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WHY = "the yearly rotation"


@dataclass
class House:
    """A world whose ``keyring`` has been started with K1, of the settings; K1 and K2 are kept, and K1 in the group."""

    world: World
    keyring: Keyring = field(init=False)

    @classmethod
    async def build(cls, world: World) -> "House":
        house = cls(world)
        house.keyring = house.process(world.in_use)
        world.key_places.put("")  # where the settings' key is
        world.key_places.put("/K2.pem")
        house.trust("K1", "")
        await house.keyring.start()
        return house

    def process(self, in_use: SignerInUse, configured: str = "K1", *, longest: timedelta = DAY) -> Keyring:
        """Another process."""
        world = self.world
        return Keyring(
            world.database,
            world.clock,
            world.loader,
            in_use,
            ConfiguredId(configured, SHA256),
            longest_lifetime=longest,
        )

    def trust(self, key_pair_id: str, name: str) -> None:
        """Into the edge's key group."""
        self.world.edge.group[key_pair_id] = self.world.key_places.public_pem(name)

    async def add(self, key_pair_id: str = "K2", name: str = "/K2.pem") -> None:
        await self.world.services.signing_keys.add(None, key_pair_id, KeyReference(KeyPlace.FILE, name), SHA256)

    async def rotate(self, key: str | None = None, **how: Any) -> Rotation:
        return await self.world.services.signing_keys.rotate(None, key, reason=WHY, **how)

    async def statuses(self) -> dict[str, KeyStatus]:
        return {entry.key_pair_id: entry.status for entry in await self.world.services.signing_keys.list(None)}

    async def link(self) -> Link:
        """One that lives as long as a link can."""
        alice = await self.world.principal("alice")
        newest = PageRequest(1, None, is_backward=False)
        page = await self.world.services.files.list(alice, FileFilter(), FileOrder(), newest)
        grant = self.world.services.delivery.grant(page.nodes[0])
        assert grant
        [link] = self.world.services.delivery.sign([grant], LinkWish(DAY))
        return link

    def opens(self, link: Link) -> bool:
        return self.world.edge.judge(link.url).is_let_through


async def fault(work: Awaitable[object], kind: type[DeliveryError]) -> str:
    with pytest.raises(kind) as raised:
        await work
    return raised.value.message
