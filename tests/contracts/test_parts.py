"""What every ``ObjectStore`` does with uploads in parts, whoever keeps them.

Where a store is known to be lax, the fact is asserted on the others: moto compares nothing when it joins, MiniStack
neither the order nor the least size of parts, and it takes the CRC-64/NVME of the whole for a checksum of checksums.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from graphql_api.localcloud.store import SeaweedStore, connect
from graphql_api.model.parts import JoinOutcome, PromisedPart, StoredPart, StoreUpload
from graphql_api.model.stored_object import SignedStoreRequest, StoreRequestKind
from graphql_api.storage import ObjectStore, s3_parts
from graphql_api.storage.s3 import S3Store
from tests.contracts.parts import CRC, HEAD, LIFETIME, TAIL, WHOLE, begun_at, promise_of
from tests.contracts.samples import crc64nvme_of
from tests.store import BUCKET

pytestmark = pytest.mark.anyio

on_all = pytest.mark.parametrize("store", ["seaweed", "mini", "moto", "memory"], indirect=True)
on_all_with_a_network = pytest.mark.parametrize("store", ["seaweed", "mini", "moto"], indirect=True)
on_those_that_compare = pytest.mark.parametrize("store", ["seaweed", "mini", "memory"], indirect=True)
on_the_strictest = pytest.mark.parametrize("store", ["seaweed", "memory"], indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> ObjectStore:
    found: ObjectStore = request.getfixturevalue(request.param)
    return found


@on_all
async def test_parts_become_one_object(store: ObjectStore) -> None:
    begun = await begun_at(store)
    assert await store.list_parts(begun.upload) == []
    await begun.send(HEAD, TAIL)
    parts = await begun.parts()
    assert [(part.number, part.size) for part in parts] == [(1, len(HEAD)), (2, len(TAIL))]
    assert [part.crc64nvme for part in parts] in ([None, None], [crc64nvme_of(HEAD), crc64nvme_of(TAIL)])
    assert all(part.etag == part.etag.strip('"') for part in parts)
    assert await store.find(begun.upload.key) is None
    assert await store.join_parts(begun.upload, parts, crc64nvme=None) is JoinOutcome.JOINED
    found = await store.find(begun.upload.key)
    assert found
    assert (found.size, found.content_type, found.sha256) == (len(WHOLE), "image/jpeg", None)
    assert await store.read_start(begun.upload.key, len(WHOLE)) == WHOLE


@on_the_strictest
@pytest.mark.parametrize("crc64nvme", [CRC, None], ids=["asked to compare", "not asked"])
async def test_the_object_has_the_checksum_of_the_whole(store: ObjectStore, crc64nvme: str | None) -> None:
    begun = await begun_at(store)
    await begun.send(HEAD, TAIL, with_checksum=False)
    assert await store.join_parts(begun.upload, await begun.parts(), crc64nvme=crc64nvme) is JoinOutcome.JOINED
    found = await store.find(begun.upload.key)
    assert found
    assert found.crc64nvme == CRC


@pytest.mark.parametrize("store", ["mini", "moto", "memory"], indirect=True)
async def test_a_part_that_is_sent_again_takes_the_place_of_the_first(store: ObjectStore) -> None:
    begun = await begun_at(store)
    await begun.send(TAIL)
    await begun.send(HEAD)
    assert [part.size for part in await begun.parts()] == [len(HEAD)]
    assert await store.join_parts(begun.upload, await begun.parts(), crc64nvme=None) is JoinOutcome.JOINED
    assert await store.read_start(begun.upload.key, len(WHOLE)) == HEAD


@on_all
async def test_what_is_joined_cannot_be_joined_to_something_else(store: ObjectStore) -> None:
    begun = await begun_at(store)
    await begun.send(TAIL)
    parts = await begun.parts()
    assert await store.join_parts(begun.upload, parts, crc64nvme=None) is JoinOutcome.JOINED
    before = await store.find(begun.upload.key)
    again = await store.join_parts(begun.upload, parts, crc64nvme=None)
    assert again is not JoinOutcome.MISMATCH, "stores differ: it is there, it is joined, or it was"
    assert await store.find(begun.upload.key) == before
    assert await store.list_parts(begun.upload) is None


@on_all
async def test_a_key_that_is_taken_stays_as_it_is(store: ObjectStore) -> None:
    first = await begun_at(store)
    second = await begun_at(store, first.upload.key)
    await first.send(TAIL)
    await second.send(TAIL[::-1])
    assert await store.join_parts(first.upload, await first.parts(), crc64nvme=None) is JoinOutcome.JOINED
    late = await store.join_parts(second.upload, await second.parts(), crc64nvme=None)
    assert late is JoinOutcome.ALREADY_THERE
    assert await store.read_start(first.upload.key, len(TAIL)) == TAIL


@on_the_strictest
async def test_a_part_that_is_sent_twice_counts_once(store: ObjectStore) -> None:
    """SeaweedFS lists both; which one is the later it tells to the second only."""
    begun = await begun_at(store)
    await begun.send(HEAD, TAIL)
    await begun.send(HEAD, TAIL)
    assert [(part.number, part.size) for part in await begun.parts()] == [(1, len(HEAD)), (2, len(TAIL))]
    assert await store.join_parts(begun.upload, await begun.parts(), crc64nvme=CRC) is JoinOutcome.JOINED
    assert await store.read_start(begun.upload.key, len(WHOLE) + 1) == WHOLE


@on_the_strictest
async def test_a_wrong_checksum_joins_nothing_and_leaves_the_parts(store: ObjectStore) -> None:
    begun = await begun_at(store)
    await begun.send(HEAD, TAIL)
    parts = await begun.parts()
    assert await store.join_parts(begun.upload, parts, crc64nvme="00" * 8) is JoinOutcome.MISMATCH
    assert await store.find(begun.upload.key) is None
    assert await begun.parts() == parts
    assert await store.join_parts(begun.upload, parts, crc64nvme=CRC) is JoinOutcome.JOINED


@on_those_that_compare
@pytest.mark.parametrize(
    "told",
    [
        lambda parts: [replace(parts[0], etag="0" * 32), parts[1]],
        lambda parts: [*parts, replace(parts[1], number=3)],
    ],
    ids=["another etag", "a part that is not there"],
)
async def test_parts_that_are_not_what_was_said_are_not_joined(
    store: ObjectStore, told: Callable[[list[StoredPart]], list[StoredPart]]
) -> None:
    begun = await begun_at(store)
    await begun.send(HEAD, TAIL)
    outcome = await store.join_parts(begun.upload, told(list(await begun.parts())), crc64nvme=None)
    assert outcome is JoinOutcome.MISMATCH
    assert await store.find(begun.upload.key) is None
    assert len(await begun.parts()) == 2


@on_the_strictest
async def test_parts_out_of_order_and_parts_that_are_too_small_are_not_joined(store: ObjectStore) -> None:
    begun = await begun_at(store)
    await begun.send(HEAD, TAIL)
    reverse = (await begun.parts())[::-1]
    assert await store.join_parts(begun.upload, reverse, crc64nvme=None) is JoinOutcome.MISMATCH
    small = await begun_at(store)
    await small.send(TAIL, TAIL)
    assert await store.join_parts(small.upload, await small.parts(), crc64nvme=None) is JoinOutcome.MISMATCH


@on_those_that_compare
async def test_what_is_given_up_is_gone_and_may_be_given_up_again(store: ObjectStore) -> None:
    begun = await begun_at(store)
    await begun.send(TAIL)
    parts = await begun.parts()
    await store.abort_parts(begun.upload)
    await store.abort_parts(begun.upload)
    await store.abort_parts(StoreUpload("o/absent", "never-begun"))
    assert await store.list_parts(begun.upload) is None
    assert await store.join_parts(begun.upload, parts, crc64nvme=None) is not JoinOutcome.JOINED
    assert await store.find(begun.upload.key) is None


@on_those_that_compare
async def test_an_upload_is_known_with_its_own_key_only(store: ObjectStore) -> None:
    begun, other = await begun_at(store), await begun_at(store)
    foreign = StoreUpload(other.upload.key, begun.upload.id)
    assert await store.list_parts(foreign) is None
    await store.abort_parts(foreign)
    assert await begun.parts() == []


@on_all
async def test_open_uploads_are_listed_page_by_page_with_all_of_one_key(store: ObjectStore) -> None:
    prefix = promise_of().key
    keys = [f"{prefix}-{name}" for name in "cbabb"]
    uploads = [(await begun_at(store, key)).upload for key in keys]
    await begun_at(store)  # under another prefix
    found: list[StoreUpload] = []
    while page := await store.list_open_uploads(
        f"{prefix}-", after=found[-1] if found else None, limit=2 if len(found) < 4 else 3
    ):
        assert len(page) == min(2, 5 - len(found))
        found += [one.upload for one in page]
    assert [one.key for one in found] == sorted(keys)
    assert set(found) == set(uploads)
    await store.abort_parts(uploads[0])
    assert uploads[0] not in [one.upload for one in await store.list_open_uploads(prefix, after=None, limit=1000)]


@on_those_that_compare
async def test_an_open_upload_tells_when_it_began(store: ObjectStore) -> None:
    begun = await begun_at(store)
    [listed] = await store.list_open_uploads(begun.upload.key, after=None, limit=1)
    assert abs(datetime.now(UTC) - listed.begun_at) < timedelta(minutes=1)


@on_all
async def test_objects_are_listed_page_by_page_in_order_of_key(store: ObjectStore) -> None:
    prefix = promise_of().key
    keys = [f"{prefix}-{name}" for name in "dbcea"]
    for key in keys:
        begun = await begun_at(store, key)
        await begun.send(TAIL)
        await store.join_parts(begun.upload, await begun.parts(), crc64nvme=None)
    first = await store.list_objects(f"{prefix}-", after=None, limit=3)
    rest = await store.list_objects(f"{prefix}-", after=first[-1].key, limit=3)
    assert [one.key for one in (*first, *rest)] == sorted(keys)
    assert len(first) == 3
    assert {one.size for one in first} == {len(TAIL)}
    heads = [await store.find(one.key) for one in first]
    assert [one.etag for one in first] == [head and head.etag for head in heads]
    assert abs(datetime.now(UTC) - first[0].modified_at) < timedelta(minutes=1)
    assert await store.list_objects(f"{prefix}-", after=rest[-1].key, limit=3) == []


async def test_more_parts_and_uploads_than_one_page_has_are_all_listed(
    store_server: SeaweedStore, seaweed: S3Store
) -> None:
    begun = await begun_at(seaweed)
    await begun.send(*[TAIL] * 5)
    more = [(await begun_at(seaweed, f"{begun.upload.key}-{n}")).upload for n in range(4)]
    client = connect(store_server.endpoint_url, store_server.api)
    assert s3_parts.stored_parts(client, BUCKET, begun.upload, page=2) == await begun.parts()
    listed = s3_parts.open_uploads(client, BUCKET, begun.upload.key, None, 10, page=2)
    assert {one.upload for one in listed} == {begun.upload, *more}
    client.close()


async def test_nothing_cannot_be_joined_and_numbers_begin_at_one(seaweed: S3Store) -> None:
    begun = await begun_at(seaweed)
    with pytest.raises(ValueError, match="at least one"):
        await seaweed.join_parts(begun.upload, [], crc64nvme=None)
    for number in (0, 10_001):
        with pytest.raises(ValueError, match="numbered"):
            await begun.target(number, TAIL)


async def send(request: SignedStoreRequest, content: bytes = b"") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(request.method, request.url, headers=dict(request.headers), content=content)


@on_all_with_a_network
async def test_a_client_can_drive_the_protocol_itself(store: ObjectStore) -> None:
    """As Uppy 6 does: it asks for a signed request before each step."""
    promise = promise_of(len(TAIL))

    async def ask(kind: StoreRequestKind, upload_id: str | None = None) -> SignedStoreRequest:
        part = PromisedPart(1, len(TAIL), crc64nvme_of(TAIL)) if kind is StoreRequestKind.UPLOAD_PART else None
        return await store.presign_request(
            kind, promise, upload_id, part, now=datetime.now(UTC), lifetime=timedelta(minutes=5)
        )

    async def begin() -> str:
        begun = await send(await ask(StoreRequestKind.CREATE_MULTIPART))
        found = re.search("<UploadId>(.+)</UploadId>", begun.text)
        assert found, begun.text
        return found[1]

    id_ = await begin()
    sent = await send(await ask(StoreRequestKind.UPLOAD_PART, id_), TAIL)
    assert sent.status_code == 200
    listed = await send(await ask(StoreRequestKind.LIST_PARTS, id_))
    assert f"<Size>{len(TAIL)}</Size>" in listed.text
    body = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{sent.headers['ETag']}</ETag></Part></CompleteMultipartUpload>"
    ).encode()
    assert (await send(await ask(StoreRequestKind.COMPLETE_MULTIPART, id_), body)).status_code == 200
    found = await store.find(promise.key)
    assert found
    assert (found.size, found.content_type) == (len(TAIL), "image/jpeg")

    second = await begin()
    await send(await ask(StoreRequestKind.UPLOAD_PART, second), TAIL)
    assert (await send(await ask(StoreRequestKind.COMPLETE_MULTIPART, second), body)).status_code == 412
    assert (await send(await ask(StoreRequestKind.ABORT_MULTIPART, second))).status_code == 204
    assert await store.list_parts(StoreUpload(promise.key, second)) is None


async def test_a_request_lists_what_it_binds(seaweed: S3Store) -> None:
    promise, now = promise_of(), datetime.now(UTC)

    async def headers_of(kind: StoreRequestKind, part: PromisedPart | None = None) -> list[tuple[str, str]]:
        id_ = None if kind is StoreRequestKind.CREATE_MULTIPART else "id"
        request = await seaweed.presign_request(kind, promise, id_, part, now=now, lifetime=LIFETIME)
        assert request.expires_at == (now + LIFETIME).replace(microsecond=0)
        signed = re.search("X-Amz-SignedHeaders=([^&]+)", request.url)
        assert signed
        names = {name.lower() for name, _ in request.headers}
        assert set(signed[1].split("%3B")) - names <= {"host", "content-length"}
        return list(request.headers)

    assert await headers_of(StoreRequestKind.CREATE_MULTIPART) == [
        ("Content-Type", "image/jpeg"),
        ("x-amz-checksum-algorithm", "CRC64NVME"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
    ]
    assert await headers_of(StoreRequestKind.UPLOAD_PART, PromisedPart(1, 5, "00" * 8)) == [
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")
    ]
    assert await headers_of(StoreRequestKind.COMPLETE_MULTIPART) == [("If-None-Match", "*")]
    assert await headers_of(StoreRequestKind.LIST_PARTS) == await headers_of(StoreRequestKind.ABORT_MULTIPART) == []


async def test_a_request_without_what_it_is_about_is_a_mistake(seaweed: S3Store) -> None:
    for kind, id_ in ((StoreRequestKind.ABORT_MULTIPART, None), (StoreRequestKind.UPLOAD_PART, "id")):
        with pytest.raises(ValueError, match=r"about|Which"):
            await seaweed.presign_request(kind, promise_of(), id_, now=datetime.now(UTC), lifetime=LIFETIME)
