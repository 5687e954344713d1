"""The life of an upload: what is promised, what is refused, and every way it can end."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from graphql_api.db.engine import Database
from graphql_api.errors import (
    BytesMissing,
    Conflict,
    DeliveryError,
    Forbidden,
    InvalidInput,
    NotFound,
    Unavailable,
    UploadMismatch,
    UploadStateConflict,
)
from graphql_api.model.ids import new_folder_id, new_upload_id
from graphql_api.model.page import PageRequest
from graphql_api.model.parts import StoredPart, StoreUpload
from graphql_api.model.principal import ANONYMOUS
from graphql_api.model.upload import OnConflict, Upload, UploadFailureCode, UploadMethod, UploadStatus
from graphql_api.services.upload_targets import PartWish
from graphql_api.services.upload_wishes import UploadWish
from tests.memory_store import MemoryStore, crc_of
from tests.services.stock import taken
from tests.services.stories import CONTENT, filed, foldered, home_of, promised, send, sent, sent_as_one_part, statements
from tests.world import START, World

GIB = 1024**3
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89"
HTML = b"<!DOCTYPE html><html><head><script>alert(1)</script></head><body></body></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><circle r="1"/></svg>'
DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def docx() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<document/>")
    return content.getvalue()


async def now(world: World, upload: Upload) -> Upload:
    admin = await world.principal("root", is_admin=True)
    return (await world.services.uploads.find(admin, [upload.id]))[upload.id]


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"filename": ""}, "filename"),
        ({"filename": "x" * 256}, "filename"),
        ({"filename": "a/b"}, "filename"),
        ({"filename": ".."}, "filename"),
        ({"filename": "nul\0"}, "filename"),
        ({"filename": "cr\r\nlf"}, "filename"),
        ({"filename": "exe\u202efdp.scr"}, "filename"),
        ({"filename": "lone \ud800"}, "filename"),
        ({"size": -1}, "size"),
        ({"size": 10_000 * 5 * GIB + 1}, "size"),
        ({"size": 5 * GIB + 1, "method": UploadMethod.PUT}, "method"),
        ({"size": 5 * GIB + 1, "method": UploadMethod.POST, "sha256": SHA256}, "method"),
        ({"method": UploadMethod.POST}, "method"),
        ({"size": 0, "method": UploadMethod.MULTIPART}, "method"),
        ({"crc64nvme": "0" * 15}, "crc64nvme"),
        ({"crc64nvme": "0" * 15 + "g"}, "crc64nvme"),
        ({"crc64nvme": "0x" + "0" * 14}, "crc64nvme"),
        ({"size": 2**53}, "size"),
        ({"content_type": ""}, "contentType"),
        ({"content_type": "text/plain\r\nx-amz-acl: public-read"}, "contentType"),
        ({"content_type": "a/" + "b" * 254}, "contentType"),
        ({"sha256": ""}, "sha256"),
        ({"sha256": SHA256[:-1]}, "sha256"),
        ({"sha256": SHA256 + "0"}, "sha256"),
        ({"sha256": SHA256[:-1] + "g"}, "sha256"),
        ({"sha256": SHA256[:-1] + "\n"}, "sha256"),
        ({"sha256": "٣" * 64}, "sha256"),
    ],
)
async def test_a_bad_wish_is_refused_at_its_field(wish: dict[str, Any], path: str) -> None:
    """Before any question is asked: there is no database here."""
    world = World(database=None)  # type: ignore[arg-type]  # a use case that asked it would fail with another error
    with pytest.raises(InvalidInput) as caught:
        await promised(world, ANONYMOUS, **wish)
    assert [fault.path for fault in caught.value.faults] == [(path,)]


async def test_all_faults_of_a_wish_are_told_at_once() -> None:
    world = World(database=None)  # type: ignore[arg-type]  # as above
    with pytest.raises(InvalidInput) as caught:
        await world.services.uploads.create(ANONYMOUS, UploadWish("", -1, "x", sha256="y"))
    assert [fault.path for fault in caught.value.faults] == [("filename",), ("size",), ("contentType",), ("sha256",)]


async def test_a_promise_is_kept_as_it_was_made(world: World) -> None:
    alice = await world.principal("alice")
    upload = await promised(
        world,
        alice,
        "Cafe\u0301",
        size=5 * GIB,
        method=UploadMethod.PUT,
        content_type="IMAGE/Png",
        sha256=SHA256.upper(),
    )
    assert (upload.filename, upload.content_type, upload.sha256) == ("Caf\u00e9", "image/png", SHA256)
    assert (upload.size, upload.folder_id) == (5 * GIB, await home_of(world, alice))
    assert await now(world, upload) == upload
    target = await world.services.upload_targets.target(upload)
    assert target is not None
    assert target.expires_at == START + timedelta(hours=1)
    world.clock.advance(hours=23, minutes=50)
    target = await world.services.upload_targets.target(upload)
    assert target is not None
    assert target.expires_at == upload.expires_at  # a target never outlives its upload
    world.clock.advance(minutes=10)
    assert await world.services.upload_targets.target(upload) is None


async def test_unknown_and_foreign_folders_and_uploads_are_alike(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    uploads, complete = world.services.uploads, world.services.completion.complete
    upload, theirs = await sent(world, bob), await home_of(world, bob)

    async def refusal(work: Awaitable[object]) -> tuple[type[DeliveryError], str, tuple[str, ...]]:
        with pytest.raises(DeliveryError) as caught:
            await work
        return type(caught.value), caught.value.message, caught.value.path

    for asking, refused_with in ((alice, NotFound), (ANONYMOUS, Forbidden)):
        hidden = await refusal(promised(world, asking, folder_id=theirs))
        assert hidden == await refusal(promised(world, asking, folder_id=new_folder_id(START)))
        assert hidden[0] is refused_with
    for asking in (alice, ANONYMOUS):
        for change in (complete, uploads.abort):
            hidden = await refusal(change(asking, upload.id))
            assert hidden == await refusal(change(asking, new_upload_id(START)))
            assert hidden[0] is NotFound
    assert (await now(world, upload)).status is UploadStatus.PENDING


async def test_a_new_upload_costs_one_statement_or_where_that_cannot_count_two(world: World) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "folder")
    await promised(world, alice, "first", folder_id=folder.id)  # from then on the rules about her are remembered
    with statements(world) as ran:
        await promised(world, alice, "second", folder_id=folder.id)
    assert len(ran) == (2 if world.database.is_sqlite else 1)


async def test_an_empty_file_is_a_file(world: World) -> None:
    alice = await world.principal("alice")
    upload = await promised(world, alice, size=0)
    send(world, upload, b"")
    _, file = await world.services.completion.complete(alice, upload.id)
    assert file is not None
    assert file.size == 0


async def test_completing_before_the_bytes_are_there_leaves_it_pending(world: World) -> None:
    alice = await world.principal("alice")
    upload = await promised(world, alice)
    with pytest.raises(BytesMissing) as caught:
        await world.services.completion.complete(alice, upload.id)
    assert caught.value.status is UploadStatus.PENDING
    assert await now(world, upload) == upload
    send(world, upload)
    _, file = await world.services.completion.complete(alice, upload.id)
    again, same = await world.services.completion.complete(alice, upload.id)
    assert file == same
    assert again.status is UploadStatus.COMPLETED


async def test_what_is_over_stays_over(world: World) -> None:
    alice = await world.principal("alice")
    uploads, complete = world.services.uploads, world.services.completion.complete
    aborted = await sent(world, alice, "aborted")
    assert (await uploads.abort(alice, aborted.id)).status is UploadStatus.ABORTED
    assert aborted.object_key not in world.store.objects
    assert (await uploads.abort(alice, aborted.id)).status is UploadStatus.ABORTED

    failed = await promised(world, alice, "failed")
    send(world, failed, b"too long")
    with pytest.raises(UploadMismatch):
        await complete(alice, failed.id)
    send(world, failed)  # the right bytes come too late
    with pytest.raises(UploadMismatch):
        await complete(alice, failed.id)
    assert (await uploads.abort(alice, failed.id)).status is UploadStatus.FAILED

    completed = await sent(world, alice, "completed")
    _, file = await complete(alice, completed.id)
    with pytest.raises(UploadStateConflict) as caught:
        await uploads.abort(alice, completed.id)
    assert caught.value.status is UploadStatus.COMPLETED
    assert completed.object_key in world.store.objects

    expired = await promised(world, alice, "expired")
    world.clock.now = expired.expires_at
    for _ in range(2):
        with pytest.raises(UploadStateConflict) as caught:
            await complete(alice, expired.id)
        assert caught.value.status is UploadStatus.EXPIRED
    assert (await uploads.abort(alice, expired.id)).status is UploadStatus.EXPIRED
    assert expired.object_key not in world.store.objects
    with pytest.raises(UploadStateConflict) as caught:
        await complete(alice, aborted.id)
    assert caught.value.status is UploadStatus.ABORTED
    assert await complete(alice, completed.id) == (await now(world, completed), file)

    for upload in (aborted, failed, completed, expired):
        assert await world.services.upload_targets.target(await now(world, upload)) is None
    page = await uploads.list(alice, PageRequest(10), [UploadStatus.FAILED, UploadStatus.EXPIRED])
    assert {upload.filename for upload in page.nodes} == {"failed", "expired"}


@pytest.mark.parametrize(
    ("wish", "content", "lies", "code"),
    [
        ({}, b"hell", {}, UploadFailureCode.SIZE_MISMATCH),
        ({}, b"", {}, UploadFailureCode.SIZE_MISMATCH),
        ({"size": 0}, CONTENT, {}, UploadFailureCode.SIZE_MISMATCH),
        ({"sha256": SHA256}, b"hallo", {"sha256": "0" * 64}, UploadFailureCode.CHECKSUM_MISMATCH),
        ({"sha256": SHA256}, CONTENT, {"sha256": None}, UploadFailureCode.CHECKSUM_MISMATCH),
        ({}, CONTENT, {"content_type": "text/html"}, UploadFailureCode.CONTENT_TYPE_MISMATCH),
        ({"content_type": "image/jpeg"}, PNG, {}, UploadFailureCode.CONTENT_TYPE_MISMATCH),
        ({"content_type": "image/png"}, HTML, {}, UploadFailureCode.CONTENT_TYPE_MISMATCH),
        ({"content_type": "text/csv"}, PNG, {}, UploadFailureCode.CONTENT_TYPE_MISMATCH),
        ({"content_type": "image/png"}, b"%PDF-1.7\n" + b"0" * 40, {}, UploadFailureCode.CONTENT_TYPE_MISMATCH),
        ({"content_type": "text/csv"}, b"name,size\ncat,5\n", {}, None),
        ({"content_type": "image/svg+xml"}, SVG, {}, None),
        ({"content_type": DOCX_TYPE}, docx(), {}, None),
        ({"content_type": "application/octet-stream"}, PNG, {}, None),
        ({"content_type": "application/octet-stream"}, HTML, {}, None),
        ({"content_type": "image/png"}, PNG, {}, None),
        ({"content_type": "text/html; charset=utf-8"}, HTML, {}, None),
        ({"content_type": "application/json"}, b'{"a": 1}', {}, None),
        ({"content_type": "image/jpeg"}, b"neither the one nor the other", {}, None),
    ],
)
async def test_only_a_proven_lie_fails_an_upload(
    sqlite_world: World, wish: dict[str, Any], content: bytes, lies: dict[str, Any], code: UploadFailureCode | None
) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    if "content_type" in wish:
        wish = {"size": len(content)} | wish
    upload = await promised(world, alice, **wish)
    send(world, upload, content, **lies)
    if code is None:
        _, file = await world.services.completion.complete(alice, upload.id)
        assert file is not None
        return
    with pytest.raises(UploadMismatch) as caught:
        await world.services.completion.complete(alice, upload.id)
    assert caught.value.failure.code is code
    failed = await now(world, upload)
    assert (failed.status, failed.failure) == (UploadStatus.FAILED, caught.value.failure)
    assert upload.object_key not in world.store.objects
    assert await world.services.files.find(alice, [upload.file_id]) == {}


async def test_a_name_that_is_taken_at_creation_is_refused_or_numbered(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, "cat.jpg")
    with pytest.raises(Conflict) as caught:
        await promised(world, alice, "CAT.jpg")
    assert (caught.value.path, caught.value.conflicting_id) == (("filename",), file.id)
    assert (await promised(world, alice, "CAT.jpg", on_conflict=OnConflict.RENAME)).filename == "CAT (2).jpg"
    for number in range(2, 105):
        await foldered(world, alice, f"cat ({number}).jpg")
    assert (await promised(world, alice, "cat.jpg", on_conflict=OnConflict.RENAME)).filename == "cat (105).jpg"


async def test_a_name_that_is_taken_at_completion_leaves_the_upload_pending(world: World) -> None:
    alice, complete = await world.principal("alice"), world.services.completion.complete
    late, polite = (
        await sent(world, alice, "cat.jpg"),
        await sent(world, alice, "cat.jpg", on_conflict=OnConflict.RENAME),
    )
    first = await filed(world, alice, "Cat.jpg")
    for _ in range(2):
        with pytest.raises(Conflict) as caught:
            await complete(alice, late.id)
        assert caught.value.conflicting_id == first.id
        assert await now(world, late) == late
    with pytest.raises(Conflict):
        await complete(alice, polite.id, on_conflict=OnConflict.FAIL)
    done, file = await complete(alice, polite.id)
    assert file is not None
    assert (file.name, done.filename) == ("cat (2).jpg", "cat (2).jpg")
    done, file = await complete(alice, late.id, on_conflict=OnConflict.RENAME)
    assert file is not None
    assert (file.name, done.filename, done.status) == ("cat (3).jpg", "cat (3).jpg", UploadStatus.COMPLETED)


async def test_an_upload_whose_folder_goes_is_aborted_and_one_without_a_home_needs_a_folder(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent(world, alice)
    await world.services.folders.delete(alice, await home_of(world, alice))
    with pytest.raises(UploadStateConflict) as caught:
        await world.services.completion.complete(alice, upload.id)
    assert caught.value.status is UploadStatus.ABORTED
    with pytest.raises(NotFound) as missing:
        await promised(world, alice)
    assert missing.value.path == ("folderId",)


async def test_nothing_is_half_done_while_the_store_is_down(world: World) -> None:
    alice = await world.principal("alice")
    upload, doomed, lie = [await sent(world, alice, name) for name in ("good", "doomed", "lie")]
    send(world, lie, b"something else")
    world.store.is_up = False
    for each in (upload, lie):
        with pytest.raises(Unavailable) as caught:
            await world.services.completion.complete(alice, each.id)
        assert caught.value.part == "store"
        assert await now(world, each) == each
    assert (await world.services.uploads.abort(alice, doomed.id)).status is UploadStatus.ABORTED
    assert (await promised(world, alice, "new")).status is UploadStatus.PENDING
    with pytest.raises(Unavailable):
        await world.sweep()
    world.store.is_up = True
    _, file = await world.services.completion.complete(alice, upload.id)
    assert file is not None
    assert doomed.object_key in world.store.objects
    assert await world.sweep() == 1
    assert doomed.object_key not in world.store.objects


async def test_completing_again_after_the_file_was_deleted_gives_no_file(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent(world, alice)
    _, file = await world.services.completion.complete(alice, upload.id)
    assert file is not None
    await world.services.files.delete(alice, [file.id])
    again, gone = await world.services.completion.complete(alice, upload.id)
    assert (again.status, gone) == (UploadStatus.COMPLETED, None)


async def test_many_at_once_do_not_hinder_each_other(world: World) -> None:
    alice = await world.principal("alice")
    uploads = await asyncio.gather(*(sent(world, alice, f"{number}") for number in range(30)))
    await asyncio.gather(*(world.services.completion.complete(alice, upload.id) for upload in uploads))
    assert len(await world.services.files.find(alice, [upload.file_id for upload in uploads])) == 30


async def test_bytes_that_viewers_would_decode_to_others_fail_the_upload(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent(world, alice, "a.txt")
    stored, content = world.store.objects[upload.object_key]
    world.store.objects[upload.object_key] = (replace(stored, content_encoding="br"), content)
    with pytest.raises(UploadMismatch, match="Content-Encoding br"):
        await world.services.completion.complete(alice, upload.id)
    assert upload.object_key not in world.store.objects


async def test_a_checksum_that_is_told_after_the_file_was_made_counts(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent_as_one_part(world, alice)
    await world.services.completion.arrived(upload.object_key)
    _, file = await world.services.completion.complete(alice, upload.id, crc64nvme=crc_of(CONTENT))
    with pytest.raises(UploadMismatch) as caught:
        await world.services.completion.complete(alice, upload.id, crc64nvme="0" * 16)
    assert caught.value.failure.code is UploadFailureCode.CHECKSUM_MISMATCH
    assert (await now(world, upload)).status is UploadStatus.COMPLETED
    assert await world.services.completion.complete(alice, upload.id) == (await now(world, upload), file)


async def test_a_checksum_other_than_was_promised_is_refused(world: World) -> None:
    alice = await world.principal("alice")
    upload = await sent(world, alice, crc64nvme=crc_of(CONTENT))
    with pytest.raises(InvalidInput) as caught:
        await world.services.completion.complete(alice, upload.id, crc64nvme="0" * 16)
    assert [fault.path for fault in caught.value.faults] == [("crc64nvme",)]
    assert (await now(world, upload)).status is UploadStatus.PENDING
    await world.services.completion.complete(alice, upload.id, crc64nvme=crc_of(CONTENT).upper())


class Slow(MemoryStore):
    """Somebody does something while the store is asked for the parts that it has."""

    def __init__(self, under: MemoryStore, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self.__dict__ = under.__dict__  # the same store, from another side
        self.meanwhile = meanwhile

    async def list_parts(self, upload: StoreUpload) -> Sequence[StoredPart] | None:
        await self.meanwhile()
        return await super().list_parts(upload)


async def test_an_upload_whose_end_is_moved_meanwhile_does_not_expire(database: Database) -> None:
    world = World(database)
    alice = await world.principal("alice")
    upload = await promised(world, alice, method=UploadMethod.MULTIPART)
    await world.services.upload_targets.target(upload)
    world.clock.advance(seconds=(upload.expires_at - world.clock()).total_seconds() - 10)

    async def sign_on_another_device() -> None:
        await world.services.upload_targets.sign_parts(alice, upload.id, [PartWish(1)])
        world.clock.advance(seconds=20)

    slow = World(database, world.clock, store_of=lambda _: Slow(world.store, sign_on_another_device))
    with pytest.raises(BytesMissing):
        await slow.services.completion.complete(alice, upload.id)
    seen = await now(world, upload)
    assert (seen.status, seen.expires_at > world.clock()) == (UploadStatus.PENDING, True)


async def test_a_wish_that_is_made_again_with_its_key_is_one_upload(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    upload = await promised(world, alice, idempotency_key="key")
    assert await promised(world, alice, idempotency_key="key") == upload
    others = [await promised(world, alice, idempotency_key="other"), await promised(world, bob, idempotency_key="key")]
    assert len({upload.id, *(other.id for other in others)}) == 3
    assert await taken(world, alice) == (0, 2 * len(CONTENT))
    send(world, upload)
    await world.services.completion.complete(alice, upload.id)
    assert (await promised(world, alice, idempotency_key="key")).status is UploadStatus.COMPLETED


async def test_new_bytes_that_are_promised_again_with_their_key_are_one_upload(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    uploads = [await promised(world, alice, replaces=file.id, idempotency_key="key") for _ in range(2)]
    assert uploads[0] == uploads[1]
    await world.services.files.delete(alice, [file.id])
    assert (await promised(world, alice, replaces=file.id, idempotency_key="key")).status is UploadStatus.ABORTED


@pytest.mark.parametrize("change", [{"filename": "dog.txt"}, {"size": 6}, {"on_conflict": OnConflict.RENAME}])
async def test_a_key_is_not_taken_for_another_wish(world: World, change: dict[str, Any]) -> None:
    alice = await world.principal("alice")
    await promised(world, alice, idempotency_key="key")
    with pytest.raises(Conflict) as caught:
        await promised(world, alice, **({"filename": "cat.txt", "idempotency_key": "key"} | change))
    assert caught.value.path == ("idempotencyKey",)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb"])
async def test_a_key_that_cannot_be_kept_is_refused(world: World, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await promised(world, await world.principal("alice"), idempotency_key=key)
    assert [fault.path for fault in caught.value.faults] == [("idempotencyKey",)]


async def test_a_wish_that_was_refused_has_not_used_its_key(world: World) -> None:
    alice = await world.principal("alice")
    await filed(world, alice)
    with pytest.raises(Conflict):
        await promised(world, alice, idempotency_key="key")
    assert (await promised(world, alice, "dog.txt", idempotency_key="key")).status is UploadStatus.PENDING


async def test_of_many_who_ask_at_once_with_one_key_all_get_one_upload(world: World) -> None:
    alice = await world.principal("alice")
    for number in range(5):
        asked = (promised(world, alice, f"{number}", idempotency_key=f"{number}") for _ in range(5))
        assert len({upload.id for upload in await asyncio.gather(*asked)}) == 1
    assert await taken(world, alice) == (0, 5 * len(CONTENT))


async def test_a_key_is_forgotten_after_a_day(world: World) -> None:
    alice = await world.principal("alice")
    upload = await promised(world, alice, idempotency_key="key")
    world.clock.advance(hours=25)
    await world.services.audit_log.sweep()
    assert await promised(world, alice, idempotency_key="key") != upload
