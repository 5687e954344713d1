"""Presigned S3 requests: AWS's published example, and equal to botocore's in every other case."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlsplit

import boto3
import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.errors import ConfigurationError
from graphql_api.signing.sigv4 import QueryPresigner, StoreCredentials, _signing_key
from tests.signing.botos_clock import NOW

LIFETIME = timedelta(minutes=15)
STATIC = StoreCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TEMPORARY = StoreCredentials("ASIAEXAMPLE", "secret", "IQoJb3JpZ2luX2VjE==/+ &token")
REGION = "eu-central-1"
SHA256_OF_NOTHING = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


pytestmark = pytest.mark.usefixtures("boto_stands_at_now")


def presigned(
    base_url: str,
    method: str = "GET",
    path: str = "/key",
    query: list[tuple[str, str]] | None = None,
    headers: list[tuple[str, str]] | None = None,
    credentials: StoreCredentials = STATIC,
) -> str:
    return QueryPresigner(base_url, REGION).presign(
        method, path, query=query or (), headers=headers or (), now=NOW, lifetime=LIFETIME, credentials=credentials
    )


def facts(url: str) -> tuple[str, str, str, list[tuple[str, str]]]:
    """All that a server sees, without the order of the query, which SigV4 leaves open."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path, sorted(parse_qsl(parts.query, keep_blank_values=True))


def by_auth_class(
    base_url: str,
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: list[tuple[str, str]],
    credentials: StoreCredentials,
) -> str:
    """What ``botocore.auth.S3SigV4QueryAuth`` makes of the same request."""
    url = base_url + quote(path, safe="/~")
    if query:
        url += "?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    request = AWSRequest(method=method, url=url, headers=dict(headers))
    keys = Credentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    botocore.auth.S3SigV4QueryAuth(keys, "s3", REGION, expires=900).add_auth(request)
    return str(request.url)


def test_aws_published_example() -> None:
    """Amazon S3 API reference, "Authenticating Requests: Using Query Parameters", the example at its end."""
    url = QueryPresigner("https://examplebucket.s3.amazonaws.com", "us-east-1").presign(
        "GET",
        "/test.txt",
        now=datetime(2013, 5, 24, tzinfo=UTC),
        lifetime=timedelta(seconds=86400),
        credentials=StoreCredentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    )
    assert url == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
        "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


BASE_URLS = [
    "https://bucket.s3.eu-central-1.amazonaws.com",
    "https://s3.eu-central-1.amazonaws.com/my.bucket",
    "http://127.0.0.1:8333/bucket",
    "http://localhost:80/bucket",
    "https://store.example:443",
]
PATHS = ["/key", "/", "/o/01jd9x", "/a//../b/./c", "/a b+c%20/~-._!*'()", "/üñ/日本😀", "/a?b#c&d=e;f:g@h$i,j"]
QUERIES: list[list[tuple[str, str]]] = [
    [],
    [("response-content-disposition", 'attachment; filename="a b+ü.pdf"')],
    [("partNumber", "7"), ("uploadId", "abc/+=~"), ("empty", "")],
    [("a-b", "1"), ("a", "2"), ("a.b", "3"), ("A", "4"), ("x-id", "PutObject"), ("X-Amz-Z", "5"), ("é", "6")],
]
HEADERS: list[list[tuple[str, str]]] = [
    [],
    [("Content-Type", "image/jpeg"), ("Content-Length", "0"), ("If-None-Match", "*")],
    [("x-amz-checksum-sha256", SHA256_OF_NOTHING), ("x-amz-meta-Name", "  a   b \t c  ")],
    [("content-type", "text/plain; charset=utf-8"), ("x-amz-meta-a", ""), ("cache-control", "private,  max-age=0")],
]


@pytest.mark.parametrize("credentials", [STATIC, TEMPORARY], ids=["static", "temporary"])
@pytest.mark.parametrize("base_url", BASE_URLS)
def test_every_request_equals_the_one_of_botocores_signer(base_url: str, credentials: StoreCredentials) -> None:
    for method in ("GET", "PUT", "HEAD", "DELETE"):
        for path in PATHS:
            for query in QUERIES:
                for headers in HEADERS:
                    url = presigned(base_url, method, path, query, headers, credentials)
                    expected = by_auth_class(base_url, method, path, query, headers, credentials)
                    scheme, _, *rest = facts(expected)
                    # Botocore signs the host without its default port but leaves the port in the URL.
                    assert facts(url) == (scheme, url.split("/")[2], *rest), (method, path, query, headers)


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
HEADER_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@given(
    path=ANY_TEXT,
    query=st.dictionaries(st.text(st.sampled_from("aA-._~é %+"), min_size=1, max_size=5), ANY_TEXT, max_size=4),
    headers=st.dictionaries(st.text("abcxyz-", min_size=1, max_size=8).map(lambda n: f"x-amz-meta-{n}"), HEADER_TEXT),
    credentials=st.sampled_from([STATIC, TEMPORARY]),
)
def test_any_request_equals_the_one_of_botocores_signer(
    path: str, query: dict[str, str], headers: dict[str, str], credentials: StoreCredentials
) -> None:
    request = ("PUT", "/" + path, list(query.items()), list(headers.items()), credentials)
    assert facts(presigned(BASE_URLS[0], *request)) == facts(by_auth_class(BASE_URLS[0], *request))


