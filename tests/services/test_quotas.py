"""Quotas of users and of folders: what fits, what does not, and what is given back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from graphql_api.db.engine import Database
from graphql_api.errors import DeliveryError, Forbidden, NotFound, QuotaExceeded, UploadMismatch
from graphql_api.model.audit import AuditAction, AuditFilter
from graphql_api.model.ids import ROOT_FOLDER_ID, UserId, new_user_id
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Permission
from graphql_api.model.quota import Gate, Quota
from graphql_api.model.scan import Judge
from graphql_api.model.store_event import ScanResult, ScanVerdict
from graphql_api.model.upload import OnConflict, Upload, UploadFailureCode, UploadStatus
from tests.conftest import PATIENCE
from tests.services.stock import administrator, granted, limited, quota_of, require_exact, taken
from tests.services.stories import CONTENT, filed, foldered, home_of, promised, ruled, send, sent
from tests.world import MAX_VERSIONS, START, World

SIZE = len(CONTENT)


@pytest.fixture
def world(database: Database) -> World:
    return World(database, user_quota=4 * SIZE)


async def outcomes(*works: Awaitable[object]) -> list[str]:
    """What each came to: a type's name."""
    found = await asyncio.gather(*works, return_exceptions=True)
    assert all(isinstance(each, DeliveryError) or not isinstance(each, BaseException) for each in found), found
    return sorted(type(each).__name__ for each in found)


async def test_exactly_as_many_uploads_are_promised_at_once_as_fit(world: World, database_url: str) -> None:
    alice = await world.principal("alice")
    other = Database(database_url, patience=PATIENCE)  # another process, as far as the database can tell
    elsewhere = World(other, user_quota=4 * SIZE)
    assert (await elsewhere.principal("alice")).user_id == alice.user_id
    works = [promised(each, alice, f"{number}") for number in range(10) for each in (world, elsewhere)]
    found = await outcomes(*works)
    assert found.count("Upload") == 4
    assert set(found) == {"Upload", "QuotaExceeded"}
    assert await quota_of(world, alice) == Quota(0, 4 * SIZE, 4 * SIZE, max_file_size=10_000 * 5 * 1024**3)
    await require_exact(world)
    await other.close()


async def test_a_folder_is_filled_by_many_at_once_to_the_last_byte_and_no_further(world: World) -> None:
    people = [await world.principal(f"person {number}") for number in range(6)]
    admin = await administrator(world)
    shared = await foldered(world, admin, "shared")
    inner = await foldered(world, admin, "inner", shared.id)
    await limited(world, shared.id, 7 * SIZE)
    await limited(world, inner.id, 3 * SIZE)
    for person in people:
        await ruled(world, person, shared.id, Permission.READ, Permission.WRITE)
    works = [
        promised(world, person, f"{person.display_name} {number}", folder_id=folder.id)
        for person in people
        for number in range(2)
        for folder in (inner, shared)
    ]
    found = await outcomes(*works)
    assert found.count("Upload") == 7
    assert await taken(world, shared.id) == (0, 7 * SIZE)
    assert await taken(world, inner.id) <= (0, 3 * SIZE)
    await require_exact(world)


async def test_what_was_reserved_is_stored_or_given_back_to_the_byte(world: World) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    await limited(world, home, 100 * SIZE)
    aborted, failed, completed, expired = [
        await sent(world, alice, name) for name in ("aborted", "failed", "completed", "expired")
    ]
    assert await taken(world, alice) == await taken(world, home) == (0, 4 * SIZE)
    for _ in range(2):
        await world.services.uploads.abort(alice, aborted.id)
        assert await taken(world, alice) == (0, 3 * SIZE)
    send(world, failed, b"a lie")
    send(world, failed, b"another length")
    for _ in range(2):
        with pytest.raises(UploadMismatch):
            await world.services.completion.complete(alice, failed.id)
        assert await taken(world, alice) == (0, 2 * SIZE)
    file = None
    for _ in range(2):
        _, file = await world.services.completion.complete(alice, completed.id)
        assert await taken(world, alice) == (SIZE, SIZE)
    world.store.objects.clear()
    world.clock.now = expired.expires_at
    await world.sweep()
    assert await taken(world, alice) == await taken(world, home) == (SIZE, 0)
    assert file is not None
    await world.services.files.delete(alice, [file.id, file.id])
    assert await taken(world, alice) == await taken(world, home) == (0, 0)
    await require_exact(world)


