"""Who watches an upload or a folder is told what happens, if it is committed, and if they may know."""

import asyncio
import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from graphql_api.db.engine import Database
from graphql_api.db.signals import MAX_WAITING, announce
from graphql_api.errors import NotFound, UploadMismatch
from graphql_api.model.ids import ROOT_FOLDER_ID, FileId, FolderId, UserId, new_folder_id, new_upload_id
from graphql_api.model.labels import MAX_LABELS
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ANYONE, Effect
from graphql_api.model.scan import Judge
from graphql_api.model.signal import REFRESH, Departed, EntryChanged, FolderChange, FolderEvent, UploadProgress
from graphql_api.model.store_event import ScanResult, ScanVerdict
from graphql_api.model.upload import UploadStatus
from graphql_api.services.announcements import MAX_NAMED
from tests.services.stories import denied, filed, foldered, home_of, promised, ruled, send, sent, statements, unruled
from tests.watching import watching_folder, watching_upload
from tests.world import START, World

READ = Permission.READ


def told(progress: UploadProgress) -> tuple[UploadStatus | None, UploadStatus]:
    return progress.previous_status, progress.upload.status


async def test_a_watcher_of_an_upload_is_told_its_state_first_and_how_it_ends(live_world: World) -> None:
    ada = await live_world.principal("ada")
    upload = await promised(live_world, ada)
    async with watching_upload(live_world, ada, upload.id) as watcher:
        assert told(await watcher.next()) == (None, UploadStatus.PENDING)
        send(live_world, upload)
        await live_world.services.completion.complete(ada, upload.id)
        assert told(await watcher.next()) == (UploadStatus.PENDING, UploadStatus.COMPLETED)
        assert await watcher.has_ended()
    assert live_world.database.signals.watched == 0


async def test_every_end_of_an_upload_is_told(live_world: World) -> None:
    ada = await live_world.principal("ada")
    home = await home_of(live_world, ada)
    inner = await foldered(live_world, ada, "inner", parent_id=home)

    async def abort() -> None:
        await live_world.services.uploads.abort(ada, aborted.id)

    async def fail() -> None:
        send(live_world, failed, b"other bytes")
        with pytest.raises(UploadMismatch):
            await live_world.services.completion.complete(ada, failed.id)

    async def delete_folder() -> None:
        await live_world.services.folders.delete(ada, inner.id)

    async def expire() -> None:
        live_world.clock.advance(days=2)
        await live_world.sweep()

    aborted, failed, expired = [await promised(live_world, ada, name) for name in ("a", "b", "c")]
    without_folder = await promised(live_world, ada, "d", folder_id=inner.id)
    for upload, end, status in (
        (aborted, abort, UploadStatus.ABORTED),
        (failed, fail, UploadStatus.FAILED),
        (without_folder, delete_folder, UploadStatus.ABORTED),
        (expired, expire, UploadStatus.EXPIRED),
    ):
        async with watching_upload(live_world, ada, upload.id) as watcher:
            assert told(await watcher.next()) == (None, UploadStatus.PENDING)
            await end()
            assert told(await watcher.next()) == (UploadStatus.PENDING, status)
            assert await watcher.has_ended()


async def test_an_upload_that_is_over_is_told_once(live_world: World) -> None:
    ada = await live_world.principal("ada")
    upload = await sent(live_world, ada)
    await live_world.services.completion.complete(ada, upload.id)
    async with watching_upload(live_world, ada, upload.id) as watcher:
        assert told(await watcher.next()) == (None, UploadStatus.COMPLETED)
        assert await watcher.has_ended()


async def test_a_hidden_upload_and_an_absent_one_look_alike(live_world: World) -> None:
    ada, bob = await live_world.principal("ada"), await live_world.principal("bob")
    upload = await promised(live_world, ada)
    faults = []
    for who, which in ((bob, upload.id), (bob, new_upload_id(START)), (ANONYMOUS, upload.id)):
        with pytest.raises(NotFound) as caught:
            await live_world.services.live.upload_progress(who, which)
        faults.append((caught.value.message, caught.value.path))
    assert len(set(faults)) == 1
    root = await live_world.principal("root", is_admin=True)
    async with watching_upload(live_world, root, upload.id) as watcher:
        assert told(await watcher.next()) == (None, UploadStatus.PENDING)


