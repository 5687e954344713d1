"""Uploads in parts: planned, signed, resumed, joined with a checksum of the whole, and every way that can go wrong."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from graphql_api.db.upload_parts import list_promises
from graphql_api.errors import (
    BytesMissing,
    InvalidInput,
    NotFound,
    Unavailable,
    UploadMismatch,
    UploadStateConflict,
)
from graphql_api.model.file import ChecksumAlgorithm, Evidence, File, Integrity
from graphql_api.model.ids import new_upload_id
from graphql_api.model.page import PageRequest
from graphql_api.model.parts import (
    MAX_OBJECT_SIZE,
    MAX_PART_SIZE,
    MIB,
    JoinOutcome,
    PartsTarget,
    StoredPart,
    StoreUpload,
    part_size_for,
)
from graphql_api.model.principal import Principal
from graphql_api.model.stored_object import PostUploadTarget, PutUploadTarget, StoreRequestKind
from graphql_api.model.upload import Fingerprint, Upload, UploadFailureCode, UploadMethod, UploadStatus
from graphql_api.services.joining import Joining
from graphql_api.services.upload_targets import MAX_SIGNED, PartWish
from tests.memory_store import MemoryStore, crc_of
from tests.services.stories import foldered, promised
from tests.world import World

PART = 5 * MIB
PARTS = [b"a" * PART, b"b" * PART, b"the rest"]
WHOLE = b"".join(PARTS)


async def in_parts(world: World, principal: Principal, filename: str = "film.bin", **wish: Any) -> Upload:
    wish = {"size": len(WHOLE), "content_type": "application/octet-stream", "method": UploadMethod.MULTIPART} | wish
    return await promised(world, principal, filename, **wish)


async def target_of(world: World, upload: Upload) -> PartsTarget:
    target = await world.services.upload_targets.target(upload)
    assert isinstance(target, PartsTarget)
    return target


async def sent_in_parts(world: World, principal: Principal, *, says: bool = True, **wish: Any) -> Upload:
    """An upload whose parts are all there; ``says``: its client has told the checksum of each."""
    upload = await in_parts(world, principal, **wish)
    wishes = [PartWish(number, crc_of(part) if says else None) for number, part in enumerate(PARTS, 1)]
    upload, _ = await world.services.upload_targets.sign_parts(principal, upload.id, wishes)
    for number, part in enumerate(PARTS, 1):
        arrive(world, upload, number, part)
    return upload


def arrive(world: World, upload: Upload, number: int, content: bytes) -> None:
    assert upload.store_upload
    world.store.put_part(upload.store_upload, number, content)


async def completed(world: World, principal: Principal, upload: Upload, **more: Any) -> File:
    _, file = await world.services.completion.complete(principal, upload.id, **more)
    assert file
    return file


async def integrity_of(world: World, principal: Principal, file: File) -> Integrity | None:
    return (await world.services.files.integrity(principal, [file.id])).get(file.id)


@pytest.mark.parametrize(
    ("size", "preferred", "expected"),
    [
        (1, 16 * MIB, 16 * MIB),
        (10_000 * 16 * MIB, 16 * MIB, 16 * MIB),
        (10_000 * 16 * MIB + 1, 16 * MIB, 17 * MIB),
        (MAX_OBJECT_SIZE, 5 * MIB, MAX_PART_SIZE),
        (MAX_OBJECT_SIZE - 1, 5 * MIB, MAX_PART_SIZE),
        (5, 1, 5 * MIB),
    ],
)
def test_parts_are_as_large_as_the_limits_of_the_store_want(size: int, preferred: int, expected: int) -> None:
    assert part_size_for(size, preferred=preferred) == expected


@pytest.mark.parametrize(
    ("size", "method", "expected"),
    [
        (0, None, UploadMethod.PUT),
        (64 * MIB, None, UploadMethod.PUT),
        (64 * MIB + 1, None, UploadMethod.MULTIPART),
        (MAX_OBJECT_SIZE, None, UploadMethod.MULTIPART),
        (64 * MIB + 1, UploadMethod.PUT, UploadMethod.PUT),
        (1, UploadMethod.MULTIPART, UploadMethod.MULTIPART),
    ],
)
async def test_the_size_chooses_how_bytes_are_sent_if_the_client_does_not(
    sqlite_world: World, size: int, method: UploadMethod | None, expected: UploadMethod
) -> None:
    alice = await sqlite_world.principal("alice")
    upload = await promised(sqlite_world, alice, size=size, method=method)
    assert upload.method is expected
    assert (upload.plan is not None) is (expected is UploadMethod.MULTIPART)
    target = await sqlite_world.services.upload_targets.target(upload)
    assert isinstance(target, PartsTarget if expected is UploadMethod.MULTIPART else PutUploadTarget)


async def test_a_form_is_offered_with_a_checksum(world: World) -> None:
    alice = await world.principal("alice")
    upload = await promised(world, alice, method=UploadMethod.POST, sha256="0" * 64)
    assert isinstance(await world.services.upload_targets.target(upload), PostUploadTarget)


async def test_an_upload_is_begun_at_the_store_once_and_brings_the_first_parts_along(world: World) -> None:
    alice = await world.principal("alice")
    upload = await in_parts(world, alice)
    first, *others = await asyncio.gather(*(target_of(world, upload) for _ in range(5)))
    assert {other.upload for other in others} == {first.upload}
    assert set(world.store.open) == {first.upload}
    assert [part.number for part in first.first] == [1, 2, 3]
    assert (first.plan.part_size, first.plan.count, first.plan.length_of(3)) == (PART, 3, len(PARTS[2]))
    large = await in_parts(world, alice, "large", size=MAX_OBJECT_SIZE)
    target = await target_of(world, large)
    assert (target.plan.count, len(target.first)) == (10_000, 10)


async def test_parts_that_were_promised_make_a_file_with_the_checksum_of_the_whole(world: World) -> None:
    alice = await world.principal("alice")
    file = await completed(world, alice, await sent_in_parts(world, alice))
    assert world.store.objects[file.object_key][1] == WHOLE
    assert (file.size, file.sha256) == (len(WHOLE), None)
    expected = Integrity(ChecksumAlgorithm.CRC64NVME, crc_of(WHOLE), Evidence.FROM_PARTS)
    assert await integrity_of(world, alice, file) == expected
    assert not world.store.open


@pytest.mark.parametrize("at_creation", [True, False])
@pytest.mark.parametrize("says", [True, False])
async def test_a_checksum_of_the_whole_is_compared_by_the_store(world: World, at_creation: bool, says: bool) -> None:
    alice = await world.principal("alice")
    checksum = {"crc64nvme": crc_of(WHOLE).upper()}
    upload = await sent_in_parts(world, alice, says=says, **(checksum if at_creation else {}))
    file = await completed(world, alice, upload, **({} if at_creation else checksum))
    expected = Integrity(ChecksumAlgorithm.CRC64NVME, crc_of(WHOLE), Evidence.PROMISED)
    assert await integrity_of(world, alice, file) == expected


async def test_without_any_promise_the_file_shows_what_the_store_computed(world: World) -> None:
    alice = await world.principal("alice")
    file = await completed(world, alice, await sent_in_parts(world, alice, says=False, sha256="0" * 64))
    expected = Integrity(ChecksumAlgorithm.CRC64NVME, crc_of(WHOLE), Evidence.FROM_STORE)
    assert (await integrity_of(world, alice, file), file.sha256) == (expected, None)


@pytest.mark.parametrize(
    ("tells", "says", "whole"),
    [
        (False, True, None),  # the part's own promise no longer holds
        (False, True, crc_of(WHOLE)),
        (False, False, crc_of(WHOLE)),
        (True, True, crc_of(WHOLE)),
        (True, False, crc_of(WHOLE)),
        (True, False, "0" * 16),
    ],
)
async def test_a_part_that_was_sent_again_with_other_bytes_fails_what_was_promised(
    world: World, tells: bool, says: bool, whole: str | None
) -> None:
    world.store.tells_part_checksums = tells
    alice = await world.principal("alice")
    upload = await sent_in_parts(world, alice, says=says)
    arrive(world, upload, 2, b"c" * PART)
    with pytest.raises(UploadMismatch) as caught:
        await world.services.completion.complete(alice, upload.id, crc64nvme=whole)
    assert caught.value.failure.code is UploadFailureCode.CHECKSUM_MISMATCH
    assert (world.store.objects, world.store.open) == ({}, {})


class Busy(MemoryStore):
    """Parts arrive whenever the others are about to be joined, as slow requests and those that are sent twice do."""

    def __init__(self, under: MemoryStore, late: list[bytes]) -> None:
        self.__dict__ = under.__dict__  # the same store, from another side
        self.late = late

    async def join_parts(
        self, upload: StoreUpload, parts: Sequence[StoredPart], *, crc64nvme: str | None
    ) -> JoinOutcome:
        if self.late:
            self.put_part(upload, 2, self.late.pop(0))
        return await super().join_parts(upload, parts, crc64nvme=crc64nvme)


async def test_a_part_that_arrives_while_all_are_joined_fails_nothing(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent_in_parts(world, alice, says=False)
    joining = Joining(world.database, Busy(world.store, [b"c" * PART, PARTS[1]]))
    assert (await joining.join(upload, crc_of(WHOLE))).failure is None
    file = await completed(world, alice, upload)
    assert world.store.objects[file.object_key][1] == WHOLE


async def test_parts_that_go_on_changing_are_joined_later(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent_in_parts(world, alice, says=False)
    joining = Joining(world.database, Busy(world.store, [bytes([n]) * PART for n in range(3)]))
    with pytest.raises(Unavailable):
        await joining.join(upload, None)
    assert (await completed(world, alice, upload)).size == len(WHOLE)


async def test_a_part_that_is_signed_anew_for_other_bytes_counts_as_it_was_last_signed(world: World) -> None:
    alice = await world.principal("alice")
    for filename, checksum in (("said", crc_of(b"c" * PART)), ("unsaid", None)):
        upload = await sent_in_parts(world, alice, filename=filename)
        await world.services.upload_targets.sign_parts(alice, upload.id, [PartWish(2, checksum)])
        arrive(world, upload, 2, b"c" * PART)
        known = await integrity_of(world, alice, await completed(world, alice, upload))
        assert known
        assert known.value == crc_of(PARTS[0] + b"c" * PART + PARTS[2])
        assert known.evidence is (Evidence.FROM_PARTS if checksum else Evidence.FROM_STORE)


async def test_missing_and_cut_parts_are_told_and_the_upload_goes_on(world: World) -> None:
    alice = await world.principal("alice")
    upload = await in_parts(world, alice)
    with pytest.raises(BytesMissing) as caught:
        await world.services.completion.complete(alice, upload.id)
    assert caught.value.missing_parts == (1, 2, 3)
    upload, _ = await world.services.upload_targets.sign_parts(alice, upload.id, [PartWish(1), PartWish(2)])
    arrive(world, upload, 1, PARTS[0])
    arrive(world, upload, 2, PARTS[1][:-1])
    with pytest.raises(BytesMissing) as caught:
        await world.services.completion.complete(alice, upload.id)
    assert caught.value.missing_parts == (2, 3)
    held = await world.services.upload_targets.list_parts(upload)
    assert [(part.number, part.size) for part in held] == [(1, PART), (2, PART - 1)]
    arrive(world, upload, 2, PARTS[1])
    arrive(world, upload, 3, PARTS[2])
    arrive(world, upload, 4, b"beyond the end")
    file = await completed(world, alice, upload)
    assert world.store.objects[file.object_key][1] == WHOLE


@pytest.mark.parametrize("numbers", [[], [0], [-1], [4], [10_001], [1, 1], [2**31], range(1, MAX_SIGNED + 2)])
async def test_only_parts_that_there_are_can_be_signed(sqlite_world: World, numbers: Sequence[int]) -> None:
    alice = await sqlite_world.principal("alice")
    upload = await in_parts(sqlite_world, alice)
    with pytest.raises(InvalidInput):
        await sqlite_world.services.upload_targets.sign_parts(alice, upload.id, [PartWish(n) for n in numbers])
    assert not sqlite_world.store.open


async def test_parts_are_for_uploads_in_parts_of_ones_own_that_are_not_over(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    targets, wishes = world.services.upload_targets, [PartWish(1)]
    whole, upload = await promised(world, alice), await in_parts(world, alice)
    with pytest.raises(UploadStateConflict):
        await targets.sign_parts(alice, whole.id, wishes)
    for id_ in (upload.id, new_upload_id(world.clock())):
        with pytest.raises(NotFound):
            await targets.sign_parts(bob, id_, wishes)
    await world.services.uploads.abort(alice, upload.id)
    with pytest.raises(UploadStateConflict) as caught:
        await targets.sign_parts(alice, upload.id, wishes)
    assert caught.value.status is UploadStatus.ABORTED
    expired = await in_parts(world, alice, "expired")
    world.clock.now = expired.expires_at
    with pytest.raises(UploadStateConflict) as caught:
        await targets.sign_parts(alice, expired.id, wishes)
    assert caught.value.status is UploadStatus.EXPIRED


async def test_activity_moves_the_end_of_an_upload_away_up_to_a_limit(world: World) -> None:
    alice = await world.principal("alice")
    upload = await in_parts(world, alice)
    limit, ends = upload.created_at + timedelta(days=7), [upload.expires_at]
    while upload.expires_at < limit:
        world.clock.advance(hours=23)
        upload, targets = await world.services.upload_targets.sign_parts(alice, upload.id, [PartWish(1)])
        ends.append(upload.expires_at)
        assert targets[0].expires_at <= upload.expires_at
        await world.sweep()
    assert ends == sorted(set(ends))
    assert upload.expires_at == limit
    world.clock.now = upload.expires_at
    with pytest.raises(UploadStateConflict):
        await world.services.upload_targets.sign_parts(alice, upload.id, [PartWish(1)])
    await world.sweep()
    found = (await world.services.uploads.find(alice, [upload.id]))[upload.id]
    assert (found.status, world.store.open) == (UploadStatus.EXPIRED, {})


async def test_a_pending_upload_is_found_again_by_what_is_being_sent(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    upload = await sent_in_parts(world, alice, crc64nvme=crc_of(WHOLE), sha256="a" * 64)
    await in_parts(world, alice, "other.bin")
    await in_parts(world, alice, "film.bin", size=5)

    async def found(principal: Principal, fingerprint: Fingerprint) -> set[str]:
        page = await world.services.uploads.list(principal, PageRequest(10), [UploadStatus.PENDING], fingerprint)
        return {each.id for each in page.nodes}

    own = Fingerprint("film.bin", len(WHOLE))
    assert await found(alice, own) == {upload.id}
    assert await found(alice, replace(own, sha256="A" * 64, crc64nvme=crc_of(WHOLE))) == {upload.id}
    for other in (replace(own, sha256="b" * 64), replace(own, crc64nvme="0" * 16), replace(own, size=6)):
        assert await found(alice, other) == set()
    assert await found(bob, own) == set()
    with pytest.raises(InvalidInput):
        await found(alice, replace(own, sha256="x"))


async def test_what_the_store_has_given_up_is_begun_anew(world: World) -> None:
    """Such as by a rule of the bucket that aborts incomplete uploads."""
    alice = await world.principal("alice")
    upload = await sent_in_parts(world, alice)
    assert upload.store_upload
    await world.store.abort_parts(upload.store_upload)
    with pytest.raises(BytesMissing) as caught:
        await world.services.completion.complete(alice, upload.id)
    assert caught.value.missing_parts == (1, 2, 3)
    wishes = [PartWish(n, crc_of(part)) for n, part in enumerate(PARTS, 1)]
    again, _ = await world.services.upload_targets.sign_parts(alice, upload.id, wishes)
    assert again.store_upload != upload.store_upload
    for number, part in enumerate(PARTS, 1):
        arrive(world, again, number, part)
    assert (await completed(world, alice, again)).size == len(WHOLE)


async def test_an_aborted_upload_leaves_no_parts_and_those_that_come_late_go_too(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent_in_parts(world, alice)
    assert upload.store_upload
    await world.services.uploads.abort(alice, upload.id)
    assert not world.store.open
    world.store.open[upload.store_upload] = {1: PARTS[0]}  # a part was under way, and the store took it all the same
    world.clock.advance(days=1, hours=1)
    await world.sweep()
    assert not world.store.open


@pytest.mark.parametrize("end", ["completed", "aborted", "expired", "failed", "with its folder"])
async def test_what_was_said_of_parts_is_kept_no_longer_than_the_upload_waits(world: World, end: str) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "folder")
    upload = await sent_in_parts(world, alice, folder_id=folder.id)
    assert upload.store_upload
    match end:
        case "completed":
            await completed(world, alice, upload)
        case "aborted":
            await world.services.uploads.abort(alice, upload.id)
        case "expired":
            await world.store.abort_parts(upload.store_upload)
            world.clock.advance(days=1)
            await world.sweep()
        case "failed":
            arrive(world, upload, 1, PARTS[1])
            with pytest.raises(UploadMismatch):
                await completed(world, alice, upload)
        case _:
            await world.services.folders.delete(alice, folder.id)
    assert (await world.services.uploads.get(alice, upload.id)).status is not UploadStatus.PENDING
    async with world.database.autocommit() as connection:
        assert await list_promises(connection, upload.id) == {}


async def test_a_store_that_is_down_leaves_an_upload_as_it_is(world: World) -> None:
    alice = await world.principal("alice")
    upload, sent = await in_parts(world, alice, "new"), await sent_in_parts(world, alice)
    world.store.is_up = False
    works: list[Awaitable[object]] = [
        world.services.upload_targets.target(upload),
        world.services.upload_targets.sign_parts(alice, upload.id, [PartWish(1)]),
        world.services.completion.complete(alice, sent.id),
    ]
    for work in works:
        with pytest.raises(Unavailable):
            await work
    world.store.is_up = True
    assert (await completed(world, alice, sent)).size == len(WHOLE)


async def test_completions_by_word_and_by_event_at_once_make_one_file(world: World) -> None:
    alice = await world.principal("alice")
    for number in range(5):
        upload = await sent_in_parts(world, alice, filename=f"{number}")
        works = [world.services.completion.complete(alice, upload.id) for _ in range(3)]
        arrivals = [world.services.completion.arrived(upload.object_key) for _ in range(2)]
        done, arrived = await asyncio.gather(asyncio.gather(*works), asyncio.gather(*arrivals))
        assert len({file.id for _, file in done if file}) == 1
        assert {each.status for each in arrived if each} == {UploadStatus.COMPLETED}


async def test_a_client_may_drive_the_store_itself(world: World) -> None:
    alice = await world.principal("alice")
    sign = world.services.upload_targets.sign_request
    upload = await in_parts(world, alice)
    ours = await target_of(world, upload)
    await sign(alice, upload.id, StoreRequestKind.CREATE_MULTIPART)
    theirs = await world.store.begin_parts(upload.promise)  # the client's own request
    for kind in (StoreRequestKind.UPLOAD_PART, StoreRequestKind.LIST_PARTS, StoreRequestKind.COMPLETE_MULTIPART):
        await sign(alice, upload.id, kind, theirs.id, PartWish(1, crc_of(PARTS[0])))
    assert ours.upload not in world.store.open
    for number, part in enumerate(PARTS, 1):
        world.store.put_part(theirs, number, part)
    held = await world.store.list_parts(theirs)
    assert held
    await world.store.join_parts(theirs, held, crc64nvme=None)
    assert (await completed(world, alice, upload)).size == len(WHOLE)


async def test_a_foreign_upload_of_the_store_is_not_taken(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    sign = world.services.upload_targets.sign_request
    other = await target_of(world, await in_parts(world, bob))
    upload = await in_parts(world, alice)
    for store_upload_id in (other.upload.id, "made up"):
        with pytest.raises(NotFound):
            await sign(alice, upload.id, StoreRequestKind.UPLOAD_PART, store_upload_id, PartWish(1))
    with pytest.raises(InvalidInput):
        await sign(alice, upload.id, StoreRequestKind.UPLOAD_PART)
    with pytest.raises(InvalidInput):
        await sign(alice, upload.id, StoreRequestKind.UPLOAD_PART, other.upload.id)
    assert other.upload in world.store.open


async def test_what_was_begun_at_the_store_while_its_upload_ended_is_given_up(world: World) -> None:
    alice = await world.principal("alice")
    upload = await in_parts(world, alice)
    await world.services.uploads.abort(alice, upload.id)
    assert await world.services.upload_targets.target(upload) is None  # as it was read before
    assert not world.store.open


async def test_nobody_completes_it_and_it_becomes_a_file_all_the_same(world: World) -> None:
    alice = await world.principal("alice")
    upload, waiting = await sent_in_parts(world, alice), await in_parts(world, alice, "waiting")
    assert await world.services.lookout.look() == 0
    world.clock.advance(minutes=5)
    assert await world.services.lookout.look() == 1
    assert set(await world.services.files.find(alice, [upload.file_id])) == {upload.file_id}
    assert (await world.services.uploads.get(alice, waiting.id)).status is UploadStatus.PENDING
    assert await world.services.completion.arrived("o/unknown") is None
