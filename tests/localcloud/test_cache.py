"""What the edge keeps: the same answers as from the store, to nobody whom the signature does not let through."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from graphql_api.localcloud.cache import DEFAULT_TTL, MAX_OBJECT, MAX_TTL, Cache, CacheKey
from graphql_api.localcloud.edge import create_edge
from graphql_api.localcloud.origin import OriginRequest, OriginResponse, S3Origin
from graphql_api.localcloud.store import SeaweedStore, connect
from tests.localcloud.conftest import BUCKET
from tests.localcloud.viewer import BASE_URL, EPOCH, NOW, URL, Signer

SIGNER = Signer("KEDGE", ec.generate_private_key(ec.SECP256R1()), is_sha256=True)
TRUSTED = {"KEDGE": SIGNER.public_pem}
KEY = URL.removeprefix(f"{BASE_URL}/")
BODY = b"0123456789" * 10
HIT, MISS, ERROR = "Hit from cloudfront", "Miss from cloudfront", "Error from cloudfront"


@dataclass
class CountedOrigin:
    """The store; ``asked``: what it was asked for."""

    origin: S3Origin
    asked: list[OriginRequest] = field(default_factory=list)

    def fetch(self, request: OriginRequest) -> OriginResponse:
        self.asked.append(request)
        return self.origin.fetch(request)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def s3(store: SeaweedStore) -> Iterator[S3Origin]:
    with closing(connect(store.endpoint_url, store.api)) as client:
        client.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, ContentType="text/plain")
        client.put_object(Bucket=BUCKET, Key="o/large", Body=bytes(MAX_OBJECT + 1), ContentType="text/plain")
    with closing(S3Origin(store.endpoint_url, BUCKET, store.edge)) as running:
        yield running


@pytest.fixture
def origin(s3: S3Origin) -> CountedOrigin:
    return CountedOrigin(s3)


def viewer_of(origin: CountedOrigin, clock: Clock | None = None, cache: Cache | None = None) -> httpx.AsyncClient:
    edge = create_edge(BASE_URL, TRUSTED, origin, clock or Clock(), cache=cache)
    return httpx.AsyncClient(transport=httpx.ASGITransport(edge, client=("192.0.2.7", 40_000)))


async def test_what_was_fetched_once_is_not_fetched_again(origin: CountedOrigin) -> None:
    clock = Clock()
    async with viewer_of(origin, clock) as viewer:
        first = await viewer.get(SIGNER.canned(URL, EPOCH + 60))
        clock.now += timedelta(seconds=7)
        again = await viewer.get(SIGNER.canned(URL, EPOCH + 90))  # another link to the same
    assert (first.headers["X-Cache"], again.headers["X-Cache"]) == (MISS, HIT)
    assert "Age" not in first.headers
    assert again.headers["Age"] == "7"
    assert first.content == again.content == BODY
    for name in ("Content-Type", "Content-Length", "ETag", "Last-Modified"):
        assert first.headers[name] == again.headers[name]
    assert len(origin.asked) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status", "part"),
    [
        ({}, 200, slice(None)),
        ({"Range": "bytes=0-0"}, 206, slice(0, 1)),
        ({"Range": "bytes=5-9"}, 206, slice(5, 10)),
        ({"Range": "bytes=90-"}, 206, slice(90, 100)),
        ({"Range": "bytes=-7"}, 206, slice(93, 100)),
        ({"Range": "bytes=0-1000"}, 206, slice(0, 100)),
        ({"Range": "bytes=100-"}, 416, slice(0)),
        ({"Range": "bytes=9-5"}, 200, slice(None)),
        ({"Range": "bytes=0-1,5-6"}, 200, slice(None)),
        ({"Range": "lines=0-1"}, 200, slice(None)),
        ({"Range": "bytes=0-4", "If-Range": "ETAG"}, 206, slice(0, 5)),
        ({"Range": "bytes=0-4", "If-Range": "MODIFIED"}, 206, slice(0, 5)),
        ({"Range": "bytes=0-4", "If-Range": '"another"'}, 200, slice(None)),
        ({"If-None-Match": "ETAG"}, 304, slice(0)),
        ({"If-None-Match": 'W/"x", W/ETAG'}, 304, slice(0)),
        ({"If-None-Match": "*"}, 304, slice(0)),
        ({"If-None-Match": '"another"'}, 200, slice(None)),
        ({"If-None-Match": '"another"', "If-Modified-Since": "MODIFIED"}, 200, slice(None)),
        ({"If-Match": "ETAG"}, 200, slice(None)),
        ({"If-Match": "*"}, 200, slice(None)),
        ({"If-Match": '"another"'}, 412, slice(0)),
        ({"If-Modified-Since": "MODIFIED"}, 304, slice(0)),
        ({"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 200, slice(None)),
        ({"If-Modified-Since": "lately"}, 200, slice(None)),
        ({"If-Unmodified-Since": "MODIFIED"}, 200, slice(None)),
        ({"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 412, slice(0)),
        ({"Range": "bytes=5-9", "If-None-Match": "ETAG"}, 304, slice(0)),
        ({"Range": "bytes=5-9", "If-Match": "ETAG"}, 206, slice(5, 10)),
    ],
    ids=str,
)
async def test_ranges_and_conditions_are_answered_from_the_cache_as_the_rfc_has_it(
    origin: CountedOrigin, method: str, headers: Mapping[str, str], status: int, part: slice
) -> None:
    """RFC 9110, sections 13 and 14."""
    async with viewer_of(origin) as viewer:
        whole = await viewer.get(SIGNER.canned(URL))
        known = {"ETAG": whole.headers["ETag"], "MODIFIED": whole.headers["Last-Modified"]}
        sent = {name: value.replace("ETAG", known["ETAG"]) for name, value in headers.items()}
        sent = {name: known.get(value, value) for name, value in sent.items()}
        answer = await viewer.request(method, SIGNER.canned(URL), headers=sent)
    if method == "HEAD" and status in (206, 416):  # a range is for GET only
        status, part = 200, slice(None)
    assert answer.status_code == status
    assert len(origin.asked) == 1
    if status >= 400:
        assert answer.headers["X-Cache"] == ERROR
        assert answer.headers.get("Content-Range") == ("bytes */100" if status == 416 else None)
        return
    assert answer.headers["X-Cache"] == HIT
    assert answer.headers["ETag"] == known["ETAG"]
    assert answer.content == (b"" if method == "HEAD" else BODY[part])
    if status != 304:
        assert answer.headers["Content-Length"] == str(len(BODY[part]))
    if status == 206:
        start, end, _ = part.indices(len(BODY))
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/100"


async def test_nobody_gets_from_the_cache_what_they_may_not_have(origin: CountedOrigin) -> None:
    clock = Clock()
    async with viewer_of(origin, clock) as viewer:
        link = SIGNER.canned(URL, EPOCH + 60)
        assert (await viewer.get(link)).status_code == 200
        assert (await viewer.get(URL)).status_code == 403
        assert (await viewer.get(link.replace("Signature=", "Signature=A"))).status_code == 403
        clock.now += timedelta(seconds=60)
        assert (await viewer.get(link)).status_code == 403


async def test_what_is_sent_otherwise_is_kept_apart(origin: CountedOrigin) -> None:
    async with viewer_of(origin) as viewer:
        for query, kind in (("", "text/plain"), ("?response-content-type=a%2Fb", "a/b"), ("?other=1", "text/plain")):
            for _ in range(2):
                answer = await viewer.get(SIGNER.canned(URL + query))
                assert answer.headers["Content-Type"] == kind
    assert len(origin.asked) == 2  # what the origin does not get makes no difference


async def test_what_is_too_old_or_too_large_is_fetched(origin: CountedOrigin) -> None:
    clock = Clock()
    async with viewer_of(origin, clock) as viewer:
        for _ in range(2):
            assert (await viewer.get(SIGNER.canned(URL, EPOCH + 2 * DEFAULT_TTL))).headers["X-Cache"] == MISS
            clock.now += timedelta(seconds=DEFAULT_TTL)
        for _ in range(2):
            large = await viewer.get(SIGNER.canned(f"{BASE_URL}/o/large", EPOCH + 3 * DEFAULT_TTL))
            assert (large.headers["X-Cache"], len(large.content)) == (MISS, MAX_OBJECT + 1)


async def test_neither_refusals_nor_ranges_nor_heads_are_kept(origin: CountedOrigin) -> None:
    async with viewer_of(origin) as viewer:
        for _ in range(2):
            assert (await viewer.get(SIGNER.canned(f"{BASE_URL}/o/absent"))).status_code == 403
            assert (await viewer.get(SIGNER.canned(URL), headers={"Range": "bytes=0-1"})).headers["X-Cache"] == MISS
            assert (await viewer.head(SIGNER.canned(URL))).headers["X-Cache"] == MISS
    assert len(origin.asked) == 6


async def test_what_is_invalidated_is_fetched(origin: CountedOrigin) -> None:
    cache = Cache()
    async with viewer_of(origin, cache=cache) as viewer:
        for path, is_dropped in (
            ("/o/*", True),
            ("/*", True),
            (f"/{KEY}", True),
            (f"/{KEY}*", True),
            (f"/{KEY}/*", False),
            ("/o/", False),
            (f"/{KEY[:-1]}", False),
        ):
            for query in ("", "?response-content-type=a%2Fb"):
                await viewer.get(SIGNER.canned(URL + query))
            assert (len(cache), cache.size) == (2, 2 * len(BODY))
            cache.invalidate([path])
            assert (len(cache), cache.size) == ((0, 0) if is_dropped else (2, 2 * len(BODY))), path


def response(body: bytes, **headers: str) -> OriginResponse:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return OriginResponse(200, (("content-length", str(len(body))), *named))


def key(name: str) -> CacheKey:
    return CacheKey(f"/o/{name}", ())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, DEFAULT_TTL),
        ({"cache_control": "max-age=60"}, 60),
        ({"cache_control": "public, max-age=60, s-maxage=30"}, 30),
        ({"cache_control": "max-age=0"}, 0),
        ({"cache_control": "no-store"}, 0),
        ({"cache_control": "private, max-age=60"}, 0),
        ({"cache_control": "max-age=9999999"}, MAX_TTL),
        ({"cache_control": "immutable"}, DEFAULT_TTL),
        ({"expires": "Sun, 22 Nov 2026 12:01:00 GMT"}, 60),
        ({"expires": "0"}, 0),
    ],
    ids=str,
)
def test_how_long_it_keeps_is_what_the_origin_says_within_bounds(headers: dict[str, str], seconds: int) -> None:
    cache = Cache()
    cache.put(key("a"), response(b"a", **headers), b"a", NOW)
    assert (len(cache) == 1) is (seconds > 0)
    if seconds:
        assert cache.find(key("a"), "GET", {}, NOW + timedelta(seconds=seconds - 1)) is not None
        assert cache.find(key("a"), "GET", {}, NOW + timedelta(seconds=seconds)) is None
    assert len(cache) == 0


def test_what_was_not_asked_for_longest_goes_first() -> None:
    cache = Cache(max_bytes=30)
    for name in "abc":
        cache.put(key(name), response(BODY[:10]), BODY[:10], NOW)
    assert cache.find(key("a"), "GET", {}, NOW) is not None
    cache.put(key("d"), response(BODY[:15]), BODY[:15], NOW)
    assert [name for name in "abcd" if cache.find(key(name), "GET", {}, NOW)] == ["a", "d"]
    assert cache.size == 25
    cache.put(key("e"), response(BODY[:31]), BODY[:31], NOW)
    cache.put(key("a"), response(BODY[:12]), BODY[:12], NOW)
    assert (len(cache), cache.size) == (2, 27)
