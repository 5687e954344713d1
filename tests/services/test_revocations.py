"""A revocation ends the links to what it names that were signed before, and no others."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from graphql_api.db.engine import Database
from graphql_api.errors import Conflict, Forbidden, NotFound
from graphql_api.model.audit import AuditAction, AuditFilter
from graphql_api.model.delivery import LinkWish
from graphql_api.model.file import File
from graphql_api.model.ids import ROOT_FOLDER_ID, FileId, FolderId, UserId
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.revocation import FOLDERS_NAMED, MAX_MARKS, Markable, RevocationLimits, mark_of
from graphql_api.model.rule import ANYONE, Obligations
from graphql_api.model.signal import FolderChange
from graphql_api.model.signing_key import KeyStatus
from graphql_api.services.revocations import SKEW, Revocations
from graphql_api.services.turns import Turn
from tests.services.publishing import published, url_of, work
from tests.services.revoking import DAY, Edge, link, nested, outcome, signed_for
from tests.services.stories import filed, foldered, home_of, ruled, statements
from tests.watching import listening, watching_folder
from tests.world import CDN, START, World

HOUR: Final = timedelta(hours=1)
READ, SHARE, WRITE = Permission.READ, Permission.SHARE, Permission.WRITE


@pytest.fixture
def world(database: Database) -> World:
    return World(database, revokes=True)


@pytest.fixture
def edge(world: World) -> Edge:
    return Edge(world)


def said(url: str) -> list[str]:
    """The number and the marks."""
    [parameter] = parse_qs(urlsplit(url).query)["rv"]
    return parameter.split(".")


async def test_links_to_a_file_end_and_no_others(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    mine, other = await filed(world, alice, "mine.txt"), await filed(world, alice, "other.txt")
    before, beside = await link(world, alice, mine), await link(world, alice, other)
    _, revoked = await world.services.revocations.revoke_file(alice, mine.id)
    assert revoked is not None
    assert revoked.confirmed_at is None
    assert not edge.store.refuses(before)  # it has not been told
    after = await link(world, alice, mine)
    await edge.told()
    assert edge.store.refuses(before)
    assert not edge.store.refuses(after)
    assert not edge.store.refuses(beside)
    assert await link(world, alice, other) == beside
    found = await world.services.revocations.of_files(alice, [mine.id, other.id])
    assert {id_: each.confirmed_at for id_, each in found.items()} == {mine.id: world.clock()}


async def test_links_to_all_below_a_folder_end(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    top, beside = await foldered(world, alice, "top"), await foldered(world, alice, "beside")
    inner = await foldered(world, alice, "inner", top.id)
    inside = [await filed(world, alice, "a", folder_id=top.id), await filed(world, alice, "b", folder_id=inner.id)]
    outside = [await filed(world, alice, "c", folder_id=beside.id), await filed(world, alice, "d")]
    dying = [await link(world, alice, file) for file in inside]
    living = [await link(world, alice, file) for file in outside]
    await world.services.revocations.revoke_folder(alice, top.id)
    await edge.told()
    assert all(map(edge.store.refuses, dying))
    assert not any(map(edge.store.refuses, living))
    assert not any([edge.store.refuses(await link(world, alice, file)) for file in inside])
    found = await world.services.revocations.of_folders(alice, [top.id, beside.id])
    assert set(found) == {top.id}


async def test_the_number_is_the_highest_of_what_a_link_names(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "folder")
    file = await filed(world, alice, folder_id=folder.id)
    revocations = world.services.revocations
    assert said(await link(world, alice, file))[0] == "0"
    await revocations.revoke_folder(alice, folder.id)
    middle = await link(world, alice, file)
    assert said(middle)[0] == "1"
    await revocations.revoke_file(alice, file.id)  # its own number must be larger than its folder's
    await edge.told()
    assert edge.store.refuses(middle)
    assert said(await link(world, alice, file))[0] == "2"


async def test_a_link_is_the_same_for_everybody_until_something_is_revoked(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    await ruled(world, bob, file.id, READ)
    first = await link(world, alice, file)
    assert await link(world, bob, file) == first
    await world.services.revocations.revoke_file(alice, file.id)
    second = await link(world, bob, file)
    assert second != first
    assert await link(world, alice, file) == second


@pytest.mark.parametrize("depth", [1, FOLDERS_NAMED - 1, FOLDERS_NAMED, 2 * FOLDERS_NAMED, 50])
async def test_however_deep_a_file_stands_the_folders_above_reach_it(world: World, edge: Edge, depth: int) -> None:
    alice = await world.principal("alice")
    chain = await nested(world, alice, depth)
    beside = await foldered(world, alice, "beside")
    deep, other = await filed(world, alice, folder_id=chain[-1].id), await filed(world, alice, folder_id=beside.id)
    url, living = await link(world, alice, deep), await link(world, alice, other)
    assert len(said(url)) - 1 <= MAX_MARKS
    for folder in chain:
        await world.services.revocations.revoke_folder(alice, folder.id)
        await edge.told()
        assert edge.store.refuses(url), f"level {chain.index(folder)}"
        url = await link(world, alice, deep)
        assert not edge.store.refuses(url)
    assert not edge.store.refuses(living)


async def test_the_root_reaches_everything(world: World, edge: Edge) -> None:
    alice, admin = await world.principal("alice"), await world.principal("root", is_admin=True)
    chain = await nested(world, alice, 30)
    files = [await filed(world, alice, folder_id=chain[level].id) for level in (0, 12, 13, 14, 29)]
    urls = [await link(world, alice, file) for file in files]
    await world.services.revocations.revoke_folder(admin, ROOT_FOLDER_ID)
    await edge.told()
    assert all(map(edge.store.refuses, urls))


async def test_what_was_moved_in_since_is_reached_too(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    target, source = await foldered(world, alice, "target"), await foldered(world, alice, "source")
    chain = await nested(world, alice, 40, source.id)
    file = await filed(world, alice, "moved alone", folder_id=source.id)
    deep, shallow = await filed(world, alice, folder_id=chain[-1].id), await filed(world, alice, folder_id=chain[3].id)
    stays = await filed(world, alice, "stays", folder_id=source.id)
    urls = [await link(world, alice, each) for each in (file, deep, shallow)]
    living = await link(world, alice, stays)
    await world.services.files.move(alice, file.id, target.id)
    await world.services.folders.move(alice, chain[2].id, target.id)
    await world.services.revocations.revoke_folder(alice, target.id)
    await edge.told()
    assert all(map(edge.store.refuses, urls))
    assert not edge.store.refuses(living)


async def test_what_was_moved_out_since_is_reached_by_where_it_was_when_it_was_signed(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    source = await foldered(world, alice, "source")
    file = await filed(world, alice, folder_id=source.id)
    url = await link(world, alice, file)
    await world.services.files.move(alice, file.id, await home_of(world, alice))
    await world.services.revocations.revoke_folder(alice, source.id)
    await edge.told()
    assert edge.store.refuses(url)
    assert not edge.store.refuses(await link(world, alice, file))


@pytest.mark.parametrize("revokes", [True, False])
async def test_moves_are_forgotten_when_no_link_from_before_lives(database: Database, revokes: bool) -> None:
    world = World(database, revokes=revokes)
    alice = await world.principal("alice")
    file, target = await filed(world, alice), await foldered(world, alice, "target")
    await world.services.files.move(alice, file.id, target.id)
    world.clock.advance(hours=24)
    assert await world.services.revocations.turn() == Turn(0, is_more=False)
    world.clock.advance(minutes=11)
    assert await world.services.revocations.turn() == Turn(1, is_more=False)
    assert await world.services.revocations.turn() == Turn(0, is_more=False)


@pytest.mark.parametrize("status", [KeyStatus.ACTIVE, KeyStatus.RETIRING])
async def test_links_from_before_the_setting_was_lowered_stay_revoked(
    database: Database, world: World, edge: Edge, status: KeyStatus
) -> None:
    """The world's own is a day; what another process is let sign since is an hour."""
    await signed_for(world, DAY, status)
    lowered = Revocations(world.database, world.standings, world.clock, is_on=True, link_max_lifetime=HOUR)
    alice = await world.principal("alice")
    file, target = await filed(world, alice), await foldered(world, alice, "target")
    url = await link(world, alice, file, LinkWish(DAY))
    await world.services.files.move(alice, file.id, target.id)
    (_, revoked), end = await lowered.and_links_end(partial(lowered.revoke_folder, alice, target.id))
    assert revoked is not None
    assert (end, revoked.links_end_by) == (START + DAY, START + DAY + SKEW)
    world.clock.advance(hours=23)
    await edge.told()
    assert await edge.swept() == 0
    assert edge.store.refuses(url)
    assert await lowered.turn() == Turn(0, is_more=False)


