"""The stand-in for CloudFront's KeyValueStore, asked by boto3 as an operator's own tools would."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

from graphql_api.localcloud.key_value_store import (
    MAX_CHANGES,
    MAX_KEY_LENGTH,
    MAX_VALUE_LENGTH,
    PAGE,
    KeyValueStore,
    create_key_value_store_api,
)
from tests.served import serving

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_cloudfront_keyvaluestore import CloudFrontKeyValueStoreClient

ARN = "arn:aws:cloudfront::123456789012:key-value-store/0a1b2c3d-0000-1111-2222-333344445555"


@pytest.fixture
def kept() -> KeyValueStore:
    return KeyValueStore()


@pytest.fixture
def url(kept: KeyValueStore) -> Iterator[str]:
    with serving(create_key_value_store_api(kept, ARN, "AKIDEXAMPLE")) as address:
        yield address


@pytest.fixture
def client(url: str) -> "Iterator[CloudFrontKeyValueStoreClient]":
    made = boto3.client(
        "cloudfront-keyvaluestore",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="a secret of this test",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )

    def to_one_address(request: AWSRequest, **_event: object) -> None:
        parts = urlsplit(str(request.url))
        request.url = f"{url}{parts.path}" + (f"?{parts.query}" if parts.query else "")

    made.meta.events.register_first("request-created.cloudfront-keyvaluestore", to_one_address)
    yield made
    made.close()


def code_of(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def test_keys_come_and_go_one_by_one(client: "CloudFrontKeyValueStoreClient") -> None:
    first = client.describe_key_value_store(KvsARN=ARN)
    assert (first["ItemCount"], first["TotalSizeInBytes"], first["KvsARN"], first["Status"]) == (0, 0, ARN, "READY")
    put = client.put_key(KvsARN=ARN, IfMatch=first["ETag"], Key="a/b c", Value="ü")
    assert (put["ItemCount"], put["TotalSizeInBytes"]) == (1, 7)
    assert client.get_key(KvsARN=ARN, Key="a/b c")["Value"] == "ü"
    gone = client.delete_key(KvsARN=ARN, IfMatch=put["ETag"], Key="a/b c")
    assert gone["ItemCount"] == 0
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_key(KvsARN=ARN, Key="a/b c")


def test_keys_are_listed_page_by_page(client: "CloudFrontKeyValueStoreClient", kept: KeyValueStore) -> None:
    kept.items.update({f"{n:04d}": str(n) for n in range(2 * PAGE + 1)})
    listed, sizes, page = [], [], client.list_keys(KvsARN=ARN)
    while True:
        listed += [item["Key"] for item in page["Items"]]
        sizes.append(len(page["Items"]))
        if "NextToken" not in page:
            break
        page = client.list_keys(KvsARN=ARN, NextToken=page["NextToken"])
    assert listed == sorted(kept.items)
    assert sizes == [PAGE, PAGE, 1]
    assert len(client.list_keys(KvsARN=ARN, MaxResults=3)["Items"]) == 3


def test_a_change_without_the_newest_version_is_a_conflict(client: "CloudFrontKeyValueStoreClient") -> None:
    etag = client.describe_key_value_store(KvsARN=ARN)["ETag"]
    client.put_key(KvsARN=ARN, IfMatch=etag, Key="a", Value="1")
    with pytest.raises(client.exceptions.ConflictException):
        client.put_key(KvsARN=ARN, IfMatch=etag, Key="a", Value="2")
    with pytest.raises(client.exceptions.ConflictException):
        client.delete_key(KvsARN=ARN, IfMatch=etag, Key="a")
    assert client.get_key(KvsARN=ARN, Key="a")["Value"] == "1"


def test_what_is_too_much_or_too_long_is_refused_whole(
    client: "CloudFrontKeyValueStoreClient", kept: KeyValueStore
) -> None:
    etag = client.describe_key_value_store(KvsARN=ARN)["ETag"]
    good = {"Key": "good", "Value": "1"}
    for puts in (
        [{"Key": f"{n}", "Value": "1"} for n in range(MAX_CHANGES + 1)],
        [good, {"Key": "k" * (MAX_KEY_LENGTH + 1), "Value": "1"}],
        [good, {"Key": "k", "Value": "v" * (MAX_VALUE_LENGTH + 1)}],
    ):
        with pytest.raises(ClientError) as caught:
            client.update_keys(KvsARN=ARN, IfMatch=etag, Puts=puts)  # type: ignore[arg-type]  # they are keys and values
        assert code_of(caught.value) == "ValidationException"
    with pytest.raises(ClientError) as nothing:
        client.update_keys(KvsARN=ARN, IfMatch=etag)
    assert code_of(nothing.value) == "ValidationException"
    assert kept.items == {}


def test_another_store_is_not_there(client: "CloudFrontKeyValueStoreClient") -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_key_value_store(KvsARN=ARN[:-1])


def test_who_does_not_sign_is_told_nothing(url: str) -> None:
    answer = httpx.get(f"{url}/key-value-stores/{ARN}", trust_env=False)
    assert answer.status_code == 403
    assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    store = KeyValueStore(path)
    assert store.change({"a": "1", "b": "2"}, set())
    assert store.change({}, {"a"})
    assert KeyValueStore(path).items == {"b": "2"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.json"]
