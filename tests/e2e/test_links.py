"""Links of the running stack at its edge: what opens, and CloudFront's own words for what does not."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from graphql_api.localcloud.edge import create_edge
from graphql_api.localcloud.origin import OriginRequest, OriginResponse
from graphql_api.model.delivery import SignedCookie
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import HashAlgorithm, Keyring, PrivateKey, SigningKey
from tests.cli.program import DevStack
from tests.e2e.client import Client
from tests.e2e.inside import signer

CONTENT = bytes(range(256)) * 1024


def refusal(code: str, message: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
    )


ACCESS_DENIED = refusal("AccessDenied", "Access denied")
MISSING_KEY = refusal("MissingKey", "Missing Key-Pair-Id query parameter or cookie value")
UNKNOWN_KEY = refusal("InvalidKey", "Unknown Key")
BAD_SIGNATURE = refusal("MalformedSignature", "Could not unencode Signature")
BAD_POLICY = refusal("MalformedPolicy", "Malformed Policy")


@pytest.fixture(scope="module")
def file(alice: Client) -> dict[str, Any]:
    return alice.upload("linked.bin", "application/octet-stream", CONTENT)


@pytest.fixture(scope="module")
def path(file: dict[str, Any]) -> str:
    """Of the object at the edge."""
    return urlsplit(str(file["signedUrl"]["url"])).path


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=5)


def ago(**by: float) -> datetime:
    return datetime.now(UTC) - timedelta(**by)


def body_of_403(client: Client, url: str, **headers: str) -> bytes:
    answer = client.get(url, **headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "text/xml"
    assert answer.headers["x-cache"] == "Error from cloudfront"
    return answer.content


def with_parameter(url: str, name: str, value: str | None) -> str:
    """``url`` with one parameter changed, or without it; the others as they were, byte for byte."""
    address, _, query = url.partition("?")
    parts = [part for part in query.split("&") if part.partition("=")[0] != name]
    if value is not None:
        parts.append(f"{name}={value}")
    return f"{address}?{'&'.join(parts)}"


def other_character(text: str) -> str:
    """``text`` with its tenth character changed; in base64 the last one may not count."""
    return text[:9] + ("A" if text[9] != "A" else "B") + text[10:]


@pytest.fixture(params=["canned", "custom"])
def link(request: pytest.FixtureRequest, alice: Client, file: dict[str, Any]) -> str:
    wish: dict[str, Any] = {} if request.param == "canned" else {"ipAddress": "127.0.0.1"}
    url = alice.link(file["id"], **wish)
    assert alice.get(url).content == CONTENT
    assert ("Policy=" in url) == (request.param == "custom")
    return url


def test_each_changed_part_is_refused(alice: Client, link: str, path: str) -> None:
    values = dict(parse_qsl(link.partition("?")[2]))
    time = "Policy" if "Policy" in values else "Expires"
    later = str(int(values[time]) + 1) if time == "Expires" else other_character(values[time])
    expected = {
        "another path": (link.replace(path, path + "x"), ACCESS_DENIED),
        "a name for the download": (with_parameter(link, "response-content-disposition", "inline"), ACCESS_DENIED),
        "without it": (with_parameter(link, "response-content-disposition", None), ACCESS_DENIED),
        "one more parameter": (link.replace("?", "?x=1&"), ACCESS_DENIED),
        "one more at the end": (link + "&x=1", ACCESS_DENIED),
        "a type": (link.replace("?", "?response-content-type=text/html&"), ACCESS_DENIED),
        "another signature": (with_parameter(link, "Signature", other_character(values["Signature"])), ACCESS_DENIED),
        "a signature in another alphabet": (with_parameter(link, "Signature", "%2B%2F"), BAD_SIGNATURE),
        "no signature": (with_parameter(link, "Signature", None), BAD_SIGNATURE),
        "another hash": (with_parameter(link, "Hash-Algorithm", "SHA1"), ACCESS_DENIED),
        "no hash": (with_parameter(link, "Hash-Algorithm", None), ACCESS_DENIED),
        "an unknown key": (with_parameter(link, "Key-Pair-Id", "K2JCJMDEHXQW5F"), UNKNOWN_KEY),
        "no key": (with_parameter(link, "Key-Pair-Id", None), MISSING_KEY),
        "no time": (with_parameter(link, time, None), BAD_POLICY),
        "nothing signed": (link.partition("?")[0], MISSING_KEY),
    }
    if time == "Expires":
        expected["a later end"] = (with_parameter(link, time, later), ACCESS_DENIED)
        expected["milliseconds"] = (with_parameter(link, time, values[time] + "000"), BAD_POLICY)
    for what, (url, body) in expected.items():
        assert (what, body_of_403(alice, url)) == (what, body)


def test_a_changed_policy_is_refused(alice: Client, file: dict[str, Any]) -> None:
    url = alice.link(file["id"], ipAddress="127.0.0.1")
    policy = dict(parse_qsl(url.partition("?")[2]))["Policy"]
    for at in range(4, len(policy) - 4, 13):
        changed = policy[:at] + ("A" if policy[at] != "A" else "B") + policy[at + 1 :]
        assert body_of_403(alice, with_parameter(url, "Policy", changed)) in (ACCESS_DENIED, BAD_POLICY)


def test_a_link_opens_within_its_time_only(alice: Client, file: dict[str, Any], path: str, dev_stack: DevStack) -> None:
    sign = signer(dev_stack)
    assert alice.get(sign.sign(path, expires_at=soon()).url).content == CONTENT
    assert body_of_403(alice, sign.sign(path, expires_at=ago(seconds=1)).url) == ACCESS_DENIED
    future = sign.sign(path, expires_at=soon(), starts_at=datetime.now(UTC) + timedelta(minutes=1))
    assert body_of_403(alice, future.url) == ACCESS_DENIED
    assert alice.get(sign.sign(path, expires_at=soon(), starts_at=ago(minutes=1)).url).content == CONTENT
    starts_at = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert body_of_403(alice, alice.link(file["id"], startsAt=starts_at)) == ACCESS_DENIED


def test_a_link_opens_from_its_address_only(alice: Client, file: dict[str, Any]) -> None:
    for here in ("127.0.0.1", "127.0.0.0/8", "0.0.0.0/0"):
        assert alice.get(alice.link(file["id"], ipAddress=here)).content == CONTENT
    for elsewhere in ("127.0.0.2", "192.0.2.0/24"):
        url = alice.link(file["id"], ipAddress=elsewhere)
        assert body_of_403(alice, url) == ACCESS_DENIED
        assert body_of_403(alice, url, **{"X-Forwarded-For": "192.0.2.1"}) == ACCESS_DENIED


def test_a_link_of_another_key_is_refused(alice: Client, path: str, dev_stack: DevStack) -> None:
    impostor = SigningKey(dev_stack.line["keyPairId"], ec.generate_private_key(ec.SECP256R1()))
    url = CloudFrontSigner(dev_stack.edge, Keyring([impostor])).sign(path, expires_at=soon()).url
    assert body_of_403(alice, url) == ACCESS_DENIED


def test_a_link_is_for_one_host(alice: Client, path: str, dev_stack: DevStack) -> None:
    url = signer(dev_stack).sign(path, expires_at=soon()).url
    elsewhere = url.replace("127.0.0.1", "localhost")
    answer = alice.get(elsewhere)
    assert answer.status_code == 403
    assert "We can't connect to the server for this app or website" in answer.text


def test_one_signature_opens_all_below_a_prefix(alice: Client, path: str, dev_stack: DevStack) -> None:
    prefix = path[: path.index("/", 1) + 1]
    below = signer(dev_stack).sign_prefix(prefix, expires_at=soon())
    assert alice.get(below.url(path).url).content == CONTENT
    named = below.url(path, [("response-content-disposition", 'attachment; filename="x.bin"')])
    assert alice.get(named.url).headers["content-disposition"] == 'attachment; filename="x.bin"'
    elsewhere = signer(dev_stack).sign_prefix("/elsewhere/", expires_at=soon())
    url = elsewhere.url("/elsewhere/x").url.replace("/elsewhere/x", path)
    assert body_of_403(alice, url) == ACCESS_DENIED


def cookie_header(cookies: tuple[SignedCookie, ...]) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)


def test_signed_cookies_open_what_they_name(alice: Client, path: str, dev_stack: DevStack) -> None:
    sign, url = signer(dev_stack), dev_stack.edge + path
    prefix = path[: path.index("/", 1) + 1]
    good = {
        "canned": sign.sign_cookies(path, expires_at=soon()),
        "custom": sign.sign_cookies(path, expires_at=soon(), ip_range="127.0.0.1"),
        "prefix": sign.sign_prefix_cookies(prefix, expires_at=soon(), starts_at=ago(minutes=1)),
    }
    for cookies in good.values():
        assert alice.get(url, Cookie=cookie_header(cookies)).content == CONTENT
        for cookie in cookies:
            others = tuple(other for other in cookies if other is not cookie)
            assert alice.get(url, Cookie=cookie_header(others)).status_code == 403
    assert body_of_403(alice, url + "x", Cookie=cookie_header(good["custom"])) == ACCESS_DENIED
    expired = sign.sign_cookies(path, expires_at=ago(seconds=1))
    assert body_of_403(alice, url, Cookie=cookie_header(expired)) == ACCESS_DENIED
    elsewhere = sign.sign_cookies(path, expires_at=soon(), ip_range="192.0.2.1")
    assert body_of_403(alice, url, Cookie=cookie_header(elsewhere)) == ACCESS_DENIED
    decides = sign.sign(path, expires_at=ago(seconds=1)).url  # a signed URL decides alone
    assert body_of_403(alice, decides, Cookie=cookie_header(good["canned"])) == ACCESS_DENIED


@pytest.mark.parametrize(
    ("asked", "start", "end"), [("bytes=0-99", 0, 99), ("bytes=1000-", 1000, 262_143), ("bytes=-1", 262_143, 262_143)]
)
def test_a_part_can_be_fetched(alice: Client, link: str, asked: str, start: int, end: int) -> None:
    answer = alice.get(link, Range=asked)
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(CONTENT)}"
    assert answer.content == CONTENT[start : end + 1]


def test_a_part_beyond_the_end_cannot(alice: Client, link: str) -> None:
    assert alice.get(link, Range=f"bytes={len(CONTENT)}-").status_code == 416


def test_head_tells_what_get_would(alice: Client, link: str) -> None:
    head, get = alice.plain.head(link), alice.get(link)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "content-disposition", "accept-ranges", "last-modified"):
        assert head.headers[name] == get.headers[name]


def test_what_is_known_is_not_sent_again(alice: Client, link: str) -> None:
    first = alice.get(link)
    for condition in ({"If-None-Match": first.headers["etag"]}, {"If-Modified-Since": first.headers["last-modified"]}):
        again = alice.get(link, **condition)
        assert (again.status_code, again.content) == (304, b"")
    assert alice.get(link, **{"If-None-Match": '"other"'}).content == CONTENT
    assert alice.get(link, **{"If-Match": '"other"'}).status_code == 412


def test_nothing_can_be_written_through_a_link(alice: Client, link: str) -> None:
    for method in ("PUT", "POST", "DELETE"):
        assert alice.plain.request(method, link, content=b"x").status_code == 403
    assert alice.get(link).content == CONTENT


class OneObject:
    """An origin that holds ``/o/x``."""

    def fetch(self, request: OriginRequest) -> OriginResponse:
        if request.key != "o/x":
            return OriginResponse(403, (), error_code="AccessDenied")
        return OriginResponse(200, (("content-length", "0"), *request.query.items()))


KEYS: Mapping[str, PrivateKey] = {
    "KRSA": rsa.generate_private_key(65_537, 2048),
    "KRSAOTHER": rsa.generate_private_key(65_537, 2048),
    "KP256": ec.generate_private_key(ec.SECP256R1()),
}


@pytest.fixture
async def edge() -> AsyncIterator[httpx.AsyncClient]:
    pems = {key_id: SigningKey(key_id, key).public_pem() for key_id, key in KEYS.items()}
    app = create_edge("https://cdn.example.com", pems, OneObject(), lambda: datetime.now(UTC))
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport) as client:
        yield client


@pytest.mark.parametrize("hash_algorithm", HashAlgorithm)
@pytest.mark.parametrize("key_id", KEYS)
async def test_every_kind_of_key_and_hash_opens_at_an_edge_with_several_keys(
    edge: httpx.AsyncClient, key_id: str, hash_algorithm: HashAlgorithm
) -> None:
    key = SigningKey(key_id, KEYS[key_id], hash_algorithm)
    sign = CloudFrontSigner("https://cdn.example.com", Keyring([key]))
    query = [("response-content-disposition", "attachment; filename*=UTF-8''%E6%9D%B1 a+b&c=d'(1)")]
    good = [
        sign.sign("/o/x", expires_at=soon()),
        sign.sign("/o/x", query, expires_at=soon()),
        sign.sign("/o/x", query, expires_at=soon(), starts_at=ago(minutes=1), ip_range="192.0.2.0/24"),
        sign.sign_prefix("/o/", expires_at=soon(), ip_range="192.0.2.7").url("/o/x", query),
    ]
    for signed in good:
        answer = await edge.get(signed.url)
        assert answer.status_code == 200, answer.text
    assert answer.headers["response-content-disposition"] == query[0][1]
    for cookies in (
        sign.sign_cookies("/o/x", expires_at=soon()),
        sign.sign_prefix_cookies("/o/", expires_at=soon(), ip_range="192.0.2.7"),
    ):
        answer = await edge.get("https://cdn.example.com/o/x", headers={"Cookie": cookie_header(cookies)})
        assert answer.status_code == 200, answer.text
    others = [other for other in KEYS if other != key_id]
    for signed in good:
        for other in others:
            answer = await edge.get(signed.url.replace(f"Key-Pair-Id={key_id}", f"Key-Pair-Id={other}"))
            assert (answer.status_code, answer.content) == (403, ACCESS_DENIED)
