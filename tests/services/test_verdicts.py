"""Between its bytes and its file an upload waits for a verdict, of whichever judge: nothing that is not clean becomes a
file, nothing waits for ever, and what does not become a file lets go of its name.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from graphql_api.db.engine import Database
from graphql_api.db.tables import FolderEntryRow, JobRow
from graphql_api.errors import Conflict, DeliveryError, NotFound, Unavailable, UploadMismatch, UploadStateConflict
from graphql_api.model.file import ChecksumAlgorithm, Evidence, File, Integrity
from graphql_api.model.parts import MIB
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.scan import Judge, ScanResult, ScanVerdict
from graphql_api.model.store_event import ScanResult as EventResult
from graphql_api.model.store_event import ScanVerdict as ScanEvent
from graphql_api.model.upload import OnConflict, Upload, UploadFailureCode, UploadMethod, UploadStatus
from graphql_api.services.outbox import MAX_ATTEMPTS
from graphql_api.services.settling import LOOK_AGAIN
from graphql_api.services.turns import Turn
from tests.memory_store import crc_of
from tests.services.rulefiles import faults, planned_and_applied
from tests.services.stories import CONTENT, denied, filed, foldered, home_of, promised, send, sent, sent_as_one_part
from tests.world import SCAN_PATIENCE, Reader, World

INFECTED = ScanVerdict(ScanResult.INFECTED, "Eicar")
UNSCANNABLE = ScanVerdict(ScanResult.UNSCANNABLE)
DONE = Turn(1, is_more=False)


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def world(database: Database, reader: Reader) -> World:
    return World(database, judge=Judge.SCANNER, scanner=reader)


@pytest.fixture
def told(database: Database) -> World:
    """Where somebody else looks at the bucket, and tells."""
    return World(database, judge=Judge.EVENTS)


async def complete(world: World, principal: Principal, upload: Upload) -> tuple[Upload, File | None]:
    return await world.services.completion.complete(principal, upload.id)


async def waiting(world: World, principal: Principal, filename: str = "cat.txt", **wish: object) -> Upload:
    """An upload that is PROCESSING."""
    upload, file = await complete(world, principal, await sent(world, principal, filename, **wish))
    assert (upload.status, file) == (UploadStatus.PROCESSING, None)
    return upload


async def now_of(world: World, principal: Principal, upload: Upload) -> Upload:
    return await world.services.uploads.get(principal, upload.id)


async def file_of(world: World, principal: Principal, upload: Upload) -> File | None:
    return (await world.services.files.find(principal, [upload.result_id])).get(upload.result_id)


async def count(world: World, table: type[FolderEntryRow | JobRow]) -> int:
    async with world.database.autocommit() as connection:
        return await connection.scalar(select(func.count()).select_from(table)) or 0


def verdict_on(upload: Upload, result: EventResult, *, etag: str = "etag") -> ScanEvent:
    threats = ("Eicar",) if result is EventResult.THREATS_FOUND else ()
    return ScanEvent(upload.object_key, etag, result, threats)


async def failed_as(world: World, principal: Principal, upload: Upload) -> UploadFailureCode | None:
    """Why it failed, and that nothing is left of it: no file, no bytes, no name."""
    now = await now_of(world, principal, upload)
    assert now.status is UploadStatus.FAILED
    assert now.failure
    assert await file_of(world, principal, upload) is None
    assert upload.object_key not in world.store.objects
    with pytest.raises(UploadMismatch):
        await complete(world, principal, upload)
    if upload.replaces is None:
        again = await promised(world, principal, upload.filename)
        await world.services.uploads.abort(principal, again.id)
    return now.failure.code


async def test_what_is_clean_becomes_the_file_that_was_promised(world: World, reader: Reader) -> None:
    alice = await world.principal("alice")
    upload = await waiting(world, alice, sha256="0" * 64)
    assert await complete(world, alice, upload) == (upload, None)
    assert await file_of(world, alice, upload) is None
    assert await world.scans.turn() == DONE
    assert reader.read == [CONTENT]
    done, file = await complete(world, alice, upload)
    assert done.status is UploadStatus.COMPLETED
    assert file is not None
    assert (file.id, file.name, file.size, file.object_key) == (upload.file_id, "cat.txt", 5, upload.object_key)
    known = await world.services.files.integrity(alice, [file.id])
    assert known[file.id] == Integrity(ChecksumAlgorithm.SHA256, "0" * 64, Evidence.PROMISED)
    assert await count(world, JobRow) == 0
    assert await world.sweep() == 0


async def test_what_parts_proved_is_known_after_the_verdict(world: World) -> None:
    alice = await world.principal("alice")
    contents = [b"a" * 5 * MIB, b"tail"]
    upload = await promised(world, alice, size=5 * MIB + 4, method=UploadMethod.MULTIPART)
    await world.services.upload_targets.target(upload)
    for number, content in enumerate(contents, 1):
        [store_upload] = world.store.open
        world.store.put_part(store_upload, number, content)
    world.store.tells_part_checksums = True
    assert (await complete(world, alice, upload))[0].status is UploadStatus.PROCESSING
    await world.scans.turn()
    known = await world.services.files.integrity(alice, [upload.file_id])
    whole = crc_of(b"".join(contents))
    assert known[upload.file_id] == Integrity(ChecksumAlgorithm.CRC64NVME, whole, Evidence.FROM_PARTS)


async def test_a_checksum_that_came_with_the_completion_is_as_good_after_the_verdict(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent_as_one_part(world, alice)
    await world.services.completion.complete(alice, upload.id, crc64nvme=crc_of(CONTENT))
    await world.scans.turn()
    known = await world.services.files.integrity(alice, [upload.file_id])
    assert known[upload.file_id] == Integrity(ChecksumAlgorithm.CRC64NVME, crc_of(CONTENT), Evidence.PROMISED)


async def test_a_checksum_that_is_told_while_a_verdict_is_waited_for_counts(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent_as_one_part(world, alice)
    await world.services.completion.arrived(upload.object_key)
    await world.services.completion.complete(alice, upload.id, crc64nvme=crc_of(CONTENT))
    with pytest.raises(UploadMismatch) as caught:
        await world.services.completion.complete(alice, upload.id, crc64nvme="0" * 16)
    assert caught.value.failure.code is UploadFailureCode.CHECKSUM_MISMATCH
    assert world.store.objects == {}


@pytest.mark.parametrize(
    ("verdict", "code"),
    [(INFECTED, UploadFailureCode.INFECTED), (UNSCANNABLE, UploadFailureCode.NOT_SCANNED)],
)
async def test_what_is_not_called_clean_goes_with_its_bytes_and_its_name(
    world: World, reader: Reader, verdict: ScanVerdict, code: UploadFailureCode
) -> None:
    alice = await world.principal("alice")
    upload, reader.verdict = await waiting(world, alice), verdict
    assert await world.scans.turn() == DONE
    assert await failed_as(world, alice, upload) is code
    send(world, upload)  # a slow PUT, begun while its target was good
    world.clock.advance(days=2)
    await world.sweep()
    assert world.store.objects == {}


async def test_new_bytes_for_a_file_are_judged_like_its_first(world: World, reader: Reader) -> None:
    alice = await world.principal("alice")
    first = await waiting(world, alice)
    await world.scans.turn()
    bad = await waiting(world, alice, "any name", replaces=first.file_id)
    reader.verdict = INFECTED
    await world.scans.turn()
    file = (await world.services.files.find(alice, [first.file_id]))[first.file_id]
    assert file.object_key == first.object_key
    assert (await now_of(world, alice, bad)).failure is not None
    assert set(world.store.objects) == {first.object_key}
    reader.verdict = ScanVerdict(ScanResult.CLEAN)
    good = await waiting(world, alice, "any name", replaces=first.file_id)
    await world.scans.turn()
    _, file_now = await complete(world, alice, good)
    assert file_now is not None
    assert (file_now.id, file_now.name, file_now.object_key) == (first.file_id, "cat.txt", good.object_key)


async def test_whoever_waits_has_the_name(world: World) -> None:
    alice = await world.principal("alice")
    late = await sent(world, alice)
    numbered = await sent(world, alice, on_conflict=OnConflict.RENAME)
    await waiting(world, alice)
    with pytest.raises(Conflict) as error:
        await complete(world, alice, late)
    assert error.value.conflicting_id is None  # there is nothing to see yet
    with pytest.raises(Conflict):
        await promised(world, alice)
    upload, _ = await complete(world, alice, numbered)
    assert upload.filename == "cat (2).txt"
    await world.scans.turn()
    found = await world.services.files.find(alice, [numbered.file_id])
    assert found[numbered.file_id].name == "cat (2).txt"
    with pytest.raises(UploadStateConflict):
        await world.services.uploads.abort(alice, upload.id)


async def test_what_waits_cannot_be_given_up(world: World) -> None:
    alice = await world.principal("alice")
    upload = await waiting(world, alice)
    with pytest.raises(UploadStateConflict):
        await world.services.uploads.abort(alice, upload.id)
    assert (await now_of(world, alice, upload)).status is UploadStatus.PROCESSING


@pytest.mark.parametrize("is_recursive", [False, True])
async def test_a_folder_goes_with_what_waits_in_it(world: World, reader: Reader, is_recursive: bool) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "doomed")
    upload = await waiting(world, alice, folder_id=folder.id)
    await world.services.folders.delete(alice, folder.id, is_recursive=is_recursive)
    assert (await now_of(world, alice, upload)).status is UploadStatus.ABORTED
    assert await world.scans.turn() == DONE
    assert (reader.read, world.store.objects) == ([], {})
    assert await count(world, FolderEntryRow) == 1  # her home
    await world.verdicts.judged(verdict_on(upload, EventResult.THREATS_FOUND))
    assert (await now_of(world, alice, upload)).status is UploadStatus.ABORTED


async def test_a_folder_that_may_not_go_keeps_what_waits_in_it(world: World) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "full")
    upload = await waiting(world, alice, folder_id=folder.id)
    await foldered(world, alice, "inner", folder.id)
    with pytest.raises(Conflict):
        await world.services.folders.delete(alice, folder.id)
    assert (await now_of(world, alice, upload)).status is UploadStatus.PROCESSING
    with pytest.raises(Conflict):
        await promised(world, alice, folder_id=folder.id)


async def test_new_bytes_go_with_the_file_that_they_were_for(world: World, reader: Reader) -> None:
    alice = await world.principal("alice")
    first = await waiting(world, alice)
    await world.scans.turn()
    second = await waiting(world, alice, "any name", replaces=first.file_id)
    await world.services.files.delete(alice, [first.file_id])
    assert await world.scans.turn() == DONE
    assert (await now_of(world, alice, second)).status is UploadStatus.ABORTED
    assert (len(reader.read), world.store.objects) == (1, {})


async def test_the_right_is_asked_when_the_bytes_are_in_and_not_again(world: World) -> None:
    """As with a file that was there a moment before the rules changed."""
    alice, home = await world.principal("alice"), await home_of(world, await world.principal("alice"))
    upload, late = await waiting(world, alice), await sent(world, alice, "late")
    await denied(world, alice, home, Permission.WRITE)
    with pytest.raises(DeliveryError):
        await complete(world, alice, late)
    await world.scans.turn()
    assert await file_of(world, alice, upload) is not None


async def test_an_arrival_that_nobody_reports_is_judged_as_well(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent(world, alice)
    world.clock.advance(minutes=5)
    assert await world.services.lookout.look() == 1
    assert (await now_of(world, alice, upload)).status is UploadStatus.PROCESSING
    await world.scans.turn()
    assert await file_of(world, alice, upload) is not None


async def test_a_scanner_that_is_down_is_asked_again_until_it_is_back(world: World, reader: Reader) -> None:
    alice = await world.principal("alice")
    upload, reader.is_up = await waiting(world, alice), False
    for _ in range(MAX_ATTEMPTS):
        await world.scans.turn()
        world.clock.advance(hours=1)
    assert await world.scans.turn() == Turn(0, is_more=False)  # the job is given up; the upload is not
    reader.is_up = True
    await world.services.lookout.look()
    assert await world.scans.turn() == DONE
    assert await file_of(world, alice, upload) is not None


async def test_patience_ends(world: World, reader: Reader) -> None:
    alice = await world.principal("alice")
    world.clock.advance(hours=20)
    upload, reader.is_up = await waiting(world, alice), False
    for _ in range(int(SCAN_PATIENCE / LOOK_AGAIN) - 1):
        world.clock.advance(hours=1)
        assert await world.services.lookout.look() == 0
    world.clock.now = upload.updated_at + SCAN_PATIENCE - timedelta(microseconds=1)
    await world.services.lookout.look()
    assert (await now_of(world, alice, upload)).status is UploadStatus.PROCESSING
    world.clock.advance(microseconds=1)
    assert await world.services.lookout.look() == 1
    assert await failed_as(world, alice, upload) is UploadFailureCode.NOT_SCANNED
    reader.is_up = True
    await world.scans.turn()
    assert reader.read == []


async def test_a_store_that_is_down_costs_time_only(world: World) -> None:
    alice = await world.principal("alice")
    upload, world.store.is_up = await waiting(world, alice), False
    assert await world.scans.turn() == Turn(0, is_more=False)
    world.store.is_up = True
    world.clock.advance(seconds=10)
    assert await world.scans.turn() == DONE
    assert await file_of(world, alice, upload) is not None


async def test_bytes_that_the_scanner_did_not_see_whole_are_not_clean(database: Database) -> None:
    class Hasty(Reader):
        async def scan(self, content: AsyncIterator[bytes]) -> ScanVerdict:
            return self.verdict

    world = World(database, judge=Judge.SCANNER, scanner=Hasty())
    alice = await world.principal("alice")
    upload = await waiting(world, alice)
    assert await world.scans.turn() == Turn(0, is_more=False)
    assert (await now_of(world, alice, upload)).status is UploadStatus.PROCESSING


async def test_what_was_scanned_is_what_is_delivered(database: Database) -> None:
    """The bytes change behind the scanner's back: as if the store's own rules could not prevent it."""

    class Swapped(Reader):
        async def scan(self, content: AsyncIterator[bytes]) -> ScanVerdict:
            verdict = await super().scan(content)
            if len(self.read) == 1:
                stored, _ = world.store.objects[upload.object_key]
                world.store.objects[upload.object_key] = (replace(stored, etag="other"), b"worse")
            return verdict

    world = World(database, judge=Judge.SCANNER, scanner=(scanner := Swapped()))
    alice = await world.principal("alice")
    upload = await waiting(world, alice)
    await world.scans.turn()
    assert (await now_of(world, alice, upload)).status is UploadStatus.PROCESSING
    world.clock.advance(hours=1)
    await world.services.lookout.look()
    await world.scans.turn()
    assert scanner.read == [CONTENT, b"worse"]
    assert await file_of(world, alice, upload) is not None


@pytest.mark.parametrize("result", [ScanResult.CLEAN, ScanResult.INFECTED])
async def test_a_folder_that_is_deleted_while_its_bytes_are_scanned_goes_with_them(
    database: Database, result: ScanResult
) -> None:
    class Slow(Reader):
        async def scan(self, content: AsyncIterator[bytes]) -> ScanVerdict:
            verdict = await super().scan(content)
            await world.services.folders.delete(alice, folder.id)
            return verdict

    scanner = Slow()
    scanner.verdict = ScanVerdict(result)
    world = World(database, judge=Judge.SCANNER, scanner=scanner)
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "doomed")
    upload = await waiting(world, alice, folder_id=folder.id)
    assert await world.scans.turn() == DONE
    assert (await now_of(world, alice, upload)).status is UploadStatus.ABORTED
    assert world.store.objects == {}
    assert await file_of(world, alice, upload) is None


async def test_of_all_that_happens_at_once_one_thing_comes_out(world: World) -> None:
    """Two workers, verdicts, completions and a deletion of the folder."""
    alice = await world.principal("alice")
    for number in range(10):
        folder = await foldered(world, alice, f"f{number}")
        upload = await sent(world, alice, folder_id=folder.id)
        clean, bad = (verdict_on(upload, it) for it in (EventResult.NO_THREATS_FOUND, EventResult.THREATS_FOUND))
        outcomes = await asyncio.gather(
            *(complete(world, alice, upload) for _ in range(3)),
            *(world.scans.turn() for _ in range(2)),
            world.verdicts.judged(bad if number % 2 else clean),
            world.services.folders.delete(alice, folder.id, is_recursive=True) if number % 3 == 0 else asyncio.sleep(0),
            return_exceptions=True,
        )
        assert not [it for it in outcomes if isinstance(it, Exception) and not isinstance(it, DeliveryError)]
        assert not [it for it in outcomes if isinstance(it, Unavailable)]
        await world.scans.turn()
        now, file = await now_of(world, alice, upload), await file_of(world, alice, upload)
        assert now.status in (UploadStatus.COMPLETED, UploadStatus.FAILED, UploadStatus.ABORTED)
        is_there = await world.services.folders.find(alice, [folder.id])
        assert (file is not None) == (now.status is UploadStatus.COMPLETED and bool(is_there))
        assert (file is not None) == (upload.object_key in world.store.objects)
        if is_there and file is None:
            await promised(world, alice, folder_id=folder.id)  # the name is free


async def test_a_policy_file_cannot_name_what_is_no_file_yet(world: World) -> None:
    alice = await world.principal("alice")
    upload = await waiting(world, alice)
    text = "resources:\n- file: /Alice/cat.txt\n  rules: [{allow: [read], to: anyone}]"
    assert await faults(world, text) == ["3: resources[0].file: there is no file here"]
    await world.scans.turn()
    assert await file_of(world, alice, upload) is not None
    await planned_and_applied(world, text)


async def test_good_news_come_by_event(told: World) -> None:
    alice = await told.principal("alice")
    upload = await waiting(told, alice)
    assert await count(told, JobRow) == 0
    for _ in range(2):
        now = await told.verdicts.judged(verdict_on(upload, EventResult.NO_THREATS_FOUND, etag='"etag"'))
        assert now is not None
        assert now.status is UploadStatus.COMPLETED
    assert await file_of(told, alice, upload) is not None


async def test_a_verdict_that_comes_before_the_completion_is_kept(told: World) -> None:
    alice = await told.principal("alice")
    await filed_by_event(told, alice, "taken")
    upload = await sent(told, alice)
    now = await told.verdicts.judged(verdict_on(upload, EventResult.NO_THREATS_FOUND))
    assert now is not None
    assert now.status is UploadStatus.PENDING
    assert await file_of(told, alice, upload) is None
    done, file = await complete(told, alice, upload)
    assert done.status is UploadStatus.COMPLETED
    assert file is not None


async def filed_by_event(world: World, principal: Principal, filename: str = "cat.txt") -> Upload:
    upload = await waiting(world, principal, filename)
    await world.verdicts.judged(verdict_on(upload, EventResult.NO_THREATS_FOUND))
    return upload


async def test_bad_news_count_at_once_and_whoever_brings_them(world: World, told: World) -> None:
    for each, name in ((told, "alice"), (world, "bob")):
        user = await each.principal(name)
        early, late = await sent(each, user, "early"), await waiting(each, user, "late")
        for upload in (early, late):
            await each.verdicts.judged(verdict_on(upload, EventResult.THREATS_FOUND))
            await each.verdicts.judged(verdict_on(upload, EventResult.NO_THREATS_FOUND))
            assert await failed_as(each, user, upload) is UploadFailureCode.INFECTED
    await world.scans.turn()


async def test_good_news_do_not_count_from_whom_nobody_asked(world: World) -> None:
    alice = await world.principal("alice")
    upload = await waiting(world, alice)
    for result in (EventResult.NO_THREATS_FOUND, EventResult.UNSUPPORTED):
        await world.verdicts.judged(verdict_on(upload, result))
        assert (await now_of(world, alice, upload)).status is UploadStatus.PROCESSING


async def test_infected_wins_over_a_clean_verdict_that_is_kept(told: World) -> None:
    alice = await told.principal("alice")
    upload = await sent(told, alice)
    await told.verdicts.judged(verdict_on(upload, EventResult.NO_THREATS_FOUND))
    await told.verdicts.judged(verdict_on(upload, EventResult.THREATS_FOUND))
    await told.verdicts.judged(verdict_on(upload, EventResult.NO_THREATS_FOUND))
    assert await failed_as(told, alice, upload) is UploadFailureCode.INFECTED


@pytest.mark.parametrize("is_complete", [False, True])
async def test_what_cannot_be_scanned_fails(told: World, is_complete: bool) -> None:
    alice = await told.principal("alice")
    upload = await (waiting if is_complete else sent)(told, alice)
    await told.verdicts.judged(verdict_on(upload, EventResult.UNSUPPORTED))
    assert await failed_as(told, alice, upload) is UploadFailureCode.NOT_SCANNED


async def test_a_scan_without_a_verdict_leaves_it_waiting(told: World) -> None:
    alice = await told.principal("alice")
    upload = await waiting(told, alice)
    for result in (EventResult.ACCESS_DENIED, EventResult.FAILED):
        assert await told.verdicts.judged(verdict_on(upload, result)) == upload
    told.clock.now = upload.updated_at + SCAN_PATIENCE
    await told.services.lookout.look()
    assert await failed_as(told, alice, upload) is UploadFailureCode.NOT_SCANNED


@pytest.mark.parametrize("etag", ["other", ""])
async def test_good_news_of_other_bytes_change_nothing(told: World, etag: str) -> None:
    alice = await told.principal("alice")
    upload = await waiting(told, alice)
    await told.verdicts.judged(verdict_on(upload, EventResult.NO_THREATS_FOUND, etag=etag))
    assert (await now_of(told, alice, upload)).status is UploadStatus.PROCESSING
    await told.verdicts.judged(verdict_on(upload, EventResult.NO_THREATS_FOUND))
    assert await file_of(told, alice, upload) is not None


async def test_a_verdict_that_could_not_be_heeded_is_heeded_later(told: World) -> None:
    alice = await told.principal("alice")
    upload, asked = await waiting(told, alice), await waiting(told, alice, "asked")
    told.store.is_up = False
    for each in (upload, asked):
        with pytest.raises(Unavailable):
            await told.verdicts.judged(verdict_on(each, EventResult.NO_THREATS_FOUND))
    told.store.is_up = True
    assert (await complete(told, alice, asked))[0].status is UploadStatus.COMPLETED
    told.clock.advance(hours=1)
    assert await told.services.lookout.look() == 1
    assert await file_of(told, alice, upload) is not None


async def test_a_verdict_on_nothing_of_ours_is_said_to_be_so(told: World) -> None:
    assert await told.verdicts.judged(ScanEvent("o/other", "etag", EventResult.THREATS_FOUND)) is None


async def test_where_nobody_judges_an_upload_is_a_file_at_once_unless_it_is_known_to_be_bad(database: Database) -> None:
    world = World(database)
    alice = await world.principal("alice")
    await filed(world, alice)
    upload = await sent(world, alice, "bad")
    await world.verdicts.judged(verdict_on(upload, EventResult.THREATS_FOUND))
    assert await failed_as(world, alice, upload) is UploadFailureCode.INFECTED


async def test_another_judge_takes_over_what_waits(told: World, database: Database) -> None:
    alice = await told.principal("alice")
    upload = await waiting(told, alice)
    later = World(database, clock=told.clock, judge=Judge.SCANNER)
    later.store.objects = told.store.objects
    told.clock.advance(hours=1)
    assert await later.services.lookout.look() == 0
    assert await later.scans.turn() == DONE
    assert await file_of(later, alice, upload) is not None


async def test_a_principal_sees_no_upload_of_another_by_waiting(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    upload = await waiting(world, alice)
    with pytest.raises(NotFound):
        await complete(world, bob, upload)
