"""Which behaviour a path meets, and that nothing private is reached through one that asks for no signature."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.types import ASGIApp

from graphql_api.edge.function import revocation_function
from graphql_api.localcloud.behaviours import behaviour_of, normalised
from graphql_api.localcloud.edge import create_edge
from graphql_api.localcloud.function import EdgeFunction
from graphql_api.localcloud.key_value_store import KeyValueStore
from graphql_api.localcloud.origin import S3Origin
from graphql_api.localcloud.store import SeaweedStore, connect
from graphql_api.model.revocation import mark_of
from tests.localcloud.conftest import BUCKET
from tests.localcloud.viewer import BASE_URL, NOW, Signer, canned_policy, cookies, custom_policy, with_query

SIGNER = Signer("KEDGE", ec.generate_private_key(ec.SECP256R1()), is_sha256=True)

PRIVATE = "o/01jd9x2q6c8s5v7e0k3m4n5p6r"
PUBLISHED = "pub/01jd9x2q6c8s5v7e0k3m4n5p6s"
BUNDLE = "b/01jd9x2q6c8s5v7e0k3m4n5p6t"
OTHER_BUNDLE = "b/01jd9x2q6c8s5v7e0k3m4n5p6v"
FILE, FOLDER = mark_of("file_1"), mark_of("folder_1")


@pytest.fixture(scope="module")
def origin(store: SeaweedStore) -> Iterator[S3Origin]:
    with closing(connect(store.endpoint_url, store.api)) as client:
        for key in (PRIVATE, PUBLISHED, f"{BUNDLE}/index.m3u8", f"{BUNDLE}/video/1.m4s", f"{OTHER_BUNDLE}/index.m3u8"):
            client.put_object(Bucket=BUCKET, Key=key, Body=key.encode(), ContentType="text/plain")
    with closing(S3Origin(store.endpoint_url, BUCKET, store.edge)) as running:
        yield running


@pytest.fixture
async def viewer(origin: S3Origin) -> AsyncIterator[httpx.AsyncClient]:
    async with viewer_of(create_edge(BASE_URL, {"KEDGE": SIGNER.public_pem}, origin, lambda: NOW)) as client:
        yield client


def viewer_of(edge: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(edge, client=("192.0.2.7", 40_000)))


def as_sent(path: str) -> httpx.URL:
    """An address whose path no client rewrites."""
    return httpx.URL(BASE_URL).copy_with(raw_path=path.encode())


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a//b", "/a//b"),
        ("/%70ub/%41%7e", "/pub/A~"),
        ("/%2e%2E/b", "/b"),
        ("/pub%2Fx", "/pub%2Fx"),
        ("/%2570ub/x", "/%2570ub/x"),
    ],
)
def test_a_path_is_normalised_as_the_rfc_has_it(path: str, result: str) -> None:
    assert normalised(path) == result


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/pub/x", "/pub/*"),
        ("/pub/", "/pub/*"),
        ("/pub", "*"),
        ("/PUB/x", "*"),
        ("/%70ub/x", "/pub/*"),
        ("/pub%2Fx", "*"),
        ("/%2570ub/x", "*"),
        ("/pub/../o/x", "*"),
        ("/o/../pub/x", "/pub/*"),
        ("/o/pub/x", "*"),
        ("/b/x", "/b/*"),
        ("/pub/../b/x", "/b/*"),
        ("/o/x", "*"),
        ("/", "*"),
    ],
)
def test_the_first_behaviour_that_matches_counts(path: str, pattern: str) -> None:
    assert behaviour_of(path).pattern == pattern


async def test_what_is_published_needs_no_signature(viewer: httpx.AsyncClient) -> None:
    for path in (f"/{PUBLISHED}", f"/%70ub/{PUBLISHED.removeprefix('pub/')}", f"/{PUBLISHED}?Expires=1&Signature=x"):
        answer = await viewer.get(as_sent(path))
        assert (answer.status_code, answer.text) == (200, PUBLISHED)
    answer = await viewer.get(as_sent(f"/{PUBLISHED}?response-content-type=text/html"))
    assert answer.headers["Content-Type"] == "text/plain"  # the store was not told


@pytest.mark.parametrize("private", [PRIVATE, f"{BUNDLE}/index.m3u8"])
@pytest.mark.parametrize(
    "path",
    [
        "/{}",
        "/pub/../{}",
        "/pub/%2e%2e/{}",
        "/pub/%2E./{}",
        "/pub/..%2F{}",
        "/pub/..%2f..%2f{}",
        "/pub%2F..%2F{}",
        "/pub/.%2F..%2F{}",
        "/pub/%252e%252e/{}",
        "/pub/x/../../{}",
        "/pub/..\\{}",
        "/pub//../{}",
        "//{}",
        "/./{}",
        "/%6f/../{}",
        "/PUB/../{}",
        "/pub/..;/{}",
        "/pub/%00/../../{}",
    ],
)
async def test_nothing_private_is_reached_without_a_signature(
    viewer: httpx.AsyncClient, path: str, private: str
) -> None:
    answer = await viewer.get(as_sent(path.format(private)))
    assert answer.status_code in (400, 403)  # 400: the store says it of a backslash
    assert private not in answer.text


async def test_a_bundle_is_opened_by_one_policy_in_addresses_or_cookies(viewer: httpx.AsyncClient) -> None:
    policy = custom_policy(f"{BASE_URL}/{BUNDLE}/*")
    signed = SIGNER.custom(f"{BASE_URL}/{BUNDLE}/index.m3u8", policy)
    query = signed.partition("?")[2]
    for name in ("index.m3u8", "video/1.m4s"):
        for asked in (
            await viewer.get(f"{BASE_URL}/{BUNDLE}/{name}?{query}"),
            await viewer.get(f"{BASE_URL}/{BUNDLE}/{name}", headers={"Cookie": cookies(signed)}),
            # Whoever adds parameters of their own gets the file, but they change nothing.
            await viewer.get(
                f"{BASE_URL}/{BUNDLE}/{name}?response-content-type=text/html", headers={"Cookie": cookies(signed)}
            ),
        ):
            assert (asked.status_code, asked.text) == (200, f"{BUNDLE}/{name}")
            assert asked.headers["Content-Type"] == "text/plain"


async def test_cookies_of_one_bundle_open_nothing_else(viewer: httpx.AsyncClient) -> None:
    signed = SIGNER.custom(f"{BASE_URL}/{BUNDLE}/x", custom_policy(f"{BASE_URL}/{BUNDLE}/*"))
    for path in (
        f"/{OTHER_BUNDLE}/index.m3u8",
        f"/{PRIVATE}",
        f"/{BUNDLE}/../{OTHER_BUNDLE.removeprefix('b/')}/index.m3u8",
        f"/{BUNDLE}/%2e%2e/{OTHER_BUNDLE.removeprefix('b/')}/index.m3u8",
        f"/{BUNDLE}/..%2F{OTHER_BUNDLE.removeprefix('b/')}%2Findex.m3u8",
        f"/{BUNDLE}/..%2F..%2F{PRIVATE}",
    ):
        answer = await viewer.get(as_sent(path), headers={"Cookie": cookies(signed)})
        assert answer.status_code == 403, path
        query = signed.partition("?")[2]
        answer = await viewer.get(as_sent(f"{path}?{query}"))
        assert answer.status_code == 403, path


async def test_what_a_link_says_in_its_path_is_no_part_of_what_is_cached(origin: S3Origin) -> None:
    revoked = KeyValueStore()
    function = EdgeFunction(revocation_function(failure="refuse"), revoked)
    edge = create_edge(BASE_URL, {"KEDGE": SIGNER.public_pem}, origin, lambda: NOW, function)
    old, new = (f"{BASE_URL}/{BUNDLE}.{number}.{FILE}.{FOLDER}" for number in (6, 7))
    links = [SIGNER.custom(f"{base}/index.m3u8", custom_policy(f"{base}/*")) for base in (old, new)]
    plain = SIGNER.custom(f"{BASE_URL}/{BUNDLE}/index.m3u8", custom_policy(f"{BASE_URL}/{BUNDLE}/*"))
    async with viewer_of(edge) as viewer:
        answers = [await viewer.get(link) for link in (*links, plain)]
        assert {answer.text for answer in answers} == {f"{BUNDLE}/index.m3u8"}
        assert [answer.headers["X-Cache"].partition(" ")[0] for answer in answers] == ["Miss", "Hit", "Hit"]
        revoked.change({FOLDER: "7"}, set())
        assert [(await viewer.get(link)).status_code for link in links] == [403, 200]
        for base in (f"{new}/../{BUNDLE.removeprefix('b/')}", f"{new}%2F..", new.replace(".7.", ".8.")):
            for asked in (f"{base}/index.m3u8?{links[1].partition('?')[2]}", f"{base}/index.m3u8"):
                answer = await viewer.get(as_sent(asked.removeprefix(BASE_URL)), headers={"Cookie": cookies(links[1])})
                assert answer.status_code == 403, asked


async def test_the_function_chooses_no_behaviour(origin: S3Origin) -> None:
    """It is the viewer's path that the parameters of a behaviour are chosen by."""
    changes = f"event.request.uri = '/{PRIVATE}'; return event.request;"
    text = f"import cf from 'cloudfront';\nasync function handler(event) {{ {changes} }}"
    function = EdgeFunction(text, KeyValueStore())
    edge = create_edge(BASE_URL, {"KEDGE": SIGNER.public_pem}, origin, lambda: NOW, function)
    address = f"{BASE_URL}/{BUNDLE}/index.m3u8?response-content-type=text/html"
    async with viewer_of(edge) as viewer:
        answer = await viewer.get(SIGNER.canned(address))
        assert (answer.text, answer.headers["Content-Type"]) == (PRIVATE, "text/plain")  # of /b/*, which forwards none
        published = await viewer.get(f"{BASE_URL}/{PUBLISHED}")
        assert published.text == PUBLISHED  # where no function is run


