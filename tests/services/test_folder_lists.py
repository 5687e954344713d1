"""Folders that a viewer comes upon, and folders that an upload is taken in: SQL says what the standing says."""

import itertools
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial

import pytest

from graphql_api.access.standing import Standing
from graphql_api.db import folder_lists, folders, reservations
from graphql_api.db.scopes import scopes_of_folders
from graphql_api.model.file import Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, FolderId, UploadId, new_file_id, new_folder_id
from graphql_api.model.names import name_key
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import ANYONE, SIGNED_IN, Effect
from tests.services.stories import home_of, promised, ruled, standing_of
from tests.world import START, World

READ, WRITE = Permission.READ, Permission.WRITE


class Tree:
    """Folders of several owners, with rules strewn over them."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.random = world, random.Random(seed)
        self.ids: list[FolderId] = [ROOT_FOLDER_ID]

    async def grow(self, *people: Principal) -> None:
        async with self.world.database.transaction() as connection:
            for number in range(30):
                name = f"{self.random.choice('abc')}{number}"
                parent, owner = self.random.choice(self.ids), self.random.choice(people).user_id
                folder = Folder(new_folder_id(START), parent, owner, name, START, START)
                await folders.claim_name(connection, parent, name, folder.id)
                await folders.insert_folder(connection, folder)
                self.ids.append(folder.id)

    async def strew(self, principal: Principal) -> None:
        for _ in range(self.random.randint(1, 8)):
            subject = self.random.choice([str(principal.user_id), SIGNED_IN, ANYONE])
            effect = self.random.choice([Effect.ALLOW, Effect.ALLOW, Effect.DENY])
            permissions = self.random.sample([READ, WRITE], self.random.randint(1, 2))
            resource = self.random.choice(self.ids[self.random.choice([0, 1, 5]) :])
            await ruled(self.world, subject, resource, *permissions, effect=effect)


async def everything(list_page: Callable[[PageRequest], Awaitable[Page[Folder]]], *, is_backward: bool) -> list[Folder]:
    found: list[Folder] = []
    cursor = None
    while True:
        page = await list_page(PageRequest(2, cursor, is_backward))
        nodes = list(page.nodes)
        found = nodes + found if is_backward else found + nodes
        if not (page.has_previous_page if is_backward else page.has_next_page):
            return found
        cursor = page.cursor_of(nodes[0] if is_backward else nodes[-1])


@pytest.mark.parametrize("seed", range(8))
async def test_lists_of_folders_and_new_uploads_agree_with_the_standing(world: World, seed: int) -> None:
    tree, admin = Tree(world, seed), await world.principal("root", is_admin=True)
    alice, bob = await world.principal("alice"), await world.principal("bob")
    await tree.grow(admin, alice, bob)
    await tree.strew(alice)
    standing, homes = await standing_of(world, alice), [await home_of(world, each) for each in (admin, alice, bob)]
    async with world.database.autocommit() as connection:
        scopes = await scopes_of_folders(connection, [*tree.ids, *homes])
        all_ = await folders.find_folders(connection, await standing_of(world, admin), list(scopes))
        visible = {id_: folder for id_, folder in all_.items() if standing.may(READ, scopes[id_])}
        assert await folders.find_folders(connection, standing, list(scopes)) == visible
        for id_, is_backward in itertools.product(tree.ids, (False, True)):
            list_below = partial(folder_lists.list_subfolders, connection, standing, id_)
            below = await everything(list_below, is_backward=is_backward)
            assert below == _by_name(folder for folder in visible.values() if folder.parent_id == id_)
        expected = _by_name(folder for folder in visible.values() if folder.parent_id not in visible)
        for is_backward in (False, True):
            list_tops = partial(folder_lists.list_top_folders, connection, standing, candidates=3)
            tops = await everything(list_tops, is_backward=is_backward)
            assert tops == expected
        for folder in all_.values():
            named = await folder_lists.find_top_folders(connection, standing, name_key(folder.name))
            assert named == [top for top in expected if name_key(top.name) == name_key(folder.name)]
    for id_ in tree.ids:
        assert await _is_taken_in(world, standing, alice, id_) == (
            standing.may(READ, scopes[id_]) and standing.may(WRITE, scopes[id_])
        )


def _by_name(some: Iterable[Folder]) -> list[Folder]:
    return sorted(some, key=lambda folder: (name_key(folder.name), folder.id))


async def _is_taken_in(world: World, standing: Standing, principal: Principal, folder_id: FolderId) -> bool:
    """Whether the one statement that reserves an upload takes it."""
    template = await promised(world, principal, f"template {folder_id}")
    upload = replace(
        template,
        id=UploadId(template.id[:-26] + folder_id[-26:]),
        file_id=new_file_id(START),
        object_key=f"o/{folder_id}",
        folder_id=folder_id,
        filename="new upload",
    )
    async with world.database.autocommit() as connection:
        return await reservations.reserve(connection, standing, upload, look_at=START)
