"""Published files: a copy is where anybody gets it for as long as anyone may read the file, and no longer."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from graphql_api.db import recorded_objects, traffic
from graphql_api.db.engine import Database
from graphql_api.db.tables import PublicationRow
from graphql_api.errors import Conflict, Unavailable
from graphql_api.model.audit import AuditAction
from graphql_api.model.file import File
from graphql_api.model.finding import FindingKind
from graphql_api.model.ids import PUBLISHED_PREFIX, new_published_key
from graphql_api.model.principal import Principal
from graphql_api.model.publication import PublicationState
from graphql_api.model.rule import ANYONE
from graphql_api.services.object_comparison import ObjectCheck
from graphql_api.services.publications import Publications
from graphql_api.services.publishing import KEPT, STUCK_AFTER, Publishing
from tests.services.publishing import (
    HOUR,
    SlowStore,
    bind_rule,
    delete_file,
    delete_rule,
    deny,
    end_rule,
    infect,
    public,
    published,
    states,
    unpublish,
    url_of,
    work,
)
from tests.services.rulings import events, refusal, ruled, wish
from tests.services.stories import CONTENT, filed
from tests.world import CDN, World


async def test_what_anyone_may_read_is_copied_to_a_lasting_address(world: World) -> None:
    alice = await world.principal("alice")
    file = await public(world, alice)
    await world.services.publications.publish(alice, file.id)
    assert await url_of(world, file, alice) is None  # the copy is not there yet
    await work(world)
    url = await url_of(world, file, alice)
    assert url is not None
    key = url.removeprefix(CDN + "/")
    assert key.startswith(PUBLISHED_PREFIX)
    stored, content = world.store.objects[key]
    assert (content, stored.content_type) == (CONTENT, "text/plain")
    assert world.store.headers[key] == ('inline; filename="cat.txt"', "public, max-age=3600")
    assert world.store.objects[file.object_key][1] == CONTENT
    world.clock.advance(days=100)
    await work(world)
    assert await url_of(world, file, alice) == url


async def test_pages_with_scripts_are_only_saved(world: World) -> None:
    alice = await world.principal("alice")
    for number, kind in enumerate(("text/html", "image/svg+xml", "application/xhtml+xml", "text/xsl")):
        _, key = await published(world, alice, f"page {number}", content_type=kind)
        assert world.store.headers[key][0].startswith("attachment;")


async def test_to_publish_twice_is_to_publish_once(world: World) -> None:
    alice = await world.principal("alice")
    file = await public(world, alice)
    await asyncio.gather(*(world.services.publications.publish(alice, file.id) for _ in range(4)))
    await work(world)
    await world.services.publications.publish(alice, file.id)
    await work(world)
    assert await states(world) == ["LIVE"]
    admin = await world.principal("root", is_admin=True)
    assert len(await events(world, admin, actions=(AuditAction.FILE_PUBLISHED,))) == 1


@pytest.mark.parametrize(
    "terms",
    [
        None,
        {"ip_ranges": ("192.0.2.0/24",)},
        {"binds_ip": True},
        {"max_lifetime": HOUR},
        {"forces_download": True},
        {"personal_links": True},
    ],
    ids=["no rule", "ranged", "binding", "brief", "saved", "personal"],
)
async def test_what_not_everybody_may_have_without_conditions_is_not_published(
    sqlite_world: World, terms: dict[str, Any] | None
) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    file = await filed(world, alice)
    if terms is not None:
        await ruled(world, alice, wish(ANYONE, file.id, **terms))
    assert await refusal(world.services.publications.publish(alice, file.id)) == ("CONFLICT", ("fileId",))
    assert await states(world) == []


async def test_publishing_takes_the_right_to_share(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await public(world, alice)
    hidden = await filed(world, alice, "hidden.txt")
    service = world.services.publications
    for one in (service.publish, service.unpublish):
        assert await refusal(one(bob, file.id)) == ("FORBIDDEN", ("fileId",))
        assert await refusal(one(bob, hidden.id)) == ("NOT_FOUND", ("fileId",))


async def test_without_a_cdn_nothing_is_published(sqlite_world: World) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    file = await public(world, alice)
    service = Publications(world.database, world.standings, world.copies, world.clock, base_url=None)
    with pytest.raises(Conflict, match="without a CDN"):
        await service.publish(alice, file.id)
    assert await service.addresses(alice, [file.id]) == {}


Loss = Callable[[World, Principal, File], Awaitable[None]]


@pytest.mark.parametrize("lose", [delete_rule, deny, end_rule, bind_rule, delete_file, infect, unpublish])
async def test_what_not_everybody_may_read_any_more_is_withdrawn(world: World, lose: Loss) -> None:
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    await lose(world, alice, file)
    await work(world)
    assert await url_of(world, file, alice) is None
    assert key not in world.store.objects
    assert world.edge_cache.dropped == [f"/{key}"]
    assert await states(world) == [PublicationState.REMOVED]
    admin = await world.principal("root", is_admin=True)
    (event,) = await events(world, admin, actions=(AuditAction.FILE_UNPUBLISHED,))
    assert event.target == file.id
    assert (event.actor_id is None) == (lose not in (unpublish, delete_file))


async def test_a_file_moved_to_where_anyone_may_not_read_is_withdrawn(world: World) -> None:
    alice = await world.principal("alice")
    home = (await filed(world, alice, "any")).folder_id
    open_, closed = [await world.services.folders.create(alice, home, name) for name in ("open", "closed")]
    await ruled(world, alice, wish(ANYONE, open_.id))
    file = await filed(world, alice, folder_id=open_.id)
    await world.services.publications.publish(alice, file.id)
    await work(world)
    assert await url_of(world, file, alice) is not None
    await world.services.files.move(alice, file.id, closed.id)
    await work(world)
    assert await url_of(world, file, alice) is None
    assert await states(world) == [PublicationState.REMOVED]


async def test_other_bytes_get_another_address_and_the_old_one_ends(world: World) -> None:
    alice = await world.principal("alice")
    file, old = await published(world, alice)
    await filed(world, alice, "any", replaces=file.id)
    await work(world)
    url = await url_of(world, file, alice)
    assert url is not None
    assert url != f"{CDN}/{old}"
    assert old not in world.store.objects
    assert world.edge_cache.dropped == [f"/{old}"]
    assert await states(world) == [PublicationState.REMOVED, PublicationState.LIVE]


async def test_a_right_that_goes_before_the_copy_is_made_leaves_none(world: World) -> None:
    alice = await world.principal("alice")
    file = await public(world, alice)
    await world.services.publications.publish(alice, file.id)
    await delete_rule(world, alice, file)
    await world.outbox.turn()  # before anybody has looked
    await work(world)
    assert [key for key in world.store.objects if key.startswith(PUBLISHED_PREFIX)] == []
    assert await states(world) == [PublicationState.REMOVED]


@pytest.mark.parametrize("lose", [unpublish, delete_rule, delete_file, infect])
async def test_a_copy_that_lands_after_it_was_withdrawn_goes_again(database: Database, lose: Loss) -> None:
    world = World(database, store_of=SlowStore)
    assert isinstance(world.store, SlowStore)
    alice = await world.principal("alice")
    file = await public(world, alice)
    await world.services.publications.publish(alice, file.id)
    source = world.store.objects[file.object_key]

    async def meanwhile(key: str) -> None:
        await lose(world, alice, file)
        await world.publishing.turn()
        await world.publishing.remove(key, {})  # the whole withdrawal
        world.store.objects[file.object_key] = source  # the store had read it already

    world.store.meanwhile = meanwhile
    await work(world)
    assert [key for key in world.store.objects if key.startswith(PUBLISHED_PREFIX)] == []
    assert await states(world) == [PublicationState.REMOVED]


async def test_a_copier_that_was_thought_dead_leaves_the_copy_of_another(database: Database) -> None:
    world = World(database, store_of=SlowStore)
    assert isinstance(world.store, SlowStore)
    alice = await world.principal("alice")
    file = await public(world, alice)
    await world.services.publications.publish(alice, file.id)
    store = world.store

    async def meanwhile(key: str) -> None:
        store.meanwhile = None
        await world.publishing.copy(key, {})  # the job was taken again

    store.meanwhile = meanwhile
    await work(world)
    assert await states(world) == [PublicationState.LIVE]
    url = await url_of(world, file, alice)
    assert url is not None
    assert [key for key in world.store.objects if url.endswith(f"/{key}")] != []


async def test_a_right_that_goes_at_the_same_moment_leaves_no_copy(world: World) -> None:
    alice = await world.principal("alice")
    file = await public(world, alice)
    await asyncio.gather(
        delete_rule(world, alice, file),
        world.services.publications.publish(alice, file.id),
        return_exceptions=True,
    )
    await work(world)
    assert [key for key in world.store.objects if key.startswith(PUBLISHED_PREFIX)] == []
    assert set(await states(world)) <= {PublicationState.REMOVED}


async def test_the_edge_is_told_only_when_the_copy_is_gone(world: World) -> None:
    """Or it could fetch it once more."""
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    world.store.locked.add(key)
    await world.services.publications.unpublish(alice, file.id)
    await work(world)
    assert world.edge_cache.dropped == []
    assert await states(world) == [PublicationState.WITHDRAWN]
    world.store.locked.clear()
    world.clock.advance(hours=1)
    await work(world)
    assert set(world.edge_cache.dropped) == {f"/{key}"}


async def test_a_copier_that_dies_after_the_copy_leaves_nothing_behind(world: World) -> None:
    alice = await world.principal("alice")
    file = await public(world, alice)
    await world.services.publications.publish(alice, file.id)
    async with world.database.autocommit() as connection:
        key = await connection.scalar(select(PublicationRow.object_key))
    assert key is not None
    headers = {"content_type": "text/plain", "disposition": "inline", "cache_control": "public"}
    await world.store.copy(file.object_key, key, **headers)  # and the worker is killed
    await world.services.publications.unpublish(alice, file.id)
    await world.store.copy(file.object_key, key, **headers)  # of another, which was slower
    await work(world)
    await world.store.copy(file.object_key, key, **headers)  # of a third, when all is done
    world.clock.advance(days=2)
    await world.services.upkeep.sweep()
    assert key not in world.store.objects


async def test_a_killed_copy_is_made_by_the_next(world: World) -> None:
    alice = await world.principal("alice")
    file = await public(world, alice)
    await world.services.publications.publish(alice, file.id)
    world.store.is_up = False
    await world.outbox.turn()
    assert await states(world) == [PublicationState.COPYING]
    world.store.is_up = True
    world.clock.advance(minutes=1)
    await work(world)
    assert await states(world) == [PublicationState.LIVE]


async def test_an_edge_that_does_not_answer_is_told_later(world: World) -> None:
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    world.edge_cache.is_up = False
    await world.services.publications.unpublish(alice, file.id)
    assert key not in world.store.objects  # the copy waits for nobody
    await work(world)
    assert await states(world) == [PublicationState.WITHDRAWN]
    with pytest.raises(Unavailable):
        await world.publishing.remove(key, {})
    world.edge_cache.is_up = True
    world.clock.now += STUCK_AFTER
    await work(world)
    assert await states(world) == [PublicationState.REMOVED]
    assert set(world.edge_cache.dropped) == {f"/{key}"}


async def test_bytes_that_are_missing_end_the_wish(world: World) -> None:
    alice = await world.principal("alice")
    file = await public(world, alice)
    await world.services.publications.publish(alice, file.id)
    del world.store.objects[file.object_key]
    await work(world)
    assert await states(world) == [PublicationState.REMOVED]


async def test_a_look_at_many_copies_goes_on_where_it_was_and_hurries_when_rules_change(sqlite_world: World) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    files = [await public(world, alice, f"{n}.txt") for n in range(5)]
    for file in files:
        await world.services.publications.publish(alice, file.id)
    await work(world)
    publishing = Publishing(
        world.database,
        world.standings,
        world.store,
        world.copies,
        None,
        world.clock,
        max_age=HOUR,
        page_size=2,
    )
    while (await publishing.turn()).is_more:
        pass
    assert [(await publishing.turn()).is_more for _ in range(4)] == [False] * 4
    await delete_rule(world, alice, files[4])
    turns = 1
    while (await publishing.turn()).is_more:
        turns += 1
    assert 3 <= turns <= 5
    assert (await states(world)).count(PublicationState.WITHDRAWN) == 1


async def test_a_copy_is_no_orphan_and_its_downloads_are_the_files(world: World) -> None:
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    async with world.database.autocommit() as connection:
        assert await recorded_objects.find_known(connection, [key]) == {key}
        assert await traffic.find_files_of_keys(connection, [key]) == {key: (file.id, True)}
    await world.services.publications.unpublish(alice, file.id)
    await work(world)
    async with world.database.autocommit() as connection:
        assert await traffic.find_files_of_keys(connection, [key]) == {key: (file.id, True)}  # logs come late


async def test_a_removed_copy_is_forgotten_though_none_is_left(world: World) -> None:
    alice = await world.principal("alice")
    file, _ = await published(world, alice)
    await world.services.publications.unpublish(alice, file.id)
    await work(world)
    assert await states(world) == [PublicationState.REMOVED]
    world.clock.now += KEPT
    await work(world)  # its last look for a late copy
    world.clock.now += KEPT
    await work(world)
    assert await states(world) == []


async def test_a_copy_that_no_row_knows_is_an_orphan(world: World) -> None:
    """As after a restore: whoever has its address reads it."""
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    lost = new_published_key(world.clock.now)
    await world.store.copy(file.object_key, lost, content_type="text/plain", disposition="inline", cache_control="")
    world.clock.advance(days=2)
    check = ObjectCheck(
        world.database,
        world.store,
        world.services.upkeep,
        world.clock,
        prefix=PUBLISHED_PREFIX,
        safe_age=timedelta(days=1),
    )
    findings = (await check.page(None)).findings
    assert [(finding.kind, finding.subject) for finding in findings] == [(FindingKind.ORPHAN, lost)]
    assert key in world.store.objects


async def test_publishing_by_graphql(world: World) -> None:
    alice = await world.principal("alice")
    file = await public(world, alice)
    asked = {"id": file.id}
    done = await world.data(
        "mutation ($id: ID!) { publish(input: {fileId: $id}) { file { publicUrl } userErrors { code } } }",
        asked,
        as_=alice,
    )
    assert done["publish"] == {"file": {"publicUrl": None}, "userErrors": []}
    await work(world)
    shown = await world.data("query ($id: ID!) { file(by: {id: $id}) { publicUrl } }", asked)
    assert shown["file"]["publicUrl"].startswith(f"{CDN}/pub/")
    done = await world.data(
        "mutation ($id: ID!) { unpublish(input: {fileId: $id}) { file { publicUrl } userErrors { code } } }",
        asked,
        as_=alice,
    )
    assert done["unpublish"] == {"file": {"publicUrl": None}, "userErrors": []}
