"""New bytes for a file: it keeps all but them, and what it had is shown, restored and deleted."""

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from sqlalchemy import delete

from graphql_api.access import read_grant
from graphql_api.db.tables import FileVersionRow
from graphql_api.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    Unavailable,
    UploadMismatch,
    UploadStateConflict,
)
from graphql_api.model.audit import AuditAction, AuditEvent, AuditFilter
from graphql_api.model.delivery import LinkWish
from graphql_api.model.file import ChecksumAlgorithm, Evidence, File, FileVersion, Integrity
from graphql_api.model.ids import FileId, VersionId, new_file_id, new_version_id
from graphql_api.model.listing import FileFilter, FileOrder, FileOrderField, OrderDirection
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ANYONE, Obligations
from graphql_api.model.upload import Upload, UploadStatus
from tests.services.stories import denied, filed, foldered, promised, ruled, send, sent, unruled
from tests.services.test_uploads import SHA256
from tests.world import MAX_VERSIONS, START, World

READ, WRITE, DELETE = Permission.READ, Permission.WRITE, Permission.DELETE


async def replaced(
    world: World, principal: Principal, file: File, content: bytes = b"other", **wish: Any
) -> tuple[Upload, File]:
    """A new version with ``content``."""
    upload = await promised(world, principal, "new.txt", replaces=file.id, size=len(content), **wish)
    send(world, upload, content)
    done, changed = await world.services.completion.complete(principal, upload.id)
    assert changed is not None
    return done, changed


async def versions_of(
    world: World, principal: Principal, file_id: FileId, request: PageRequest | None = None
) -> Sequence[FileVersion]:
    return (await world.services.versions.list_of(principal, request or PageRequest(), [file_id]))[file_id].nodes


async def current(world: World, principal: Principal, file: File) -> File:
    return (await world.services.files.find(principal, [file.id]))[file.id]


async def happened(world: World, target: str) -> list[AuditEvent]:
    admin = await world.principal("root", is_admin=True)
    page = await world.services.audit_log.list(admin, AuditFilter(resource_id=target), PageRequest())
    return list(page.nodes)


async def test_a_file_with_new_bytes_keeps_all_the_rest(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, "plan.txt", sha256=SHA256)
    await world.services.notes.change_labels(alice, file.id, ["draft"])
    await world.services.notes.change_metadata(alice, file.id, {"note": "x"})
    world.clock.advance(minutes=1)
    upload, changed = await replaced(world, alice, file, b"# longer", content_type="text/markdown")
    assert changed == replace(
        file,
        size=8,
        content_type="text/markdown",
        stored_content_type="text/markdown",
        sha256=None,
        object_key=upload.object_key,
        updated_at=START + timedelta(minutes=1),
    )
    assert (upload.status, upload.filename, upload.result_id) == (UploadStatus.COMPLETED, "new.txt", file.id)
    assert await world.services.notes.labels(alice, [file.id]) == {file.id: ("draft",)}
    assert await world.services.notes.metadata(alice, [file.id]) == {file.id: {"note": "x"}}
    assert await world.services.completion.complete(alice, upload.id) == (upload, changed)  # idempotent
    second, first = await versions_of(world, alice, file.id)
    assert (first.number, first.is_current, first.size, first.object_key) == (1, False, file.size, file.object_key)
    assert first.integrity == Integrity(ChecksumAlgorithm.SHA256, SHA256, Evidence.PROMISED)
    assert (second.number, second.is_current, second.size, second.content_type) == (2, True, 8, "text/markdown")
    assert (second.created_by, second.created_at) == (alice.user_id, changed.updated_at)
    assert {file.object_key, upload.object_key} == set(world.store.objects)
    [event] = [each for each in await happened(world, file.id) if each.action is AuditAction.FILE_REPLACED]
    assert event.actor_id == alice.user_id
    assert event.before == {"size": 5, "contentType": "text/plain"}
    assert event.after == {"versionId": second.id, "number": 2, "size": 8, "contentType": "text/markdown"}


async def test_lists_go_by_the_new_bytes(world: World) -> None:
    alice = await world.principal("alice")
    one, two = await filed(world, alice, "1"), await filed(world, alice, "2")
    await replaced(world, alice, one, b"much longer", content_type="image/png; x=y")
    by_size = FileOrder(FileOrderField.SIZE, OrderDirection.DESC)

    async def listed(wanted: FileFilter) -> list[FileId]:
        return [file.id for file in (await world.services.files.list(alice, wanted, by_size, PageRequest())).nodes]

    assert await listed(FileFilter()) == [one.id, two.id]
    assert await listed(FileFilter(content_types=("image/*",))) == [one.id]
    assert await listed(FileFilter(content_types=("text/plain",))) == [two.id]
    assert await listed(FileFilter(words=("new",))) == []