async def test_nobody_is_told_of_what_is_not_committed(live_world: World) -> None:
    """Whatever is told next must be the mark that was committed after it."""
    ada = await live_world.principal("ada")
    home = await home_of(live_world, ada)
    file, mark = await filed(live_world, ada, "file"), await filed(live_world, ada, "mark")
    async with watching_folder(live_world, ada, home) as watcher:
        with suppress(ZeroDivisionError):
            async with live_world.database.transaction() as connection:
                announce(connection, EntryChanged(FolderChange.UPDATED, home, file.id))
                raise ZeroDivisionError
        async with live_world.database.transaction() as connection:
            announce(connection, EntryChanged(FolderChange.UPDATED, home, mark.id))
        assert await watcher.next() == FolderEvent(FolderChange.UPDATED, mark.id, mark)


async def test_what_is_told_is_already_true(live_world: World) -> None:
    """The other order: announced first, changed after, told when both are there to be read."""
    ada = await live_world.principal("ada")
    home = await home_of(live_world, ada)
    async with watching_folder(live_world, ada, home) as watcher:
        for number in range(10):
            file = await filed(live_world, ada, f"{number}.txt")
            assert await watcher.next() == FolderEvent(FolderChange.CREATED, file.id, file)


async def test_what_is_there_is_not_told_to_have_gone(live_world: World) -> None:
    """It came back before anybody looked, or the signal is a lie."""
    ada = await live_world.principal("ada")
    home = await home_of(live_world, ada)
    file, folder = await filed(live_world, ada, "file"), await foldered(live_world, ada, "folder")
    gone = Departed(UserId(str(ada.user_id)))
    async with watching_folder(live_world, ada, home) as watcher:
        async with live_world.database.transaction() as connection:
            for change in (FolderChange.MOVED_OUT, FolderChange.DELETED):
                announce(connection, EntryChanged(change, home, file.id, gone))
                announce(connection, EntryChanged(change, home, folder.id, gone))
        mark = await filed(live_world, ada, "mark")
        assert await watcher.next() == FolderEvent(FolderChange.CREATED, mark.id, mark)


async def test_each_change_of_a_file_is_told_where_it_happens(live_world: World) -> None:
    ada = await live_world.principal("ada")
    services = live_world.services
    here, there = await foldered(live_world, ada, "here"), await foldered(live_world, ada, "there")
    async with (
        watching_folder(live_world, ada, here.id) as at_here,
        watching_folder(live_world, ada, there.id) as at_there,
    ):
        file = await filed(live_world, ada, "a.txt", folder_id=here.id)
        assert await at_here.next() == FolderEvent(FolderChange.CREATED, file.id, file)
        for change in (
            services.files.update(ada, file.id, name="b.txt"),
            services.files.update(ada, file.id, content_type="text/csv"),
            services.notes.change_labels(ada, file.id, ["red"]),
            services.notes.change_metadata(ada, file.id, {"page": "1"}),
        ):
            changed = await change
            assert await at_here.next() == FolderEvent(FolderChange.UPDATED, file.id, changed)
        await services.files.update(ada, file.id, name="b.txt")  # nothing is changed, and nothing told
        moved = await services.files.move(ada, file.id, there.id)
        assert await at_here.next() == FolderEvent(FolderChange.MOVED_OUT, file.id, moved)
        assert await at_there.next() == FolderEvent(FolderChange.MOVED_IN, file.id, moved)
        await services.files.delete(ada, [file.id])
        assert await at_there.next() == FolderEvent(FolderChange.DELETED, file.id)
        other = await filed(live_world, ada, "c.txt", folder_id=here.id)
        assert await at_here.next() == FolderEvent(FolderChange.CREATED, other.id, other)


async def test_a_watcher_of_a_folder_is_told_that_it_is_gone_by_the_end(live_world: World) -> None:
    ada = await live_world.principal("ada")
    outer = await foldered(live_world, ada, "outer")
    inner = await foldered(live_world, ada, "inner", parent_id=outer.id)
    await filed(live_world, ada, folder_id=inner.id)
    async with (
        watching_folder(live_world, ada, inner.id) as at_inner,
        watching_folder(live_world, ada, outer.id) as at_outer,
    ):
        await live_world.services.folders.delete(ada, outer.id, is_recursive=True)
        assert await at_inner.has_ended()
        assert await at_outer.has_ended()
    assert live_world.database.signals.watched == 0


