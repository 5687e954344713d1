"""The one tree: made, renamed, moved and deleted, and what each viewer sees of it."""

import asyncio

import pytest
from sqlalchemy import func, select

from graphql_api.db.tables import FileRow, FolderEntryRow, FolderRow, ObjectDeletionRow
from graphql_api.errors import Conflict, Forbidden, InvalidInput, NotFound
from graphql_api.model.ids import ROOT_FOLDER_ID, FolderId, new_folder_id
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.upload import OnConflict, UploadStatus
from graphql_api.services.folders import MAX_DEPTH
from tests.services.stories import denied, filed, foldered, home_of, promised, ruled, sent, unruled
from tests.world import START, World

ABSENT = new_folder_id(START)


async def count(world: World, row: type[FileRow | FolderRow | FolderEntryRow | ObjectDeletionRow]) -> int:
    async with world.database.autocommit() as connection:
        return await connection.scalar(select(func.count()).select_from(row)) or 0


async def path_of(world: World, principal: Principal, folder_id: FolderId) -> str:
    return (await world.services.folders.places(principal, [folder_id]))[folder_id].path


async def test_a_folder_is_made_renamed_and_moved(world: World) -> None:
    alice = await world.principal("alice")
    work, play = await foldered(world, alice, "Work"), await foldered(world, alice, "Play")
    world.clock.advance(seconds=1)
    renamed = await world.services.folders.rename(alice, work.id, "Cafe\u0301")
    assert (renamed.name, renamed.updated_at > renamed.created_at) == ("Caf\u00e9", True)
    moved = await world.services.folders.move(alice, work.id, play.id)
    assert moved.parent_id == play.id
    assert await path_of(world, alice, work.id) == "/Alice/Play/Café"
    found = await world.services.folders.find_by_path(alice, ["ALICE", "play", "CAFE\u0301"])
    assert found == moved
    assert await world.services.folders.move(alice, work.id, play.id) == moved  # where it is already
    await foldered(world, alice, "Work")  # the old name is free


async def test_a_name_belongs_to_one_thing_in_a_folder_be_it_file_or_folder(world: World) -> None:
    alice = await world.principal("alice")
    home, folders, files = await home_of(world, alice), world.services.folders, world.services.files
    folder, other = await foldered(world, alice, "Straße"), await foldered(world, alice, "other")
    file = await filed(world, alice, "notes.txt")
    inner = await foldered(world, alice, "notes.txt", other.id)
    for work, path, holder in (
        (folders.create(alice, home, "STRASSE"), "name", folder.id),
        (folders.create(alice, home, "Notes.TXT"), "name", file.id),
        (folders.rename(alice, other.id, "strasse"), "name", folder.id),
        (folders.rename(alice, other.id, "NOTES.txt"), "name", file.id),
        (folders.move(alice, inner.id, home), "parentId", file.id),
        (files.update(alice, file.id, name="STRASSE"), "name", folder.id),
        (files.move(alice, file.id, other.id), "folderId", inner.id),
        (promised(world, alice, "STRASSE"), "filename", folder.id),
    ):
        with pytest.raises(Conflict) as caught:
            await work
        assert (caught.value.path, caught.value.conflicting_id) == ((path,), holder)
    renamed = await promised(world, alice, "STRASSE", on_conflict=OnConflict.RENAME)
    assert renamed.filename == "STRASSE (2)"


async def test_a_conflict_does_not_name_what_the_viewer_may_not_see(world: World) -> None:
    alice, admin = await world.principal("alice"), await world.principal("root", is_admin=True)
    hidden = await foldered(world, admin, "plans", await home_of(world, alice))
    await denied(world, alice, hidden.id, Permission.READ)
    with pytest.raises(Conflict) as caught:
        await foldered(world, alice, "Plans")
    assert caught.value.conflicting_id is None
    with pytest.raises(Conflict) as caught:
        await foldered(world, admin, "Plans", await home_of(world, alice))
    assert caught.value.conflicting_id == hidden.id


async def test_only_the_case_of_a_name_may_change(world: World) -> None:
    alice = await world.principal("alice")
    folder, file = await foldered(world, alice, "photos"), await filed(world, alice, "cat.txt")
    assert (await world.services.folders.rename(alice, folder.id, "Photos")).name == "Photos"
    assert (await world.services.files.update(alice, file.id, name="CAT.txt")).name == "CAT.txt"


@pytest.mark.parametrize("name", ["", " ", "..", "a/b", "nul\0", "cr\r\nlf", "x" * 256, "a\u202eb", "\ud800"])
async def test_a_bad_name_is_refused_everywhere(name: str) -> None:
    """Before any question is asked: there is no database here."""
    world = World(database=None)  # type: ignore[arg-type]  # a use case that asked it would fail with another error
    for work in (
        world.services.folders.create(ANONYMOUS, ABSENT, name),
        world.services.folders.rename(ANONYMOUS, ABSENT, name),
    ):
        with pytest.raises(InvalidInput) as caught:
            await work
        assert caught.value.path == ("name",)