async def test_a_version_is_promised_to_those_who_may_write_the_file(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    for hidden in (file.id, new_file_id(START)):
        with pytest.raises(NotFound) as absent:
            await promised(world, bob, replaces=hidden)
        assert absent.value.path == ("replaceFileId",)
    await ruled(world, bob, file.id, WRITE)
    with pytest.raises(NotFound):  # WRITE without READ shows nothing
        await promised(world, bob, replaces=file.id)
    await ruled(world, bob, file.id, READ)
    await denied(world, bob, file.id, WRITE)
    with pytest.raises(Forbidden) as missing:
        await promised(world, bob, replaces=file.id)
    assert (missing.value.required_permission, missing.value.path) == (WRITE, ("replaceFileId",))
    with pytest.raises(Forbidden):
        await promised(world, ANONYMOUS, replaces=file.id)


async def test_who_may_write_the_file_no_longer_completes_no_version_of_it(world: World) -> None:
    """Neither by their own word nor by the store's."""
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    reading, writing = await ruled(world, bob, file.id, READ), await ruled(world, bob, file.id, WRITE)
    upload = await sent(world, bob, replaces=file.id)
    for gone, error in ((writing, Forbidden), (reading, NotFound)):
        await unruled(world, gone)
        with pytest.raises(error) as caught:
            await world.services.completion.complete(bob, upload.id)
        assert caught.value.path == ("uploadId",)
        left = await world.services.completion.arrived(upload.object_key)
        assert left is not None
        assert left.status is UploadStatus.PENDING
    assert await current(world, alice, file) == file
    await ruled(world, bob, file.id, READ, WRITE)
    done = await world.services.completion.arrived(upload.object_key)
    assert done is not None
    assert done.status is UploadStatus.COMPLETED
    assert (await current(world, alice, file)).object_key == upload.object_key
    [event] = [each for each in await happened(world, file.id) if each.action is AuditAction.FILE_REPLACED]
    assert event.actor_id == bob.user_id


async def test_a_version_that_its_owner_may_not_bring_expires_and_leaves_nothing(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    rule = await ruled(world, bob, file.id, READ, WRITE)
    upload = await sent(world, bob, replaces=file.id)
    await unruled(world, rule)
    world.clock.now = upload.expires_at
    await world.sweep()
    assert (await world.services.uploads.get(bob, upload.id)).status is UploadStatus.EXPIRED
    assert set(world.store.objects) == {file.object_key}


async def test_bytes_that_are_not_as_promised_leave_the_file_as_it_is(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    upload = await promised(world, alice, replaces=file.id)
    send(world, upload, b"x")
    with pytest.raises(UploadMismatch):
        await world.services.completion.complete(alice, upload.id)
    assert await current(world, alice, file) == file
    assert set(world.store.objects) == {file.object_key}


@pytest.mark.parametrize("by_folder", [False, True])
async def test_a_file_that_goes_takes_its_versions_and_what_would_become_one(world: World, by_folder: bool) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "folder")
    file = await filed(world, alice, folder_id=folder.id)
    await replaced(world, alice, file)
    pending = await sent(world, alice, replaces=file.id)
    assert len(world.store.objects) == 3
    if by_folder:
        await world.services.folders.delete(alice, folder.id, is_recursive=True)
    else:
        await world.services.files.delete(alice, [file.id])
    assert world.store.objects == {}
    assert (await world.services.uploads.get(alice, pending.id)).status is UploadStatus.ABORTED
    with pytest.raises(UploadStateConflict):
        await world.services.completion.complete(alice, pending.id)
    assert await versions_of(world, alice, file.id) == ()


async def test_a_pending_version_goes_where_its_file_goes(world: World) -> None:
    """The folder that the file has left can go without it."""
    alice = await world.principal("alice")
    old, new = await foldered(world, alice, "old"), await foldered(world, alice, "new")
    file = await filed(world, alice, folder_id=old.id)
    upload = await sent(world, alice, replaces=file.id)
    await world.services.files.move(alice, file.id, new.id)
    await world.services.folders.delete(alice, old.id, is_recursive=True)
    assert (await world.services.uploads.get(alice, upload.id)).folder_id == new.id
    _, changed = await world.services.completion.complete(alice, upload.id)
    assert changed is not None
    assert (changed.folder_id, changed.object_key) == (new.id, upload.object_key)


async def test_a_version_needs_no_free_name(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, "same.txt")
    upload = await promised(world, alice, "same.txt", replaces=file.id)
    send(world, upload)
    _, changed = await world.services.completion.complete(alice, upload.id)
    assert changed is not None
    assert (changed.id, changed.name) == (file.id, "same.txt")


async def test_an_old_version_is_restored_without_a_copy(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, sha256=SHA256)
    _, changed = await replaced(world, alice, file)
    second, first = await versions_of(world, alice, file.id)
    world.clock.advance(minutes=1)
    restored = await world.services.versions.restore(alice, file.id, first.id)
    assert restored == replace(file, updated_at=START + timedelta(minutes=1)) == await current(world, alice, file)
    assert await world.services.versions.restore(alice, file.id, first.id) == restored  # as it is
    assert [version.is_current for version in await versions_of(world, alice, file.id)] == [False, True]
    again = await world.services.versions.restore(alice, file.id, second.id)
    assert again.object_key == changed.object_key
    assert set(world.store.objects) == {file.object_key, changed.object_key}
    events = [each for each in await happened(world, file.id) if each.action is AuditAction.FILE_VERSION_RESTORED]
    assert {each.after and each.after["number"] for each in events} == {1, 2}
    assert (await world.services.files.integrity(alice, [file.id])) == {}


async def test_a_corrected_type_stays_with_its_bytes(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    await world.services.files.update(alice, file.id, content_type="text/markdown")
    _, changed = await replaced(world, alice, file)
    assert changed.content_type == "text/plain"
    await world.services.files.update(alice, file.id, content_type="text/csv")
    second, first = await versions_of(world, alice, file.id)
    assert [(each.content_type, each.stored_content_type) for each in (first, second)] == [
        ("text/markdown", "text/plain"),
        ("text/csv", "text/plain"),
    ]
    grant = read_grant(first.of(await current(world, alice, file)))
    assert grant is not None
    [link] = world.services.delivery.sign([grant], LinkWish(timedelta(hours=1)))
    assert "response-content-type=text%2Fmarkdown" in link.url
    restored = await world.services.versions.restore(alice, file.id, first.id)
    assert (restored.content_type, restored.stored_content_type) == ("text/markdown", "text/plain")
    await world.services.files.update(alice, file.id, content_type="text/plain")  # as it was
    assert (await versions_of(world, alice, file.id))[1].content_type == "text/plain"


async def test_a_version_is_opened_on_the_terms_of_its_file(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    bob = replace(bob, address=ip_address("192.0.2.7"))
    file = await filed(world, alice, "plan.txt")
    await replaced(world, alice, file)
    strict = Obligations(max_lifetime=timedelta(minutes=1), forces_download=True)
    await ruled(world, bob, file.id, READ, obligations=strict)
    [_, first] = await versions_of(world, bob, file.id)
    grant = world.services.delivery.grant(first.of(await current(world, bob, file)))
    assert grant is not None
    [signed] = world.services.delivery.sign([grant], LinkWish(timedelta(hours=1)))
    assert file.object_key in signed.url
    assert "attachment" in signed.url
    assert "plan.txt" in signed.url
    assert signed.expires_at <= START + timedelta(minutes=1)


async def test_versions_are_hidden_with_their_file(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file, own = await filed(world, alice), await filed(world, bob)
    await replaced(world, alice, file)
    _, first = await versions_of(world, alice, file.id)
    versions = world.services.versions
    assert await versions.find(bob, [first.id]) == {}
    assert await versions_of(world, bob, file.id) == ()
    works: list[Awaitable[object]] = [
        versions.restore(bob, file.id, first.id),
        versions.delete(bob, file.id, [first.id]),
        versions.restore(bob, own.id, first.id),  # of another file
        versions.restore(bob, own.id, new_version_id(START)),
    ]
    paths = []
    for work in works:
        with pytest.raises(NotFound) as caught:
            await work
        paths.append(caught.value.path)
    assert paths == [("fileId",), ("fileId",), ("versionId",), ("versionId",)]
    [foreign] = await versions.delete(bob, own.id, [first.id])
    assert isinstance(foreign, NotFound)
    await ruled(world, bob, file.id, READ)
    assert set(await versions.find(bob, [first.id])) == {first.id}
    for work, permission in (
        (versions.restore(bob, file.id, first.id), WRITE),
        (versions.delete(bob, file.id, []), DELETE),
    ):
        with pytest.raises(Forbidden) as refused:
            await work
        assert (refused.value.required_permission, refused.value.path) == (permission, ("fileId",))
    await ruled(world, ANYONE, file.id, READ)
    assert len(await versions_of(world, ANONYMOUS, file.id)) == 2


async def test_old_versions_are_deleted_and_the_current_one_is_not(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    for _ in range(3):
        await replaced(world, alice, file)
    fourth, third, second, first = await versions_of(world, alice, file.id)
    await world.services.versions.restore(alice, file.id, third.id)
    wanted = [fourth.id, third.id, second.id, VersionId("version_x"), second.id]
    results = await world.services.versions.delete(alice, file.id, wanted)
    assert [each if isinstance(each, str) else (type(each), each.path) for each in results] == [
        fourth.id,
        (Conflict, ("versionIds", "1")),
        second.id,
        (NotFound, ("versionIds", "3")),
        second.id,
    ]
    assert [version.id for version in await versions_of(world, alice, file.id)] == [third.id, first.id]
    assert set(world.store.objects) == {third.object_key, first.object_key}
    events = [each for each in await happened(world, file.id) if each.action is AuditAction.FILE_VERSION_DELETED]
    assert {each.before and each.before["versionId"] for each in events} == {fourth.id, second.id}
    await replaced(world, alice, file)
    assert [version.number for version in await versions_of(world, alice, file.id)] == [5, 3, 1]  # none is used twice


async def test_bytes_of_a_deleted_version_go_even_when_the_store_is_down(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    _, changed = await replaced(world, alice, file)
    [_, first] = await versions_of(world, alice, file.id)
    world.store.is_up = False
    assert await world.services.versions.delete(alice, file.id, [first.id]) == [first.id]
    world.store.is_up = True
    await world.sweep()
    assert set(world.store.objects) == {changed.object_key}


async def test_of_too_many_versions_the_oldest_goes_and_never_the_current_one(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    for _ in range(MAX_VERSIONS - 1):
        await replaced(world, alice, file)
    first = (await versions_of(world, alice, file.id))[-1]
    await world.services.versions.restore(alice, file.id, first.id)
    for number in range(2):
        _, changed = await replaced(world, alice, file)
        kept = await versions_of(world, alice, file.id)
        assert [version.number for version in kept] == list(range(6 + number, 1 + number, -1))
        assert kept[0].is_current
        assert set(world.store.objects) == {version.object_key for version in kept}
    assert changed.object_key == kept[0].object_key
    gone = [each for each in await happened(world, file.id) if each.action is AuditAction.FILE_VERSION_DELETED]
    assert {each.before and each.before["number"] for each in gone} == {1, 2}


async def test_pages_of_versions_follow_each_other_in_both_directions(world: World) -> None:
    alice = await world.principal("alice")
    file, other = await filed(world, alice, "1"), await filed(world, alice, "2")
    for _ in range(4):
        await replaced(world, alice, file)
    await replaced(world, alice, other)
    list_of = world.services.versions.list_of

    async def walked(request: PageRequest) -> list[list[int]]:
        found = []
        while True:
            page = (await list_of(alice, request, [other.id, file.id]))[file.id]
            found.append([version.number for version in page.nodes])
            if not (page.has_previous_page if request.is_backward else page.has_next_page):
                return found
            edge = page.nodes[0 if request.is_backward else -1]
            request = replace(request, cursor=page.cursor_of(edge))

    assert await walked(PageRequest(2)) == [[5, 4], [3, 2], [1]]
    assert await walked(PageRequest(2, is_backward=True)) == [[2, 1], [4, 3], [5]]
    files = await world.services.files.list(alice, FileFilter(), FileOrder(), PageRequest())
    with pytest.raises(InvalidInput):
        await list_of(alice, PageRequest(2, files.cursor_of(files.nodes[0])), [file.id])


async def test_what_an_earlier_release_wrote_no_version_of_is_not_lost(world: World) -> None:
    """It may still run while this one is being rolled out."""
    alice = await world.principal("alice")
    file = await filed(world, alice, sha256=SHA256)
    async with world.database.transaction() as connection:
        await connection.execute(delete(FileVersionRow))
    await world.services.files.update(alice, file.id, content_type="text/markdown")
    await replaced(world, alice, file)
    second, first = await versions_of(world, alice, file.id)
    assert (second.number, first.number, first.object_key) == (2, 1, file.object_key)
    assert (first.content_type, first.stored_content_type) == ("text/markdown", "text/plain")
    assert (await world.services.versions.restore(alice, file.id, first.id)).sha256 == SHA256


async def test_a_store_that_is_down_leaves_the_file_as_it_is(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    upload = await sent(world, alice, replaces=file.id)
    world.store.is_up = False
    with pytest.raises(Unavailable):
        await world.services.completion.complete(alice, upload.id)
    assert await current(world, alice, file) == file