def test_a_repeated_parameter_is_signed_in_every_copy_sorted_by_value() -> None:
    """Botocore's presigner drops copies; its canonical form, which servers rebuild, keeps them."""
    url = presigned(BASE_URLS[0], query=[("a", "2"), ("a", "10"), ("a", "")])
    unsigned, _, signature = url.rpartition("&X-Amz-Signature=")
    auth = botocore.auth.S3SigV4QueryAuth(Credentials(STATIC.access_key_id, STATIC.secret_access_key), "s3", REGION)
    request = AWSRequest(method="GET", url=unsigned)
    request.context["timestamp"] = "20261122T090507Z"
    assert "a=&a=10&a=2" in unsigned
    assert auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request) == signature


@pytest.mark.parametrize("credentials", [STATIC, TEMPORARY], ids=["static", "temporary"])
@pytest.mark.parametrize(
    ("style", "base_url"),
    [
        ("virtual", "https://bucket.s3.eu-central-1.amazonaws.com"),
        ("path", "https://s3.eu-central-1.amazonaws.com/bucket"),
    ],
)
def test_a_put_equals_generate_presigned_url(
    style: Literal["virtual", "path"], base_url: str, credentials: StoreCredentials
) -> None:
    client: Any = boto3.client(
        "s3",
        region_name=REGION,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=Config(signature_version="s3v4", s3={"addressing_style": style}),
    )
    expected = client.generate_presigned_url(
        "put_object",
        Params={
            "Bucket": "bucket",
            "Key": "o/a b/ü",
            "ContentType": "image/jpeg",
            "ContentLength": 7,
            "IfNoneMatch": "*",
            "ChecksumSHA256": SHA256_OF_NOTHING,
            "Metadata": {"name": "x  y"},
        },
        ExpiresIn=900,
    )
    headers = [
        ("content-type", "image/jpeg"),
        ("content-length", "7"),
        ("if-none-match", "*"),
        ("x-amz-checksum-sha256", SHA256_OF_NOTHING),
        ("x-amz-meta-name", "x  y"),
    ]
    assert facts(presigned(base_url, "PUT", "/o/a b/ü", headers=headers, credentials=credentials)) == facts(expected)


def test_the_callers_time_zone_does_not_matter() -> None:
    presigner = QueryPresigner(BASE_URLS[0], REGION)
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-11)))
    assert presigner.presign("GET", "/key", now=elsewhere, lifetime=LIFETIME, credentials=STATIC) == presigned(
        BASE_URLS[0]
    )


@pytest.mark.parametrize("seconds", [1, 604_800])
def test_one_second_to_seven_days_are_possible(seconds: int) -> None:
    url = QueryPresigner(BASE_URLS[0], REGION).presign(
        "GET", "/key", now=NOW, lifetime=timedelta(seconds=seconds), credentials=STATIC
    )
    assert f"&X-Amz-Expires={seconds}&" in url


@pytest.mark.parametrize("seconds", [-1, 0, 0.999, 604_801])
def test_any_other_lifetime_is_a_mistake(seconds: float) -> None:
    presigner = QueryPresigner(BASE_URLS[0], REGION)
    with pytest.raises(ValueError, match="seven days"):
        presigner.presign("GET", "/key", now=NOW, lifetime=timedelta(seconds=seconds), credentials=STATIC)


@pytest.mark.parametrize("name", ["X-Amz-Signature", "x-amz-date", "X-Amz-Security-Token", "X-Amz-SignedHeaders"])
def test_a_parameter_of_the_signature_cannot_be_ours(name: str) -> None:
    with pytest.raises(ValueError, match="query parameter"):
        presigned(BASE_URLS[0], query=[(name, "1")])


@pytest.mark.parametrize("headers", [[("Host", "evil.example")], [("a", "1"), ("A", "2")]])
def test_a_header_that_would_be_signed_twice_is_a_mistake(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="listed once"):
        presigned(BASE_URLS[0], headers=headers)


def test_a_naive_time_and_a_relative_path_are_mistakes() -> None:
    presigner = QueryPresigner(BASE_URLS[0], REGION)
    with pytest.raises(ValueError, match="aware time"):
        presigner.presign("GET", "/key", now=NOW.replace(tzinfo=None), lifetime=LIFETIME, credentials=STATIC)
    with pytest.raises(ValueError, match="slash"):
        presigned(BASE_URLS[0], path="key")


@pytest.mark.parametrize(
    "base_url", ["", "s3://bucket", "https://", "https://u:p@host", "https://host/a?b", "https://h/#"]
)
def test_a_base_url_that_is_no_store_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="store's URL"):
        QueryPresigner(base_url, REGION)


def test_credentials_show_nothing_private() -> None:
    assert repr(TEMPORARY) == "StoreCredentials(access_key_id='ASIAEXAMPLE')"


def test_the_cache_of_signing_keys_is_bounded_and_keeps_days_apart() -> None:
    urls = set()
    for day in range(100):
        presigner = QueryPresigner(BASE_URLS[0], REGION)
        urls.add(presigner.presign("GET", "/", now=NOW + timedelta(days=day), lifetime=LIFETIME, credentials=STATIC))
    assert len({url.rpartition("=")[2] for url in urls}) == 100
    assert _signing_key.cache_info().currsize <= 32
