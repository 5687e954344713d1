"""Share links and visitors, for tests."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from graphql_api.errors import NotFound
from graphql_api.model.delivery import Link
from graphql_api.model.file import File, Folder
from graphql_api.model.principal import ANONYMOUS, Principal
from graphql_api.model.rule import Scope
from graphql_api.model.share import NewShareLink, ShareLink, ShareWish
from tests.world import World


def visitor(address: str = "203.0.113.9") -> Principal:
    """Somebody who comes from there."""
    return replace(ANONYMOUS, address=ip_address(address), request_id="visit-1")


async def shared(world: World, maker: Principal, thing: File | Folder | str, **wish: Any) -> NewShareLink:
    """A link that ``maker`` makes to ``thing``."""
    resource = thing if isinstance(thing, str) else thing.id
    return await world.services.share_links.create(maker, replace(ShareWish(Scope(resource)), **wish))


async def fetched(world: World, token: str, *, of: str | None = None, by: Principal | None = None) -> Link:
    """What a visitor is sent on to: the file, or in a folder the file ``of``. Raises: NotFound."""
    visits = world.services.visits
    visit = await visits.begin(by or visitor(), token)
    if of is None:
        assert isinstance(visit.thing, File)
        return await visits.fetch(visit, visit.thing)
    return await visits.fetch(visit, await visits.get_file(visit, of))  # type: ignore[arg-type]  # any text


async def opens(world: World, token: str, **how: Any) -> bool:
    """Whether a visitor gets to the bytes."""
    try:
        await fetched(world, token, **how)
    except NotFound:
        return False
    return True


async def now_of(world: World, link: ShareLink) -> ShareLink:
    """The link as its maker finds it now."""
    maker = Principal(link.created_by)
    return (await world.services.share_links.find(maker, [link.id]))[link.id]
