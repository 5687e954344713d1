"""Presigned parts: equal to the general presigner's and to botocore's, whatever was computed beforehand."""

from base64 import b64encode
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.signing.sigv4 import QueryPresigner, StoreCredentials
from graphql_api.signing.sigv4_parts import PartPresigner
from tests.signing.botos_clock import NOW

LIFETIME = timedelta(minutes=15)
STATIC = StoreCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TEMPORARY = StoreCredentials("ASIAEXAMPLE", "secret", "IQoJb3JpZ2luX2VjE==/+ &token")
REGION = "eu-central-1"
BASE_URLS = {
    "virtual": "https://bucket.s3.eu-central-1.amazonaws.com",
    "path": "https://s3.eu-central-1.amazonaws.com/bucket",
}
CHECKSUM = b64encode(bytes(range(8))).decode()

pytestmark = pytest.mark.usefixtures("boto_stands_at_now")


def parts_of(
    base_url: str,
    *,
    path: str = "/o/key",
    upload_id: str = "upload/id+=",
    has_checksum: bool = False,
    credentials: StoreCredentials = STATIC,
    lifetime: timedelta = LIFETIME,
) -> PartPresigner:
    return PartPresigner(
        QueryPresigner(base_url, REGION),
        path,
        upload_id,
        has_checksum=has_checksum,
        now=NOW,
        lifetime=lifetime,
        credentials=credentials,
    )


@given(
    path=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    upload_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    parts=st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 5 * 1024**3)), min_size=1, max_size=5),
    checksum=st.none() | st.binary(min_size=8, max_size=8).map(lambda crc: b64encode(crc).decode()),
    credentials=st.sampled_from([STATIC, TEMPORARY]),
    base_url=st.sampled_from(["http://127.0.0.1:8333/bucket", *BASE_URLS.values()]),
)
def test_any_part_equals_the_general_presigners(
    path: str,
    upload_id: str,
    parts: list[tuple[int, int]],
    checksum: str | None,
    credentials: StoreCredentials,
    base_url: str,
) -> None:
    presigner = parts_of(
        base_url,
        path=f"/{path}",
        upload_id=upload_id,
        has_checksum=checksum is not None,
        credentials=credentials,
    )
    for number, size in parts:
        headers = [("content-length", str(size))]
        if checksum is not None:
            headers.append(("x-amz-checksum-crc64nvme", checksum))
        assert presigner.presign(number, size, checksum) == QueryPresigner(base_url, REGION).presign(
            "PUT",
            f"/{path}",
            query=[("partNumber", str(number)), ("uploadId", upload_id)],
            headers=headers,
            now=NOW,
            lifetime=LIFETIME,
            credentials=credentials,
        )


@pytest.mark.parametrize("checksum", [None, CHECKSUM], ids=["length", "length and checksum"])
@pytest.mark.parametrize("credentials", [STATIC, TEMPORARY], ids=["static", "temporary"])
@pytest.mark.parametrize("style", ["virtual", "path"])
def test_parts_equal_generate_presigned_url(
    style: Literal["virtual", "path"], credentials: StoreCredentials, checksum: str | None
) -> None:
    client: Any = boto3.client(
        "s3",
        region_name=REGION,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=Config(signature_version="s3v4", s3={"addressing_style": style}),
    )
    presigner = parts_of(
        BASE_URLS[style],
        path="/o/a b/ü",
        upload_id="upload/id+=",
        has_checksum=checksum is not None,
        credentials=credentials,
    )
    for number in (1, 2, 9_999, 10_000):
        parameters = {
            "Bucket": "bucket",
            "Key": "o/a b/ü",
            "UploadId": "upload/id+=",
            "PartNumber": number,
            "ContentLength": number * 1024,
        }
        if checksum is not None:
            parameters["ChecksumCRC64NVME"] = checksum
        expected = client.generate_presigned_url("upload_part", Params=parameters, ExpiresIn=900)
        ours, theirs = urlsplit(presigner.presign(number, number * 1024, checksum)), urlsplit(expected)
        assert ours[:3] == theirs[:3]
        assert sorted(parse_qsl(ours.query)) == sorted(parse_qsl(theirs.query))


def test_a_checksum_that_would_not_be_signed_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="checksum"):
        parts_of(BASE_URLS["path"]).presign(1, 5, CHECKSUM)
    with pytest.raises(ValueError, match="checksum"):
        parts_of(BASE_URLS["path"], has_checksum=True).presign(1, 5)


def test_what_the_general_presigner_refuses_is_refused() -> None:
    for seconds in (0, 604_801):
        with pytest.raises(ValueError, match="seven days"):
            parts_of(BASE_URLS["path"], lifetime=timedelta(seconds=seconds))
    with pytest.raises(ValueError, match="slash"):
        parts_of(BASE_URLS["path"], path="key")
