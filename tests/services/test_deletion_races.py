"""Deletions at once, of files for which more bytes are under way: nobody waits for one who waits for them."""

import asyncio

from graphql_api.errors import NotFound
from graphql_api.model.ids import ROOT_FOLDER_ID
from tests.services.stock import administrator, limited, require_exact
from tests.services.stories import filed, foldered, promised, sent
from tests.services.test_races import outcome
from tests.services.test_version_races import numbers_of
from tests.world import World

ROUNDS = 15


async def test_files_of_two_people_are_deleted_by_two_at_once(world: World) -> None:
    admin = await administrator(world)
    people = [await world.principal(name) for name in ("alice", "bob")]
    for number in range(ROUNDS):
        first, second = [[await filed(world, who, f"{each}{number}") for who in people] for each in ("one", "two")]
        for file in (first[1], second[0]):
            await promised(world, admin, replaces=file.id)
        batches = [[file.id for file in files] for files in (first, second)]
        deleted = await asyncio.gather(*(outcome(world.services.files.delete(admin, ids)) for ids in batches))
        assert deleted == batches
    await require_exact(world)


async def test_files_in_two_folders_with_quotas_are_deleted_by_two_at_once(world: World) -> None:
    alice = await world.principal("alice")
    folders = [await foldered(world, alice, name) for name in ("left", "right")]
    for folder in folders:
        await limited(world, folder.id, 1_000_000)
    for number in range(ROUNDS):
        first, second = [
            [await filed(world, alice, f"{each}{number}", folder_id=folder.id) for folder in folders]
            for each in ("one", "two")
        ]
        for file in (first[1], second[0]):
            await promised(world, alice, replaces=file.id)
        batches = [[file.id for file in files] for files in (first, second)]
        deleted = await asyncio.gather(*(outcome(world.services.files.delete(alice, ids)) for ids in batches))
        assert deleted == batches
    await require_exact(world)


async def test_a_folder_is_deleted_while_versions_of_its_files_are(world: World) -> None:
    alice = await world.principal("alice")
    await limited(world, ROOT_FOLDER_ID, 1_000_000)
    for number in range(ROUNDS):
        folder = await foldered(world, alice, f"doomed{number}")
        await promised(world, alice, "pending.txt", folder_id=folder.id)
        files = [await filed(world, alice, f"{each}.txt", folder_id=folder.id) for each in range(4)]
        for file in files:
            upload = await sent(world, alice, replaces=file.id)
            await world.services.completion.complete(alice, upload.id)
        olds = [(file.id, (await numbers_of(world, alice, file))[1].id) for file in files]
        *versions, deleted = await asyncio.gather(
            *(outcome(world.services.versions.delete(alice, file_id, [old])) for file_id, old in olds),
            outcome(world.services.folders.delete(alice, folder.id, is_recursive=True)),
        )
        assert deleted == folder.id
        for result, (_, old) in zip(versions, olds, strict=True):
            assert result == [old] or isinstance(result, NotFound)
    await require_exact(world)