async def test_parameters_in_the_address_decide_alone(viewer: httpx.AsyncClient) -> None:
    good = SIGNER.custom(f"{BASE_URL}/{BUNDLE}/x", custom_policy(f"{BASE_URL}/{BUNDLE}/*"))
    of_another = SIGNER.custom(f"{BASE_URL}/{OTHER_BUNDLE}/x", custom_policy(f"{BASE_URL}/{OTHER_BUNDLE}/*"))
    address = f"{BASE_URL}/{BUNDLE}/index.m3u8"
    query = of_another.partition("?")[2]
    assert (await viewer.get(f"{address}?{query}", headers={"Cookie": cookies(good)})).status_code == 403
    query = good.partition("?")[2]
    assert (await viewer.get(f"{address}?{query}", headers={"Cookie": cookies(of_another)})).status_code == 200


async def test_a_canned_cookie_opens_one_address(viewer: httpx.AsyncClient) -> None:
    address = f"{BASE_URL}/{BUNDLE}/index.m3u8"
    expires = int(NOW.timestamp()) + 60
    text = canned_policy(address, expires).encode()
    signed = with_query(address, f"Expires={expires}&{SIGNER.rest(text)}")
    assert (await viewer.get(address, headers={"Cookie": cookies(signed)})).status_code == 200
    other = f"{BASE_URL}/{BUNDLE}/video/1.m4s"
    assert (await viewer.get(other, headers={"Cookie": cookies(signed)})).status_code == 403


