"""What share links let visitors do: what their makers may at that moment, from where the visitor comes."""

from datetime import timedelta

import pytest

from graphql_api.db.engine import Database
from graphql_api.errors import Forbidden, NotFound
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, new_file_id
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Identity, Permission
from graphql_api.model.rule import ANYONE, ROOT, SIGNED_IN, Obligations
from tests.services.bundled import bundled
from tests.services.revoking import Edge
from tests.services.sharing import fetched, now_of, opens, shared, visitor
from tests.services.stories import denied, filed, foldered, ruled, unruled
from tests.world import ISSUER, START, World


async def test_a_link_opens_what_its_maker_may_read_and_share_at_that_moment(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    reading = await ruled(world, bob, folder.id, Permission.READ)
    sharing = await ruled(world, bob, folder.id, Permission.SHARE)
    to_file, to_folder = await shared(world, bob, file), await shared(world, bob, folder)

    async def are_open() -> bool:
        by_file, by_folder = await opens(world, to_file.token), await opens(world, to_folder.token, of=file.id)
        assert by_file is by_folder
        return by_file

    assert await are_open()
    await unruled(world, sharing)
    assert not await are_open()
    sharing = await ruled(world, bob, folder.id, Permission.SHARE)
    assert await are_open()
    await unruled(world, reading)
    assert not await are_open()
    await ruled(world, bob, folder.id, Permission.READ)
    assert await are_open()
    denial = await denied(world, bob, folder.id, Permission.READ)
    assert not await are_open()
    await unruled(world, denial)
    assert await are_open()
    await denied(world, bob, ROOT, Permission.SHARE)
    assert not await are_open()


async def test_a_maker_who_has_left_the_group_that_may_share_has_no_open_links(world: World) -> None:
    ada, admin = await world.principal("ada"), await world.principal("admin", is_admin=True)
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    group = await world.services.groups.create(admin, "printers", claim="print-shop")
    await ruled(world, group.id, folder.id, Permission.READ, Permission.SHARE)

    def bob_in(*groups: str) -> Identity:
        return Identity(ISSUER, "bob", "Bob", groups=frozenset(groups))

    bob = await world.services.accounts.principal_of(bob_in("print-shop"))
    made = await shared(world, bob, file)
    assert await opens(world, made.token)
    await world.services.accounts.principal_of(bob_in("elsewhere"))  # what the last token says is what counts
    assert not await opens(world, made.token)


async def test_who_is_no_administrator_any_more_has_no_open_links(world: World) -> None:
    ada, admin = await world.principal("ada"), await world.principal("boss", is_admin=True)
    file = await filed(world, ada)
    made = await shared(world, admin, file)
    assert await opens(world, made.token)
    await world.principal("boss")
    assert not await opens(world, made.token)
    await world.principal("boss", is_admin=True)
    assert await opens(world, made.token)


async def test_what_is_denied_to_anyone_no_link_opens_not_even_an_administrators(world: World) -> None:
    ada, admin = await world.principal("ada"), await world.principal("boss", is_admin=True)
    folder = await foldered(world, ada, "photos")
    shown, hidden = [await filed(world, ada, name, folder_id=folder.id) for name in ("shown.txt", "hidden.txt")]
    made = [await shared(world, maker, folder) for maker in (ada, admin)]
    await denied(world, ANYONE, hidden.id, Permission.READ)
    for each in made:
        assert await opens(world, each.token, of=shown.id)
        assert not await opens(world, each.token, of=hidden.id)
        visit = await world.services.visits.begin(visitor(), each.token)
        listed = await world.services.visits.list_files(visit, PageRequest())
        assert [file.id for file in listed.page.nodes] == [shown.id]
    await denied(world, ANYONE, folder.id, Permission.READ)
    for each in made:
        assert not await opens(world, each.token, of=shown.id)


@pytest.mark.parametrize("is_admin", [False, True])
async def test_a_denial_that_is_known_to_begin_ends_the_address_that_visitors_get(world: World, is_admin: bool) -> None:
    maker = await world.principal("ada", is_admin=is_admin)
    file = await filed(world, maker)
    made = await shared(world, maker, file)
    soon = START + timedelta(seconds=15)
    await denied(world, ANYONE, file.id, Permission.READ, starts_at=soon)
    assert (await fetched(world, made.token)).expires_at == soon


async def test_the_makers_obligations_are_the_visitors(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    file = await filed(world, ada)
    await ruled(world, bob, file.id, Permission.SHARE)
    obligations = Obligations(timedelta(seconds=5), binds_ip=True, forces_download=True)
    await ruled(world, bob, file.id, Permission.READ, obligations=obligations)
    made = await shared(world, bob, file)
    link = await fetched(world, made.token, by=visitor("203.0.113.9"))
    assert link.expires_at == START + timedelta(seconds=5)
    assert link.has_custom_policy  # bound to the visitor's address
    assert "attachment" in link.url
    assert not await opens(world, made.token, by=visitor("2001:db8::9"))  # which cannot be bound


async def test_a_rule_for_some_addresses_holds_for_visitors_from_there(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    file = await filed(world, ada)
    await ruled(world, bob, file.id, Permission.SHARE, Permission.READ, ip_ranges=("203.0.113.0/24",))
    at_work = visitor("203.0.113.9")
    bob_at_work = await world.services.accounts.principal_of(Identity(ISSUER, "bob", "Bob"), address=at_work.address)
    made = await shared(world, bob_at_work, file)
    assert await opens(world, made.token, by=at_work)
    assert not await opens(world, made.token, by=visitor("198.51.100.9"))


async def test_a_link_begins_to_open_when_its_makers_rule_does(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    file = await filed(world, ada)
    await ruled(world, bob, file.id, Permission.SHARE)
    now = await ruled(world, bob, file.id, Permission.READ)
    made = await shared(world, bob, file)
    later = START + timedelta(hours=1)
    await ruled(world, bob, file.id, Permission.READ, starts_at=later)
    await unruled(world, now)
    assert not await opens(world, made.token)
    world.clock.now = later
    assert await opens(world, made.token)


async def test_whoever_is_signed_in_may_share_if_a_rule_says_so(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    file = await filed(world, ada)
    await ruled(world, SIGNED_IN, file.id, Permission.READ, Permission.SHARE)
    assert await opens(world, (await shared(world, bob, file)).token)
    await ruled(world, ANYONE, file.id, Permission.READ)
    with pytest.raises(Forbidden):  # who is not signed in may not, though everybody may read
        await shared(world, ANONYMOUS, file)


async def test_a_folders_link_opens_the_files_below_and_no_others(world: World) -> None:
    ada = await world.principal("ada")
    folder, beside = await foldered(world, ada, "photos"), await foldered(world, ada, "beside")
    below = await foldered(world, ada, "rome", folder.id)
    files = {
        "photos": await filed(world, ada, "a.txt", folder_id=folder.id),
        "rome": await filed(world, ada, "b.txt", folder_id=below.id),
        "beside": await filed(world, ada, "c.txt", folder_id=beside.id),
        "home": await filed(world, ada, "d.txt"),
    }
    made = await shared(world, ada, folder)
    found = {name: await opens(world, made.token, of=file.id) for name, file in files.items()}
    assert found == {"photos": True, "rome": True, "beside": False, "home": False}
    for nothing in (new_file_id(START), folder.id, below.id, "../" + files["home"].id, ""):
        assert not await opens(world, made.token, of=nothing)


async def test_a_file_that_is_moved_out_is_opened_no_longer_and_one_moved_in_is(world: World) -> None:
    ada = await world.principal("ada")
    folder, beside = await foldered(world, ada, "photos"), await foldered(world, ada, "beside")
    file = await filed(world, ada, folder_id=folder.id)
    to_folder, to_file = await shared(world, ada, folder), await shared(world, ada, file)
    visit = await world.services.visits.begin(visitor(), to_folder.token)
    await world.services.files.move(ada, file.id, beside.id)
    with pytest.raises(NotFound):
        await world.services.visits.get_file(visit, file.id)
    assert not await opens(world, to_folder.token, of=file.id)
    assert await opens(world, to_file.token)  # which goes with the file
    await world.services.files.move(ada, file.id, folder.id)
    assert await opens(world, to_folder.token, of=file.id)
    await world.services.folders.move(ada, folder.id, beside.id)
    assert await opens(world, to_folder.token, of=file.id)


async def test_the_list_of_a_folder_has_paths_and_pages(world: World) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    below = await foldered(world, ada, "rome", folder.id)
    for name, where in (("a.txt", folder), ("b.txt", below), ("c.txt", folder), ("d.txt", below)):
        await filed(world, ada, name, folder_id=where.id)
    await filed(world, ada, "elsewhere.txt")
    made = await shared(world, ada, folder)
    visit = await world.services.visits.begin(visitor(), made.token)
    assert isinstance(visit.thing, Folder)
    seen, cursor = [], None
    while True:
        listed = await world.services.visits.list_files(visit, PageRequest(3, cursor))
        seen.append([listed.paths[file.id] for file in listed.page.nodes])
        if not listed.page.has_next_page:
            break
        assert listed.page.resume is not None
        cursor = listed.page.resume
    assert seen == [["a.txt", "rome/b.txt", "c.txt"], ["rome/d.txt"]]
    assert (await now_of(world, made.link)).downloads == 0  # looking is free


async def test_the_list_of_a_folder_offers_nothing_that_it_does_not_open(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    folder = await foldered(world, ada, "photos")
    film = await bundled(world, ada, name="b film", folder_id=folder.id)
    files = [await filed(world, ada, name, folder_id=folder.id) for name in ("a.txt", "c.txt", "d.txt")]
    await ruled(world, bob, folder.id, Permission.SHARE)
    await ruled(world, bob, folder.id, Permission.READ)
    await denied(world, bob, files[1].id, Permission.READ, ip_ranges=("192.0.2.0/24",))  # others need a bound link
    made = await shared(world, bob, folder)
    visits = world.services.visits
    for come_from, expected in (("203.0.113.9", files), ("2001:db8::9", [files[0], files[2]])):
        visit = await visits.begin(visitor(come_from), made.token)
        seen: list[File] = []
        cursor = None
        while True:
            page = (await visits.list_files(visit, PageRequest(1, cursor))).page
            seen += page.nodes
            if not page.has_next_page:
                break
            assert page.resume is not None
            cursor = page.resume
        assert [file.id for file in seen] == [file.id for file in expected]
        for file in (film, *files):
            is_open = await opens(world, made.token, of=file.id, by=visitor(come_from))
            assert is_open == (file.id in [each.id for each in seen])


async def test_a_file_that_no_visitor_could_be_sent_on_to_is_not_there(world: World) -> None:
    world = World(world.database, binds_links=False)
    ada, bob = await world.principal("ada"), await world.principal("bob")
    file = await filed(world, ada)
    sharing = Permission.READ, Permission.SHARE
    plain = await ruled(world, bob, file.id, *sharing)
    made = await shared(world, bob, file)
    await unruled(world, plain)
    await ruled(world, bob, file.id, *sharing, obligations=Obligations(personal_links=True))
    with pytest.raises(NotFound):
        await world.services.visits.begin(visitor(), made.token)


async def test_the_whole_tree_can_be_shared_by_who_may(world: World) -> None:
    ada, admin = await world.principal("ada"), await world.principal("boss", is_admin=True)
    file = await filed(world, ada)
    made = await shared(world, admin, ROOT_FOLDER_ID)
    assert await opens(world, made.token, of=file.id)
    visit = await world.services.visits.begin(visitor(), made.token)
    listed = await world.services.visits.list_files(visit, PageRequest())
    assert list(listed.paths.values()) == ["Ada/cat.txt"]


async def test_downloads_from_a_folder_are_counted_together(world: World) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    one, two = [await filed(world, ada, name, folder_id=folder.id) for name in ("1.txt", "2.txt")]
    made = await shared(world, ada, folder, max_downloads=2)
    assert await opens(world, made.token, of=one.id)
    assert await opens(world, made.token, of=two.id)
    assert not await opens(world, made.token, of=one.id)


async def test_what_a_share_link_has_led_to_is_revoked_with_its_folder(database: Database) -> None:
    world = World(database, revokes=True)
    edge, ada = Edge(world), await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    file = await filed(world, ada, folder_id=folder.id)
    made = await shared(world, ada, file)
    before = (await fetched(world, made.token)).url
    assert not edge.store.refuses(before)
    await world.services.revocations.revoke_folder(ada, folder.id)
    await edge.told()
    after = (await fetched(world, made.token)).url
    assert [edge.store.refuses(url) for url in (before, after)] == [True, False]
