"""What a watcher of a folder is told of subfolders, of new bytes, and of what went with rules of its own."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from graphql_api.model.file import File, Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, FolderId
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import ANYONE
from graphql_api.model.signal import FolderChange, FolderEvent
from tests.services.stories import denied, filed, foldered, home_of, ruled, unruled
from tests.services.test_versions import replaced, versions_of
from tests.watching import Watcher, watching_folder
from tests.world import World

READ, WRITE = Permission.READ, Permission.WRITE
CREATED, UPDATED, DELETED = FolderChange.CREATED, FolderChange.UPDATED, FolderChange.DELETED
MOVED_IN, MOVED_OUT = FolderChange.MOVED_IN, FolderChange.MOVED_OUT


async def test_each_change_of_a_subfolder_is_told_where_it_happens(live_world: World) -> None:
    ada = await live_world.principal("ada")
    folders = live_world.services.folders
    here, there = await foldered(live_world, ada, "here"), await foldered(live_world, ada, "there")
    async with (
        watching_folder(live_world, ada, here.id) as at_here,
        watching_folder(live_world, ada, there.id) as at_there,
    ):
        inner = await foldered(live_world, ada, "inner", parent_id=here.id)
        assert await at_here.next() == FolderEvent(CREATED, inner.id, inner)
        renamed = await folders.rename(ada, inner.id, "other")
        assert await at_here.next() == FolderEvent(UPDATED, inner.id, renamed)
        deepest = await foldered(live_world, ada, "deepest", parent_id=inner.id)  # which is told in there only
        await filed(live_world, ada, folder_id=deepest.id)
        await folders.move(ada, inner.id, here.id)  # nothing is changed, and nothing told
        moved = await folders.move(ada, inner.id, there.id)
        assert await at_here.next() == FolderEvent(MOVED_OUT, inner.id, moved)
        assert await at_there.next() == FolderEvent(MOVED_IN, inner.id, moved)
        await folders.delete(ada, inner.id, is_recursive=True)
        assert await at_there.next() == FolderEvent(DELETED, inner.id)
        mark = await filed(live_world, ada, folder_id=here.id)
        assert await at_here.next() == FolderEvent(CREATED, mark.id, mark)


async def test_the_home_of_who_signs_in_for_the_first_time_is_told(live_world: World) -> None:
    root = await live_world.principal("root", is_admin=True)
    async with watching_folder(live_world, root, ROOT_FOLDER_ID) as watcher:
        ada = await live_world.principal("ada")
        event = await watcher.next()
        assert (event.change, event.entry_id) == (CREATED, await home_of(live_world, ada))


async def test_new_bytes_of_a_file_are_told_whichever_they_are(live_world: World) -> None:
    ada = await live_world.principal("ada")
    file = await filed(live_world, ada)
    async with watching_folder(live_world, ada, file.folder_id) as watcher:
        _, changed = await replaced(live_world, ada, file)
        assert await watcher.next() == FolderEvent(UPDATED, file.id, changed)
        second, first = await versions_of(live_world, ada, file.id)
        back = await live_world.services.versions.restore(ada, file.id, first.id)
        assert await watcher.next() == FolderEvent(UPDATED, file.id, back)
        await live_world.services.versions.restore(ada, file.id, first.id)  # which it has
        await live_world.services.versions.delete(ada, file.id, [second.id])  # what it has stays
        mark = await filed(live_world, ada, "mark")
        assert await watcher.next() == FolderEvent(CREATED, mark.id, mark)


@asynccontextmanager
async def bob_at_carols(world: World) -> AsyncIterator[tuple[Principal, Principal, FolderId, Watcher[FolderEvent]]]:
    """Bob may read Carol's folder, and watches it. At the end the mark that follows must be the next thing told."""
    carol, bob = await world.principal("carol"), await world.principal("bob")
    shared = await foldered(world, carol, "shared")
    await ruled(world, bob, shared.id, READ)
    async with watching_folder(world, bob, shared.id) as watcher:
        yield carol, bob, shared.id, watcher
        mark = await filed(world, carol, "mark", folder_id=shared.id)
        event = await watcher.next()
        assert (event.change, event.entry_id) == (CREATED, mark.id)