async def test_no_folder_goes_below_itself(world: World) -> None:
    alice = await world.principal("alice")
    top = await foldered(world, alice, "top")
    middle = await foldered(world, alice, "middle", top.id)
    bottom = await foldered(world, alice, "bottom", middle.id)
    for below in (top, middle, bottom):
        with pytest.raises(InvalidInput, match="itself") as caught:
            await world.services.folders.move(alice, top.id, below.id)
        assert caught.value.path == ("parentId",)
    assert await path_of(world, alice, bottom.id) == "/Alice/top/middle/bottom"


async def test_moves_at_once_make_no_cycle(world: World) -> None:
    alice = await world.principal("alice")
    home, move = await home_of(world, alice), world.services.folders.move
    ring = [(await foldered(world, alice, name)).id for name in "abc"]
    moved = 0
    for _ in range(20):
        results = await asyncio.gather(
            *(move(alice, ring[index], ring[index - 1]) for index in range(3)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(error, InvalidInput) for error in refused), refused
        assert len(refused) == 1
        for folder_id in ring:
            assert (await path_of(world, alice, folder_id)).startswith("/Alice/")
        for folder_id in ring:
            await move(alice, folder_id, home)
        moved += len(results) - len(refused)
    assert moved == 40


async def test_the_tree_has_a_greatest_depth(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    chain = [ROOT_FOLDER_ID]
    for depth in range(MAX_DEPTH):
        chain.append((await foldered(world, admin, f"{depth}", chain[-1])).id)
    with pytest.raises(InvalidInput, match="64 deep") as caught:
        await foldered(world, admin, "one more", chain[-1])
    assert caught.value.path == ("parentId",)

    tall = await foldered(world, admin, "tall", ROOT_FOLDER_ID)
    await foldered(world, admin, "inside", tall.id)
    with pytest.raises(InvalidInput, match="64 deep"):
        await world.services.folders.move(admin, tall.id, chain[-2])
    await world.services.folders.move(admin, tall.id, chain[-3])
    names = ["0", *(f"{depth}" for depth in range(1, MAX_DEPTH))]
    found = await world.services.folders.find_by_path(admin, names)
    assert found is not None
    assert found.id == chain[-1]
    assert await world.services.folders.find_by_path(admin, [*names, "one more"]) is None


async def test_the_root_stays_as_it_is(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    home, folders = await home_of(world, admin), world.services.folders
    for work in (
        folders.rename(admin, ROOT_FOLDER_ID, "new"),
        folders.move(admin, ROOT_FOLDER_ID, home),
        folders.delete(admin, ROOT_FOLDER_ID, is_recursive=True),
    ):
        with pytest.raises(InvalidInput, match="root") as caught:
            await work
        assert caught.value.path == ("folderId",)
    alice = await world.principal("alice")
    for work in (
        folders.rename(alice, ROOT_FOLDER_ID, "new"),
        folders.move(alice, ROOT_FOLDER_ID, home),
        folders.delete(alice, ROOT_FOLDER_ID, is_recursive=True),
        folders.create(alice, ROOT_FOLDER_ID, "new"),
    ):
        with pytest.raises(NotFound):
            await work


async def test_a_folder_with_something_in_it_goes_only_recursively(world: World) -> None:
    alice = await world.principal("alice")
    outer = await foldered(world, alice, "outer")
    inner = await foldered(world, alice, "inner", outer.id)
    kept = await filed(world, alice, "kept.txt")
    before = [await count(world, row) for row in (FolderRow, FileRow, FolderEntryRow)]
    file = await filed(world, alice, "cat.txt", folder_id=inner.id)
    waiting = await promised(world, alice, "later.txt", folder_id=inner.id)
    arrived = await sent(world, alice, "there.txt", folder_id=outer.id)
    for folder in (outer, inner):
        with pytest.raises(Conflict, match="not empty") as caught:
            await world.services.folders.delete(alice, folder.id)
        assert caught.value.path == ("isRecursive",)
    assert file.object_key in world.store.objects

    assert await world.services.folders.delete(alice, outer.id, is_recursive=True) == outer.id
    assert await world.services.folders.find(alice, [outer.id, inner.id]) == {}
    assert await world.services.files.find(alice, [file.id]) == {}
    assert [await count(world, row) for row in (FolderRow, FileRow, FolderEntryRow)] == [
        before[0] - 2,
        before[1],
        before[2] - 2,
    ]
    assert set(world.store.objects) == {kept.object_key}
    assert await count(world, ObjectDeletionRow) == 3  # and once more when nothing can arrive any longer
    for upload in (await world.services.uploads.find(alice, [waiting.id, arrived.id])).values():
        assert (upload.status, upload.folder_id) == (UploadStatus.ABORTED, None)
    with pytest.raises(NotFound):
        await world.services.folders.delete(alice, outer.id, is_recursive=True)
    await foldered(world, alice, "outer")


async def test_an_empty_folder_goes_and_pending_uploads_into_it_are_aborted(world: World) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "empty")
    upload = await promised(world, alice, folder_id=folder.id)
    await world.services.folders.delete(alice, folder.id)
    assert (await world.services.uploads.find(alice, [upload.id]))[upload.id].status is UploadStatus.ABORTED


@pytest.mark.parametrize("missing", [Permission.READ, Permission.DELETE])
@pytest.mark.parametrize("kept", ["folder", "file", "label"])
async def test_what_holds_something_that_is_hidden_or_may_not_be_deleted_is_not_deleted(
    world: World, kept: str, missing: Permission
) -> None:
    alice, admin = await world.principal("alice"), await world.principal("root", is_admin=True)
    outer = await foldered(world, alice, "outer")
    inner = await foldered(world, alice, "inner", outer.id)
    own = await filed(world, alice, "own.txt", folder_id=outer.id)
    file = await filed(world, admin, "admin's", folder_id=inner.id)
    await world.services.notes.change_labels(admin, file.id, ["contract"])
    resource = {"folder": inner.id, "file": file.id, "label": "label:contract"}[kept]
    denial = await denied(world, alice, resource, missing)
    with pytest.raises(Forbidden, match=r"^something below may not be deleted$") as caught:
        await world.services.folders.delete(alice, outer.id, is_recursive=True)
    assert (caught.value.required_permission, caught.value.path) == (Permission.DELETE, ("folderId",))
    assert {own.object_key, file.object_key} <= world.store.objects.keys()
    await unruled(world, denial)
    await world.services.folders.delete(alice, outer.id, is_recursive=True)
    assert not {own.object_key, file.object_key} & world.store.objects.keys()


async def test_who_owns_a_folder_does_not_own_what_others_keep_inside(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    shared = await foldered(world, bob, "shared")
    drop = await ruled(world, alice, shared.id, Permission.READ, Permission.WRITE)
    own = await foldered(world, alice, "alice's", shared.id)
    theirs = await filed(world, bob, "bob's", folder_id=own.id)
    await unruled(world, drop)
    assert set(await world.services.folders.find(alice, [own.id, shared.id])) == {own.id}
    assert await world.services.files.find(alice, [theirs.id]) == {}
    with pytest.raises(Forbidden):
        await world.services.folders.delete(alice, own.id, is_recursive=True)
    assert await world.services.folders.delete(bob, own.id, is_recursive=True) == own.id


async def test_path_and_parent_end_below_what_is_hidden(world: World) -> None:
    alice, admin = await world.principal("alice"), await world.principal("root", is_admin=True)
    secret = await foldered(world, admin, "secret project", ROOT_FOLDER_ID)
    shared = await foldered(world, alice, "shared")
    below = await foldered(world, alice, "below", shared.id)
    await world.services.folders.move(admin, shared.id, secret.id)  # out of reach of the rule about her home
    between = await foldered(world, admin, "hidden between", shared.id)
    lost = await foldered(world, alice, "lost", below.id)
    await world.services.folders.move(admin, lost.id, between.id)

    places = await world.services.folders.places(alice, [shared.id, below.id, lost.id])
    assert places[shared.id].path == "/shared"
    assert places[shared.id].parent is None
    assert places[below.id].path == "/shared/below"
    assert places[below.id].parent == (await world.services.folders.find(alice, [shared.id]))[shared.id]
    assert (places[lost.id].path, places[lost.id].parent) == ("/lost", None)
    tops = await world.services.folders.list_top(alice, PageRequest(10))
    assert [folder.name for folder in tops.nodes] == ["Alice", "lost", "shared"]
    for names in (["shared", "below"], ["lost"], ["alice"]):
        assert await world.services.folders.find_by_path(alice, names)
    for names in (
        [],
        ["secret project"],
        ["secret project", "shared"],
        ["shared", "hidden between", "lost"],
        ["below"],
    ):
        assert await world.services.folders.find_by_path(alice, names) is None

    assert await path_of(world, admin, lost.id) == "/secret project/shared/hidden between/lost"
    assert [folder.id for folder in (await world.services.folders.list_top(admin, PageRequest())).nodes] == [
        ROOT_FOLDER_ID
    ]
    hidden = (await world.services.folders.places(alice, [secret.id]))[secret.id]
    assert (hidden.path, hidden.parent) == ("/", None)