async def test_what_waits_for_a_verdict_is_reserved_until_there_is_one(database: Database) -> None:
    world = World(database, judge=Judge.EVENTS)
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    await limited(world, home, 100)
    clean, infected, late = [await sent(world, alice, name) for name in ("clean", "infected", "late")]
    for upload in (clean, infected, late):
        done, file = await world.services.completion.complete(alice, upload.id)
        assert (done.status, file) == (UploadStatus.PROCESSING, None)
    assert await taken(world, alice) == await taken(world, home) == (0, 3 * SIZE)
    await limited(world, home, 0)
    await judged(world, clean, ScanResult.NO_THREATS_FOUND)
    assert await taken(world, alice) == await taken(world, home) == (SIZE, 2 * SIZE)
    await judged(world, infected, ScanResult.THREATS_FOUND)
    assert await taken(world, alice) == await taken(world, home) == (SIZE, SIZE)
    await limited(world, home, 100, allowed_content_types=("image/*",))
    failed = await judged(world, late, ScanResult.NO_THREATS_FOUND)
    assert failed.failure is not None
    assert failed.failure.code is UploadFailureCode.NOT_ALLOWED
    assert await taken(world, alice) == await taken(world, home) == (SIZE, 0)
    await require_exact(world)


async def judged(world: World, upload: Upload, result: ScanResult) -> Upload:
    after = await world.verdicts.judged(ScanVerdict(upload.object_key, "etag", result, ("Eicar",)))
    assert after is not None
    return after


async def test_many_completions_and_aborts_of_one_upload_at_once_count_it_once(world: World) -> None:
    alice = await world.principal("alice")
    for number in range(10):
        upload = await sent(world, alice, f"{number}")
        complete, abort = world.services.completion.complete, world.services.uploads.abort
        await outcomes(complete(alice, upload.id), abort(alice, upload.id), complete(alice, upload.id))
        await require_exact(world)
        found = await world.services.files.find(alice, [upload.file_id])
        assert await taken(world, alice) == (SIZE * len(found), 0)
        await world.services.files.delete(alice, list(found))


