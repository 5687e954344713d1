"""Who may do what with files and folders: readers, writers, denied owners, and what each of them is told."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest

from graphql_api.db import rules
from graphql_api.errors import Conflict, Forbidden, NotFound
from graphql_api.model.delivery import LinkWish
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import FileId, FolderId, new_file_id, new_folder_id
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Identity, Permission, Principal
from graphql_api.model.rule import ANYONE, PLAIN, ROOT, SIGNED_IN, Obligations, ReadTerms
from graphql_api.model.upload import UploadStatus
from tests.services.stories import (
    denied,
    filed,
    foldered,
    home_of,
    promised,
    ruled,
    sent,
    standing_of,
    statements,
    unruled,
)
from tests.world import START, World

READ, WRITE, DELETE, SHARE = Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE
HOUR = timedelta(hours=1)


async def shared_place(world: World) -> tuple[Principal, Principal, Folder, File]:
    """Bob, whose folder and file in it Alice has nothing to do with."""
    alice, bob = await world.principal("alice"), await world.principal("bob")
    folder = await foldered(world, bob, "shared")
    return alice, bob, folder, await filed(world, bob, "plan.txt", folder_id=folder.id)


def changes(
    world: World, asking: Principal, folder: FolderId, file: FileId
) -> dict[str, Callable[[], Awaitable[object]]]:
    """Everything that changes the folder or the file, named with the permission that it takes."""
    files, tree, notes = world.services.files, world.services.folders, world.services.notes
    return {
        "WRITE update": lambda: files.update(asking, file, name="new"),
        "WRITE label": lambda: notes.change_labels(asking, file, ["new"]),
        "WRITE note": lambda: notes.change_metadata(asking, file, {"new": "yes"}),
        "WRITE upload": lambda: promised(world, asking, "new", folder_id=folder),
        "WRITE make": lambda: tree.create(asking, folder, "new"),
        "WRITE rename": lambda: tree.rename(asking, folder, "new"),
        "DELETE folder": lambda: tree.delete(asking, folder, is_recursive=True),
    }


async def test_a_reader_sees_everything_and_changes_nothing(world: World) -> None:
    alice, bob, folder, file = await shared_place(world)
    home = await home_of(world, alice)
    await ruled(world, alice, folder.id, READ)
    assert await world.services.files.find(alice, [file.id]) == {file.id: file}
    assert await world.services.files.find_in(alice, folder.id, "PLAN.txt") == file
    assert await world.services.folders.find(alice, [folder.id]) == {folder.id: folder}
    for name, change in changes(world, alice, folder.id, file.id).items():
        with pytest.raises(Forbidden) as caught:
            await change()
        assert caught.value.required_permission == name.split()[0], name
    for move, path in (
        (world.services.files.move(alice, file.id, home), "fileId"),
        (world.services.folders.move(alice, folder.id, home), "folderId"),
        (world.services.files.move(alice, (await filed(world, alice)).id, folder.id), "folderId"),
        (world.services.folders.move(alice, (await foldered(world, alice, "mine")).id, folder.id), "parentId"),
    ):
        with pytest.raises(Forbidden) as caught:
            await move
        assert (caught.value.required_permission, caught.value.path) == (WRITE, (path,))
    [refused] = await world.services.files.delete(alice, [file.id])
    assert isinstance(refused, Forbidden)
    assert refused.required_permission == DELETE
    assert await world.services.files.find(bob, [file.id]) == {file.id: file}
    assert file.object_key in world.store.objects


@pytest.mark.parametrize("other", [(), (WRITE,), (WRITE, DELETE, SHARE)])
async def test_whatever_may_not_be_read_is_absent(world: World, other: tuple[Permission, ...]) -> None:
    alice, _, folder, file = await shared_place(world)
    if other:
        await ruled(world, alice, folder.id, *other)
    await denied(world, alice, file.id, READ)
    own, home = await filed(world, alice), await home_of(world, alice)
    for each in (alice, ANONYMOUS):
        await standing_of(world, each)  # from now on their rules are remembered
    answers: list[object] = []
    for folder_id, file_id in ((folder.id, file.id), (new_folder_id(START), new_file_id(START))):
        told = []
        with statements(world) as ran:
            for change in (
                *(change() for change in changes(world, alice, folder_id, file_id).values()),
                world.services.files.move(alice, file_id, home),
                world.services.files.move(alice, own.id, folder_id),
                world.services.folders.move(alice, folder_id, home),
            ):
                with pytest.raises(NotFound) as caught:
                    await change
                told.append((caught.value.message, caught.value.path))
            [refused] = await world.services.files.delete(alice, [file_id])
            assert isinstance(refused, NotFound)
            assert await world.services.files.find(alice, [file_id]) == {}
            assert await world.services.files.find_in(alice, folder_id, "plan.txt") is None
            assert await world.services.folders.find(alice, [folder_id]) == {}
            assert (await world.services.folders.list_subfolders(alice, folder_id, PageRequest())).nodes == ()
            assert await world.services.notes.labels(alice, [file_id]) == {}
            assert await world.services.notes.metadata(alice, [file_id]) == {}
            assert await world.services.files.visibility(alice, [file_id]) == {}
        answers.append((told, refused.message, refused.path, ran))
    assert answers[0] == answers[1]


async def test_a_writer_changes_and_adds_and_deletes_nothing(world: World) -> None:
    alice, bob, folder, file = await shared_place(world)
    await ruled(world, alice, folder.id, READ, WRITE)
    assert (await world.services.files.update(alice, file.id, name="better.txt")).name == "better.txt"
    assert (await world.services.folders.rename(alice, folder.id, "better")).name == "better"
    added = await filed(world, alice, "added.txt", folder_id=folder.id)
    assert (added.owner_id, added.terms) == (alice.user_id, PLAIN)
    [refused] = await world.services.files.delete(alice, [file.id])
    assert isinstance(refused, Forbidden)
    with pytest.raises(Forbidden):
        await world.services.folders.delete(alice, folder.id, is_recursive=True)
    mixed = await world.services.files.delete(alice, [file.id, added.id, new_file_id(START)])
    assert [type(outcome).__name__ for outcome in mixed] == ["Forbidden", "str", "NotFound"]
    assert set(await world.services.files.find(bob, [file.id, added.id])) == {file.id}


async def test_a_deleter_deletes(world: World) -> None:
    alice, _, folder, file = await shared_place(world)
    await ruled(world, alice, folder.id, READ, DELETE)
    await ruled(world, alice, file.id, READ)
    assert await world.services.files.delete(alice, [file.id]) == [file.id]
    assert await world.services.folders.delete(alice, folder.id) == folder.id
    async with world.database.autocommit() as connection:
        assert await rules.list_rules_on(connection, [folder.id, file.id]) == []  # they went along


async def test_a_denied_owner_is_denied(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, "mine.txt")
    denial = await denied(world, alice, file.id, WRITE)
    with pytest.raises(Forbidden):
        await world.services.files.update(alice, file.id, name="new")
    await unruled(world, denial)
    home = await home_of(world, alice)
    for resource in (file.id, home, ROOT):
        for about in (str(alice.user_id), SIGNED_IN, ANYONE):
            denial = await denied(world, about, resource, READ)
            assert await world.services.files.find(alice, [file.id]) == {}
            assert set(await world.services.folders.find(alice, [home])) == ({home} if resource == file.id else set())
            if resource != file.id:
                assert (await world.services.folders.list_top(alice, PageRequest())).nodes == ()
                with pytest.raises(NotFound):
                    await promised(world, alice, "new")
            await unruled(world, denial)
    assert await world.services.files.find(alice, [file.id]) == {file.id: file}


async def test_rules_reach_groups_of_the_token_everybody_signed_in_and_anyone(world: World) -> None:
    _, bob, folder, file = await shared_place(world)
    admin = await world.principal("root", is_admin=True)
    group = await world.services.groups.create(admin, "Staff", claim="staff")
    carol = await world.services.accounts.principal_of(
        Identity("https://issuer.test", "carol", "Carol", groups=frozenset({"staff"}))
    )
    dave = await world.principal("dave")
    for about, seeing in ((group.id, [carol]), (SIGNED_IN, [carol, dave]), (ANYONE, [carol, dave, ANONYMOUS])):
        rule = await ruled(world, about, folder.id, READ)
        for each in (carol, dave, ANONYMOUS):
            assert (file.id in await world.services.files.find(each, [file.id])) == (each in seeing)
        assert await world.services.files.visibility(bob, [file.id]) == {file.id: about == ANYONE}
        await unruled(world, rule)
    await ruled(world, ANYONE, folder.id, READ)
    for work in (promised(world, ANONYMOUS, "new", folder_id=folder.id), foldered(world, ANONYMOUS, "new", folder.id)):
        with pytest.raises(Forbidden) as caught:
            await work
        assert caught.value.required_permission == WRITE


async def test_what_is_public_from_some_addresses_only_is_not_called_public(world: World) -> None:
    _, bob, folder, file = await shared_place(world)
    await ruled(world, ANYONE, folder.id, READ, ip_ranges=("192.0.2.0/24",))
    here = replace(ANONYMOUS, address=ip_address("192.0.2.7"))
    assert set(await world.services.files.find(here, [file.id])) == {file.id}
    assert await world.services.files.find(ANONYMOUS, [file.id]) == {}
    assert await world.services.files.visibility(bob, [file.id]) == {file.id: False}


async def test_a_rule_holds_from_its_beginning_to_its_end_and_no_link_outlives_it(world: World) -> None:
    alice, _, folder, file = await shared_place(world)
    begin, end = START + HOUR, START + 3 * HOUR
    await ruled(world, alice, folder.id, READ, starts_at=begin, ends_at=end)
    for moment, is_seen in ((START, False), (begin, True), (end - HOUR / 60, True), (end, False), (begin, True)):
        world.clock.now = moment
        found = await world.services.files.find(alice, [file.id])
        assert bool(found) == is_seen
        if is_seen:
            grant = world.services.delivery.grant(found[file.id])
            assert grant is not None
            [link] = world.services.delivery.sign([grant], LinkWish(timedelta(days=1)))
            assert link.expires_at == end


async def test_a_coming_denial_ends_links_too(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    await denied(world, alice, file.id, READ, starts_at=START + HOUR)
    found = await world.services.files.find(alice, [file.id])
    assert found[file.id].terms == ReadTerms(until=START + HOUR)


async def test_a_rule_that_binds_the_address_gives_links_to_ipv4_callers_only(world: World) -> None:
    alice, _, folder, file = await shared_place(world)
    await ruled(world, alice, folder.id, READ, obligations=Obligations(binds_ip=True, forces_download=True))
    for address, bound in (("192.0.2.7", "192.0.2.7/32"), ("198.51.100.1", "198.51.100.1/32"), ("2001:db8::7", None)):
        asking = replace(alice, address=ip_address(address))
        found = (await world.services.files.find(asking, [file.id]))[file.id]
        grant = world.services.delivery.grant(found)
        assert (grant is None) == (bound is None)
        if bound is not None:
            assert found.terms == ReadTerms(ip_range=bound, forces_download=True)
    assert (await world.services.files.find(alice, [file.id]))[file.id].terms is None  # nobody knows from where


async def test_an_upload_completes_only_where_its_owner_may_still_write(world: World) -> None:
    alice, _, folder, _ = await shared_place(world)
    reading = await ruled(world, alice, folder.id, READ)
    writing = await ruled(world, alice, folder.id, WRITE)
    upload = await sent(world, alice, "late.txt", folder_id=folder.id)
    complete = world.services.completion.complete
    await unruled(world, writing)
    with pytest.raises(Forbidden) as caught:
        await complete(alice, upload.id)
    assert (caught.value.required_permission, caught.value.path) == (WRITE, ("uploadId",))
    await unruled(world, reading)
    await ruled(world, alice, folder.id, WRITE)
    with pytest.raises(NotFound):
        await complete(alice, upload.id)
    found = await world.services.uploads.find(alice, [upload.id])
    assert found[upload.id].status is UploadStatus.PENDING
    await ruled(world, alice, folder.id, READ, obligations=Obligations(max_lifetime=HOUR))
    _, file = await complete(alice, upload.id)
    assert file is not None
    assert file.terms == PLAIN  # it is hers
    assert await world.services.files.find(alice, [file.id]) == {file.id: file}


async def test_uploads_are_seen_by_their_owner_and_administrators_only(world: World) -> None:
    alice, bob, folder, _ = await shared_place(world)
    await ruled(world, alice, folder.id, *Permission)
    upload = await promised(world, bob, "new", folder_id=folder.id)
    assert await world.services.uploads.find(alice, [upload.id]) == {}
    by_rule = await world.principal("carol")
    await ruled(world, by_rule, ROOT, Permission.ADMINISTER)
    for each in (bob, by_rule, await world.principal("root", is_admin=True)):
        assert set(await world.services.uploads.find(each, [upload.id])) == {upload.id}


async def test_a_conflict_names_what_is_in_the_way_to_who_may_see_it(world: World) -> None:
    alice, _, folder, file = await shared_place(world)
    await ruled(world, alice, folder.id, READ, WRITE)
    for is_hidden in (False, True):
        if is_hidden:
            await denied(world, alice, file.id, READ)
        with pytest.raises(Conflict) as caught:
            await promised(world, alice, file.name, folder_id=folder.id)
        assert caught.value.conflicting_id == (None if is_hidden else file.id)


async def test_making_folders_is_noticed_where_a_denial_stands_on_one(world: World) -> None:
    alice = await world.principal("alice")

    async def version() -> int:
        async with world.database.autocommit() as connection:
            return await rules.policy_version(connection)

    before = await version()
    await foldered(world, alice, "one")
    assert await version() == before
    await denied(world, alice, (await foldered(world, alice, "two")).id, WRITE)
    before = await version()
    await foldered(world, alice, "three")
    assert await version() == before + 1