async def test_a_hidden_folder_and_an_absent_one_look_alike(live_world: World) -> None:
    ada, bob = await live_world.principal("ada"), await live_world.principal("bob")
    faults = []
    for who, which in (
        (bob, await home_of(live_world, ada)),
        (bob, new_folder_id(START)),
        (ANONYMOUS, await home_of(live_world, ada)),
    ):
        with pytest.raises(NotFound) as caught:
            await live_world.services.live.folder_events(who, which)
        faults.append((caught.value.message, caught.value.path))
    assert len(set(faults)) == 1


async def test_who_loses_the_folder_is_told_no_more(live_world: World) -> None:
    ada, bob = await live_world.principal("ada"), await live_world.principal("bob")
    home = await home_of(live_world, ada)
    rule = await ruled(live_world, bob, home, READ)
    async with watching_folder(live_world, bob, home) as watcher:
        file = await filed(live_world, ada, "a.txt")
        assert (await watcher.next()).entry_id == file.id
        await unruled(live_world, rule)
        await filed(live_world, ada, "b.txt")
        assert await watcher.has_ended()


async def test_a_rule_that_ends_by_itself_ends_what_is_told(live_world: World) -> None:
    ada, bob = await live_world.principal("ada"), await live_world.principal("bob")
    home = await home_of(live_world, ada)
    await ruled(live_world, bob, home, READ, ends_at=live_world.clock() + timedelta(seconds=1))
    async with watching_folder(live_world, bob, home) as watcher:
        live_world.clock.advance(seconds=1)
        await filed(live_world, ada)
        assert await watcher.has_ended()


async def shared_with_bob(world: World) -> tuple[Principal, Principal, Principal, FolderId, FolderId]:
    """Carol's folder, which Ada uses and Bob may read, and one of hers that he may not."""
    ada, bob, carol = [await world.principal(name) for name in ("ada", "bob", "carol")]
    shared, private = await foldered(world, carol, "shared"), await foldered(world, carol, "private")
    await ruled(world, bob, shared.id, READ)
    for folder in (shared, private):
        await ruled(world, ada, folder.id, READ, Permission.WRITE)
    return ada, bob, carol, shared.id, private.id


@pytest.mark.parametrize("hidden_by", ["file", "label", "owner", "anyone"])
async def test_nothing_is_told_of_a_hidden_file_nor_that_it_went(live_world: World, hidden_by: str) -> None:
    """Whatever is told next must be the mark that follows."""
    ada, bob, carol, shared, private = await shared_with_bob(live_world)
    services = live_world.services
    root = await live_world.principal("root", is_admin=True)  # whom no denial binds
    names = ("deleted", "moved", "renamed")
    deleted, moved, renamed = [await filed(live_world, ada, name, folder_id=shared) for name in names]
    if hidden_by == "label":
        for file in (deleted, moved, renamed):
            await services.notes.change_labels(ada, file.id, ["secret", *(f"label {n}" for n in range(MAX_LABELS - 1))])
        await denied(live_world, bob, "label:secret", READ)
    elif hidden_by == "owner":
        await denied(live_world, bob, str(ada.user_id), READ)
    else:
        for file in (deleted, moved, renamed):
            await denied(live_world, bob if hidden_by == "file" else ANYONE, file.id, READ)
    async with watching_folder(live_world, bob, shared) as watcher:
        await services.files.update(root, renamed.id, name="other")
        await services.files.move(root, moved.id, private)
        await services.files.move(root, moved.id, shared)
        assert await services.files.delete(root, [deleted.id]) == [deleted.id]
        mark = await filed(live_world, carol, "mark", folder_id=shared)
        event = await watcher.next()
        assert (event.change, event.entry_id) == (FolderChange.CREATED, mark.id)


