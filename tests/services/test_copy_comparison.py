"""Published addresses that lead to nothing are told, and their copies made again."""

import pytest
from sqlalchemy import update

from graphql_api.db.tables import PublicationRow
from graphql_api.model.audit import AuditAction
from graphql_api.model.file import File
from graphql_api.model.finding import FindingKind
from graphql_api.model.ids import PUBLISHED_PREFIX
from graphql_api.model.principal import Principal
from graphql_api.model.publication import PublicationState
from graphql_api.services.copy_comparison import CopyCheck
from tests.services.comparing import everything, fixed, kinds, steps_of, told
from tests.services.publishing import delete_rule, published, states, unpublish, url_of, work
from tests.services.rulings import events
from tests.world import World


async def three(world: World) -> tuple[Principal, list[tuple[File, str]]]:
    alice = await world.principal("alice")
    return alice, [await published(world, alice, f"{number}.txt") for number in range(3)]


async def test_a_copy_that_is_gone_is_made_again_at_the_same_address(world: World) -> None:
    alice, [_, (file, key), _] = await three(world)
    url = await url_of(world, file, alice)
    del world.store.objects[key]
    for fix in (False, True):
        steps = await steps_of(everything(world, prefix=PUBLISHED_PREFIX), fix=fix)
        assert kinds(told(steps)) == [(FindingKind.LOST, key)]
        assert len(fixed(steps)) == fix
    assert await url_of(world, file, alice) is None  # nobody is sent to nothing
    await work(world)
    assert await url_of(world, file, alice) == url
    assert key in world.store.objects
    assert told(await steps_of(everything(world, prefix=PUBLISHED_PREFIX), fix=False)) == []
    assert await states(world) == [PublicationState.LIVE] * 3
    admin = await world.principal("root", is_admin=True)
    newest, *_ = await events(world, admin, actions=(AuditAction.FILE_PUBLISHED,))
    assert (newest.target, newest.actor_id) == (file.id, None)
    assert newest.before == newest.after == {"objectKey": key}


async def test_they_are_compared_with_all_that_begins_alike(sqlite_world: World) -> None:
    world = sqlite_world
    _, [(_, key), *_] = await three(world)
    del world.store.objects[key]
    assert kinds(told(await steps_of(everything(world, prefix=PUBLISHED_PREFIX[:1]), fix=False))) == [
        (FindingKind.LOST, key)
    ]


async def test_a_copy_that_nobody_may_read_any_more_is_not_made_again(world: World) -> None:
    alice, [(file, key), *_] = await three(world)
    del world.store.objects[key]
    await steps_of(everything(world, prefix=PUBLISHED_PREFIX), fix=True)
    await delete_rule(world, alice, file)
    await world.outbox.turn()
    await work(world)
    assert key not in world.store.objects
    assert (await states(world))[0] == PublicationState.REMOVED


async def test_a_copy_that_was_made_again_and_withdrawn_again_leaves_the_cdn_once_more(world: World) -> None:
    """As after a restore of the database to when it was published: the address and the key are the same."""
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    await unpublish(world, alice, file)
    await work(world)
    assert world.edge_cache.dropped == [f"/{key}"]
    async with world.database.transaction() as connection:
        await connection.execute(update(PublicationRow).values(state=PublicationState.LIVE))
    await steps_of(everything(world, prefix=PUBLISHED_PREFIX), fix=True)
    await work(world)
    assert await url_of(world, file, alice) is not None
    await unpublish(world, alice, file)
    await work(world)
    assert world.edge_cache.dropped == [f"/{key}"] * 2


@pytest.mark.parametrize("page_size", [1, 2, 3, 4])
async def test_pages_of_any_size_find_the_same(sqlite_world: World, page_size: int) -> None:
    world = sqlite_world
    _, copies = await three(world)
    for _, key in copies[::2]:
        del world.store.objects[key]
    check = CopyCheck(world.database, world.store, world.clock, prefix=PUBLISHED_PREFIX, page_size=page_size)
    found, after, examined = [], None, 0
    while True:
        page = await check.page(after)
        found += [finding.subject for finding in page.findings]
        examined, after = examined + page.examined, page.last
        if after is None:
            break
    assert (found, examined) == ([key for _, key in copies[::2]], 3)


async def test_what_is_there_by_now_or_withdrawn_is_left_alone(sqlite_world: World) -> None:
    world = sqlite_world
    alice, [(_, first), (second, other), _] = await three(world)
    check = CopyCheck(world.database, world.store, world.clock, prefix=PUBLISHED_PREFIX)
    kept = {key: world.store.objects.pop(key) for key in (first, other)}
    findings = (await check.page(None)).findings
    assert len(findings) == 2
    world.store.objects[first] = kept[first]
    await world.services.publications.unpublish(alice, second.id)
    assert await check.fix(findings) == {}
    assert await states(world) == [PublicationState.LIVE, PublicationState.WITHDRAWN, PublicationState.LIVE]