async def test_links_of_a_key_that_is_retired_need_not_be_revoked(world: World) -> None:
    await signed_for(world, 7 * DAY, KeyStatus.RETIRED)
    alice = await world.principal("alice")
    _, revoked = await world.services.revocations.revoke_file(alice, (await filed(world, alice)).id)
    assert revoked is not None
    assert revoked.links_end_by == START + DAY + SKEW


async def test_a_page_asks_once(world: World) -> None:
    alice = await world.principal("alice")
    folders = [await foldered(world, alice, name) for name in "ab"]
    files = [await filed(world, alice, f"{n}", folder_id=folders[n % 2].id) for n in range(10)]
    wanted = [Markable(file.id, file.folder_id, is_personal=False) for file in files]
    with statements(world) as gathered:
        found = await world.services.revocations.parameters(alice, wanted)
    assert len(gathered) == 1
    assert len(found) == 10


async def test_a_personal_link_names_the_person_opaquely(world: World, edge: Edge) -> None:
    alice, bob, carol = [await world.principal(name) for name in ("alice", "bob", "carol")]
    file = await filed(world, alice)
    for person in (bob, carol):
        await ruled(world, person, file.id, READ, obligations=Obligations(personal_links=True))
    urls = {person.user_id: await link(world, person, file) for person in (alice, bob, carol)}
    assert len(set(urls.values())) == 3
    assert bob.user_id is not None
    assert bob.user_id not in urls[bob.user_id]
    assert mark_of(bob.user_id) in said(urls[bob.user_id])
    await world.services.revocations.revoke_user(await world.principal("root", is_admin=True), bob.user_id)
    await edge.told()
    assert {person.display_name for person in (alice, bob, carol) if edge.store.refuses(urls[person.user_id])} == {
        "Bob"
    }
    assert not edge.store.refuses(await link(world, bob, file))
    assert await link(world, carol, file) == urls[carol.user_id]


