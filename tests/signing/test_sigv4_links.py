"""Links at the store: equal to botocore's, equal to each other for equal ends, and never from the time to come."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from graphql_api.errors import InvalidInput
from graphql_api.signing import UrlSigner
from graphql_api.signing.sigv4 import QueryPresigner, StoreCredentials
from graphql_api.signing.sigv4_links import StoreLinkSigner
from tests.signing.botos_clock import NOW, stopped

BASE = "https://files.s3.eu-central-1.amazonaws.com"
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
QUERY = [
    ("response-content-disposition", "attachment; filename=\"a b.pdf\"; filename*=UTF-8''%E6%97%A5.pdf"),
    ("response-content-type", "text/plain; charset=utf-8"),
]


@pytest.fixture(params=[None, "IQoJb3JpZ2luX2VjE==/+ &token"], ids=["static", "temporary"])
def credentials(request: pytest.FixtureRequest) -> StoreCredentials:
    return StoreCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", request.param)


@pytest.fixture
def boto_stands() -> Iterator[None]:
    with stopped():
        yield


def signer(credentials: StoreCredentials, longest: timedelta = DAY) -> StoreLinkSigner:
    made = StoreLinkSigner(QueryPresigner(BASE, "eu-central-1"), credentials, longest=longest)
    promised: UrlSigner = made
    assert promised.key_pair_id == credentials.access_key_id
    return made


@pytest.mark.usefixtures("boto_stands")
def test_a_link_equals_the_one_of_botocores_signer(credentials: StoreCredentials) -> None:
    """Signed when ``X-Amz-Date`` says, for as long as ``X-Amz-Expires`` does."""
    ours = signer(credentials).sign("/o/01jd9x", QUERY, expires_at=NOW + DAY)
    query = "&".join(part for part in urlsplit(ours.url).query.split("&") if part.startswith("response-"))
    request = AWSRequest(method="GET", url=f"{BASE}/o/01jd9x?{query}")
    keys = Credentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    S3SigV4QueryAuth(keys, "s3", "eu-central-1", expires=86_400).add_auth(request)
    assert sorted(parse_qsl(urlsplit(ours.url).query)) == sorted(parse_qsl(urlsplit(str(request.url)).query))
    assert dict(parse_qsl(query)) == dict(QUERY)


def test_a_link_is_good_until_its_end_to_the_second_and_was_signed_before_now(credentials: StoreCredentials) -> None:
    for left in (SECOND, timedelta(minutes=35), DAY):
        signed = signer(credentials).sign("/o/1", expires_at=NOW + left)
        said = parse_qs(urlsplit(signed.url).query)
        assert said["X-Amz-Date"][0] <= f"{NOW:%Y%m%dT%H%M%SZ}"
        assert said["X-Amz-Date"] == [f"{NOW + left - DAY:%Y%m%dT%H%M%SZ}"]
        assert said["X-Amz-Expires"] == ["86400"]
        assert signed.expires_at == NOW + left
        assert not signed.has_custom_policy


def test_what_a_store_cannot_bind_is_refused(credentials: StoreCredentials) -> None:
    with pytest.raises(InvalidInput) as caught:
        signer(credentials).sign("/o/1", expires_at=NOW + DAY, starts_at=NOW, ip_range="192.0.2.7/32")
    assert [fault.path for fault in caught.value.faults] == [("startsAt",), ("ipAddress",)]


@pytest.mark.parametrize("longest", [timedelta(0), timedelta(days=7, seconds=1)], ids=str)
def test_no_link_can_be_longer_than_s3_allows(credentials: StoreCredentials, longest: timedelta) -> None:
    with pytest.raises(ValueError, match="seven days"):
        signer(credentials, longest)
