"""Share links as their makers have them: who may make, see and end them, and what is kept of them."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from graphql_api.db.tables import Base
from graphql_api.errors import Conflict, Forbidden, InvalidInput, NotFound
from graphql_api.model.audit import AuditAction, AuditFilter
from graphql_api.model.ids import new_file_id, new_folder_id
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ANYONE, ROOT, Obligations, Scope
from graphql_api.model.share import MAX_DOWNLOADS, ShareWish
from graphql_api.services.passwords import Passwords
from graphql_api.services.share_links import ShareLinks
from tests.services.sharing import fetched, now_of, opens, shared
from tests.services.stories import denied, filed, foldered, ruled, unruled
from tests.world import REDIRECT_LIFETIME, SHARE_MAX_LIFETIME, START, World

CREATED, REVOKED = AuditAction.SHARE_LINK_CREATED, AuditAction.SHARE_LINK_REVOKED


async def events_about(world: World, target: str) -> list[Any]:
    admin = await world.principal("auditor", is_admin=True)
    page = await world.services.audit_log.list(admin, AuditFilter(resource_id=target), PageRequest())
    return list(page.nodes)


async def test_a_visitor_is_sent_on_to_the_file_for_seconds(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    made = await shared(world, ada, file, label="for the printer")
    link = await fetched(world, made.token)
    assert link.url.startswith(f"https://cdn.test/{file.object_key}?")
    assert START < link.expires_at <= START + REDIRECT_LIFETIME
    found = await now_of(world, made.link)
    assert (found.downloads, found.last_used_at, found.label) == (1, START, "for the printer")
    assert world.services.share_links.address(made.token) == f"https://files.test/s/{made.token}"


async def test_nothing_that_opens_a_link_is_kept(world: World) -> None:
    ada = await world.principal("ada")
    made = await shared(world, ada, await filed(world, ada), password="correct horse battery")
    assert len(made.token) == 43  # 256 bits in base64url
    assert made.token not in repr(made)
    async with world.database.autocommit() as connection:
        kept = [repr(row) for table in Base.metadata.sorted_tables for row in await connection.execute(select(table))]
    everything = "\n".join(kept)
    assert hashlib.sha256(made.token.encode()).hexdigest() in everything
    assert made.token not in everything
    assert "correct horse battery" not in everything
    assert "$argon2id$" in everything


async def test_a_link_lives_as_long_as_links_may_if_nothing_else_is_wished(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    assert (await shared(world, ada, file)).link.expires_at == START + SHARE_MAX_LIFETIME
    wished = START + timedelta(hours=1)
    assert (await shared(world, ada, file, expires_at=wished)).link.expires_at == wished


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"expires_at": START}, "expiresAt"),
        ({"expires_at": START - timedelta(days=1)}, "expiresAt"),
        ({"expires_at": START + SHARE_MAX_LIFETIME + timedelta(seconds=1)}, "expiresAt"),
        ({"max_downloads": 0}, "maxDownloads"),
        ({"max_downloads": -1}, "maxDownloads"),
        ({"max_downloads": MAX_DOWNLOADS + 1}, "maxDownloads"),
        ({"label": ""}, "label"),
        ({"label": "x" * 101}, "label"),
        ({"label": "two\nlines"}, "label"),
        ({"password": ""}, "password"),
        ({"password": "seven 7"}, "password"),
        ({"password": "x" * 201}, "password"),
        ({"password": "with a \x00 in it"}, "password"),
    ],
    ids=repr,
)
async def test_what_no_link_can_have_is_refused(sqlite_world: World, wish: dict[str, Any], field: str) -> None:
    ada = await sqlite_world.principal("ada")
    file = await filed(sqlite_world, ada)
    with pytest.raises(InvalidInput) as refused:
        await shared(sqlite_world, ada, file, **wish)
    assert [fault.path for fault in refused.value.faults] == [(field,)]


async def test_only_who_holds_share_makes_links(world: World) -> None:
    ada, bob, eve = [await world.principal(name) for name in ("ada", "bob", "eve")]
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    await ruled(world, bob, folder.id, Permission.READ, Permission.WRITE, Permission.DELETE)
    for thing in (file, folder):
        with pytest.raises(Forbidden) as forbidden:
            await shared(world, bob, thing)
        assert (forbidden.value.required_permission, forbidden.value.path) == ("SHARE", ("resource",))
        for stranger in (eve, ANONYMOUS):
            with pytest.raises(NotFound):
                await shared(world, stranger, thing)
    await ruled(world, bob, folder.id, Permission.SHARE)
    assert await opens(world, (await shared(world, bob, file)).token)
    assert await opens(world, (await shared(world, bob, folder)).token, of=file.id)


@pytest.mark.parametrize(
    "terms",
    [
        {"obligations": Obligations(personal_links=True)},
        {"obligations": Obligations(binds_ip=True)},
        {"ip_ranges": ("192.0.2.0/24",)},
    ],
    ids=["personal", "binding", "ranged"],
)
async def test_without_a_cdn_no_link_is_made_that_could_lead_nobody_to_the_file(
    world: World, terms: dict[str, Any]
) -> None:
    world = World(world.database, binds_links=False)
    ada, bob = await world.principal("ada"), await world.principal("bob")
    bob = replace(bob, address=ip_address("192.0.2.7"))
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    await ruled(world, bob, folder.id, Permission.SHARE)
    await ruled(world, bob, folder.id, Permission.READ, **terms)
    with pytest.raises(Conflict, match="without a CDN") as refused:
        await shared(world, bob, file)
    assert refused.value.path == ("resource",)
    assert (await world.services.share_links.list(bob, PageRequest())).nodes == ()
    await ruled(world, bob, file.id, Permission.READ)  # a more generous rule can be kept
    assert await opens(world, (await shared(world, bob, file)).token)
    assert await opens(world, (await shared(world, ada, file)).token)


async def test_without_a_cdn_what_anyone_is_denied_somewhere_is_shared_by_no_administrator(world: World) -> None:
    world = World(world.database, binds_links=False)
    ada, admin = await world.principal("ada"), await world.principal("boss", is_admin=True)
    file = await filed(world, ada)
    await denied(world, ANYONE, file.id, Permission.READ, ip_ranges=("192.0.2.0/24",))
    for maker in (ada, admin):
        with pytest.raises(Conflict, match="without a CDN"):
            await shared(world, replace(maker, address=ip_address("203.0.113.9")), file)


async def test_with_a_cdn_a_link_is_made_from_where_its_maker_could_not_follow_it(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    file = await filed(world, ada)
    await ruled(world, bob, file.id, Permission.SHARE)
    await ruled(world, bob, file.id, Permission.READ, obligations=Obligations(binds_ip=True))
    made = await shared(world, replace(bob, address=ip_address("2001:db8::9")), file)
    assert await opens(world, made.token)


async def test_what_is_hidden_and_what_is_absent_are_refused_alike(world: World) -> None:
    ada, eve = await world.principal("ada"), await world.principal("eve")
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    said = {}
    for thing in (file.id, new_file_id(START), folder.id, new_folder_id(START)):
        with pytest.raises(NotFound) as refused:
            await shared(world, eve, thing)
        said[thing] = (str(refused.value), refused.value.path)
    assert len(set(said.values())) == 2  # one for files, one for folders


async def test_a_thing_has_so_many_links_and_no_more(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    service = ShareLinks(
        world.database,
        world.standings,
        Passwords(),
        world.clock,
        public_url=None,
        max_lifetime=SHARE_MAX_LIFETIME,
        redirect_lifetime=REDIRECT_LIFETIME,
        max_on_resource=3,
    )
    wish = ShareWish(Scope(file.id))
    made = [await service.create(ada, wish) for _ in range(2)]
    assert service.address(made[0].token) is None
    outcomes = await asyncio.gather(*(service.create(ada, wish) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, InvalidInput) for outcome in outcomes) == 4
    await service.revoke(ada, made[0].link.id)
    await service.create(ada, wish)


async def test_no_hash_is_made_for_a_link_that_has_no_room(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)

    class Counted(PasswordHasher):
        made = 0

        def hash(self, *passwords: Any, **more: Any) -> str:
            self.made += 1
            return super().hash(*passwords, **more)

    hasher = Counted(time_cost=1, memory_cost=8, parallelism=1)
    service = ShareLinks(
        world.database,
        world.standings,
        Passwords(hasher),
        world.clock,
        public_url=None,
        max_lifetime=SHARE_MAX_LIFETIME,
        redirect_lifetime=REDIRECT_LIFETIME,
        max_on_resource=1,
    )
    wish = ShareWish(Scope(file.id), password="correct horse")
    await service.create(ada, wish)
    for _ in range(3):
        with pytest.raises(InvalidInput, match="at most 1 links"):
            await service.create(ada, wish)
    assert hasher.made == 1


async def test_the_audit_log_tells_of_them_and_of_nothing_that_opens_them(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    made = await shared(world, ada, file, label="for bob", max_downloads=3, password="correct horse battery")
    world.clock.advance(seconds=1)
    await world.services.share_links.revoke(ada, made.link.id)
    revoked, created = await events_about(world, made.link.id)
    assert (created.action, revoked.action) == (CREATED, REVOKED)
    assert (created.actor_id, created.target, created.resource) == (ada.user_id, made.link.id, file.id)
    assert created.after == {
        "label": "for bob",
        "expiresAt": made.link.expires_at.isoformat(),
        "maxDownloads": 3,
        "hasPassword": True,
    }
    assert revoked.before == created.after | {"downloads": 0}


async def test_who_sees_a_link_and_who_may_revoke_it(world: World) -> None:
    ada, bob, carol, eve = [await world.principal(name) for name in ("ada", "bob", "carol", "eve")]
    admin, auditor = await world.principal("boss", is_admin=True), await world.principal("auditor")
    await ruled(world, auditor, ROOT, Permission.AUDIT)
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    await ruled(world, bob, folder.id, Permission.READ, Permission.SHARE)
    await ruled(world, carol, folder.id, Permission.READ)
    service = world.services.share_links
    made = await shared(world, bob, file)
    seers, others = (ada, bob, admin, auditor), (carol, eve, ANONYMOUS)
    for principal in (*seers, *others):
        sees = principal in seers
        assert (made.link.id in await service.find(principal, [made.link.id])) is sees
        on_file = (await service.list_on(principal, PageRequest(), [Scope(file.id)]))[Scope(file.id)]
        assert [link.id for link in on_file.nodes] == ([made.link.id] if sees else [])
    for principal in (carol, eve, ANONYMOUS):
        with pytest.raises(NotFound):
            await service.revoke(principal, made.link.id)
    with pytest.raises(Forbidden):
        await service.revoke(auditor, made.link.id)
    for principal in (ada, bob, admin):
        made = await shared(world, bob, file)
        assert (await service.revoke(principal, made.link.id)).link.revoked_at == START


async def test_a_maker_who_may_share_no_longer_still_sees_and_revokes_what_they_made(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    file = await filed(world, ada)
    rule = await ruled(world, bob, file.id, Permission.READ, Permission.SHARE)
    made = await shared(world, bob, file)
    await unruled(world, rule)
    page = await world.services.share_links.list(bob, PageRequest())
    assert [link.id for link in page.nodes] == [made.link.id]
    assert (await world.services.share_links.revoke(bob, made.link.id)).link.revoked_at is not None


async def test_the_list_has_ones_own_links_and_to_auditors_all(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    admin = await world.principal("boss", is_admin=True)
    made: dict[Principal, list[str]] = {}
    for principal in (ada, bob):
        file = await filed(world, principal)
        made[principal] = []
        for _ in range(3):
            made[principal].insert(0, (await shared(world, principal, file)).link.id)
            world.clock.advance(seconds=1)
    service = world.services.share_links
    for principal, expected in ((ada, made[ada]), (bob, made[bob]), (admin, made[bob] + made[ada]), (ANONYMOUS, [])):
        seen, cursor = [], None
        while True:
            page = await service.list(principal, PageRequest(2, cursor))
            seen += [link.id for link in page.nodes]
            if not page.has_next_page:
                break
            cursor = page.cursor_of(page.nodes[-1])
        assert seen == expected


async def test_links_on_a_file_are_those_that_open_it(world: World) -> None:
    """Those on the folders above too; a page of several things is made of one statement."""
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    below = await foldered(world, ada, "rome", folder.id)
    file = await filed(world, ada, "a.txt", folder_id=below.id)
    other = await filed(world, ada, "b.txt", folder_id=folder.id)
    links = {}
    for name, thing in (("folder", folder), ("below", below), ("file", file), ("other", other)):
        links[(await shared(world, ada, thing)).link.id] = name
        world.clock.advance(seconds=1)
    things = [Scope(thing.id) for thing in (folder, below, file, other)]
    pages = await world.services.share_links.list_on(ada, PageRequest(), things)
    found = [[links[link.id] for link in pages[thing].nodes] for thing in things]
    assert found == [["folder"], ["below", "folder"], ["file", "below", "folder"], ["other", "folder"]]
    first = (await world.services.share_links.list_on(ada, PageRequest(2), [things[2]]))[things[2]]
    assert ([links[link.id] for link in first.nodes], first.has_next_page) == (["file", "below"], True)
    request = PageRequest(2, first.cursor_of(first.nodes[-1]))
    second = (await world.services.share_links.list_on(ada, request, [things[2]]))[things[2]]
    assert ([links[link.id] for link in second.nodes], second.has_next_page) == (["folder"], False)
    request = PageRequest(2, first.cursor_of(first.nodes[-1]), is_backward=True)
    back = (await world.services.share_links.list_on(ada, request, [things[2]]))[things[2]]
    assert [links[link.id] for link in back.nodes] == ["file"]
