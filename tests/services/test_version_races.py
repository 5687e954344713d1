"""New bytes for a file while other things happen to it: see ``test_races`` for how the dangerous order is made."""

import asyncio
from collections.abc import Awaitable

from graphql_api.db import files, folders, rules
from graphql_api.errors import Conflict, DeliveryError, Forbidden, NotFound, UploadStateConflict
from graphql_api.model.file import File, FileVersion
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Principal
from graphql_api.model.upload import OnConflict, UploadStatus
from tests.services.stories import filed, foldered, promised, sent
from tests.services.test_races import ROUNDS, it_waits, outcome
from tests.world import World


async def numbers_of(world: World, alice: Principal, file: File) -> dict[int, FileVersion]:
    pages = await world.services.versions.list_of(alice, PageRequest(100), [file.id])
    return {version.number: version for version in pages[file.id].nodes}


async def test_versions_that_complete_at_once_have_a_number_each_and_the_last_one_is_current(world: World) -> None:
    alice = await world.principal("alice")
    for _ in range(5):
        file = await filed(world, alice, on_conflict=OnConflict.RENAME)
        uploads = [await sent(world, alice, replaces=file.id) for _ in range(3)]
        done = await asyncio.gather(*(world.services.completion.complete(alice, upload.id) for upload in uploads * 2))
        assert {upload.status for upload, _ in done} == {UploadStatus.COMPLETED}
        versions = await numbers_of(world, alice, file)
        assert set(versions) == {1, 2, 3, 4}
        assert {version.object_key for version in versions.values()} == {
            file.object_key,
            *(upload.object_key for upload in uploads),
        }
        found = (await world.services.files.find(alice, [file.id]))[file.id]
        assert versions[4].is_current
        assert found.object_key == versions[4].object_key


async def test_a_version_arrives_while_all_else_happens_to_its_file(world: World) -> None:
    """Nothing waits in a circle, and nothing is mixed: on PostgreSQL a deadlock would be an error."""
    alice = await world.principal("alice")
    for number in range(ROUNDS):
        folder, other = await foldered(world, alice, "folder"), await foldered(world, alice, "other")
        file = await filed(world, alice, "cat.txt", folder_id=folder.id)
        upload = await sent(world, alice, replaces=file.id)
        [first] = (await numbers_of(world, alice, file)).values()
        files_, versions = world.services.files, world.services.versions
        is_deleted = number % 2
        works: list[Awaitable[object]] = [
            world.services.completion.complete(alice, upload.id),
            promised(world, alice, replaces=file.id),
            files_.update(alice, file.id, name="dog.txt", content_type="text/markdown"),
            files_.move(alice, file.id, other.id),
            versions.restore(alice, file.id, first.id),
            versions.delete(alice, file.id, [first.id]),
            promised(world, alice, replaces=file.id),
        ]
        if is_deleted:
            works += [world.services.folders.delete(alice, each.id, is_recursive=True) for each in (folder, other)]
        turned = works[number % 7 :] + works[: number % 7]
        results = await asyncio.gather(*map(outcome, turned))
        expected = NotFound | Conflict | UploadStateConflict if is_deleted else NotFound
        failed = [
            result for result in results if isinstance(result, DeliveryError) and not isinstance(result, expected)
        ]
        assert failed == []
        left = await files_.find(alice, [file.id])
        if is_deleted:
            assert left == {}
            assert world.store.objects == {}
        else:
            found, kept = left[file.id], await numbers_of(world, alice, file)
            assert (found.name, found.folder_id) == ("dog.txt", other.id)
            [current] = [version for version in kept.values() if version.is_current]
            assert (current.object_key, current.content_type) == (found.object_key, found.content_type)
            assert set(world.store.objects) == {version.object_key for version in kept.values()}
            pending = await world.services.uploads.list(alice, PageRequest(100), [UploadStatus.PENDING])
            assert {each.folder_id for each in pending.nodes} == {other.id}
            for each in (folder, other):
                await world.services.folders.delete(alice, each.id, is_recursive=True)


async def test_no_version_is_promised_of_a_file_whose_folder_is_being_deleted(world: World) -> None:
    """The promise must not hold the file while it waits for the folder: the deletion has that and wants the file."""
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "doomed")
    file = await filed(world, alice, folder_id=folder.id)
    async with world.database.transaction() as connection:
        await rules.bump_version(connection)
        await folders.lock_folders(connection, [folder.id])
        promise = asyncio.create_task(outcome(promised(world, alice, replaces=file.id)))
        await it_waits(world)
        assert await files.lock_files_in(connection, [folder.id], limit=10)
        await folders.release_names(connection, [file.id])
        await files.delete_files(connection, [file.id])
        await folders.delete_folders(connection, [folder.id])
    assert isinstance(await promise, NotFound)


async def test_a_version_that_completes_while_its_file_is_deleted_leaves_nothing(world: World) -> None:
    alice = await world.principal("alice")
    for number in range(ROUNDS):
        file = await filed(world, alice, f"{number}")
        upload = await sent(world, alice, replaces=file.id)
        works: list[Awaitable[object]] = [
            world.services.completion.complete(alice, upload.id),
            world.services.files.delete(alice, [file.id]),
            world.services.completion.arrived(upload.object_key),
        ]
        results = await asyncio.gather(*map(outcome, works[number % 3 :] + works[: number % 3]))
        assert not any(isinstance(result, Forbidden) for result in results)
        status = (await world.services.uploads.get(alice, upload.id)).status
        assert status in (UploadStatus.COMPLETED, UploadStatus.ABORTED)
        assert world.store.objects == {}
