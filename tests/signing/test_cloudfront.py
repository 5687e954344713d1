"""CloudFront links and cookies: equal to botocore's, accepted by a verifier, and what cannot be bound is refused."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from botocore.signers import CloudFrontSigner as BotocoreSigner
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.errors import ConfigurationError, InvalidInput
from graphql_api.signing import UrlSigner
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import HashAlgorithm, Keyring, SigningKey

BASE = "https://cdn.example.com"
ENDS = datetime(2026, 12, 1, 12, 0, 0, tzinfo=UTC)
STARTS = ENDS - timedelta(hours=1)
FROM_CLOUDFRONT = str.maketrans("-_~", "+=/")
UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

PATHS = ["/", "/o/01jd9x2q", "/a b/ü+'\"<>|\\.pdf", "/a//b", "/100%/*?#", "/日本/😀"]
QUERIES: list[list[tuple[str, str]]] = [
    [],
    [("response-content-disposition", "attachment; filename*=UTF-8''a%20b.pdf")],
    [("x", ""), ("x", "1"), ("é &=+", "?/:*#")],
]


@pytest.fixture(scope="session")
def rsa_key(rsa_pem: str) -> SigningKey:
    return SigningKey.from_pem("KRSA", rsa_pem, HashAlgorithm.SHA1)


@pytest.fixture(scope="session")
def p256_key() -> SigningKey:
    return SigningKey("KP256", ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture
def signer(p256_key: SigningKey) -> CloudFrontSigner:
    return CloudFrontSigner(BASE, Keyring([p256_key]))


def decoded(text: str) -> bytes:
    return base64.b64decode(text.translate(FROM_CLOUDFRONT), validate=True)


def is_valid(key: SigningKey, message: bytes, signature: str) -> bool:
    """As an edge sees it: only the public half, and the hash that the link names or SHA-1."""
    how = hashes.SHA256() if key.hash_algorithm is HashAlgorithm.SHA256 else hashes.SHA1()
    public = key.private_key.public_key()
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(decoded(signature), message, padding.PKCS1v15(), how)
        else:
            public.verify(decoded(signature), message, ec.ECDSA(how))
    except InvalidSignature:
        return False
    return True


def canned(resource: str, expires: int) -> bytes:
    """The policy that CloudFront rebuilds, as the developer guide prints it."""
    condition = {"DateLessThan": {"AWS:EpochTime": expires}}
    return json.dumps({"Statement": [{"Resource": resource, "Condition": condition}]}, separators=(",", ":")).encode()


def statement(policy: str | bytes) -> Any:
    (only,) = json.loads(decoded(policy) if isinstance(policy, str) else policy)["Statement"]
    return only


def parameters(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("path", PATHS)
def test_a_canned_link_equals_botocores(path: str, query: list[tuple[str, str]], rsa_key: SigningKey) -> None:
    signer = CloudFrontSigner(BASE, Keyring([rsa_key]))
    url = signer.sign(path, query, expires_at=ENDS).url
    address = url.partition("Expires=")[0][:-1]
    assert url == BotocoreSigner("KRSA", rsa_key.sign).generate_presigned_url(address, date_less_than=ENDS)


@pytest.mark.parametrize(
    ("starts_at", "ip_range"),
    [(STARTS, None), (None, "192.0.2.7"), (None, "192.0.2.0/24"), (STARTS, "192.0.2.7"), (STARTS, "0.0.0.0/0")],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_custom_link_equals_botocores(
    path: str, starts_at: datetime | None, ip_range: str | None, rsa_key: SigningKey
) -> None:
    signer = CloudFrontSigner(BASE, Keyring([rsa_key]))
    signed = signer.sign(path, expires_at=ENDS, starts_at=starts_at, ip_range=ip_range)
    address = signed.url.partition("?")[0]
    oracle = BotocoreSigner("KRSA", rsa_key.sign)
    policy = oracle.build_policy(address, ENDS, date_greater_than=starts_at, ip_address=ip_range)
    assert signed.url == oracle.generate_presigned_url(address, policy=policy)
    assert signed.has_custom_policy


def test_a_custom_policy_escapes_the_question_mark_that_botocore_leaves_a_wildcard(signer: CloudFrontSigner) -> None:
    url = signer.sign("/a?b*", [("c", "*?")], expires_at=ENDS, ip_range="192.0.2.7").url
    assert url.startswith(f"{BASE}/a%3Fb%2A?c=%2A%3F&Policy=")
    assert statement(parameters(url)["Policy"])["Resource"] == f"{BASE}/a%3Fb%2A\\?c=%2A%3F"


@pytest.mark.parametrize("kind", ["rsa_key", "p256_key"])
def test_the_signature_is_over_the_emitted_address(kind: str, request: pytest.FixtureRequest) -> None:
    key: SigningKey = request.getfixturevalue(kind)
    for path in PATHS:
        for query in QUERIES:
            url = CloudFrontSigner(BASE, Keyring([key])).sign(path, query, expires_at=ENDS).url
            address, _, _ = url.partition("Expires=")
            found = parameters(url)
            assert is_valid(key, canned(address[:-1], int(found["Expires"])), found["Signature"])
            assert not is_valid(key, canned(address, int(found["Expires"])), found["Signature"])
            assert not is_valid(key, canned(address[:-1], int(found["Expires"]) + 1), found["Signature"])


def test_sha256_is_named_and_sha1_is_not(signer: CloudFrontSigner, rsa_key: SigningKey) -> None:
    assert signer.sign("/a", expires_at=ENDS).url.endswith("&Key-Pair-Id=KP256&Hash-Algorithm=SHA256")
    assert CloudFrontSigner(BASE, Keyring([rsa_key])).sign("/a", expires_at=ENDS).url.endswith("&Key-Pair-Id=KRSA")


@given(path=st.text(st.characters(exclude_categories=["Cs"])), value=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_link_is_plain_ascii_and_means_what_was_given(path: str, value: str) -> None:
    signer = CloudFrontSigner(BASE, Keyring([SigningKey("K", ec.derive_private_key(7, ec.SECP256R1()))]))
    if not {".", ".."}.isdisjoint(path.split("/")):
        return
    url = signer.sign("/" + path, [("v", value)], expires_at=ENDS).url
    assert set(url) <= UNRESERVED | set(":/?&=%")
    assert unquote(url.partition("?")[0]) == f"{BASE}/{path}"
    assert dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))["v"] == value


def test_equal_requests_give_equal_links(signer: CloudFrontSigner) -> None:
    elsewhere = ENDS.astimezone(timezone(timedelta(hours=5)))
    assert signer.sign("/a", expires_at=ENDS) == signer.sign("/a", expires_at=elsewhere)


def test_the_result_tells_the_second_that_was_signed(signer: CloudFrontSigner) -> None:
    signed = signer.sign("/a", expires_at=ENDS + timedelta(microseconds=999_999))
    assert signed.expires_at == ENDS
    assert parameters(signed.url)["Expires"] == str(int(ENDS.timestamp()))
    assert not signed.has_custom_policy
    assert signed.key_pair_id == "KP256"


def test_the_signer_is_a_url_signer(signer: CloudFrontSigner) -> None:
    promised: UrlSigner = signer
    assert promised.sign("/a", expires_at=ENDS).url.startswith(f"{BASE}/a?Expires=")


@pytest.mark.parametrize("name", ["Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"])
def test_cloudfronts_own_parameters_cannot_be_ours(name: str, signer: CloudFrontSigner) -> None:
    with pytest.raises(ValueError, match="keeps this query parameter"):
        signer.sign("/a", [("ok", "1"), (name, "1")], expires_at=ENDS)


@pytest.mark.parametrize("path", ["", "a", "https://evil.example/", "/a/../b", "/./a", "/..", "/a/."])
def test_a_path_that_a_browser_would_rewrite_is_a_mistake(path: str, signer: CloudFrontSigner) -> None:
    with pytest.raises(ValueError, match="path"):
        signer.sign(path, expires_at=ENDS)


@pytest.mark.parametrize("path", ["/.well-known/a", "/a/..b", "/a...", "/.../b"])
def test_dots_that_are_no_segment_are_data(path: str, signer: CloudFrontSigner) -> None:
    assert signer.sign(path, expires_at=ENDS).url.startswith(f"{BASE}{path}?")


@pytest.mark.parametrize(
    "ip_range",
    [
        *[
            "",
            " ",
            "0",
            "1.2.3",
            "1.2.3.4.5",
            "256.0.0.1",
            "01.2.3.4",
            " 1.2.3.4",
            "1.2.3.4\n",
            "1.2.3.4/",
            "1.2.3.4/33",
        ],
        *["1.2.3.4/-1", "1.2.3.4/24", "192.0.2.1/0", "::1", "2001:db8::/32", "::ffff:1.2.3.4", "*", "localhost"],
        *["1.2.3.4,5.6.7.8", '1.2.3.4"}', "１.２.３.４", "0x7f.0.0.1"],
    ],
)
def test_what_is_no_ipv4_range_is_refused(ip_range: str, signer: CloudFrontSigner) -> None:
    with pytest.raises(InvalidInput) as caught:
        signer.sign("/a", expires_at=ENDS, ip_range=ip_range)
    assert caught.value.path == ("ipAddress",)


@pytest.mark.parametrize("starts_at", [ENDS, ENDS + timedelta(days=1), datetime(1969, 1, 1, tzinfo=UTC)])
def test_a_link_that_would_never_open_is_refused(starts_at: datetime, signer: CloudFrontSigner) -> None:
    with pytest.raises(InvalidInput) as caught:
        signer.sign("/a", expires_at=ENDS, starts_at=starts_at)
    assert caught.value.path == ("startsAt",)


LAST_MOMENT = datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC)


def test_the_last_possible_second_can_be_signed(signer: CloudFrontSigner) -> None:
    assert "Expires=2147483647&" in signer.sign("/a", expires_at=LAST_MOMENT).url


@pytest.mark.parametrize("expires_at", [LAST_MOMENT + timedelta(seconds=1), datetime(1970, 1, 1, tzinfo=UTC)])
def test_dates_beyond_32_bits_are_refused(expires_at: datetime, signer: CloudFrontSigner) -> None:
    with pytest.raises(InvalidInput, match="1970 to 2038"):
        signer.sign("/a", expires_at=expires_at)


def test_a_naive_date_is_a_mistake(signer: CloudFrontSigner) -> None:
    with pytest.raises(ValueError, match="time zone"):
        signer.sign("/a", expires_at=ENDS.replace(tzinfo=None))
    with pytest.raises(ValueError, match="time zone"):
        signer.sign("/a", expires_at=ENDS, starts_at=STARTS.replace(tzinfo=None))


def test_a_link_of_more_than_8192_bytes_is_refused(signer: CloudFrontSigner) -> None:
    spare = 8192 - len(signer.sign("/", expires_at=ENDS).url)
    fits = next(
        url for n in range(spare, 0, -1) if (url := attempt(signer, "/" + "a" * n)) is not None
    )  # an ECDSA signature's length varies by some bytes
    assert len(fits) <= 8192
    with pytest.raises(InvalidInput, match="8192 are possible"):
        signer.sign("/" + "ä" * 3000, expires_at=ENDS)


def attempt(signer: CloudFrontSigner, path: str) -> str | None:
    try:
        return signer.sign(path, expires_at=ENDS).url
    except InvalidInput:
        return None


def test_half_a_surrogate_pair_is_refused(signer: CloudFrontSigner) -> None:
    with pytest.raises(InvalidInput, match="Unicode"):
        signer.sign("/a", [("filename", "\ud83d")], expires_at=ENDS)


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("https://cdn.example.com/", "https://cdn.example.com"),
        ("HTTPS://CDN.Example.com:443", "https://cdn.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:80/", "http://127.0.0.1"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_the_base_url_is_written_as_browsers_write_it(base_url: str, origin: str, p256_key: SigningKey) -> None:
    url = CloudFrontSigner(base_url, Keyring([p256_key])).sign("/a", expires_at=ENDS).url
    assert url.startswith(f"{origin}/a?")


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "cdn.example.com",
        "ftp://a",
        "https://",
        "https://a/b",
        "https://a?b",
        "https://a#b",
        "https://u:p@a",
        "*://a",
    ],
)
def test_a_base_url_that_is_no_origin_is_refused(base_url: str, p256_key: SigningKey) -> None:
    with pytest.raises(ConfigurationError, match="base URL"):
        CloudFrontSigner(base_url, Keyring([p256_key]))


def test_a_signed_prefix_opens_every_address_below_it_with_one_signature(
    signer: CloudFrontSigner, p256_key: SigningKey
) -> None:
    prefix = signer.sign_prefix("/t 1/", expires_at=ENDS, starts_at=STARTS, ip_range="192.0.2.0/24")
    one, two = prefix.url("/t 1/a"), prefix.url("/t 1/b", [("download", "1")])
    assert one.url == f"{BASE}/t%201/a?{prefix.parameters}"
    assert two.url == f"{BASE}/t%201/b?download=1&{prefix.parameters}"
    assert one.has_custom_policy
    assert one.expires_at == ENDS
    found = parameters(one.url)
    assert list(found) == ["Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"]
    assert is_valid(p256_key, decoded(found["Policy"]), found["Signature"])
    assert statement(found["Policy"]) == {
        "Resource": f"{BASE}/t%201/*",
        "Condition": {
            "DateLessThan": {"AWS:EpochTime": int(ENDS.timestamp())},
            "IpAddress": {"AWS:SourceIp": "192.0.2.0/24"},
            "DateGreaterThan": {"AWS:EpochTime": int(STARTS.timestamp())},
        },
    }
    assert found["Signature"] not in repr(prefix)


def test_a_prefix_opens_nothing_beside_it(signer: CloudFrontSigner) -> None:
    with pytest.raises(ValueError, match="ends with a slash"):
        signer.sign_prefix("/a", expires_at=ENDS)
    with pytest.raises(ValueError, match="not below"):
        signer.sign_prefix("/a/", expires_at=ENDS).url("/ab")
    with pytest.raises(ValueError, match="dot segments"):
        signer.sign_prefix("/a/", expires_at=ENDS).url("/a/../b")


def test_a_canned_cookie_opens_one_address(signer: CloudFrontSigner, p256_key: SigningKey) -> None:
    jar = {cookie.name: cookie.value for cookie in signer.sign_cookies("/a b", [("c", "1")], expires_at=ENDS)}
    assert list(jar) == [
        "CloudFront-Expires",
        "CloudFront-Signature",
        "CloudFront-Key-Pair-Id",
        "CloudFront-Hash-Algorithm",
    ]
    assert jar["CloudFront-Key-Pair-Id"] == "KP256"
    assert jar["CloudFront-Hash-Algorithm"] == "SHA256"
    policy = canned(f"{BASE}/a%20b?c=1", int(jar["CloudFront-Expires"]))
    assert is_valid(p256_key, policy, jar["CloudFront-Signature"])


def test_a_cookie_with_conditions_carries_its_policy(signer: CloudFrontSigner, p256_key: SigningKey) -> None:
    cookies = signer.sign_cookies("/a", [("c", "1")], expires_at=ENDS, ip_range="192.0.2.7")
    jar = {cookie.name: cookie.value for cookie in cookies}
    assert is_valid(p256_key, decoded(jar["CloudFront-Policy"]), jar["CloudFront-Signature"])
    assert statement(jar["CloudFront-Policy"])["Resource"] == f"{BASE}/a\\?c=1"


def test_a_prefix_cookie_names_the_scheme_and_needs_no_hash_for_sha1(rsa_key: SigningKey) -> None:
    cookies = CloudFrontSigner(BASE, Keyring([rsa_key])).sign_prefix_cookies("/", expires_at=ENDS)
    jar = {cookie.name: cookie.value for cookie in cookies}
    assert list(jar) == ["CloudFront-Policy", "CloudFront-Signature", "CloudFront-Key-Pair-Id"]
    assert statement(jar["CloudFront-Policy"])["Resource"] == f"{BASE}/*"
    assert is_valid(rsa_key, decoded(jar["CloudFront-Policy"]), jar["CloudFront-Signature"])


def test_cloudfronts_alphabet_is_used_for_every_encoded_part(signer: CloudFrontSigner) -> None:
    for n in range(200):
        found = urlsplit(signer.sign(f"/{n}", expires_at=ENDS, ip_range="192.0.2.7").url).query
        assert not set(found) & set("+/%")


def test_a_p256_link_is_short(signer: CloudFrontSigner) -> None:
    address = f"{BASE}/o/01jd9x2q6c8s5v7e0k3m4n5p6r"
    lengths = {
        len(signer.sign("/o/01jd9x2q6c8s5v7e0k3m4n5p6r", expires_at=ENDS + timedelta(hours=n)).url) for n in range(50)
    }
    fixed = len(address + "?Expires=1796126400&Signature=&Key-Pair-Id=KP256&Hash-Algorithm=SHA256")
    assert lengths <= {fixed + 92, fixed + 96}
