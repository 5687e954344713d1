"""What every ``ObjectStore`` does, whoever keeps the bytes."""

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx
import pytest

from graphql_api.errors import NotFound
from graphql_api.model.stored_object import PromisedObject, PutUploadTarget
from graphql_api.storage import ObjectStore
from graphql_api.storage.s3 import S3Store
from tests.contracts.samples import SAMPLES, Sample

LIFETIME = timedelta(minutes=5)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["seaweed", "mini", "moto"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    found: ObjectStore = request.getfixturevalue(request.param)
    return found


async def target_for(store: ObjectStore, promise: PromisedObject) -> PutUploadTarget:
    return await store.presign_put(promise, now=datetime.now(UTC), lifetime=LIFETIME)


async def send(target: PutUploadTarget, content: bytes) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.put(target.url, content=content, headers=dict(target.headers))


async def store_sample(store: ObjectStore, sample: Sample) -> PromisedObject:
    promise = sample.promise()
    assert (await send(await target_for(store, promise), sample.content)).status_code == 200
    return promise


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_what_was_sent_is_found_as_promised(store: ObjectStore, sample: Sample) -> None:
    promise = await store_sample(store, sample)
    found = await store.find(promise.key)
    assert found
    assert (found.key, found.size, found.content_type) == (promise.key, promise.size, promise.content_type)
    assert found.sha256 in (promise.sha256, None)
    assert found.etag.strip('"')
    assert found.etag == found.etag.strip('"')


async def test_what_was_never_sent_is_not_found(store: ObjectStore) -> None:
    promise = SAMPLES["jpeg"].promise()
    await target_for(store, promise)
    assert await store.find(promise.key) is None


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_reading_the_start_gives_no_more_than_asked_and_no_more_than_there_is(
    store: ObjectStore, sample: Sample
) -> None:
    promise = await store_sample(store, sample)
    assert await store.read_start(promise.key, 16) == sample.content[:16]
    assert await store.read_start(promise.key, promise.size + 10) == sample.content


async def test_reading_what_is_absent_gives_nothing(store: ObjectStore) -> None:
    assert await store.read_start("o/absent", 16) == b""


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_reading_gives_all_bytes_in_bounded_pieces(store: ObjectStore, sample: Sample) -> None:
    promise = await store_sample(store, sample)
    async with aclosing(store.read(promise.key)) as content:
        pieces = [piece async for piece in content]
    assert b"".join(pieces) == sample.content
    assert all(0 < len(piece) <= 256 * 1024 for piece in pieces)


async def test_reading_may_be_left_early(store: ObjectStore) -> None:
    promise = await store_sample(store, SAMPLES["binary"])
    for _ in range(3):
        async with aclosing(store.read(promise.key)) as content:
            assert SAMPLES["binary"].content.startswith(await anext(content))
    assert await store.find(promise.key)


async def test_reading_what_is_absent_is_not_reading_nothing(store: ObjectStore) -> None:
    async with aclosing(store.read("o/absent")) as content:
        with pytest.raises(NotFound):
            await anext(content)


async def test_a_key_is_written_once(store: ObjectStore) -> None:
    promise = await store_sample(store, SAMPLES["jpeg"])
    again = await send(await target_for(store, promise), SAMPLES["jpeg"].content)
    assert again.status_code == 412
    assert "PreconditionFailed" in again.text


async def test_deleting_removes_what_is_named_and_nothing_else(store: ObjectStore) -> None:
    first, second, third = [await store_sample(store, SAMPLES["pdf"]) for _ in range(3)]
    await store.delete([first.key, second.key])
    assert await store.find(first.key) is None
    assert await store.find(second.key) is None
    assert await store.find(third.key)


async def test_deleting_what_is_absent_and_deleting_nothing_succeed(store: ObjectStore) -> None:
    await store.delete(["o/absent"])
    await store.delete([])


async def test_more_keys_than_one_request_takes_are_deleted(store: ObjectStore) -> None:
    stored = await store_sample(store, SAMPLES["pdf"])
    await store.delete([*(f"o/absent-{n}" for n in range(1000)), stored.key])
    assert await store.find(stored.key) is None


async def test_a_deleted_key_may_be_written_by_a_target_that_is_still_good(store: ObjectStore) -> None:
    """Hence keys are never reused, and a deleted upload's target must have ended before its key is forgotten."""
    promise = SAMPLES["jpeg"].promise()
    target = await target_for(store, promise)
    assert (await send(target, SAMPLES["jpeg"].content)).status_code == 200
    await store.delete([promise.key])
    assert (await send(target, SAMPLES["jpeg"].content)).status_code == 200


async def test_a_bucket_that_answers_passes_the_check(store: ObjectStore) -> None:
    await store.check()


async def test_a_target_lists_what_a_client_must_set_and_not_the_length(store: ObjectStore) -> None:
    promise = SAMPLES["jpeg"].promise()
    now = datetime(2026, 11, 22, 9, 5, 7, 123456, tzinfo=UTC)
    target = await store.presign_put(promise, now=now, lifetime=LIFETIME)
    names = [name.lower() for name, _ in target.headers]
    assert names == ["content-type", "if-none-match", "x-amz-checksum-sha256"]
    assert "content-length" in target.url
    assert target.expires_at == datetime(2026, 11, 22, 9, 10, 7, tzinfo=UTC)


async def test_without_a_promised_checksum_none_is_asked_for(store: ObjectStore) -> None:
    sample = SAMPLES["jpeg"]
    promise = sample.promise(with_checksum=False)
    target = await target_for(store, promise)
    assert [name.lower() for name, _ in target.headers] == ["content-type", "if-none-match"]
    assert (await send(target, sample.content)).status_code == 200
    found = await store.find(promise.key)
    assert found
    assert found.sha256 in (None, sha256(sample.content).hexdigest())


HEADERS = {"disposition": 'attachment; filename="a.pdf"', "cache_control": "public, max-age=60"}


@pytest.mark.parametrize("sample", [SAMPLES["jpeg"], SAMPLES["binary"]], ids=["jpeg", "binary"])
async def test_a_copy_has_the_bytes_and_its_own_headers_and_outlives_its_source(
    store: ObjectStore, sample: Sample
) -> None:
    promise = await store_sample(store, sample)
    key = promise.key.replace("o/", "pub/")
    for _ in range(2):  # whoever does not know whether it was done does it again
        await store.copy(promise.key, key, content_type="text/plain", **HEADERS)
    await store.delete([promise.key])
    found = await store.find(key)
    assert found is not None
    assert (found.size, found.content_type) == (promise.size, "text/plain")
    assert await store.read_start(key, promise.size + 1) == sample.content
    assert isinstance(store, S3Store)
    answer = await opened(store, key)
    assert answer.headers["content-disposition"] == HEADERS["disposition"]
    assert answer.headers["cache-control"] == HEADERS["cache_control"]
    await store.delete([key])


async def opened(store: S3Store, key: str) -> httpx.Response:
    now = datetime.now(UTC)
    held = await store.links(longest=LIFETIME).link_signer(now)
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(held.signer.sign(f"/{key}", expires_at=now + LIFETIME / 2).url)


async def test_what_is_absent_is_not_copied(store: ObjectStore) -> None:
    with pytest.raises(NotFound):
        await store.copy("o/absent", "pub/absent", content_type="text/plain", **HEADERS)
    assert await store.find("pub/absent") is None
