"""Store and database are compared both ways; what can be put right is, and nothing else is touched."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import delete, insert, select, text, update

from graphql_api.db.engine import Database
from graphql_api.db.tables import FileVersionRow, ObjectDeletionRow, StorageUsageRow, UploadRow
from graphql_api.errors import Conflict, NotFound, Unavailable
from graphql_api.model.finding import FindingKind
from graphql_api.model.ids import OBJECT_PREFIX, new_object_key
from graphql_api.model.parts import StoreUpload
from graphql_api.model.scan import Judge
from graphql_api.model.stored_object import ListedObject, PromisedObject, StoredObject
from graphql_api.model.upload import UploadMethod, UploadStatus
from graphql_api.services.count_comparison import CountCheck
from graphql_api.services.object_comparison import StrayCheck
from graphql_api.services.reconciling import Check, Place, Reconciling, Step
from graphql_api.services.strays import Strays
from tests.agreement import assert_in_agreement, disagreements
from tests.memory_store import MemoryStore
from tests.services.comparing import SAFE_AGE, everything, fixed, found, kinds, object_check, steps_of, told
from tests.services.stock import limited, require_exact, taken
from tests.services.stories import CONTENT, filed, foldered, promised, send, sent
from tests.world import World


def put(world: World, key: str, content: bytes = CONTENT) -> str:
    """Bytes that nobody was promised."""
    world.store.put(PromisedObject(key, len(content), "text/plain", None), content)
    return key


def orphan(world: World) -> str:
    return put(world, new_object_key(world.clock()))


def change(world: World, key: str, **what: object) -> None:
    """The store holds something else at this key."""
    stored, content = world.store.objects[key]
    world.store.objects[key] = (replace(stored, **what), content)  # type: ignore[arg-type]  # the fields of it


async def test_a_world_in_use_agrees_at_any_time(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, "kept")
    await promised(world, alice, "expected")
    await promised(world, alice, "in parts", method=UploadMethod.MULTIPART)
    await sent(world, alice, "arrived")
    await filed(world, alice, "replaced", replaces=file.id)
    deleted, aborted = await filed(world, alice, "deleted"), await sent(world, alice, "aborted")
    world.store.is_up = False
    await world.services.files.delete(alice, [deleted.id])
    await world.services.uploads.abort(alice, aborted.id)
    world.store.is_up = True
    assert await disagreements(world) == []
    await assert_in_agreement(world)
    assert len(world.store.objects) == 3
    world.clock.advance(days=30)
    await assert_in_agreement(world)
    assert len(world.store.objects) == 3  # both versions, and what arrived


async def test_what_waits_for_a_verdict_is_known(database: Database) -> None:
    world = World(database, judge=Judge.EVENTS)
    alice = await world.principal("alice")
    upload = await sent(world, alice)
    waiting, _ = await world.services.completion.complete(alice, upload.id)
    assert waiting.status is UploadStatus.PROCESSING
    assert await disagreements(world) == []


async def test_bytes_without_a_row_are_removed_once_they_are_old_enough(world: World) -> None:
    alice = await world.principal("alice")
    file, key = await filed(world, alice), orphan(world)
    world.clock.advance(hours=24, seconds=-1)
    assert await found(world) == []
    assert fixed(await steps_of(everything(world), fix=True)) == []
    world.clock.advance(seconds=1)
    assert await found(world) == [(FindingKind.ORPHAN, key)]
    assert set(world.store.objects) == {file.object_key, key}  # nothing was asked to be fixed
    assert kinds(fixed(await steps_of(everything(world), fix=True))) == [(FindingKind.ORPHAN, key)]
    assert set(world.store.objects) == {file.object_key}
    assert await found(world) == []


async def test_what_is_removed_is_removed_again_when_the_last_put_to_it_can_have_landed(world: World) -> None:
    key = orphan(world)
    world.clock.advance(days=1)
    await steps_of(everything(world), fix=True)
    put(world, key)
    assert await disagreements(world) == []  # it is known
    world.clock.advance(days=1, hours=1)
    await world.sweep()
    assert world.store.objects == {}


async def test_bytes_that_land_after_all_removals_are_orphans(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent(world, alice)
    await world.services.uploads.abort(alice, upload.id)
    world.clock.advance(days=3)
    await world.sweep()
    send(world, upload)
    world.clock.advance(days=1)
    assert await found(world) == [(FindingKind.ORPHAN, upload.object_key)]


async def test_what_is_not_ours_is_never_touched(sqlite_world: World) -> None:
    world = sqlite_world
    ours = [put(world, key) for key in ("o/readme", "o/" + "u" * 26, "o/01jd9x2q6c8s5v7e0k3m4n5p6r/x")]
    theirs = [put(world, key) for key in ("backup.tar", "other/" + "0" * 26, "o", "p/x")]
    world.clock.advance(days=400)
    assert await found(world) == [(FindingKind.FOREIGN, key) for key in sorted(ours)]
    assert fixed(await steps_of(everything(world), fix=True)) == []
    assert set(world.store.objects) == {*ours, *theirs}


async def test_a_file_without_bytes_is_broken_and_stays(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    first = file.object_key
    upload = await sent(world, alice, "second", replaces=file.id)
    _, file = await world.services.completion.complete(alice, upload.id)  # type: ignore[assignment]
    world.store.objects.clear()
    both = [(FindingKind.BROKEN, key) for key in sorted((first, file.object_key))]
    assert await found(world) == both  # whatever their age, and the older version too
    assert fixed(await steps_of(everything(world), fix=True)) == []
    assert (await world.services.files.find(alice, [file.id]))[file.id] == file
    assert await found(world) == both


@pytest.mark.parametrize(
    "difference",
    [{"size": 6}, {"sha256": "1" * 64, "etag": "another"}, {"content_type": "text/html", "etag": "another"}],
    ids=["size", "checksum", "content type"],
)
async def test_other_bytes_are_told_and_left(sqlite_world: World, difference: dict[str, object]) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    file = await filed(world, alice, sha256="0" * 64)
    change(world, file.object_key, **difference)
    before = dict(world.store.objects)
    assert await found(world) == [(FindingKind.ALTERED, file.object_key)]
    assert fixed(await steps_of(everything(world), fix=True)) == []
    assert world.store.objects == before


async def test_an_etag_counts_where_no_checksum_tells(sqlite_world: World) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    told_by_checksum = await filed(world, alice, "a", sha256="0" * 64)
    told_by_nothing_else = await filed(world, alice, "b")
    for file in (told_by_checksum, told_by_nothing_else):
        change(world, file.object_key, etag="of a copy with other encryption")
    assert await found(world) == [(FindingKind.ALTERED, told_by_nothing_else.object_key)]


class Meanwhile(MemoryStore):
    """The store of a world, in whose answers time passes."""

    def __init__(
        self,
        world: World,
        *,
        after_listing: Callable[[], Awaitable[object]] | None = None,
        after_finding: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        super().__init__(world.clock)
        self.objects, self.modified = world.store.objects, world.store.modified
        self._after_listing = after_listing
        self._after_finding = after_finding

    async def list_objects(self, prefix: str, *, after: str | None, limit: int) -> Sequence[ListedObject]:
        listed = await super().list_objects(prefix, after=after, limit=limit)
        if self._after_listing is not None:
            await self._after_listing()
        return listed

    async def find(self, key: str) -> StoredObject | None:
        answer = await super().find(key)
        if self._after_finding is not None:
            await self._after_finding()
        return answer


async def test_what_is_completed_while_the_comparison_runs_is_no_finding(world: World) -> None:
    alice = await world.principal("alice")
    old = await sent(world, alice, "old")
    world.clock.now = old.expires_at + timedelta(days=2)  # nobody has looked at it

    async def complete() -> None:
        await sent(world, alice, "new")
        await world.services.completion.arrived(old.object_key)
        new = await sent(world, alice, "newer")
        await world.services.completion.complete(alice, new.id)

    page = await object_check(world, Meanwhile(world, after_listing=complete)).page(None)
    assert page.findings == []
    assert page.examined == 2  # the old one, and the newer, whose row was there in time


async def test_what_is_deleted_while_the_comparison_runs_is_no_finding(world: World) -> None:
    alice = await world.principal("alice")
    listed, missed = await filed(world, alice, "listed"), await filed(world, alice, "missed")
    world.clock.advance(days=2)

    async def delete_listed() -> None:
        await world.services.files.delete(alice, [listed.id])

    assert (await object_check(world, Meanwhile(world, after_listing=delete_listed)).page(None)).findings == []
    del world.store.objects[missed.object_key]  # bytes go before anybody notices, and then the file does

    async def delete_missed() -> None:
        await world.services.files.delete(alice, [missed.id])

    assert (await object_check(world, Meanwhile(world, after_finding=delete_missed)).page(None)).findings == []


async def test_a_fix_looks_again_right_before_it_removes(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent(world, alice)
    key = upload.object_key
    async with world.database.transaction() as connection:
        row = (await connection.execute(select(UploadRow.__table__).where(UploadRow.object_key == key))).one()
        await connection.execute(delete(UploadRow))
    world.clock.advance(days=1)
    check = object_check(world)
    page = await check.page(None)
    assert kinds(page.findings) == [(FindingKind.ORPHAN, key)]
    async with world.database.transaction() as connection:  # as if a backup was put back meanwhile
        await connection.execute(insert(UploadRow).values(**row._mapping))
    assert await check.fix(page.findings) == {}
    assert set(world.store.objects) == {key}
    async with world.database.autocommit() as connection:
        assert (await connection.execute(select(ObjectDeletionRow))).all() == []


async def test_no_more_is_removed_than_was_allowed(sqlite_world: World) -> None:
    world = sqlite_world
    orphans = [orphan(world) for _ in range(3)]
    world.clock.advance(days=1)
    with pytest.raises(Conflict, match="at least 3 things"):
        await steps_of(everything(world, max_removals=2), fix=True)
    assert set(world.store.objects) == set(orphans)  # not two of them, either
    assert len(await found(world)) == 3
    assert len(fixed(await steps_of(everything(world, max_removals=3), fix=True))) == 3


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 1_000])
async def test_pages_make_no_difference(sqlite_world: World, page_size: int) -> None:
    world, random = sqlite_world, Random(page_size)
    alice = await world.principal("alice")
    files = [await filed(world, alice, f"file {number}") for number in range(9)]
    orphans = [orphan(world) for _ in range(9)]
    broken = [file.object_key for file in random.sample(files, 4)]
    for key in broken:
        del world.store.objects[key]
    world.clock.advance(days=1)
    wanted = sorted([(FindingKind.BROKEN, key) for key in broken] + [(FindingKind.ORPHAN, key) for key in orphans])
    check: Check = object_check(world, page_size=page_size)
    steps = await steps_of(Reconciling([check], max_removals=9), fix=False)
    assert sorted(kinds(told(steps))) == wanted
    assert sum(step.page.examined for step in steps) == len(files) + len(orphans)
    for number, step in enumerate(steps[:-1], 1):  # whoever stops there goes on there
        rest = await steps_of(Reconciling([check], max_removals=9), fix=False, start=step.place)
        assert rest == steps[number:]


async def test_a_run_that_was_stopped_is_taken_up_where_it_was(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    del world.store.objects[file.object_key]
    keys = [orphan(world) for _ in range(6)]
    world.clock.advance(days=1)

    def checks() -> Reconciling:
        strays = StrayCheck(world.services.strays, prefix=OBJECT_PREFIX, safe_age=SAFE_AGE)
        return Reconciling([object_check(world, page_size=2), strays, CountCheck(world.database)], max_removals=9)

    begun: list[Step] = []
    async for step in checks().run(fix=True):
        begun.append(step)
        if len(begun) == 2:
            break
    left = set(world.store.objects)
    assert 0 < len(left) < len(keys)
    rest = await steps_of(checks(), fix=True, start=begun[-1].place)
    assert world.store.objects == {}
    assert sorted(kinds(fixed([*begun, *rest]))) == [(FindingKind.ORPHAN, key) for key in sorted(keys)]
    assert [step.check for step in rest][-2:] == ["open uploads", "counters"]
    assert rest[-1].place is None


async def test_a_place_in_a_comparison_that_there_is_not_is_refused(sqlite_world: World) -> None:
    with pytest.raises(NotFound):
        await steps_of(everything(sqlite_world), fix=False, start=Place("scopes", None))


async def test_what_was_fixed_is_fixed_again_without_harm(sqlite_world: World) -> None:
    world = sqlite_world
    orphan(world)
    world.clock.advance(days=1)
    check = object_check(world)
    findings = (await check.page(None)).findings
    assert list(await check.fix(findings)) == findings
    assert await check.fix(findings) == {}


async def test_a_store_that_does_not_answer_stops_it(sqlite_world: World) -> None:
    world = sqlite_world
    orphan(world)
    world.clock.advance(days=1)
    world.store.is_up = False
    with pytest.raises(Unavailable):
        await steps_of(everything(world), fix=True)


async def test_strays_are_told_and_aborted(world: World) -> None:
    alice = await world.principal("alice")
    upload = await promised(world, alice, method=UploadMethod.MULTIPART)
    await world.services.upload_targets.target(upload)
    stray = await world.store.begin_parts(PromisedObject(new_object_key(world.clock()), 1, "text/plain", None))
    mine = set(world.store.open) - {stray}
    world.clock.advance(hours=12)
    assert await found(world) == []
    world.clock.advance(hours=11, minutes=59)
    assert await found(world) == []
    world.clock.advance(minutes=1)
    [finding] = told(await steps_of(everything(world), fix=False))
    assert (finding.kind, finding.subject, finding.store_upload_id) == (FindingKind.STRAY, stray.key, stray.id)
    assert set(world.store.open) == {*mine, stray}
    assert fixed(await steps_of(everything(world), fix=True)) == [finding]
    assert set(world.store.open) == mine


async def test_strays_are_told_page_by_page(sqlite_world: World) -> None:
    world = sqlite_world
    key = new_object_key(world.clock())
    begun = [
        await world.store.begin_parts(PromisedObject(each, 1, "text/plain", None))
        for each in (key, key, key, new_object_key(world.clock()))
    ]
    world.clock.advance(days=1)
    strays = Strays(world.database, world.store, world.clock, page_size=2)
    check = StrayCheck(strays, prefix=OBJECT_PREFIX, safe_age=SAFE_AGE)
    steps = await steps_of(Reconciling([check], max_removals=9), fix=False)
    assert [StoreUpload(each.subject, str(each.store_upload_id)) for each in told(steps)] == sorted(
        begun, key=lambda each: (each.key, each.id)
    )
    assert [step.page.examined for step in steps] == [2, 2, 0]


async def miscount(world: World, holder: object, **numbers: int) -> None:
    async with world.database.transaction() as connection:
        await connection.execute(update(StorageUsageRow).where(StorageUsageRow.holder == str(holder)).values(**numbers))


async def test_counters_are_compared_with_what_they_count(world: World) -> None:
    alice, bob, carol = [await world.principal(name) for name in ("alice", "bob", "carol")]
    folder = await foldered(world, alice, "limited")
    await limited(world, folder.id, 1_000)
    file = await filed(world, alice, folder_id=folder.id)
    await filed(world, alice, "new", replaces=file.id)
    await promised(world, bob)
    await filed(world, carol)
    assert await found(world) == []
    await miscount(world, alice.user_id, stored=7)
    await miscount(world, folder.id, reserved=-1)
    async with world.database.transaction() as connection:
        await connection.execute(delete(StorageUsageRow).where(StorageUsageRow.holder == str(bob.user_id)))
    wrong = [(FindingKind.MISCOUNTED, str(each)) for each in sorted((folder.id, alice.user_id, bob.user_id), key=str)]
    assert await found(world) == wrong
    assert await taken(world, alice) == (7, 0)  # it was only looked at
    steps = await steps_of(everything(world), fix=True)
    assert kinds(fixed(steps)) == wrong
    assert "counted are 7 bytes stored and 0 reserved, there are 10 bytes stored and 0 reserved" in {
        finding.detail for finding in fixed(steps)
    }
    assert (await taken(world, alice), await taken(world, bob), await taken(world, folder.id)) == (
        (10, 0),
        (0, 5),
        (10, 0),
    )
    await require_exact(world)
    assert await found(world) == []


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5])
async def test_every_counter_is_compared_whatever_the_page(sqlite_world: World, page_size: int) -> None:
    world = sqlite_world
    principals = [await world.principal(name) for name in ("alice", "bob", "carol")]
    folders = [(await foldered(world, each, "limited")).id for each in principals[:2]]
    for folder in folders:
        await limited(world, folder, 1_000)
    for each in principals:
        await filed(world, each)
    holders = sorted([*map(str, folders), *(str(each.user_id) for each in principals)])
    for holder in holders:
        await miscount(world, holder, stored=99)
    steps = await steps_of(Reconciling([CountCheck(world.database, page_size=page_size)], max_removals=0), fix=False)
    assert [finding.subject for finding in told(steps)] == holders
    assert sum(step.page.examined for step in steps) == len(holders) + 1  # and the administrator, who has nothing


async def test_counters_agree_while_others_count(world: World) -> None:
    alice = await world.principal("alice")
    await limited(world, (await foldered(world, alice, "limited")).id, 1_000)
    over = asyncio.Event()

    async def use() -> None:
        for number in range(8):
            file = await filed(world, alice, f"file {number}")
            await world.services.files.delete(alice, [file.id])
        over.set()

    using = asyncio.create_task(use())
    while not over.is_set():
        assert (await CountCheck(world.database).page(None)).findings == []
        await asyncio.sleep(0)
    await using


async def test_a_kept_version_counts_as_what_a_file_has(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    upload = await sent(world, alice, "new", replaces=file.id)
    await world.services.completion.complete(alice, upload.id)
    async with world.database.transaction() as connection:  # a version that somebody has lost by hand
        await connection.execute(delete(FileVersionRow).where(FileVersionRow.object_key == file.object_key))
    world.clock.advance(days=1)
    assert await found(world) == [
        (FindingKind.ORPHAN, file.object_key),
        (FindingKind.MISCOUNTED, str(alice.user_id)),
    ]
    assert len(fixed(await steps_of(everything(world), fix=True))) == 2
    await assert_in_agreement(world)
    assert set(world.store.objects) == {upload.object_key}


async def test_a_restored_backup_is_told_what_it_comes_to(sqlite_world: World, tmp_path: Path) -> None:
    """As ``docs/operations.md`` says."""
    world = sqlite_world
    alice = await world.principal("alice")
    kept, deleted = await filed(world, alice, "kept"), await filed(world, alice, "deleted")
    completed = await promised(world, alice, "completed")
    async with world.database.autocommit() as connection:
        await connection.execute(text(f"VACUUM INTO '{tmp_path}/backup.db'"))
    send(world, completed)
    await world.services.completion.complete(alice, completed.id)
    await world.services.files.delete(alice, [deleted.id])
    new = await filed(world, alice, "new")
    world.clock.advance(days=1)

    restored = World(Database(f"sqlite:///{tmp_path}/backup.db"), clock=world.clock)
    restored.store.objects, restored.store.modified = world.store.objects, world.store.modified
    assert set(await found(restored)) == {
        (FindingKind.BROKEN, deleted.object_key),
        (FindingKind.ORPHAN, new.object_key),
    }
    await restored.sweep()
    assert set(restored.store.objects) == {kept.object_key, completed.object_key, new.object_key}
    assert completed.file_id in await restored.services.files.find(alice, [completed.file_id])
    await restored.services.files.delete(alice, [deleted.id])
    assert len(fixed(await steps_of(everything(restored), fix=True))) == 1
    await assert_in_agreement(restored)
    await restored.database.close()