async def test_who_could_see_a_file_is_told_that_it_went(live_world: World) -> None:
    ada, bob, _, shared, private = await shared_with_bob(live_world)
    eve = await live_world.principal("eve")
    file, other = [await filed(live_world, ada, name, folder_id=shared) for name in "ab"]
    await live_world.services.notes.change_labels(ada, file.id, ["red"])
    await denied(live_world, eve, file.id, READ)
    await ruled(live_world, "signed-in", "label:red", READ)
    root = await live_world.principal("root", is_admin=True)
    await denied(live_world, root, file.id, READ)  # which does not bind an administrator
    async with watching_folder(live_world, bob, shared) as bobs, watching_folder(live_world, root, shared) as roots:
        await live_world.services.files.move(ada, other.id, private)
        assert await bobs.next() == FolderEvent(FolderChange.MOVED_OUT, other.id)  # where to is nothing for him
        event = await roots.next()
        assert (event.change, event.entry_id) == (FolderChange.MOVED_OUT, other.id)
        assert event.entry is not None
        await live_world.services.files.delete(ada, [file.id])
        assert await bobs.next() == FolderEvent(FolderChange.DELETED, file.id)
        assert await roots.next() == FolderEvent(FolderChange.DELETED, file.id)


async def test_a_file_with_very_many_rules_goes_quietly(live_world: World) -> None:
    """Its signal has to fit into a NOTIFY: then only administrators are told."""
    ada, bob, carol, shared, _ = await shared_with_bob(live_world)
    root = await live_world.principal("root", is_admin=True)
    file = await filed(live_world, ada, folder_id=shared)
    for number in range(MAX_NAMED + 1):
        subject = "user_" + f"{number:026}"
        for effect in Effect:
            await ruled(live_world, subject, file.id, READ, effect=effect)
    async with watching_folder(live_world, bob, shared) as bobs, watching_folder(live_world, root, shared) as roots:
        await live_world.services.files.delete(ada, [file.id])
        assert await roots.next() == FolderEvent(FolderChange.DELETED, file.id)
        other = await filed(live_world, carol, "other", folder_id=shared)
        assert (await bobs.next()).entry_id == other.id


async def test_what_is_too_much_for_a_slow_watcher_is_told_as_one(live_world: World) -> None:
    ada = await live_world.principal("ada")
    home = await home_of(live_world, ada)
    async with watching_folder(live_world, ada, home) as slow:
        gone = Departed(UserId(str(ada.user_id)))
        async with live_world.database.transaction() as connection:
            for number in range(MAX_WAITING + 10):
                announce(connection, EntryChanged(FolderChange.DELETED, home, FileId(f"file_{number:026}"), gone))
        events = [await slow.next()]
        while REFRESH not in events:
            events.append(await slow.next())
        assert len(events) <= MAX_WAITING + 1
        mark = await filed(live_world, ada, "mark")
        while events[-1].entry_id != mark.id:
            events.append(await slow.next())


async def test_a_watcher_that_leaves_is_forgotten(live_world: World) -> None:
    ada = await live_world.principal("ada")
    upload = await promised(live_world, ada)
    async with (
        watching_upload(live_world, ada, upload.id) as first,
        watching_upload(live_world, ada, upload.id) as other,
    ):
        await first.next()
        await other.next()
        waiting = asyncio.create_task(first.next())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert live_world.database.signals.watched == 1
        await live_world.services.uploads.abort(ada, upload.id)
        assert told(await other.next()) == (UploadStatus.PENDING, UploadStatus.ABORTED)
    assert live_world.database.signals.watched == 0


async def test_what_happens_to_an_upload_that_is_judged_is_told(live_world: World) -> None:
    """By whichever path: its client completes it, the store says that it is there, upkeep looks, a verdict comes."""
    world = World(live_world.database, judge=Judge.EVENTS)
    ada = await world.principal("ada")
    clean, infected, late = [await promised(world, ada, name) for name in "abc"]
    pending, processing = UploadStatus.PENDING, UploadStatus.PROCESSING
    async with (
        watching_upload(world, ada, clean.id) as at_clean,
        watching_upload(world, ada, infected.id) as at_infected,
        watching_upload(world, ada, late.id) as at_late,
    ):
        for upload, watcher in ((clean, at_clean), (infected, at_infected), (late, at_late)):
            assert told(await watcher.next()) == (None, pending)
            send(world, upload)
        await world.services.completion.complete(ada, clean.id)
        await world.services.completion.arrived(infected.object_key)
        world.clock.advance(hours=1)
        await world.services.lookout.look()
        for watcher in (at_clean, at_infected, at_late):
            assert told(await watcher.next()) == (pending, processing)
        await world.verdicts.judged(ScanVerdict(clean.object_key, "etag", ScanResult.NO_THREATS_FOUND, ()))
        await world.verdicts.judged(ScanVerdict(infected.object_key, "etag", ScanResult.THREATS_FOUND, ("Eicar",)))
        world.clock.advance(days=2)
        await world.services.lookout.look()
        for watcher, status in (
            (at_clean, UploadStatus.COMPLETED),
            (at_infected, UploadStatus.FAILED),
            (at_late, UploadStatus.FAILED),
        ):
            assert told(await watcher.next()) == (processing, status)
            assert await watcher.has_ended()


