"""What came by a form is compared once more when no form can store it again; other bytes are given to nobody."""

import logging
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from graphql_api.db.engine import Database
from graphql_api.db.tables import ObjectCheckRow
from graphql_api.errors import Unavailable
from graphql_api.model.file import File, FileVersion
from graphql_api.model.finding import FindingKind
from graphql_api.model.ids import FileId
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Principal
from graphql_api.model.scan import Judge
from graphql_api.model.store_event import ScanResult, ScanVerdict
from graphql_api.model.stored_object import RecordedObject, StoredObject
from graphql_api.model.upload import Upload, UploadMethod, UploadStatus
from graphql_api.services.rechecks import BATCH
from graphql_api.services.turns import MAX_FAILURES
from graphql_api.services.verification import alteration
from tests.agreement import disagreements
from tests.services.comparing import everything, fixed, object_check, steps_of
from tests.services.sharing import opens, shared
from tests.services.stories import filed, send, sent
from tests.world import World

SHA256, OTHER_SHA256 = "0" * 64, "1" * 64
BY_FORM = {"method": UploadMethod.POST, "sha256": SHA256}
FILE = """
    query ($id: ID!) {
      file(by: {id: $id}) { alteredAt signedUrl { url } versions { nodes { number alteredAt signedUrl { url } } } }
    }
"""


async def by_form(world: World, principal: Principal, filename: str = "cat.txt", **wish: Any) -> tuple[Upload, File]:
    upload = await sent(world, principal, filename, **BY_FORM, **wish)
    done, file = await world.services.completion.complete(principal, upload.id)
    assert file is not None
    return done, file


async def now_of(world: World, principal: Principal, file: File) -> File:
    return (await world.services.files.find(principal, [file.id]))[file.id]


async def versions_of(world: World, principal: Principal, file: File) -> dict[int, FileVersion]:
    page = (await world.services.versions.list_of(principal, PageRequest(), [file.id]))[file.id]
    return {version.number: version for version in page.nodes}


async def scheduled(world: World) -> list[str]:
    async with world.database.autocommit() as connection:
        return list(await connection.scalars(select(ObjectCheckRow.object_key)))


def alter(world: World, upload: Upload) -> None:
    """As a store would that takes a form's word for a checksum."""
    send(world, upload, b"jello", sha256=OTHER_SHA256)


