"""A bundle is one file or nothing, in whatever order its entries come and whatever becomes of them."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from graphql_api.db import files, recorded_objects
from graphql_api.db.traffic import find_files_of_keys
from graphql_api.errors import Conflict, Forbidden, InvalidInput, NotFound, QuotaExceeded, UploadMismatch
from graphql_api.model.bundle import MAX_ENTRIES, entry_key, may_be_entry_key
from graphql_api.model.ids import bundle_prefix
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission
from graphql_api.model.scan import Judge, ScanResult, ScanVerdict
from graphql_api.model.upload import OnConflict, UploadStatus, file_of
from graphql_api.services.bundle_wishes import EntryWish
from tests.services.bundled import PATHS, PLAYLIST, bundled, promised_bundle, wish
from tests.services.stock import granted, limited, require_exact, taken
from tests.services.stories import CONTENT, filed, home_of, ruled, send, unruled
from tests.world import World

SIZE = len(CONTENT)
LAST_ARRIVAL = timedelta(days=1, hours=1)  # see World


async def statuses(world: World, uploads: object) -> set[UploadStatus]:
    alice = await world.principal("alice")
    found = await world.services.uploads.find(alice, [upload.id for upload in uploads])  # type: ignore[attr-defined]  # uploads
    return {upload.status for upload in found.values()}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
async def test_the_last_entry_in_any_order_makes_one_file(world: World, order: tuple[int, ...]) -> None:
    alice, complete = await world.principal("alice"), world.services.completion.complete
    bundle_id, uploads = await promised_bundle(world, alice)
    assert [upload.object_key for upload in uploads] == [bundle_prefix(bundle_id) + path for path in PATHS]
    assert await taken(world, alice) == (0, 3 * SIZE)
    for index in order[:-1]:
        send(world, uploads[index])
        for _ in range(2):  # saying it twice counts once
            upload, file = await complete(alice, uploads[index].id)
            assert (upload.status, file) == (UploadStatus.PROCESSING, None)
    send(world, uploads[order[-1]])
    upload, file = await complete(alice, uploads[order[-1]].id)
    assert upload.status is UploadStatus.COMPLETED
    assert file is not None
    assert (file.id, file.name, file.size) == (file_of(bundle_id), "film", 3 * SIZE)
    assert (file.object_key, file.content_type) == (entry_key(bundle_id, "index.m3u8"), PLAYLIST)
    assert await statuses(world, uploads) == {UploadStatus.COMPLETED}
    assert (await complete(alice, uploads[0].id))[1] == file
    assert await taken(world, alice) == (3 * SIZE, 0)
    await require_exact(world)

    bundle = (await world.services.bundles.find(alice, [file.id]))[file.id]
    assert (bundle.entry_count, bundle.main_path) == (3, "index.m3u8")
    page = await world.services.bundles.list_entries(alice, bundle.id, PageRequest(2))
    assert [entry.path for entry in page.nodes] == ["index.m3u8", "low/0.ts"]
    rest = await world.services.bundles.list_entries(alice, bundle.id, PageRequest(2, page.cursor_of(page.nodes[-1])))
    assert [entry.path for entry in rest.nodes] == ["low/1.ts"]
    bob = await world.principal("bob")
    assert await world.services.bundles.find(bob, [file.id]) == {}
    with pytest.raises(NotFound):
        await world.services.bundles.list_entries(bob, bundle.id, PageRequest(2))


async def test_the_last_two_at_once_make_one_file(world: World) -> None:
    alice, complete = await world.principal("alice"), world.services.completion.complete
    for number in range(4):
        _, uploads = await promised_bundle(world, alice, name=f"film {number}")
        for upload in uploads:
            send(world, upload)
        results = await asyncio.gather(*(complete(alice, upload.id) for upload in uploads for _ in range(2)))
        assert len({file.id for _, file in results if file is not None}) == 1
        assert await statuses(world, uploads) == {UploadStatus.COMPLETED}
    assert await taken(world, alice) == (4 * 3 * SIZE, 0)
    await require_exact(world)


async def test_one_that_is_given_up_while_the_last_comes_in_leaves_a_file_or_nothing(world: World) -> None:
    alice, services = await world.principal("alice"), world.services
    for number in range(4):
        _, uploads = await promised_bundle(world, alice, name=f"film {number}")
        for upload in uploads:
            send(world, upload)
        for upload in uploads[:-1]:
            await services.completion.complete(alice, upload.id)
        await asyncio.gather(
            services.completion.complete(alice, uploads[-1].id),
            services.uploads.abort(alice, uploads[0].id),
            return_exceptions=True,
        )
        [status] = await statuses(world, uploads)
        assert status in (UploadStatus.COMPLETED, UploadStatus.ABORTED)
        kept = [key for key in world.store.objects if key in {upload.object_key for upload in uploads}]
        assert len(kept) == (3 if status is UploadStatus.COMPLETED else 0)
    await require_exact(world)


async def fails(world: World) -> None:
    alice = await world.principal("alice")
    _, uploads = await promised_bundle(world, alice)
    for upload in uploads[:2]:
        send(world, upload)
    await world.services.completion.complete(alice, uploads[0].id)
    send(world, uploads[2], b"another length")
    with pytest.raises(UploadMismatch):
        await world.services.completion.complete(alice, uploads[2].id)
    assert await statuses(world, uploads) == {UploadStatus.FAILED, UploadStatus.ABORTED}


async def is_given_up(world: World) -> None:
    alice = await world.principal("alice")
    _, uploads = await promised_bundle(world, alice)
    for upload in uploads[:2]:
        send(world, upload)
        await world.services.completion.complete(alice, upload.id)
    await world.services.uploads.abort(alice, uploads[1].id)  # though it is in
    assert await statuses(world, uploads) == {UploadStatus.ABORTED}


async def expires(world: World) -> None:
    alice = await world.principal("alice")
    _, uploads = await promised_bundle(world, alice)
    send(world, uploads[0])
    await world.services.completion.complete(alice, uploads[0].id)
    world.clock.now = uploads[0].expires_at
    await world.sweep()
    assert await statuses(world, uploads) == {UploadStatus.EXPIRED, UploadStatus.ABORTED}


async def loses_its_folder(world: World) -> None:
    alice = await world.principal("alice")
    folder = await world.services.folders.create(alice, await home_of(world, alice), "films")
    _, uploads = await promised_bundle(world, alice, folder_id=folder.id)
    for upload in uploads[:2]:
        send(world, upload)
        await world.services.completion.complete(alice, upload.id)
    await world.services.folders.delete(alice, folder.id, is_recursive=True)
    assert await statuses(world, uploads) == {UploadStatus.ABORTED}


async def is_deleted(world: World) -> None:
    alice = await world.principal("alice")
    file = await bundled(world, alice)
    await world.services.files.delete(alice, [file.id])
    assert await world.services.bundles.find(alice, [file.id]) == {}


async def is_deleted_with_its_folder(world: World) -> None:
    alice = await world.principal("alice")
    folder = await world.services.folders.create(alice, await home_of(world, alice), "films")
    await bundled(world, alice, folder_id=folder.id)
    await world.services.folders.delete(alice, folder.id, is_recursive=True)


@pytest.mark.parametrize(
    "ends", [fails, is_given_up, expires, loses_its_folder, is_deleted, is_deleted_with_its_folder]
)
async def test_nothing_of_a_bundle_that_ends_is_left(world: World, ends: Callable[[World], object]) -> None:
    alice = await world.principal("alice")
    await ends(world)  # type: ignore[misc]  # each of them is a coroutine function
    assert world.store.objects == {}
    assert await taken(world, alice) == (0, 0)
    await require_exact(world)
    world.clock.advance(days=3)
    await world.sweep()
    world.clock.now += LAST_ARRIVAL
    await world.sweep()
    async with world.database.autocommit() as connection:
        assert await recorded_objects.list_recorded(connection, "b/", after=None, limit=10) == ([], None)
    await bundled(world, alice)  # and its name is free


async def test_a_bundle_whose_entries_keep_coming_does_not_expire(world: World) -> None:
    alice = await world.principal("alice")
    _, uploads = await promised_bundle(world, alice)
    for upload in uploads:
        world.clock.now = (await world.services.uploads.get(alice, upload.id)).expires_at - timedelta(minutes=1)
        await world.sweep()
        send(world, upload)
        _, file = await world.services.completion.complete(alice, upload.id)
    assert file is not None
    assert world.clock.now > uploads[0].expires_at + timedelta(days=1)


async def test_the_store_completes_a_bundle_whose_client_says_nothing(world: World) -> None:
    alice = await world.principal("alice")
    bundle_id, uploads = await promised_bundle(world, alice)
    for upload in uploads:
        send(world, upload)
        await world.services.completion.arrived(upload.object_key)
    assert file_of(bundle_id) in await world.services.files.find(alice, [file_of(bundle_id)])


async def test_a_name_that_was_taken_meanwhile_keeps_the_last_entry_waiting(world: World) -> None:
    alice, complete = await world.principal("alice"), world.services.completion.complete
    _, uploads = await promised_bundle(world, alice)
    await filed(world, alice, "film")
    with pytest.raises(Conflict):
        await promised_bundle(world, alice)
    _, others = await promised_bundle(world, alice, on_conflict=OnConflict.RENAME)
    for upload in (*uploads, *others):
        send(world, upload)
    for upload in uploads[:-1]:
        await complete(alice, upload.id)
    with pytest.raises(Conflict):
        await complete(alice, uploads[-1].id)
    _, file = await complete(alice, uploads[-1].id, on_conflict=OnConflict.RENAME)
    assert file is not None
    assert file.name == "film (2)"
    for upload in others:  # what was promised with RENAME gets its number at the end
        _, file = await complete(alice, upload.id)
    assert file is not None
    assert file.name == "film (3)"


async def test_the_same_key_promises_the_same_bundle(world: World) -> None:
    alice = await world.principal("alice")
    first = await promised_bundle(world, alice, idempotency_key="k")
    assert await promised_bundle(world, alice, idempotency_key="k") == first
    with pytest.raises(Conflict):
        await promised_bundle(world, alice, PATHS[:2], idempotency_key="k")


@pytest.mark.parametrize(
    "path",
    [
        *("", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", ".hidden", "a/.b", "a*", "a?b", "*", "a b", "a\\b"),
        *("a%2e", "a\n", "ä", "a:b", "a#b", "a&b", "a'b", 'a"b', "a~b", "a" * 256, "a/*/b", "a\0"),
    ],
    ids=lambda path: ascii(path)[:12],
)
async def test_a_path_that_could_mean_something_else_is_refused(sqlite_world: World, path: str) -> None:
    alice = await sqlite_world.principal("alice")
    with pytest.raises(InvalidInput) as refusal:
        await promised_bundle(sqlite_world, alice, ["index.m3u8", path])
    assert refusal.value.faults[0].path == ("entries", "1", "path")


async def test_what_no_bundle_can_be_is_refused_with_every_fault(sqlite_world: World) -> None:
    alice, create = await sqlite_world.principal("alice"), sqlite_world.services.bundles.create
    for paths in (["a", "a"], ["a", "a/b"], ["x/a/b", "x/a"]):
        with pytest.raises(InvalidInput, match="another entry"):
            await create(alice, wish(paths))
    with pytest.raises(InvalidInput, match="mainPath"):
        await create(alice, wish(main_path="other"))
    with pytest.raises(InvalidInput, match="entries takes"):
        await create(alice, wish(entries=[]))
    with pytest.raises(InvalidInput, match="entries takes"):
        await create(alice, wish([f"{number}" for number in range(MAX_ENTRIES + 1)]))
    with pytest.raises(InvalidInput) as refusal:
        await create(alice, wish(entries=[EntryWish("index.m3u8", -1, "x", "nothex")], name="a/b"))
    assert {fault.path for fault in refusal.value.faults} == {
        ("name",),
        ("entries", "0", "size"),
        ("entries", "0", "contentType"),
        ("entries", "0", "sha256"),
    }
    with pytest.raises(Forbidden):
        await create(ANONYMOUS, wish())
    bob = await sqlite_world.principal("bob")
    with pytest.raises(NotFound):
        await create(bob, wish(folder_id=await home_of(sqlite_world, alice)))


async def test_the_largest_bundle_is_promised_and_completed(sqlite_world: World) -> None:
    alice = await sqlite_world.principal("alice")
    file = await bundled(sqlite_world, alice, [f"tiles/{number}" for number in range(MAX_ENTRIES)])
    assert file.size == MAX_ENTRIES * SIZE
    assert len(sqlite_world.store.objects) == MAX_ENTRIES


async def test_quotas_and_gates_take_a_bundle_as_a_whole(world: World) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    await granted(world, alice, 3 * SIZE - 1)
    with pytest.raises(QuotaExceeded):
        await promised_bundle(world, alice)
    await granted(world, alice, None)
    await limited(world, home, None, max_file_size=3 * SIZE - 1)
    with pytest.raises(InvalidInput):
        await promised_bundle(world, alice)
    await limited(world, home, None, allowed_content_types=(PLAYLIST,))
    with pytest.raises(InvalidInput) as refusal:
        await promised_bundle(world, alice)
    assert {fault.path for fault in refusal.value.faults} == {
        ("entries", str(index), "contentType") for index in (1, 2)
    }
    await require_exact(world)


async def test_a_gate_that_came_later_ends_the_whole_bundle(world: World) -> None:
    alice = await world.principal("alice")
    _, uploads = await promised_bundle(world, alice)
    for upload in uploads:
        send(world, upload)
    await world.services.completion.complete(alice, uploads[0].id)
    await limited(world, await home_of(world, alice), None, max_file_size=2 * SIZE)
    await world.services.completion.complete(alice, uploads[1].id)
    with pytest.raises(UploadMismatch):
        await world.services.completion.complete(alice, uploads[2].id)
    assert world.store.objects == {}
    assert await taken(world, alice) == (0, 0)


async def test_keys_of_bundles_are_ours_and_are_not_what_a_key_is_tried_on(sqlite_world: World) -> None:
    alice = await sqlite_world.principal("alice")
    plain, bundle = await filed(sqlite_world, alice), await bundled(sqlite_world, alice)
    async with sqlite_world.database.autocommit() as connection:
        assert await files.newest_object_key(connection) == plain.object_key
    assert may_be_entry_key(bundle.object_key)
    for key in (
        bundle.object_key.upper(),
        bundle.object_key + "/../x",
        "b/x/y",
        plain.object_key,
        bundle.object_key[:-11],
    ):
        assert not may_be_entry_key(key)


async def test_one_entry_with_other_bytes_withholds_the_bundle_until_it_is_right(world: World) -> None:
    alice, delivery = await world.principal("alice"), world.services.delivery
    file = await bundled(world, alice)
    keys = sorted(world.store.objects)
    async with world.database.transaction() as connection:
        recorded, _ = await recorded_objects.list_recorded(connection, "b/", after=None, limit=10)
        assert [(each.key, each.size, each.file_id) for each in recorded] == [(key, SIZE, file.id) for key in keys]
        assert await recorded_objects.find_known(connection, [*keys, "b/x/y"]) == set(keys)
        found = await find_files_of_keys(connection, keys)
        assert found == {key: (file.id, key == file.object_key) for key in keys}
        for key in keys[1:]:
            assert await recorded_objects.mark_altered(connection, key, now=world.clock.now) is not None
        assert await recorded_objects.mark_altered(connection, keys[1], now=world.clock.now) is None
        await recorded_objects.unmark_altered(connection, keys[1])
    assert delivery.grant((await world.services.files.find(alice, [file.id]))[file.id]) is None
    async with world.database.transaction() as connection:
        await recorded_objects.unmark_altered(connection, keys[2])
    assert delivery.grant((await world.services.files.find(alice, [file.id]))[file.id]) is not None


@pytest.mark.parametrize("is_clean", [True, False])
async def test_each_entry_is_judged_before_the_bundle_is_a_file(world: World, is_clean: bool) -> None:
    judging = World(world.database, clock=world.clock, judge=Judge.EVENTS, store_of=lambda _: world.store)
    alice = await judging.principal("alice")
    bundle_id, uploads = await promised_bundle(judging, alice)
    for upload in uploads:
        send(judging, upload)
        done, file = await judging.services.completion.complete(alice, upload.id)
        assert (done.status, file) == (UploadStatus.PROCESSING, None)
    for index, upload in enumerate(uploads):
        found = await judging.store.find(upload.object_key)
        assert found is not None
        result = ScanResult.CLEAN if is_clean or index < 2 else ScanResult.INFECTED
        for _ in range(2):  # verdicts may come twice
            again = (await judging.services.uploads.find(alice, [upload.id]))[upload.id]
            await judging.verdicts.give(again, ScanVerdict(result, None), found.etag)
    made = file_of(bundle_id) in await judging.services.files.find(alice, [file_of(bundle_id)])
    assert made is is_clean
    assert len(judging.store.objects) == (3 if is_clean else 0)
    await require_exact(judging)


async def test_who_may_write_no_more_completes_nothing(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    folder = await home_of(world, alice)
    rule = await ruled(world, bob, folder, Permission.READ, Permission.WRITE)
    _, uploads = await promised_bundle(world, bob, folder_id=folder)
    for upload in uploads:
        send(world, upload)
    await world.services.completion.complete(bob, uploads[0].id)
    await unruled(world, rule)
    with pytest.raises(NotFound):
        await world.services.completion.complete(bob, uploads[1].id)
