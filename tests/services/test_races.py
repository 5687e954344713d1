"""What happens at once: one outcome, nothing lost, nothing half-done, and nobody is told that the database is down.

Where one order of events is the dangerous one, the test takes the part of the other client and stops in the middle of
a transaction: on PostgreSQL the use case then waits where it must, on SQLite at its beginning.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

import pytest
from sqlalchemy import text

from graphql_api.db import files, folders, reservations, rules, share_links, upload_parts, uploads, usage
from graphql_api.db.scopes import scopes_of_files
from graphql_api.errors import Conflict, DeliveryError, Forbidden, NotFound, UploadStateConflict
from graphql_api.model.file import File, Folder
from graphql_api.model.ids import (
    FileId,
    RuleId,
    new_file_id,
    new_folder_id,
    new_object_key,
    new_share_link_id,
    new_upload_id,
)
from graphql_api.model.principal import Permission
from graphql_api.model.quota import Gate
from graphql_api.model.rule import ANYONE, ROOT, AccessRule, Effect, RuleTerms, Scope
from graphql_api.model.upload import OnConflict, Upload, UploadMethod, UploadStatus
from graphql_api.services.naming import claim
from graphql_api.services.share_links import token_hash
from graphql_api.services.upload_targets import PartWish
from tests.services.sharing import shared
from tests.services.stock import require_exact, taken
from tests.services.stories import denied, filed, foldered, home_of, promised, ruled, sent, standing_of
from tests.world import START, World

T = TypeVar("T")
ROUNDS = 20


async def outcome(work: Awaitable[T]) -> T | DeliveryError:
    try:
        return await work
    except DeliveryError as error:
        return error


async def it_waits(world: World, number: int = 1) -> None:
    """Return when so many transactions wait for another."""
    question = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    if world.database.is_sqlite:
        await asyncio.sleep(0.05)
        return
    async with world.database.autocommit() as connection:
        while await connection.scalar(question) < number:  # noqa: ASYNC110 -- the server does not tell when
            await asyncio.sleep(0.001)


async def test_a_file_that_arrives_while_its_folder_is_deleted_as_empty_keeps_the_folder(world: World) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "empty")
    file = await filed(world, alice)
    standing = await standing_of(world, alice)
    async with world.database.transaction() as connection:
        await rules.hold_version(connection)
        await folders.lock_folder(connection, standing, folder.id)
        await folders.release_names(connection, [file.id])
        await claim(connection, standing, folder.id, file.name, file.id, OnConflict.FAIL)
        await files.update_file(connection, standing, file.id, now=file.updated_at, folder_id=folder.id)
        deletion = asyncio.create_task(outcome(world.services.folders.delete(alice, folder.id)))
        await it_waits(world)
    assert isinstance(await deletion, Conflict)
    assert (await world.services.files.find(alice, [file.id]))[file.id].folder_id == folder.id
    assert file.object_key in world.store.objects


async def test_a_file_that_is_moved_out_while_its_folder_is_deleted_keeps_its_name_and_bytes(world: World) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    folder = await foldered(world, alice, "doomed")
    file = await filed(world, alice, "cat.txt", folder_id=folder.id)
    standing = await standing_of(world, alice)
    async with world.database.transaction() as connection:
        await rules.hold_version(connection)
        await folders.lock_folder(connection, standing, home)
        await files.lock_files(connection, standing, [file.id])
        await folders.release_names(connection, [file.id])
        await claim(connection, standing, home, file.name, file.id, OnConflict.FAIL)
        await files.update_file(connection, standing, file.id, now=file.updated_at, folder_id=home)
        deletion = asyncio.create_task(outcome(world.services.folders.delete(alice, folder.id, is_recursive=True)))
        await it_waits(world)
    assert await deletion == folder.id
    assert (await world.services.files.find(alice, [file.id]))[file.id].folder_id == home
    assert file.object_key in world.store.objects
    assert isinstance(await outcome(promised(world, alice, file.name)), Conflict)


async def test_a_subfolder_that_is_made_while_its_parent_is_deleted_keeps_it_or_goes_with_it(world: World) -> None:
    alice = await world.principal("alice")
    for is_recursive in (False, True):
        folder = await foldered(world, alice, "doomed")
        inner = replace(folder, id=new_folder_id(START), parent_id=folder.id, name="inner")
        standing = await standing_of(world, alice)
        async with world.database.transaction() as connection:
            await rules.note_new_folder(connection)
            await folders.lock_folder(connection, standing, folder.id)
            await claim(connection, standing, folder.id, inner.name, inner.id, OnConflict.FAIL)
            await folders.insert_folder(connection, inner)
            work = world.services.folders.delete(alice, folder.id, is_recursive=is_recursive)
            deletion = asyncio.create_task(outcome(work))
            await it_waits(world)
        result = await deletion
        left = await world.services.folders.find(alice, [folder.id, inner.id])
        if is_recursive:
            assert (result, left) == (folder.id, {})
        else:
            assert isinstance(result, Conflict)
            assert set(left) == {folder.id, inner.id}
            await world.services.folders.delete(alice, folder.id, is_recursive=True)


@pytest.mark.parametrize("of_folder", [False, True], ids=["file", "folder"])
async def test_a_share_link_that_is_made_while_its_thing_is_deleted_goes_with_it(world: World, of_folder: bool) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "doomed")
    file = await filed(world, alice, folder_id=folder.id)
    resource = Scope(folder.id if of_folder else file.id)
    link = replace((await shared(world, alice, resource)).link, id=new_share_link_id(START))
    async with world.database.transaction() as connection:
        await rules.lock_version(connection)
        await share_links.insert_link(connection, link, token_hash("late"))
        deletion: asyncio.Task[object] = asyncio.create_task(
            outcome(world.services.folders.delete(alice, folder.id, is_recursive=True))
            if of_folder
            else outcome(world.services.files.delete(alice, [file.id]))
        )
        await it_waits(world)
    assert not isinstance(await deletion, DeliveryError)
    async with world.database.autocommit() as connection:
        assert await share_links.find_by_hash(connection, token_hash("late")) is None


async def test_no_share_link_is_made_to_what_is_being_deleted(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    async with world.database.transaction() as connection:
        await rules.hold_version(connection)
        await files.delete_files(connection, [file.id])
        making = asyncio.create_task(outcome(shared(world, alice, file)))
        await it_waits(world)
    assert isinstance(await making, NotFound)


async def test_no_upload_is_promised_into_a_folder_that_is_being_deleted(world: World) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "doomed")
    async with world.database.transaction() as connection:
        await folders.lock_folders(connection, [folder.id])
        await folders.delete_folders(connection, [folder.id])
        creation = asyncio.create_task(outcome(promised(world, alice, folder_id=folder.id)))
        await it_waits(world)
    error = await creation
    assert isinstance(error, NotFound)
    assert error.path == ("folderId",)


async def test_no_upload_completes_into_a_folder_that_is_being_deleted(world: World) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "doomed")
    upload = await sent(world, alice, folder_id=folder.id)
    async with world.database.transaction() as connection:
        await folders.lock_folders(connection, [folder.id])
        await folders.delete_folders(connection, [folder.id])  # as if the upload had come after the look for some
        completion = asyncio.create_task(outcome(world.services.completion.complete(alice, upload.id)))
        await it_waits(world)
    assert isinstance(await completion, NotFound)
    assert (await world.services.uploads.find(alice, [upload.id]))[upload.id].status is UploadStatus.PENDING


async def test_no_part_is_signed_of_an_upload_that_is_being_given_up(world: World) -> None:
    alice = await world.principal("alice")
    upload = await promised(world, alice, method=UploadMethod.MULTIPART)
    await world.services.upload_targets.target(upload)
    async with world.database.transaction() as connection:
        await uploads.move_upload(connection, upload.id, UploadStatus.ABORTED, now=START)
        work = world.services.upload_targets.sign_parts(alice, upload.id, [PartWish(1, "0" * 16)])
        signing = asyncio.create_task(outcome(work))
        await it_waits(world)
    refused = await signing
    assert isinstance(refused, UploadStateConflict)
    assert refused.status is UploadStatus.ABORTED
    async with world.database.autocommit() as connection:
        assert await upload_parts.list_promises(connection, upload.id) == {}


async def test_files_deleted_twice_at_once_are_deleted_once(world: World) -> None:
    alice = await world.principal("alice")
    for number in range(5):
        ids = [FileId((await filed(world, alice, f"{number}-{n}")).id) for n in range(6)]
        one, two = await asyncio.gather(
            world.services.files.delete(alice, ids), world.services.files.delete(alice, ids[::-1])
        )
        assert {id_ for id_ in (*one, *two) if isinstance(id_, str)} == set(ids)
        assert sum(isinstance(result, NotFound) for result in (*one, *two)) == len(ids)
        assert [result for result in one if isinstance(result, str)] == [
            id_ for id_, result in zip(ids, one, strict=True) if isinstance(result, str)
        ]
    assert world.store.objects == {}


async def test_a_file_is_renamed_or_its_folder_deleted_and_neither_hinders_the_other(world: World) -> None:
    alice = await world.principal("alice")
    for _ in range(ROUNDS):
        folder = await foldered(world, alice, "doomed")
        file = await filed(world, alice, "cat.txt", folder_id=folder.id)
        renamed, deleted = await asyncio.gather(
            outcome(world.services.files.update(alice, file.id, name="dog.txt")),
            outcome(world.services.folders.delete(alice, folder.id, is_recursive=True)),
        )
        assert isinstance(renamed, File | NotFound), renamed
        assert deleted == folder.id


async def test_two_completions_at_once_make_one_file(world: World) -> None:
    alice = await world.principal("alice")
    for number in range(ROUNDS):
        upload = await sent(world, alice, f"{number}", on_conflict=OnConflict.RENAME)
        results = await asyncio.gather(*(world.services.completion.complete(alice, upload.id) for _ in range(3)))
        [(_, file)] = set(results)
        assert file is not None
        assert (file.id, file.name) == (upload.file_id, f"{number}")


async def test_of_a_completion_and_an_abortion_at_once_one_wins(world: World) -> None:
    alice = await world.principal("alice")
    seen = set()
    for number in range(ROUNDS):
        upload = await sent(world, alice, f"{number}")
        works: list[Awaitable[object]] = [
            world.services.completion.complete(alice, upload.id),
            world.services.uploads.abort(alice, upload.id),
        ]
        late, early = works if number % 2 else works[::-1]
        first, second = await asyncio.gather(outcome(early), outcome(late))
        completed, aborted = (second, first) if number % 2 else (first, second)
        status = (await world.services.uploads.find(alice, [upload.id]))[upload.id].status
        seen.add(status)
        is_file = upload.file_id in await world.services.files.find(alice, [upload.file_id])
        if status is UploadStatus.COMPLETED:
            assert not isinstance(completed, DeliveryError)
            assert isinstance(aborted, UploadStateConflict)
            assert is_file
            assert upload.object_key in world.store.objects
        else:
            assert status is UploadStatus.ABORTED
            assert isinstance(completed, UploadStateConflict)
            assert isinstance(aborted, Upload)
            assert not is_file
            assert upload.object_key not in world.store.objects
    assert seen


async def test_uploads_that_complete_under_one_name_at_once_get_numbers_or_conflicts(world: World) -> None:
    alice = await world.principal("alice")
    renaming = [await sent(world, alice, "same.txt", on_conflict=OnConflict.RENAME) for _ in range(5)]
    failing = [await sent(world, alice, "other.txt") for _ in range(5)]
    done = await asyncio.gather(*(world.services.completion.complete(alice, upload.id) for upload in renaming))
    assert sorted(file.name for _, file in done if file) == [*(f"same ({n}).txt" for n in range(2, 6)), "same.txt"]
    assert all(upload.filename == file.name for upload, file in done if file)
    results = await asyncio.gather(*(outcome(world.services.completion.complete(alice, u.id)) for u in failing))
    assert sum(isinstance(result, Conflict) for result in results) == 4
    found = await world.services.uploads.find(alice, [upload.id for upload in failing])
    assert sum(upload.status is UploadStatus.PENDING for upload in found.values()) == 4


async def test_a_user_who_comes_twice_at_once_is_one_user_with_one_home(world: World) -> None:
    for number in range(5):
        came = await asyncio.gather(*(world.principal(f"user{number}") for _ in range(4)))
        assert len({principal.user_id for principal in came}) == 1
        assert await home_of(world, came[0])


async def test_a_rule_that_is_being_made_binds_the_move_that_waits_for_it(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    source, target = await foldered(world, bob, "source"), await foldered(world, bob, "target")
    file, inner = await filed(world, bob, folder_id=source.id), await foldered(world, bob, "inner", source.id)
    for folder in (source, target):
        await ruled(world, alice, folder.id, Permission.READ, Permission.WRITE)
    works: list[Awaitable[object]] = [
        world.services.files.move(alice, file.id, target.id),
        world.services.folders.move(alice, inner.id, target.id),
    ]
    for number, work in enumerate(works):
        async with world.database.transaction() as connection:
            await rules.bump_version(connection)
            terms = RuleTerms(Effect.ALLOW, frozenset({Permission.READ}), ANYONE, Scope(target.id))
            await rules.insert_rules(connection, [AccessRule(RuleId(f"rule_{number}"), terms, 1, None, START, START)])
            moving = asyncio.create_task(outcome(work))
            await it_waits(world)
        refused = await moving
        assert isinstance(refused, Forbidden)
        assert refused.required_permission == Permission.SHARE
        async with world.database.transaction() as connection:
            await rules.bump_version(connection)
            await rules.delete_rules(connection, [RuleId(f"rule_{number}")])


async def test_no_upload_completes_where_the_right_to_write_is_being_taken(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    folder = await foldered(world, bob, "folder")
    await ruled(world, alice, folder.id, Permission.READ)
    writing = await ruled(world, alice, folder.id, Permission.WRITE)
    upload = await sent(world, alice, folder_id=folder.id)
    async with world.database.transaction() as connection:
        await rules.bump_version(connection)
        await rules.delete_rules(connection, [writing.id])
        completion = asyncio.create_task(outcome(world.services.completion.complete(alice, upload.id)))
        await it_waits(world)
    assert isinstance(await completion, Forbidden)
    assert (await world.services.uploads.find(alice, [upload.id]))[upload.id].status is UploadStatus.PENDING


async def test_a_file_that_arrives_while_its_folder_moves_is_in_the_scopes_of_the_new_place(world: World) -> None:
    alice = await world.principal("alice")
    home, shelf = await home_of(world, alice), await foldered(world, alice, "shelf")
    for number in range(ROUNDS):
        folder = await foldered(world, alice, f"{number}")
        upload = await sent(world, alice, folder_id=folder.id)
        await asyncio.gather(
            world.services.folders.move(alice, folder.id, shelf.id),
            world.services.completion.complete(alice, upload.id),
        )
        async with world.database.autocommit() as connection:
            found = (await scopes_of_files(connection, [upload.file_id]))[upload.file_id]
        assert found == {upload.file_id, folder.id, shelf.id, home, ROOT, alice.user_id}


async def test_folders_that_are_made_while_the_first_denial_on_one_is_made_are_all_made(world: World) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "folder")
    terms = RuleTerms(Effect.DENY, frozenset({Permission.READ}), ANYONE, Scope(folder.id))
    async with world.database.transaction() as connection:
        await rules.bump_version(connection)
        await rules.insert_rules(connection, [AccessRule(RuleId("rule_denial"), terms, 1, None, START, START)])
        before = await rules.policy_version(connection)
        making = [asyncio.create_task(outcome(foldered(world, alice, f"{number}"))) for number in range(6)]
        await it_waits(world, len(making))
    assert [type(made) for made in await asyncio.gather(*making)] == [Folder] * len(making)
    async with world.database.autocommit() as connection:
        assert await rules.policy_version(connection) == before + len(making)


async def test_moves_of_a_file_on_which_a_rule_is_being_made_all_happen(world: World) -> None:
    alice = await world.principal("alice")
    places, file = [await foldered(world, alice, f"{number}") for number in range(6)], await filed(world, alice)
    terms = RuleTerms(Effect.ALLOW, frozenset({Permission.READ}), ANYONE, Scope(file.id))
    async with world.database.transaction() as connection:
        await rules.bump_version(connection)
        await rules.insert_rules(connection, [AccessRule(RuleId("rule_file"), terms, 1, None, START, START)])
        before = await rules.policy_version(connection)
        works = [world.services.files.move(alice, file.id, place.id) for place in places]
        moving = [asyncio.create_task(outcome(work)) for work in works]
        await it_waits(world, len(moving))
    assert [type(moved) for moved in await asyncio.gather(*moving)] == [File] * len(moving)
    async with world.database.autocommit() as connection:
        assert await rules.policy_version(connection) == before + len(moving)


async def test_changes_that_move_the_policy_on_wait_for_each_other_and_none_fails(world: World) -> None:
    alice = await world.principal("alice")
    places = [await foldered(world, alice, name) for name in "abc"]
    file, inner = await filed(world, alice, folder_id=places[0].id), await foldered(world, alice, "inner", places[0].id)
    await ruled(world, alice, file.id, Permission.READ)
    await denied(world, "user_nobody", places[0].id, Permission.READ)
    for number in range(5):
        await asyncio.gather(
            *(world.services.files.move(alice, file.id, place.id) for place in places),
            *(world.services.folders.move(alice, inner.id, place.id) for place in places),
            *(world.services.folders.create(alice, place.id, f"{number}") for place in places),
            *(world.principal(f"new{number}{place.name}") for place in places),
        )


@pytest.mark.parametrize("has_counted", [True, False])
@pytest.mark.parametrize("change", ["quota", "move"])
async def test_what_is_promised_while_its_folder_gets_a_quota_or_moves_is_counted_once(
    world: World, change: str, has_counted: bool
) -> None:
    alice, admin = await world.principal("alice"), await world.principal("root", is_admin=True)
    left, right = await foldered(world, alice, "left"), await foldered(world, alice, "right")
    inner = await foldered(world, alice, "inner", left.id)
    gates = world.services.quotas.set_folder_gate
    await gates(admin, right.id, Gate(1_000))
    template = await promised(world, alice, "first", folder_id=inner.id)  # she is counted already
    now = world.clock()
    upload = replace(
        template, id=new_upload_id(now), file_id=new_file_id(now), object_key=new_object_key(now), filename="second"
    )
    standing = await standing_of(world, alice)
    counted = usage.Change(alice.user_id, inner.id, reserved=upload.size)
    async with world.database.transaction() as connection:
        assert await reservations.reserve(connection, standing, upload, look_at=now)
        if has_counted:
            await usage.count(connection, counted)
        move = world.services.folders.move
        work = gates(admin, left.id, Gate(1_000)) if change == "quota" else move(alice, inner.id, right.id)
        changing: asyncio.Task[object] = asyncio.create_task(outcome(work))
        if has_counted:
            await it_waits(world)
        elif not world.database.is_sqlite:  # which lets nobody else write anyway
            await changing
        if not has_counted:
            await usage.count(connection, counted)
    assert not isinstance(await changing, DeliveryError)
    assert await taken(world, left.id if change == "quota" else right.id) == (0, 2 * upload.size)
    await require_exact(world)