async def test_nothing_is_told_of_a_hidden_subfolder_nor_that_it_went(live_world: World) -> None:
    folders = live_world.services.folders
    async with bob_at_carols(live_world) as (carol, bob, shared, watcher):
        home = await home_of(live_world, carol)
        first, second = [await foldered(live_world, carol, name, parent_id=shared) for name in "ab"]
        assert {(await watcher.next()).entry_id for _ in "ab"} == {first.id, second.id}
        for folder in (first, second):
            await denied(live_world, bob, folder.id, READ)
        await folders.rename(carol, first.id, "c")
        await folders.move(carol, first.id, home)
        await folders.move(carol, first.id, shared)
        await folders.delete(carol, first.id)
        await filed(live_world, carol, folder_id=second.id)
        await folders.delete(carol, second.id, is_recursive=True)


Made = Callable[[World, Principal, FolderId], Coroutine[Any, Any, File | Folder]]


async def a_file(world: World, owner: Principal, folder_id: FolderId) -> File:
    return await filed(world, owner, folder_id=folder_id)


async def a_folder(world: World, owner: Principal, folder_id: FolderId) -> Folder:
    return await foldered(world, owner, "inner", parent_id=folder_id)


async def gone(world: World, entry: File | Folder) -> None:
    root = await world.principal("root", is_admin=True)  # whom no denial binds
    if isinstance(entry, File):
        assert await world.services.files.delete(root, [entry.id]) == [entry.id]
    else:
        await world.services.folders.delete(root, entry.id)


async def with_a_guest(world: World, made: Made) -> tuple[Principal, FolderId, File | Folder]:
    """Eve sees her own folder, because it is hers, and of what others keep in it only what a rule shows."""
    carol, eve = await world.principal("carol"), await world.principal("eve")
    shared = await foldered(world, eve, "shared")
    await ruled(world, carol, shared.id, READ, WRITE, Permission.DELETE)
    home = await home_of(world, eve)
    entry = await made(world, carol, shared.id)
    async with world.database.autocommit() as connection:
        book, _ = await world.standings.with_book(connection, eve)
    await unruled(world, *(rule for rule in book.rules if rule.terms.resource == str(home)))
    return eve, shared.id, entry


@pytest.mark.parametrize("made", [a_file, a_folder])
async def test_who_saw_a_thing_by_a_rule_of_its_own_is_told_that_it_went(live_world: World, made: Made) -> None:
    eve, shared, entry = await with_a_guest(live_world, made)
    async with watching_folder(live_world, eve, shared) as watcher:
        await ruled(live_world, eve, entry.id, READ)
        await gone(live_world, entry)
        assert await watcher.next() == FolderEvent(DELETED, entry.id)


@pytest.mark.parametrize("made", [a_file, a_folder])
@pytest.mark.parametrize("why", ["no rule", "condition", "denied"])
async def test_who_did_not_see_a_thing_is_not_told_that_it_went(live_world: World, made: Made, why: str) -> None:
    eve, shared, entry = await with_a_guest(live_world, made)
    later = live_world.clock() + timedelta(days=1)
    match why:
        case "condition":
            await ruled(live_world, eve, entry.id, READ, starts_at=later)
            await ruled(live_world, eve, entry.id, READ, ip_ranges=("192.0.2.0/24",))
        case "denied":
            await ruled(live_world, eve, entry.id, READ)
            await denied(live_world, ANYONE, entry.id, READ)
    async with watching_folder(live_world, eve, shared) as watcher:
        await gone(live_world, entry)
        mark = await filed(live_world, eve, "mark", folder_id=shared)
        event = await watcher.next()
        assert (event.change, event.entry_id) == (CREATED, mark.id)