async def test_a_folder_that_goes_gives_back_what_was_in_it_to_everybody(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    home = await home_of(world, alice)
    await limited(world, home, 100 * SIZE)
    doomed = await foldered(world, alice, "doomed")
    inner = await foldered(world, alice, "inner", doomed.id)
    await limited(world, inner.id, 50 * SIZE)
    await ruled(world, bob, doomed.id, Permission.READ, Permission.WRITE)
    kept = await filed(world, alice, "kept")
    await filed(world, alice, "hers", folder_id=inner.id)
    theirs = await filed(world, bob, "his", folder_id=inner.id)
    await promised(world, bob, "coming", folder_id=doomed.id)
    await promised(world, bob, "newer", replaces=theirs.id)
    assert await taken(world, home) == (3 * SIZE, 2 * SIZE)
    assert await taken(world, inner.id) == (2 * SIZE, SIZE)
    await world.services.folders.delete(alice, doomed.id, is_recursive=True)
    assert await taken(world, bob) == (0, 0)
    assert await taken(world, alice) == await taken(world, home) == (SIZE, 0)
    assert await taken(world, inner.id) == (0, 0)
    await require_exact(world)
    assert await world.services.files.find(alice, [kept.id])


async def test_new_bytes_are_the_owners_of_the_file_and_old_ones_stay_counted(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    await ruled(world, bob, file.id, Permission.READ, Permission.WRITE)
    for number in (2, 3):
        upload = await sent(world, bob, replaces=file.id)
        assert await taken(world, alice) == ((number - 1) * SIZE, SIZE)
        await world.services.completion.complete(bob, upload.id)
        assert await taken(world, alice) == (number * SIZE, 0)
    await promised(world, bob, replaces=file.id)
    with pytest.raises(QuotaExceeded) as caught:
        await promised(world, bob, replaces=file.id)
    assert caught.value.quota is None  # hers
    assert "taken" not in caught.value.message
    assert await taken(world, bob) == (0, 0)
    await world.services.files.delete(alice, [file.id])
    assert await taken(world, alice) == (0, 0)
    await require_exact(world)


async def test_files_and_folders_that_move_take_what_they_hold_along(world: World) -> None:
    alice = await world.principal("alice")
    left, right = await foldered(world, alice, "left"), await foldered(world, alice, "right")
    moving = await foldered(world, alice, "moving", left.id)
    for folder, quota in ((left, 9), (right, 2), (moving, 9)):
        await limited(world, folder.id, quota * SIZE)
    file = await filed(world, alice, "file", folder_id=moving.id)
    await promised(world, alice, "coming", folder_id=moving.id)
    await promised(world, alice, replaces=file.id)
    with pytest.raises(QuotaExceeded) as caught:
        await world.services.folders.move(alice, moving.id, right.id)
    assert (caught.value.path, caught.value.quota) == (("parentId",), Quota(0, 0, 2 * SIZE))
    assert (await taken(world, left.id), await taken(world, right.id)) == ((SIZE, 2 * SIZE), (0, 0))
    await world.services.files.move(alice, file.id, right.id)
    assert (await taken(world, left.id), await taken(world, right.id)) == ((0, SIZE), (SIZE, SIZE))
    assert await taken(world, moving.id) == (0, SIZE)
    await limited(world, right.id, 3 * SIZE)
    await world.services.folders.move(alice, moving.id, right.id)
    assert (await taken(world, left.id), await taken(world, right.id)) == ((0, 0), (SIZE, 2 * SIZE))
    other = await filed(world, alice, "other", folder_id=left.id)
    with pytest.raises(QuotaExceeded) as caught:
        await world.services.files.move(alice, other.id, moving.id)
    assert (caught.value.path, caught.value.quota) == (("folderId",), Quota(SIZE, 2 * SIZE, 3 * SIZE))
    assert await taken(world, alice) == (2 * SIZE, 2 * SIZE)
    await require_exact(world)


async def test_a_quota_is_counted_from_what_is_there_and_may_be_less(world: World) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    await filed(world, alice, "file", folder_id=(await foldered(world, alice, "inner")).id)
    upload = await sent(world, alice, "coming")
    for folder_id in (home, ROOT_FOLDER_ID):
        await limited(world, folder_id, SIZE)
        assert await taken(world, folder_id) == (SIZE, SIZE)
    for size in (0, 1):
        with pytest.raises(QuotaExceeded):
            await promised(world, alice, "more", size=size)
    await world.services.completion.complete(alice, upload.id)  # what was promised is kept
    assert await taken(world, home) == (2 * SIZE, 0)
    await limited(world, home, None)
    await limited(world, ROOT_FOLDER_ID, None)
    assert await taken(world, home) == (0, 0)
    await promised(world, alice, "more")
    await require_exact(world)


async def test_a_user_has_the_quota_that_an_administrator_says_or_else_the_service(world: World) -> None:
    alice = await world.principal("alice")
    with pytest.raises(QuotaExceeded) as caught:
        await promised(world, alice, size=4 * SIZE + 1)
    assert (caught.value.quota, caught.value.path) == (Quota(0, 0, 4 * SIZE), ("size",))
    await granted(world, alice, 5 * SIZE)
    await promised(world, alice, size=4 * SIZE + 1)
    await granted(world, alice, 0)
    for size in (0, 1):
        with pytest.raises(QuotaExceeded):
            await promised(world, alice, "b", size=size)
    await granted(world, alice, None)
    with pytest.raises(QuotaExceeded):
        await promised(world, alice, "c")
    page = await world.services.audit_log.list(
        await administrator(world), AuditFilter(actions=(AuditAction.QUOTA_CHANGED,)), PageRequest()
    )
    said = [(event.before, event.after) for event in page.nodes]
    expected = [({"quota": old}, {"quota": new}) for old, new in ((0, None), (5 * SIZE, 0), (None, 5 * SIZE))]
    assert sorted(map(repr, said)) == sorted(map(repr, expected))


async def test_only_administrators_say_how_much(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    assert alice.user_id is not None
    home = await home_of(world, alice)
    quotas, admin = world.services.quotas, await administrator(world)
    with pytest.raises(Forbidden):
        await quotas.set_user_quota(alice, alice.user_id, 10**9)
    with pytest.raises(Forbidden):
        await quotas.set_folder_gate(alice, home, Gate(10**9))
    with pytest.raises(NotFound):
        await quotas.set_folder_gate(bob, home, Gate(10**9))
    with pytest.raises(NotFound):
        await quotas.set_user_quota(admin, UserId(new_user_id(START)), 1)
    await limited(world, home, 7)
    assert await quotas.of_users(bob, [alice.user_id]) == {}
    assert (await quotas.of_users(admin, [alice.user_id]))[alice.user_id].limit == 4 * SIZE
    assert await quotas.gates(bob, [home]) == {}
    assert (await quotas.gates(alice, [home]))[home].quota == Quota(0, 0, 7)


async def test_the_numbers_of_a_hidden_folder_are_not_told(world: World) -> None:
    admin, alice = await administrator(world), await world.principal("alice")
    hidden = await foldered(world, admin, "hidden")
    shown = await foldered(world, admin, "shown", hidden.id)
    await ruled(world, alice, shown.id, Permission.READ, Permission.WRITE)
    await limited(world, hidden.id, 1)
    with pytest.raises(QuotaExceeded) as caught:
        await promised(world, alice, folder_id=shown.id)
    assert (caught.value.quota, caught.value.message) == (None, f"there is no room for {SIZE} more bytes")
    await limited(world, shown.id, 1)
    with pytest.raises(QuotaExceeded) as caught:
        await promised(world, alice, folder_id=shown.id)
    absent = await promised_or_refused(world, admin, hidden.id)
    assert isinstance(absent, QuotaExceeded)
    assert absent.quota == Quota(0, 0, 1)


async def promised_or_refused(world: World, asking: Any, folder_id: Any) -> Upload | DeliveryError:
    try:
        return await promised(world, asking, folder_id=folder_id)
    except DeliveryError as error:
        return error


@pytest.mark.parametrize("first", ["quota", "upload"])
async def test_an_upload_promised_while_its_folder_gets_a_quota_is_counted(world: World, first: str) -> None:
    """Many rounds of the two at once: counted from the sum or by addition, never twice, never not at all."""
    alice = await world.principal("alice")
    await granted(world, alice, 10**6)
    folder = await foldered(world, alice, "folder")
    moving = await foldered(world, alice, "moving")
    works: list[Callable[[int], Awaitable[object]]] = [
        lambda number: limited(world, folder.id, 10**6 + number),
        lambda number: promised(world, alice, f"{number}", folder_id=moving.id, on_conflict=OnConflict.RENAME),
        lambda number: world.services.folders.move(alice, moving.id, folder.id),
    ]
    if first == "upload":
        works.reverse()
    for number in range(10):
        await outcomes(*(work(number) for work in works))
        await require_exact(world)
        await world.services.folders.move(alice, moving.id, await home_of(world, alice))
        await require_exact(world)
        await limited(world, folder.id, None)


async def test_versions_are_counted_while_they_are_kept_and_in_each_folder_above(database: Database) -> None:
    world = World(database)
    alice = await world.principal("alice")
    shared, other = [await foldered(world, alice, name) for name in ("shared", "other")]
    for folder in (shared, other):
        await limited(world, folder.id, 10 * MAX_VERSIONS * SIZE)
    file = await filed(world, alice, folder_id=shared.id)
    for number in range(2, MAX_VERSIONS + 3):
        upload = await sent(world, alice, replaces=file.id)
        await world.services.completion.complete(alice, upload.id)
        assert (await quota_of(world, alice)).used == min(number, MAX_VERSIONS) * SIZE
        assert await taken(world, shared.id) == (min(number, MAX_VERSIONS) * SIZE, 0)
    await require_exact(world)
    page = (await world.services.versions.list_of(alice, PageRequest(10), [file.id]))[file.id]
    await world.services.versions.restore(alice, file.id, page.nodes[-1].id)
    await world.services.versions.delete(alice, file.id, [page.nodes[0].id])
    assert await taken(world, shared.id) == ((MAX_VERSIONS - 1) * SIZE, 0)
    await promised(world, alice, replaces=file.id)
    await world.services.files.move(alice, file.id, other.id)
    assert await taken(world, shared.id) == (0, 0)
    assert await taken(world, other.id) == ((MAX_VERSIONS - 1) * SIZE, SIZE)
    await require_exact(world)
    await world.services.files.delete(alice, [file.id])
    assert await taken(world, other.id) == (0, 0)
    await require_exact(world)
