"""What a target binds, tried on a store that verifies it: only the promised bytes, once, in time."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx
import pytest

from graphql_api.errors import Unavailable
from graphql_api.localcloud.store import SeaweedStore
from graphql_api.model.stored_object import PromisedObject, PutUploadTarget
from graphql_api.storage.bucket import lifecycle_rules, upload_cors_rule
from graphql_api.storage.s3 import S3Store
from tests.contracts.samples import SAMPLES, Sample
from tests.store import BUCKET, free_port, s3_store
from tests.web.conftest import tool

JPEG = SAMPLES["jpeg"]
LIFETIME = timedelta(minutes=5)

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(seaweed: S3Store) -> S3Store:
    return seaweed


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def target_for(store: S3Store, promise: PromisedObject) -> PutUploadTarget:
    return await store.presign_put(promise, now=datetime.now(UTC), lifetime=LIFETIME)


@pytest.fixture
async def promise() -> PromisedObject:
    return JPEG.promise()


@pytest.fixture
async def target(store: S3Store, promise: PromisedObject) -> PutUploadTarget:
    return await target_for(store, promise)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_the_store_keeps_the_checksum_it_verified(
    store: S3Store, http: httpx.AsyncClient, sample: Sample
) -> None:
    promise = sample.promise()
    target = await target_for(store, promise)
    assert (await http.put(target.url, content=sample.content, headers=dict(target.headers))).status_code == 200
    found = await store.find(promise.key)
    assert found
    assert found.sha256 == promise.sha256


async def test_an_encoding_that_was_not_asked_for_is_kept_and_told(store: S3Store, http: httpx.AsyncClient) -> None:
    sample = SAMPLES["jpeg"]
    promise = sample.promise()
    target = await target_for(store, promise)
    headers = dict(target.headers) | {"Content-Encoding": "gzip"}
    assert (await http.put(target.url, content=sample.content, headers=headers)).status_code == 200
    found = await store.find(promise.key)
    assert found
    assert found.content_encoding == "gzip"


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_curl_can_send_it(store: S3Store, tmp_path: Path, sample: Sample) -> None:
    promise = sample.promise()
    target = await target_for(store, promise)
    (tmp_path / "body").write_bytes(sample.content)
    headers = [argument for name, value in target.headers for argument in ("--header", f"{name}: {value}")]
    command = [
        tool("curl"),
        "--silent",
        "--noproxy",
        "*",
        "--write-out",
        "%{http_code}",
        "--upload-file",
        "body",
        *headers,
    ]
    sent = await anyio.run_process([*command, "--upload-file", "body", target.url], cwd=tmp_path)
    assert sent.stdout == b"200"
    assert await store.read_start(promise.key, promise.size + 1) == sample.content


@pytest.mark.parametrize("content", [JPEG.content + b"x", JPEG.content[:-1], b""], ids=["longer", "shorter", "empty"])
@pytest.mark.parametrize("with_checksum", [True, False])
async def test_another_length_is_refused(
    store: S3Store, http: httpx.AsyncClient, content: bytes, with_checksum: bool
) -> None:
    promise = JPEG.promise(with_checksum=with_checksum)
    target = await target_for(store, promise)
    assert (await http.put(target.url, content=content, headers=dict(target.headers))).status_code == 403
    assert await store.find(promise.key) is None


async def test_other_bytes_of_the_same_length_are_refused(
    store: S3Store, http: httpx.AsyncClient, promise: PromisedObject, target: PutUploadTarget
) -> None:
    other = JPEG.content[:-1] + b"x"
    assert (await http.put(target.url, content=other, headers=dict(target.headers))).status_code == 400
    assert await store.find(promise.key) is None


async def test_without_a_promised_checksum_only_the_length_is_bound(store: S3Store, http: httpx.AsyncClient) -> None:
    target = await target_for(store, JPEG.promise(with_checksum=False))
    other = JPEG.content[:-1] + b"x"
    assert (await http.put(target.url, content=other, headers=dict(target.headers))).status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "text/html"),
        ("Content-Type", None),
        ("If-None-Match", None),
        ("If-None-Match", '"etag"'),
        ("x-amz-checksum-sha256", None),
        ("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ("x-amz-meta-owner", "somebody"),
        ("x-amz-acl", "public-read"),
        ("x-amz-tagging", "a=b"),
    ],
)
async def test_a_header_changed_left_out_or_added_is_refused(
    store: S3Store,
    http: httpx.AsyncClient,
    promise: PromisedObject,
    target: PutUploadTarget,
    name: str,
    value: str | None,
) -> None:
    headers = dict(target.headers)
    if value is None:
        del headers[name]
    else:
        headers[name] = value
    assert (await http.put(target.url, content=JPEG.content, headers=headers)).status_code == 403
    assert await store.find(promise.key) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("X-Amz-Expires=300", "X-Amz-Expires=301"),
        ("/o/", "/p/"),
        (f"/{BUCKET}/", "/other-bucket/"),
        ("localcloud-api", "localcloud-edge"),
        ("content-length%3B", ""),
        ("%3Bif-none-match", ""),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ("us-east-1", "us-east-2"),
        ("&X-Amz-Signature=", "&x-id=PutObject&X-Amz-Signature="),
    ],
)
async def test_an_edited_address_is_refused(
    store: S3Store, http: httpx.AsyncClient, promise: PromisedObject, target: PutUploadTarget, old: str, new: str
) -> None:
    assert old in target.url
    sent = await http.put(target.url.replace(old, new), content=JPEG.content, headers=dict(target.headers))
    assert 400 <= sent.status_code < 500
    assert await store.find(promise.key) is None


async def test_any_flipped_character_of_the_signature_is_refused(
    http: httpx.AsyncClient, target: PutUploadTarget
) -> None:
    address, name, signature = target.url.partition("&X-Amz-Signature=")
    assert len(signature) == 64
    for n in range(64):
        flipped = signature[:n] + ("0" if signature[n] != "0" else "1") + signature[n + 1 :]
        sent = await http.put(address + name + flipped, content=JPEG.content, headers=dict(target.headers))
        assert sent.status_code == 403, n


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
async def test_another_verb_is_refused(
    store: S3Store, http: httpx.AsyncClient, promise: PromisedObject, target: PutUploadTarget, method: str
) -> None:
    assert (await http.put(target.url, content=JPEG.content, headers=dict(target.headers))).status_code == 200
    assert (await http.request(method, target.url, headers=dict(target.headers))).status_code >= 400
    assert await store.find(promise.key)


async def test_a_second_put_is_refused_and_changes_nothing(
    store: S3Store, http: httpx.AsyncClient, promise: PromisedObject, target: PutUploadTarget
) -> None:
    assert (await http.put(target.url, content=JPEG.content, headers=dict(target.headers))).status_code == 200
    before = await store.find(promise.key)
    assert (await http.put(target.url, content=JPEG.content, headers=dict(target.headers))).status_code == 412
    assert await store.find(promise.key) == before


async def test_an_expired_target_is_refused(store: S3Store, http: httpx.AsyncClient, promise: PromisedObject) -> None:
    expired = await store.presign_put(
        promise, now=datetime.now(UTC) - timedelta(minutes=10), lifetime=timedelta(minutes=9)
    )
    sent = await http.put(expired.url, content=JPEG.content, headers=dict(expired.headers))
    assert sent.status_code == 403
    assert await store.find(promise.key) is None


async def test_a_body_of_unannounced_length_is_refused(
    store: S3Store, http: httpx.AsyncClient, promise: PromisedObject, target: PutUploadTarget
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield JPEG.content

    sent = await http.put(target.url, content=chunks(), headers=dict(target.headers))
    assert 400 <= sent.status_code < 500
    assert await store.find(promise.key) is None


async def test_a_store_that_is_down_is_unavailable_and_works_again_when_it_is_back(
    http: httpx.AsyncClient, tmp_path: Path
) -> None:
    server = SeaweedStore(tmp_path, port=free_port(), bucket=BUCKET)
    store = s3_store(server)
    promise = JPEG.promise()
    try:
        server.start()
        server.create_bucket([upload_cors_rule(["*"])], lifecycle_rules())
        target = await target_for(store, promise)
        assert (await http.put(target.url, content=JPEG.content, headers=dict(target.headers))).status_code == 200
        assert await store.find(promise.key)
        server.stop()
        for call in (store.check(), store.find(promise.key), store.read_start(promise.key, 1), store.delete(["o/a"])):
            with pytest.raises(Unavailable) as caught:
                await call
            assert caught.value.part == "store"
        await target_for(store, JPEG.promise())  # presigning needs no store
        server.start()
        await store.check()
        assert await store.read_start(promise.key, 1) == JPEG.content[:1]
    finally:
        server.stop()
        store.close()