async def test_an_upload_of_new_bytes_ends_with_its_file(live_world: World) -> None:
    ada = await live_world.principal("ada")
    folder = await foldered(live_world, ada, "folder")
    alone, inside = await filed(live_world, ada), await filed(live_world, ada, folder_id=folder.id)
    uploads = [await promised(live_world, ada, replaces=file.id) for file in (alone, inside)]
    async with (
        watching_upload(live_world, ada, uploads[0].id) as at_alone,
        watching_upload(live_world, ada, uploads[1].id) as at_inside,
    ):
        for watcher in (at_alone, at_inside):
            assert told(await watcher.next()) == (None, UploadStatus.PENDING)
        await live_world.services.files.delete(ada, [alone.id])
        await live_world.services.folders.delete(ada, folder.id, is_recursive=True)
        for watcher in (at_alone, at_inside):
            assert told(await watcher.next()) == (UploadStatus.PENDING, UploadStatus.ABORTED)
            assert await watcher.has_ended()


async def test_a_change_costs_one_statement_more_at_most_and_a_promise_or_a_list_none(world: World) -> None:
    ada = await world.principal("ada")
    file, folder = await filed(world, ada, "file"), await foldered(world, ada, "folder")
    services = world.services
    upload = await sent(world, ada)
    for work, announces in (
        (lambda: promised(world, ada, "promised"), False),
        (lambda: services.files.list(ada, FileFilter(), FileOrder(), PageRequest(100)), False),
        (lambda: services.completion.complete(ada, upload.id), True),
        (lambda: services.files.update(ada, file.id, name="other", content_type="text/csv"), True),
        (lambda: services.files.move(ada, file.id, folder.id), True),
        (lambda: services.folders.delete(ada, folder.id, is_recursive=True), True),
    ):
        with statements(world) as said:
            await work()
        told_by = [statement for statement in said if "pg_notify" in statement]
        assert len(told_by) == (1 if announces and not world.database.is_sqlite else 0)


async def test_what_was_cut_off_in_the_middle_of_its_commit_is_told(sqlite_template: Path, tmp_path: Path) -> None:
    """On SQLite; on PostgreSQL the server tells it."""
    path = shutil.copyfile(sqlite_template, tmp_path / "test.db")
    world = World(Database(f"sqlite:///{path}"))
    ada = await world.principal("ada")
    upload = await promised(world, ada)
    async with watching_upload(world, ada, upload.id) as watcher:
        assert told(await watcher.next()) == (None, UploadStatus.PENDING)
        aborting = asyncio.create_task(world.services.uploads.abort(ada, upload.id))
        engine = world.database._engine.sync_engine
        event.listen(engine, "commit", lambda _connection: aborting.cancel(), once=True)
        with pytest.raises(asyncio.CancelledError):
            await aborting
        assert told(await watcher.next()) == (UploadStatus.PENDING, UploadStatus.ABORTED)
    await world.database.close()


async def test_who_is_no_administrator_any_more_is_told_no_more_of_other_peoples_uploads(live_world: World) -> None:
    ada, bob = await live_world.principal("ada"), await live_world.principal("bob")
    rule = await ruled(live_world, bob, ROOT_FOLDER_ID, Permission.ADMINISTER)
    upload = await promised(live_world, ada)
    async with watching_upload(live_world, bob, upload.id) as watcher:
        assert told(await watcher.next()) == (None, UploadStatus.PENDING)
        await unruled(live_world, rule)
        await live_world.services.uploads.abort(ada, upload.id)
        assert await watcher.has_ended()