async def altered(world: World, principal: Principal, filename: str = "cat.txt", **wish: Any) -> File:
    """A file whose bytes are found to be others."""
    upload, file = await by_form(world, principal, filename, **wish)
    alter(world, upload)
    world.clock.now = max(world.clock.now, upload.expires_at)
    world.clock.advance(hours=1, minutes=15)
    assert await world.services.rechecks.sweep() == 1
    return await now_of(world, principal, file)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_the_same_bytes_are_compared_once_and_nothing_is_said(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    alice = await world.principal("alice")
    upload, file = await by_form(world, alice)
    send(world, upload)  # the form is sent again
    world.clock.now = upload.expires_at
    world.clock.advance(hours=1, minutes=15, seconds=-1)  # the grace of a transfer, and what clocks may differ by
    assert await world.services.rechecks.sweep() == 0
    world.clock.advance(seconds=1)
    assert await world.services.rechecks.sweep() == 1
    assert await world.services.rechecks.sweep() == 0
    assert await now_of(world, alice, file) == file
    assert logged(caplog) == []


async def test_other_bytes_are_given_to_nobody(world: World, caplog: pytest.LogCaptureFixture) -> None:
    alice = await world.principal("alice")
    file = await altered(world, alice)
    assert file.altered_at == world.clock()
    assert world.services.delivery.grant(file) is None
    assert not await opens(world, (await shared(world, alice, file)).token)
    [version] = (await versions_of(world, alice, file)).values()
    assert version.altered_at == world.clock()
    page = await world.services.files.list(alice, FileFilter(), FileOrder(), PageRequest())
    assert [each.altered_at for each in page.nodes] == [world.clock()]
    shown = (await world.data(FILE, {"id": file.id}, as_=alice))["file"]
    assert shown["alteredAt"] is not None
    assert shown["signedUrl"] is shown["versions"]["nodes"][0]["signedUrl"] is None
    [line] = logged(caplog)
    assert line == f"object_altered file={file.id} key={file.object_key} reason='the bytes have another checksum'"
    assert file.object_key in world.store.objects  # kept for whoever looks into it


async def test_what_only_a_put_or_parts_have_stored_is_not_compared_again(world: World) -> None:
    alice = await world.principal("alice")
    await filed(world, alice, sha256=SHA256)
    assert await scheduled(world) == []
    upload, _ = await by_form(world, alice, "by form")
    assert await scheduled(world) == [upload.object_key]


async def test_a_form_that_waits_for_a_verdict_is_compared_after_it(database: Database) -> None:
    world = World(database, judge=Judge.EVENTS)
    alice = await world.principal("alice")
    upload = await sent(world, alice, **BY_FORM)
    waiting, _ = await world.services.completion.complete(alice, upload.id)
    assert waiting.status is UploadStatus.PROCESSING
    assert await scheduled(world) == []
    await world.verdicts.judged(ScanVerdict(upload.object_key, "etag", ScanResult.NO_THREATS_FOUND, ()))
    assert await scheduled(world) == [upload.object_key]


async def test_what_was_deleted_meanwhile_is_forgotten(world: World, caplog: pytest.LogCaptureFixture) -> None:
    alice = await world.principal("alice")
    _, file = await by_form(world, alice)
    await world.services.files.delete(alice, [file.id])
    world.clock.advance(days=2)
    assert await world.services.rechecks.sweep() == 1
    assert (await scheduled(world), logged(caplog)) == ([], [])


async def test_bytes_that_are_gone_are_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    alice = await world.principal("alice")
    _, file = await by_form(world, alice)
    world.store.objects.clear()
    world.clock.advance(days=2)
    assert await world.services.rechecks.sweep() == 1
    assert logged(caplog) == [f"object_missing file={file.id} key={file.object_key}"]
    assert [finding.kind for finding in await disagreements(world)] == [FindingKind.BROKEN]


async def test_a_store_that_does_not_answer_is_asked_again(world: World) -> None:
    alice = await world.principal("alice")
    upload, file = await by_form(world, alice)
    alter(world, upload)
    world.clock.advance(days=2)
    world.store.is_up = False
    with pytest.raises(Unavailable):
        await world.services.rechecks.turn()
    world.store.is_up = True
    assert await world.services.rechecks.sweep() == 1
    assert (await now_of(world, alice, file)).altered_at is not None


async def test_an_object_of_which_the_store_cannot_tell_holds_up_no_other(world: World) -> None:
    alice = await world.principal("alice")
    uploads = [(await by_form(world, alice, str(number)))[0] for number in range(3)]
    broken = uploads[0]
    world.store.broken = {broken.object_key}
    world.clock.now = broken.expires_at
    world.clock.advance(hours=2)
    assert await world.services.rechecks.sweep() == 2
    assert await scheduled(world) == [broken.object_key]
    world.store.broken = set()
    world.clock.advance(minutes=5)
    assert await world.services.rechecks.sweep() == 1


async def test_any_number_of_such_objects_hold_up_no_other_for_good(sqlite_world: World) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    broken = []
    for number in range(2 * MAX_FAILURES):
        broken.append((await by_form(world, alice, f"broken {number}"))[0].object_key)
        world.clock.advance(seconds=1)
    world.store.broken = set(broken)
    other, _ = await by_form(world, alice, "the last to be compared")
    world.clock.now = other.expires_at
    world.clock.advance(hours=2)
    for _ in range(3):
        with pytest.raises(Unavailable):  # so many in a row may mean that the store is down
            await world.services.rechecks.turn()
    assert sorted(await scheduled(world)) == sorted(broken)
    world.store.broken = set()
    world.clock.advance(minutes=5)
    assert await world.services.rechecks.sweep() == len(broken)


async def test_whoever_compares_a_second_time_says_nothing_new(world: World, caplog: pytest.LogCaptureFixture) -> None:
    alice = await world.principal("alice")
    file = await altered(world, alice)
    async with world.database.transaction() as connection:
        row = insert(ObjectCheckRow).values(object_key=file.object_key, form_ends_at=file.created_at)
        await connection.execute(row)
    world.clock.advance(hours=1)
    assert await world.services.rechecks.sweep() == 1
    assert (await now_of(world, alice, file)).altered_at == file.altered_at
    assert len(logged(caplog)) == 1


async def test_all_that_is_due_is_compared(sqlite_world: World) -> None:
    world = sqlite_world
    async with world.database.transaction() as connection:
        rows = [{"object_key": f"o/{number}", "form_ends_at": world.clock()} for number in range(BATCH + 1)]
        await connection.execute(insert(ObjectCheckRow), rows)
    world.clock.advance(days=1)
    assert (await world.services.rechecks.turn()).done == BATCH
    assert await world.services.rechecks.sweep() == 1
    assert await scheduled(world) == []


async def test_the_mark_stays_with_the_bytes(world: World) -> None:
    alice = await world.principal("alice")
    file = await altered(world, alice)
    upload = await sent(world, alice, "new", replaces=file.id)
    _, now = await world.services.completion.complete(alice, upload.id)
    assert now is not None
    assert (now.altered_at, world.services.delivery.grant(now) is not None) == (None, True)
    versions = await versions_of(world, alice, file)
    assert [versions[number].altered_at is not None for number in (1, 2)] == [True, False]
    shown = (await world.data(FILE, {"id": file.id}, as_=alice))["file"]
    assert [each["signedUrl"] is not None for each in shown["versions"]["nodes"]] == [True, False]  # the newest first

    back = await world.services.versions.restore(alice, file.id, versions[1].id)
    assert (back.altered_at, world.services.delivery.grant(back)) == (file.altered_at, None)
    shown = (await world.data(FILE, {"id": file.id}, as_=alice))["file"]
    assert [each["signedUrl"] is not None for each in shown["versions"]["nodes"]] == [True, False]
    again = await world.services.versions.restore(alice, file.id, versions[2].id)
    assert again.altered_at is None


async def test_other_bytes_of_an_older_version_withhold_that_one_only(world: World) -> None:
    alice = await world.principal("alice")
    upload, file = await by_form(world, alice)
    newer = await sent(world, alice, "new", replaces=file.id)
    await world.services.completion.complete(alice, newer.id)
    alter(world, upload)
    world.clock.advance(days=2)
    assert await world.services.rechecks.sweep() == 1
    assert (await now_of(world, alice, file)).altered_at is None
    versions = await versions_of(world, alice, file)
    assert [versions[number].altered_at is not None for number in (1, 2)] == [True, False]


async def test_right_bytes_are_given_again_when_reconciliation_is_told_to(world: World) -> None:
    alice = await world.principal("alice")
    other = await altered(world, alice, "other")
    upload, file = await by_form(world, alice)
    alter(world, upload)
    world.clock.advance(days=2)
    await world.services.rechecks.sweep()
    assert {finding.kind for finding in await disagreements(world)} == {FindingKind.ALTERED}
    send(world, upload)  # somebody puts back the bytes that were
    assert sorted(finding.kind for finding in await disagreements(world)) == [
        FindingKind.ALTERED,
        FindingKind.WITHHELD,
    ]
    [done] = fixed(await steps_of(everything(world), fix=True))
    assert (done.kind, done.subject) == (FindingKind.WITHHELD, file.object_key)
    now = await now_of(world, alice, file)
    assert (now.altered_at, world.services.delivery.grant(now) is not None) == (None, True)
    assert (await now_of(world, alice, other)).altered_at is not None


async def test_bytes_that_are_others_again_stay_withheld(sqlite_world: World) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    upload, file = await by_form(world, alice)
    alter(world, upload)
    world.clock.advance(days=2)
    await world.services.rechecks.sweep()
    send(world, upload)
    check = object_check(world)
    [finding] = (await check.page(None)).findings
    assert finding.kind is FindingKind.WITHHELD
    alter(world, upload)
    assert await check.fix([finding]) == {}
    assert (await now_of(world, alice, file)).altered_at is not None
    await world.services.files.delete(alice, [file.id])
    assert await check.fix([finding]) == {}


RECORDED = RecordedObject("o/x", FileId("file_x"), 5, "text/plain", SHA256, None, "etag")
FOUND = StoredObject("o/x", 5, "text/plain", SHA256, "etag")


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ({}, {}, None),
        ({}, {"size": 6}, "5 bytes were uploaded, the store holds 6"),
        ({}, {"content_type": "text/html"}, "another content type"),
        ({}, {"content_encoding": "gzip"}, "another content type"),
        ({}, {"sha256": OTHER_SHA256}, "another checksum"),
        ({}, {"etag": "other"}, None),  # a copy with other encryption has the same checksum
        ({}, {"sha256": None}, None),
        ({}, {"sha256": None, "etag": "other"}, "another ETag"),
        ({"sha256": None}, {"etag": "other"}, "another ETag"),
        ({"sha256": None, "crc64nvme": "a"}, {"crc64nvme": "a", "etag": "other"}, None),
        ({"sha256": None, "crc64nvme": "a"}, {"crc64nvme": "b"}, "another checksum"),
        ({"crc64nvme": "a"}, {"crc64nvme": "b"}, "another checksum"),  # all that are told must agree
        ({"sha256": None, "etag": None}, {"etag": "other"}, None),  # nothing is known of it but its size
    ],
)
def test_what_is_an_alteration(ours: dict[str, Any], theirs: dict[str, Any], said: str | None) -> None:
    difference = alteration(replace(RECORDED, **ours), replace(FOUND, **theirs))
    assert (difference is None) == (said is None)
    assert said is None or said in str(difference)
