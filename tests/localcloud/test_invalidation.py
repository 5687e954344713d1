"""The stand-in for CreateInvalidation, asked by boto3."""

from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from graphql_api.localcloud.cache import Cache, CacheKey
from graphql_api.localcloud.invalidation import MAX_PATHS, MAX_WILDCARDS, NAMESPACE, create_invalidation_api
from graphql_api.localcloud.origin import OriginResponse
from tests.localcloud.viewer import NOW
from tests.served import serving

DISTRIBUTION = "EDFDVBD6EXAMPLE"


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def url(cache: Cache) -> Iterator[str]:
    with serving(create_invalidation_api(cache, DISTRIBUTION, "AKIDEXAMPLE", lambda: NOW)) as address:
        yield address


def client_at(url: str, key_id: str = "AKIDEXAMPLE") -> Any:
    return boto3.client(
        "cloudfront",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=key_id,
        aws_secret_access_key="a secret of this test",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    made = client_at(url)
    yield made
    made.close()


def fill(cache: Cache, *paths: str) -> None:
    for path in paths:
        cache.put(CacheKey(path, ()), OriginResponse(200, ()), b"a", NOW)


def invalidate(client: Any, paths: Sequence[str], *, reference: str = "1", id_: str = DISTRIBUTION) -> dict[str, Any]:
    batch = {"Paths": {"Quantity": len(paths), "Items": list(paths)}, "CallerReference": reference}
    answer: dict[str, Any] = client.create_invalidation(DistributionId=id_, InvalidationBatch=batch)
    return answer


def left(cache: Cache, *paths: str) -> list[str]:
    return [path for path in paths if cache.find(CacheKey(path, ()), "GET", {}, NOW)]


def test_what_is_named_is_dropped(client: Any, cache: Cache) -> None:
    fill(cache, "/pub/1", "/pub/2", "/o/1", "/o/11")
    answer = invalidate(client, ["/pub/*", "/o/1"])
    assert left(cache, "/pub/1", "/pub/2", "/o/1", "/o/11") == ["/o/11"]
    made = answer["Invalidation"]
    assert (made["Status"], made["CreateTime"]) == ("Completed", NOW)
    assert made["InvalidationBatch"]["Paths"] == {"Quantity": 2, "Items": ["/pub/*", "/o/1"]}
    assert answer["Location"].endswith(f"/distribution/{DISTRIBUTION}/invalidation/{made['Id']}")


def test_a_reference_that_was_used_drops_nothing_again(client: Any, cache: Cache) -> None:
    first = invalidate(client, ["/a&<b>"], reference="same & again")
    fill(cache, "/a&<b>")
    assert invalidate(client, ["/a&<b>"], reference="same & again")["Invalidation"] == first["Invalidation"]
    assert left(cache, "/a&<b>") == ["/a&<b>"]
    with pytest.raises(ClientError, match="InvalidArgument"):
        invalidate(client, ["/b"], reference="same & again")


def test_who_may_not_or_names_what_is_not_there_is_refused(client: Any, url: str) -> None:
    with pytest.raises(ClientError, match="NoSuchDistribution"):
        invalidate(client, ["/a"], id_="EANOTHER")
    stranger = client_at(url, "AKIDANOTHER")
    with pytest.raises(ClientError, match="AccessDenied"):
        invalidate(stranger, ["/a"])
    stranger.close()
    assert httpx.post(f"{url}/2020-05-31/distribution/{DISTRIBUTION}/invalidation").status_code == 403


@pytest.mark.parametrize(
    ("paths", "code"),
    [
        (["a"], "InvalidArgument"),
        (["/a*b"], "InvalidArgument"),
        (["/ü"], "InvalidArgument"),
        ([], "MalformedXML"),
        (["/a"] * (MAX_PATHS + 1), "TooManyInvalidationsInProgress"),
        (["/a*"] * (MAX_WILDCARDS + 1), "TooManyInvalidationsInProgress"),
    ],
    ids=["no slash", "a star inside", "not ASCII", "nothing", "too many", "too many wildcards"],
)
def test_what_cloudfront_would_refuse_is_refused(client: Any, cache: Cache, paths: list[str], code: str) -> None:
    fill(cache, "/a")
    with pytest.raises(ClientError, match=code):
        invalidate(client, paths)
    assert left(cache, "/a") == ["/a"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<InvalidationBatch/>",
        f'<!DOCTYPE a [<!ENTITY e "/a">]><InvalidationBatch xmlns="{NAMESPACE}"><Paths><Quantity>1</Quantity><Items>'
        "<Path>&e;</Path></Items></Paths><CallerReference>1</CallerReference></InvalidationBatch>".encode(),
    ],
    ids=["nothing", "unfinished", "no paths", "an entity"],
)
def test_what_is_no_batch_is_refused(url: str, cache: Cache, body: bytes) -> None:
    fill(cache, "/a")
    signed = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261201/us-east-1/cloudfront/aws4_request, "
        "SignedHeaders=host, Signature=00"
    )
    address = f"{url}/2020-05-31/distribution/{DISTRIBUTION}/invalidation"
    answer = httpx.post(address, content=body, headers={"Authorization": signed})
    assert (answer.status_code, "MalformedXML" in answer.text) == (400, True)
    assert left(cache, "/a") == ["/a"]
