"""What a form binds, tried on the two stores that verify it: only the promised bytes, in time; and again the same."""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from graphql_api.model.stored_object import PostUploadTarget, PromisedObject
from graphql_api.storage.s3 import S3Store
from tests.contracts.samples import SAMPLES, Sample

JPEG = SAMPLES["jpeg"]
LIFETIME = timedelta(minutes=5)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["seaweed", "mini"])
def store(request: pytest.FixtureRequest) -> S3Store:
    found: S3Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def promise() -> PromisedObject:
    return JPEG.promise()


@pytest.fixture
async def target(store: S3Store, promise: PromisedObject) -> PostUploadTarget:
    return await store.presign_post(promise, now=datetime.now(UTC), lifetime=LIFETIME)


async def post(url: str, fields: dict[str, str], content: bytes) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(url, data=fields, files={"file": ("name.bin", content, "application/x-other")})


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_a_form_stores_what_was_promised_and_the_same_again(store: S3Store, sample: Sample) -> None:
    promise = sample.promise()
    target = await store.presign_post(promise, now=datetime.now(UTC), lifetime=LIFETIME)
    etags = set()
    for _ in range(2):
        sent = await post(target.url, dict(target.fields), sample.content)
        assert sent.status_code == 201
        found = await store.find(promise.key)
        assert found
        assert (found.size, found.content_type) == (promise.size, promise.content_type)
        assert found.sha256 in (promise.sha256, None)
        etags |= {found.etag, sent.headers["ETag"].strip('"')}
    assert len(etags) == 1
    assert await store.read_start(promise.key, promise.size + 1) == sample.content


@pytest.mark.parametrize("content", [JPEG.content + b"x", JPEG.content[:-1], b""], ids=["longer", "shorter", "empty"])
async def test_another_length_is_refused(
    store: S3Store, promise: PromisedObject, target: PostUploadTarget, content: bytes
) -> None:
    sent = await post(target.url, dict(target.fields), content)
    assert sent.status_code == 400
    assert await store.find(promise.key) is None


async def test_other_bytes_of_the_same_length_are_refused(seaweed: S3Store) -> None:
    """MiniStack does not compare a form's checksum."""
    promise = JPEG.promise()
    target = await seaweed.presign_post(promise, now=datetime.now(UTC), lifetime=LIFETIME)
    sent = await post(target.url, dict(target.fields), JPEG.content[:-1] + b"x")
    assert sent.status_code == 400
    assert await seaweed.find(promise.key) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "text/html"),
        ("key", "o/another"),
        ("key", "o/${filename}"),
        ("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ("success_action_status", "200"),
        ("x-amz-date", "20261122T090507Z"),
        ("x-amz-signature", "0" * 64),
        ("x-amz-meta-owner", "somebody"),
    ],
)
async def test_a_field_changed_or_added_is_refused(
    store: S3Store, promise: PromisedObject, target: PostUploadTarget, name: str, value: str
) -> None:
    sent = await post(target.url, dict(target.fields) | {name: value}, JPEG.content)
    assert 400 <= sent.status_code < 500
    assert await store.find(promise.key) is None
    assert await store.find("o/another") is None
    assert await store.find("o/name.bin") is None


async def test_a_field_that_the_policy_does_not_name_is_refused(mini: S3Store) -> None:
    """SeaweedFS lets through what does not begin with x-amz-."""
    promise = JPEG.promise()
    target = await mini.presign_post(promise, now=datetime.now(UTC), lifetime=LIFETIME)
    sent = await post(target.url, dict(target.fields) | {"acl": "public-read"}, JPEG.content)
    assert sent.status_code == 403
    assert await mini.find(promise.key) is None


@pytest.mark.parametrize(
    "name", ["key", "Content-Type", "x-amz-checksum-sha256", "x-amz-credential", "policy", "x-amz-signature"]
)
async def test_a_field_left_out_is_refused(
    store: S3Store, promise: PromisedObject, target: PostUploadTarget, name: str
) -> None:
    fields = dict(target.fields)
    del fields[name]
    sent = await post(target.url, fields, JPEG.content)
    assert 400 <= sent.status_code < 500
    assert await store.find(promise.key) is None


async def test_an_edited_policy_is_refused(store: S3Store, promise: PromisedObject, target: PostUploadTarget) -> None:
    fields = dict(target.fields)
    policy = json.loads(b64decode(fields["policy"]))
    policy["conditions"] = [
        ["content-length-range", 0, 10**9] if isinstance(one, list) else one for one in policy["conditions"]
    ]
    fields["policy"] = b64encode(json.dumps(policy).encode()).decode()
    sent = await post(target.url, fields, JPEG.content + b"more")
    assert sent.status_code == 403
    assert await store.find(promise.key) is None


async def test_an_expired_form_is_refused(store: S3Store, promise: PromisedObject) -> None:
    earlier = datetime.now(UTC) - timedelta(minutes=10)
    target = await store.presign_post(promise, now=earlier, lifetime=timedelta(minutes=9))
    sent = await post(target.url, dict(target.fields), JPEG.content)
    assert sent.status_code == 403
    assert await store.find(promise.key) is None


async def test_a_form_without_a_checksum_is_a_mistake(seaweed: S3Store) -> None:
    with pytest.raises(ValueError, match="checksum"):
        await seaweed.presign_post(
            JPEG.promise(with_checksum=False), now=datetime.now(UTC), lifetime=timedelta(minutes=5)
        )
