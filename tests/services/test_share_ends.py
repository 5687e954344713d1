"""What ends a share link, also for those who are at the door."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from graphql_api.errors import NotFound
from graphql_api.model.audit import AuditAction, AuditFilter
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Permission
from graphql_api.model.share import ShareLinkState
from graphql_api.services import share_links
from tests.services.sharing import fetched, now_of, opens, shared, visitor
from tests.services.stories import denied, filed, foldered, ruled, unruled
from tests.world import REDIRECT_LIFETIME, START, World

CREATED, REVOKED = AuditAction.SHARE_LINK_CREATED, AuditAction.SHARE_LINK_REVOKED


async def events_about(world: World, target: str) -> list[Any]:
    admin = await world.principal("auditor", is_admin=True)
    page = await world.services.audit_log.list(admin, AuditFilter(resource_id=target), PageRequest())
    return list(page.nodes)


async def test_of_a_hundred_visitors_of_a_one_use_link_one_gets_in(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    made = await shared(world, ada, file, max_downloads=1)
    visits = [await world.services.visits.begin(visitor(f"198.51.100.{n}"), made.token) for n in range(100)]
    fetching = (world.services.visits.fetch(visit, file) for visit in visits)
    outcomes = await asyncio.gather(*fetching, return_exceptions=True)
    assert sum(isinstance(outcome, NotFound) for outcome in outcomes) == 99
    assert (await now_of(world, made.link)).downloads == 1
    assert not await opens(world, made.token)


async def test_a_link_for_so_many_downloads_serves_exactly_so_many(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    made = await shared(world, ada, file, max_downloads=7)
    outcomes = await asyncio.gather(*(opens(world, made.token, by=visitor(f"198.51.100.{n}")) for n in range(20)))
    assert sum(outcomes) == 7
    found = await now_of(world, made.link)
    assert found.downloads == 7
    assert world.services.share_links.state(found) is ShareLinkState.USED_UP


async def test_a_link_ends_at_its_instant_and_no_address_outlives_it(world: World) -> None:
    ada = await world.principal("ada")
    end = START + timedelta(minutes=10)
    made = await shared(world, ada, await filed(world, ada), expires_at=end)
    world.clock.now = end - timedelta(seconds=20)
    assert (await fetched(world, made.token)).expires_at == end
    world.clock.now = end - timedelta(microseconds=1)
    assert (await fetched(world, made.token)).expires_at == end
    assert world.services.share_links.state(made.link) is ShareLinkState.OPEN
    world.clock.now = end
    assert not await opens(world, made.token)
    assert world.services.share_links.state(made.link) is ShareLinkState.EXPIRED


async def test_a_revoked_link_opens_nothing_even_to_who_is_at_the_door(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    made = await shared(world, ada, file)
    visit = await world.services.visits.begin(visitor(), made.token)
    await world.services.share_links.revoke(ada, made.link.id)
    with pytest.raises(NotFound):
        await world.services.visits.fetch(visit, file)
    assert not await opens(world, made.token)
    found = await now_of(world, made.link)
    assert (found.downloads, found.revoked_at) == (0, START)


async def test_a_link_that_expires_while_somebody_is_at_the_door_opens_nothing(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    made = await shared(world, ada, file, expires_at=START + timedelta(minutes=1))
    visit = await world.services.visits.begin(visitor(), made.token)
    world.clock.advance(minutes=1)
    with pytest.raises(NotFound):
        await world.services.visits.fetch(visit, file)


@pytest.mark.parametrize("of_folder", [False, True])
async def test_who_is_at_the_door_when_the_maker_loses_a_right_gets_nothing(world: World, of_folder: bool) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    thing: Any = folder if of_folder else file
    await ruled(world, bob, thing.id, Permission.READ)
    sharing = await ruled(world, bob, thing.id, Permission.SHARE)
    made = await shared(world, bob, thing)
    visit = await world.services.visits.begin(visitor(), made.token)
    await unruled(world, sharing)
    with pytest.raises(NotFound):
        await world.services.visits.fetch(visit, file)
    await ruled(world, bob, thing.id, Permission.SHARE)
    await denied(world, bob, file.id, Permission.READ)
    with pytest.raises(NotFound):
        await world.services.visits.fetch(visit, file)
    assert (await now_of(world, made.link)).downloads == 0


async def test_a_file_that_is_moved_out_while_somebody_is_at_the_door_is_not_opened(world: World) -> None:
    ada = await world.principal("ada")
    folder, beside = await foldered(world, ada, "photos"), await foldered(world, ada, "beside")
    file = await filed(world, ada, folder_id=folder.id)
    made = await shared(world, ada, folder)
    visit = await world.services.visits.begin(visitor(), made.token)
    await world.services.files.move(ada, file.id, beside.id)
    with pytest.raises(NotFound):
        await world.services.visits.fetch(visit, file)
    assert (await now_of(world, made.link)).downloads == 0


async def test_revoking_says_until_when_who_was_sent_on_may_still_fetch(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    end = START + timedelta(seconds=30)
    unused, used = await shared(world, ada, file), await shared(world, ada, file)
    ending = await shared(world, ada, file, expires_at=end)
    await fetched(world, used.token)
    await fetched(world, ending.token)
    world.clock.advance(seconds=10)
    revoke = world.services.share_links.revoke
    assert (await revoke(ada, unused.link.id)).old_links_expire_by is None
    assert (await revoke(ada, used.link.id)).old_links_expire_by == START + REDIRECT_LIFETIME
    assert (await revoke(ada, ending.link.id)).old_links_expire_by == end
    world.clock.advance(seconds=50)
    again = await revoke(ada, used.link.id)
    assert (again.old_links_expire_by, again.link.revoked_at) == (None, START + timedelta(seconds=10))
    assert len(await events_about(world, used.link.id)) == 2  # revoked once


async def test_the_last_use_is_the_latest_whoever_comes_last(world: World) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada))
    for seconds, latest in ((0, 0), (10, 10), (4, 10), (12, 12)):  # of a process whose clock is behind
        world.clock.now = START + timedelta(seconds=seconds)
        await fetched(world, made.token)
        assert (await now_of(world, made.link)).last_used_at == START + timedelta(seconds=latest)


async def test_links_go_with_what_they_open(world: World) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    inside, alone = await filed(world, ada, "in.txt", folder_id=folder.id), await filed(world, ada, "alone.txt")
    made = [await shared(world, ada, thing) for thing in (folder, inside, alone)]
    world.clock.advance(seconds=1)
    await world.services.files.delete(ada, [alone.id])
    await world.services.folders.delete(ada, folder.id, is_recursive=True)
    for each in made:
        assert not await opens(world, each.token)
        assert await world.services.share_links.find(ada, [each.link.id]) == {}
        assert [event.action for event in await events_about(world, each.link.id)] == [REVOKED, CREATED]


async def test_links_are_forgotten_a_while_after_they_have_expired(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    short = await shared(world, ada, file, expires_at=START + timedelta(days=1))
    long = await shared(world, ada, file)
    world.clock.now = short.link.expires_at + share_links.KEPT
    assert (await world.services.share_links.turn()).done == 0
    world.clock.advance(seconds=1)
    assert (await world.services.share_links.turn()).done == 1
    assert list(await world.services.share_links.find(ada, [short.link.id, long.link.id])) == [long.link.id]