@pytest.mark.parametrize(
    "policy",
    [
        custom_policy(f"{BASE_URL}/{BUNDLE}/*").replace('"Statement":[', '"Statement":[' + "{},"),
        custom_policy(f"*://127.0.0.1:8001/{BUNDLE}/*"),  # allowed in addresses, not in cookies
        custom_policy(f"{BASE_URL}/{BUNDLE}/*", DateLessThan={"AWS:EpochTime": 2**31}),
        custom_policy(f"{BASE_URL}/{BUNDLE}/*", IpAddress={"AWS:SourceIp": "198.51.100.0/24"}),
    ],
    ids=["two statements", "no scheme", "after 2038", "another address"],
)
async def test_a_cookie_that_cloudfront_would_not_take_is_refused(viewer: httpx.AsyncClient, policy: str) -> None:
    signed = SIGNER.custom(f"{BASE_URL}/{BUNDLE}/index.m3u8", policy)
    answer = await viewer.get(f"{BASE_URL}/{BUNDLE}/index.m3u8", headers={"Cookie": cookies(signed)})
    assert answer.status_code == 403


async def test_a_cookie_that_stands_twice_is_refused(viewer: httpx.AsyncClient) -> None:
    signed = SIGNER.custom(f"{BASE_URL}/{BUNDLE}/x", custom_policy(f"{BASE_URL}/{BUNDLE}/*"))
    header = cookies(signed)
    doubled = f"{header}; {header.split('; ')[-1]}"
    answer = await viewer.get(f"{BASE_URL}/{BUNDLE}/index.m3u8", headers={"Cookie": doubled})
    assert answer.status_code == 403