async def test_everybody_without_a_name_is_one_person(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    await ruled(world, ANYONE, file.id, READ, obligations=Obligations(personal_links=True))
    assert mark_of(ANYONE) in said(await link(world, ANONYMOUS, file))


async def test_without_the_function_a_personal_link_is_personal_and_others_say_nothing(database: Database) -> None:
    world = World(database)
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    await ruled(world, bob, file.id, READ, obligations=Obligations(personal_links=True))
    assert bob.user_id is not None
    assert said(await link(world, bob, file)) == ["0", mark_of(bob.user_id)]
    assert not world.services.revocations.is_named((await world.services.files.find(alice, [file.id]))[file.id].terms)  # type: ignore[arg-type]  # alice may read it


async def test_without_the_function_a_personal_link_says_the_number_that_its_person_has(database: Database) -> None:
    on, off = World(database, revokes=True), World(database)
    alice, bob = await on.principal("alice"), await on.principal("bob")
    file = await filed(on, alice)
    await ruled(on, bob, file.id, READ, obligations=Obligations(personal_links=True))
    assert bob.user_id is not None
    _, revoked = await on.services.revocations.revoke_user(bob, bob.user_id)
    assert revoked is not None
    assert said(await link(off, bob, file)) == [str(revoked.number), mark_of(bob.user_id)]


async def test_without_the_function_nothing_is_revoked_or_said_to_be(database: Database) -> None:
    world = World(database)
    alice = await world.principal("alice")
    file, folder = await filed(world, alice), await foldered(world, alice, "folder")
    assert (await world.services.revocations.revoke_file(alice, file.id))[1] is None
    assert (await world.services.revocations.revoke_folder(alice, folder.id))[1] is None
    assert alice.user_id is not None
    assert (await world.services.revocations.revoke_user(alice, alice.user_id))[1] is None
    assert await world.services.revocations.of_files(alice, [file.id]) == {}
    assert await revoked_events(world) == []


async def test_a_link_that_could_not_be_revoked_is_not_signed(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    grant = world.services.delivery.grant(file)
    assert grant is not None
    with pytest.raises(ValueError, match="could not be revoked"):
        world.services.delivery.sign([grant], LinkWish(timedelta(hours=1)))


async def test_who_may_revoke(world: World) -> None:
    alice, bob, carol, admin = [
        await world.principal(name, is_admin=name == "root") for name in ("alice", "bob", "carol", "root")
    ]
    folder = await foldered(world, alice, "folder")
    file = await filed(world, alice, folder_id=folder.id)
    await ruled(world, bob, folder.id, READ, WRITE)
    revocations = world.services.revocations

    async def outcomes(who: Principal) -> list[str]:
        assert alice.user_id is not None
        return [
            await outcome(revocations.revoke_file(who, file.id)),
            await outcome(revocations.revoke_folder(who, folder.id)),
            await outcome(revocations.revoke_user(who, alice.user_id)),
        ]

    assert await outcomes(alice) == ["OK", "OK", "OK"]
    assert await outcomes(admin) == ["OK", "OK", "OK"]
    assert await outcomes(bob) == ["FORBIDDEN", "FORBIDDEN", "FORBIDDEN"]
    assert await outcomes(carol) == ["NOT_FOUND", "NOT_FOUND", "FORBIDDEN"]
    await ruled(world, bob, folder.id, SHARE)
    assert await outcomes(bob) == ["OK", "OK", "FORBIDDEN"]
    assert set(await revocations.of_files(bob, [file.id])) == {file.id}
    await ruled(world, carol, folder.id, READ)
    assert await revocations.of_files(carol, [file.id]) == {}
    assert await revocations.of_folders(carol, [folder.id]) == {}


async def test_what_is_not_there_cannot_be_revoked(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    revocations = world.services.revocations
    with pytest.raises(NotFound) as of_file:
        await revocations.revoke_file(admin, FileId("file_" + "z" * 26))
    with pytest.raises(NotFound) as of_folder:
        await revocations.revoke_folder(admin, FolderId("folder_" + "z" * 26))
    with pytest.raises(NotFound) as of_user:
        await revocations.revoke_user(admin, UserId("user_" + "z" * 26))
    assert [each.value.path for each in (of_file, of_folder, of_user)] == [("fileId",), ("folderId",), ("userId",)]


async def revoked_events(world: World) -> Sequence[tuple[str, str | None, object]]:
    admin = await world.principal("root", is_admin=True)
    wanted = AuditFilter(actions=(AuditAction.LINKS_REVOKED,))
    page = await world.services.audit_log.list(admin, wanted, PageRequest())
    return [(event.target, event.actor_id, event.after and event.after["number"]) for event in page.nodes]


async def test_who_revoked_what_is_in_the_audit_log(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    await world.services.revocations.revoke_file(alice, file.id)
    world.clock.advance(seconds=1)
    assert alice.user_id is not None
    await world.services.revocations.revoke_user(alice, alice.user_id)
    assert await revoked_events(world) == [(alice.user_id, alice.user_id, 2), (file.id, alice.user_id, 1)]


async def test_so_much_is_revoked_at_a_time_and_no_more(world: World) -> None:
    alice = await world.principal("alice")
    files: list[File] = [await filed(world, alice, f"{n}") for n in range(3)]
    few = limited(world, RevocationLimits(in_force=4, of_one=2, kept_for_admins=1))
    for file in files[:2]:
        await few.revoke_file(alice, file.id)
    with pytest.raises(Conflict, match="you have more than 2 things revoked"):
        await few.revoke_file(alice, files[2].id)
    await few.revoke_file(alice, files[0].id)  # it has its place already


async def test_nobody_takes_all_the_room_there_is(world: World) -> None:
    admin, bob = await world.principal("root", is_admin=True), await world.principal("bob")
    theirs = await filed(world, bob, "secret")
    few = limited(world, RevocationLimits(in_force=6, of_one=2, kept_for_admins=2))
    for name in ("alice", "carol"):
        person = await world.principal(name)
        for number in range(3):
            told = await outcome(few.revoke_file(person, (await filed(world, person, f"{number}")).id))
            assert told == ("OK" if number < 2 else "CONFLICT")
    assert await outcome(few.revoke_file(bob, theirs.id)) == "CONFLICT"
    assert bob.user_id is not None
    assert await outcome(few.revoke_user(admin, bob.user_id)) == "OK"
    assert await outcome(few.revoke_file(admin, theirs.id)) == "OK"
    assert await outcome(few.revoke_folder(admin, ROOT_FOLDER_ID)) == "CONFLICT"  # there is an end for them, too


async def test_what_an_administrator_revokes_again_leaves_the_share_of_who_had_revoked_it(world: World) -> None:
    admin, alice = await world.principal("root", is_admin=True), await world.principal("alice")
    files = [await filed(world, alice, f"{n}") for n in range(2)]
    few = limited(world, RevocationLimits(in_force=9, of_one=1, kept_for_admins=1))
    assert await outcome(few.revoke_file(alice, files[0].id)) == "OK"
    assert await outcome(few.revoke_file(alice, files[1].id)) == "CONFLICT"
    assert await outcome(few.revoke_file(admin, files[0].id)) == "OK"
    assert await outcome(few.revoke_file(alice, files[1].id)) == "OK"


async def test_a_folder_is_revoked_with_as_much_as_was_moved_into_it(world: World, edge: Edge) -> None:
    alice, admin = await world.principal("alice"), await world.principal("root", is_admin=True)
    source, target = await foldered(world, alice, "source"), await foldered(world, alice, "target")
    files = [await filed(world, alice, f"{n}", folder_id=source.id) for n in range(4)]
    urls = [await link(world, alice, file) for file in files]
    for file in files[:3]:
        await world.services.files.move(alice, file.id, target.id)
    few = limited(world, RevocationLimits(in_force=9, of_one=2, kept_for_admins=1))
    with pytest.raises(Conflict, match="more than 2 folders and moved files below"):
        await few.revoke_folder(alice, target.id)
    _, revoked = await few.revoke_folder(admin, target.id)
    assert revoked is not None
    assert revoked.relays == 3  # and nothing of what was moved elsewhere
    await edge.told()
    assert [edge.store.refuses(url) for url in urls] == [True, True, True, False]
    assert await outcome(few.revoke_folder(admin, ROOT_FOLDER_ID)) == "OK"


def limited(world: World, limits: RevocationLimits) -> Revocations:
    return Revocations(world.database, world.standings, world.clock, is_on=True, link_max_lifetime=DAY, limits=limits)


async def test_a_published_copy_outlives_a_revocation(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    file, key = await published(world, alice)
    await world.services.revocations.revoke_file(alice, file.id)
    await edge.told()
    await work(world)
    assert await url_of(world, file, alice) == f"{CDN}/{key}"
    assert key in world.store.objects


async def test_a_refusal_leaves_nothing_behind(world: World, edge: Edge) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    await ruled(world, bob, file.id, READ)
    with pytest.raises(Forbidden):
        await world.services.revocations.revoke_file(bob, file.id)
    await edge.told()
    assert edge.store.changes == []
    assert said(await link(world, alice, file))[0] == "0"


async def test_who_watches_a_folder_is_told(world: World, database_url: str) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    file, folder = await filed(world, alice), await foldered(world, alice, "folder")
    async with listening(world, database_url), watching_folder(world, alice, home) as watcher:
        await world.services.revocations.revoke_file(alice, file.id)
        await world.services.revocations.revoke_folder(alice, folder.id)
        told: list[object] = []
        while len(told) < 2:
            event = await watcher.next()
            if event.change is FolderChange.UPDATED:  # that they were made may be told late
                told.append(event.entry_id)
    assert told == [file.id, folder.id]
