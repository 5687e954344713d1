"""Links to a store, tried on stores that verify them: what was signed opens, and nothing else does."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from graphql_api.signing import UrlSigner
from graphql_api.storage.s3 import S3Store
from tests.contracts.samples import SAMPLES

LONGEST = timedelta(days=1)
JPEG = SAMPLES["jpeg"]
QUERY = [
    ("response-content-disposition", "attachment; filename=\"_.jpg\"; filename*=UTF-8''%E6%97%A5.jpg"),
    ("response-content-type", "text/plain"),
]

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["seaweed", "mini"])
def store(request: pytest.FixtureRequest) -> S3Store:
    found: S3Store = request.getfixturevalue(request.param)
    return found


async def signer_of(store: S3Store) -> UrlSigner:
    return (await store.links(longest=LONGEST).link_signer(datetime.now(UTC))).signer


def tampered(url: str) -> list[str]:
    """With each part changed that is not to be."""
    changes = [
        ("/o/", "/p/"),
        ("attachment", "inline"),
        ("text%2Fplain", "text%2Fhtml"),
        ("Expires=86400", "Expires=86401"),
    ]
    assert all(old in url for old, _ in changes)
    last = "0" if url[-1] != "0" else "1"
    without = url.replace("response-content-type=text%2Fplain&", "")
    return [*(url.replace(old, new) for old, new in changes), url[:-1] + last, without, url + "&response-expires=0"]


async def test_a_link_opens_as_it_was_signed_until_it_ends(store: S3Store) -> None:
    signer, now = await signer_of(store), datetime.now(UTC)
    promise = JPEG.promise()
    target = await store.presign_put(promise, now=now, lifetime=timedelta(minutes=1))
    async with httpx.AsyncClient(trust_env=False) as client:
        put = await client.put(target.url, content=JPEG.content, headers=dict(target.headers))
        assert put.status_code == 200
        for left in (timedelta(minutes=1), LONGEST):
            signed = signer.sign(f"/{promise.key}", QUERY, expires_at=now + left)
            answer = await client.get(signed.url)
            assert answer.status_code == 200
            assert answer.content == JPEG.content
            assert answer.headers["content-disposition"] == QUERY[0][1]
            assert answer.headers["content-type"] == "text/plain"
        for changed in tampered(signed.url):
            assert (await client.get(changed)).status_code == 403, changed
        assert (await client.put(signed.url, content=b"other")).status_code == 403
        ended = signer.sign(f"/{promise.key}", QUERY, expires_at=now - timedelta(seconds=2))
        assert (await client.get(ended.url)).status_code == 403
