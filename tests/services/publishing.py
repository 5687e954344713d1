"""Published files, and what takes their copies away."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from graphql_api.db import recorded_objects
from graphql_api.db.tables import PublicationRow
from graphql_api.model.file import File
from graphql_api.model.principal import Principal
from graphql_api.model.rule import ANYONE, AccessRule
from tests.memory_store import MemoryStore
from tests.services.rulings import ruled, rules_on, wish
from tests.services.stories import filed
from tests.world import CDN, World

HOUR = timedelta(hours=1)


async def states(world: World) -> list[str]:
    """Of all copies, the oldest first."""
    async with world.database.autocommit() as connection:
        return list(await connection.scalars(select(PublicationRow.state).order_by(PublicationRow.object_key)))


async def work(world: World) -> None:
    """What a worker does, until there is nothing more to do."""
    for _ in range(4):
        while (await world.publishing.turn()).is_more:
            pass
        await world.outbox.turn()
        world.clock.advance(seconds=5)


async def url_of(world: World, file: File, viewer: Principal) -> str | None:
    return (await world.services.publications.addresses(viewer, [file.id])).get(file.id)


async def public(world: World, owner: Principal, filename: str = "cat.txt", **more: Any) -> File:
    """A file that anyone may read."""
    file = await filed(world, owner, filename, **more)
    await ruled(world, owner, wish(ANYONE, file.id))
    return file


async def published(world: World, owner: Principal, filename: str = "cat.txt", **more: Any) -> tuple[File, str]:
    """It, and the key of its copy."""
    file = await public(world, owner, filename, **more)
    await world.services.publications.publish(owner, file.id)
    await work(world)
    url = await url_of(world, file, owner)
    assert url is not None
    return file, url.removeprefix(CDN + "/")


async def rule_on(world: World, alice: Principal, file: File) -> AccessRule:
    (rule,) = [rule for rule in await rules_on(world, alice, file.id) if rule.terms.resource == str(file.id)]
    return rule


async def delete_rule(world: World, alice: Principal, file: File) -> None:
    rule = await rule_on(world, alice, file)
    await world.services.policies.delete(alice, rule.id, rule.version)


async def deny(world: World, alice: Principal, file: File) -> None:
    await ruled(world, alice, wish(ANYONE, file.id, deny=True))


async def end_rule(world: World, alice: Principal, file: File) -> None:
    rule = await rule_on(world, alice, file)
    changes = {"ends_at": world.clock.now + HOUR}
    await world.services.policies.update(alice, rule.id, rule.version, changes)
    await work(world)
    assert await url_of(world, file, alice) is not None  # it has not ended yet
    world.clock.advance(hours=1)


async def bind_rule(world: World, alice: Principal, file: File) -> None:
    rule = await rule_on(world, alice, file)
    await world.services.policies.update(alice, rule.id, rule.version, {"ip_ranges": ("192.0.2.0/24",)})


async def delete_file(world: World, alice: Principal, file: File) -> None:
    await world.services.files.delete(alice, [file.id])


async def infect(world: World, _alice: Principal, file: File) -> None:
    async with world.database.transaction() as connection:
        await recorded_objects.mark_infected(connection, file.object_key, now=world.clock.now)


async def unpublish(world: World, alice: Principal, file: File) -> None:
    await world.services.publications.unpublish(alice, file.id)
    await world.services.publications.unpublish(alice, file.id)


class SlowStore(MemoryStore):
    """Much happens while it copies."""

    meanwhile: Callable[[str], Awaitable[None]] | None = None

    async def copy(self, source: str, key: str, *, content_type: str, disposition: str, cache_control: str) -> None:
        if self.meanwhile is not None:
            await self.meanwhile(key)
        self.meanwhile = None
        await super().copy(source, key, content_type=content_type, disposition=disposition, cache_control=cache_control)
