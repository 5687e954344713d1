"""Signed forms: equal to botocore's, and every field of them covered by a condition."""

import json
from base64 import b64decode
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from botocore.config import Config

from graphql_api.signing.post_policy import sign_post
from graphql_api.signing.sigv4 import StoreCredentials
from tests.signing.botos_clock import NOW

LIFETIME = timedelta(minutes=15)
STATIC = StoreCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TEMPORARY = StoreCredentials("ASIAEXAMPLE", "secret", "IQoJb3JpZ2luX2VjE==/+ &token")
REGION = "eu-central-1"
FIELDS = (
    ("Content-Type", "image/jpeg"),
    ("x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ("success_action_status", "201"),
)

pytestmark = pytest.mark.usefixtures("boto_stands_at_now")


def form(
    key: str = "o/key",
    credentials: StoreCredentials = STATIC,
    now: datetime = NOW,
    lifetime: timedelta = LIFETIME,
) -> dict[str, str]:
    fields = sign_post(
        "bucket", key, FIELDS, size=7, region=REGION, now=now, lifetime=lifetime, credentials=credentials
    )
    assert len(dict(fields)) == len(fields)
    return dict(fields)


def policy_of(fields: dict[str, str]) -> Any:
    return json.loads(b64decode(fields["policy"]))


@pytest.mark.parametrize("key", ["o/key", "o/a b/ü'\"\\{}"])
@pytest.mark.parametrize("credentials", [STATIC, TEMPORARY], ids=["static", "temporary"])
def test_a_form_equals_generate_presigned_post(credentials: StoreCredentials, key: str) -> None:
    client: Any = boto3.client(
        "s3",
        region_name=REGION,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=Config(signature_version="s3v4"),
    )
    expected = client.generate_presigned_post(
        "bucket",
        key,
        Fields=dict(FIELDS),
        Conditions=[*({name: value} for name, value in FIELDS), ["content-length-range", 7, 7]],
        ExpiresIn=900,
    )
    assert form(key, credentials) == expected["fields"]


@pytest.mark.parametrize("credentials", [STATIC, TEMPORARY], ids=["static", "temporary"])
def test_every_field_and_the_length_are_bound_exactly(credentials: StoreCredentials) -> None:
    fields = form(credentials=credentials)
    conditions = policy_of(fields)["conditions"]
    exact = {name: value for one in conditions if isinstance(one, dict) for name, value in one.items()}
    unsigned = {"policy", "x-amz-signature"}
    assert exact == {name: value for name, value in fields.items() if name not in unsigned} | {"bucket": "bucket"}
    assert [one for one in conditions if not isinstance(one, dict)] == [["content-length-range", 7, 7]]


def test_a_form_expires_in_utc_and_in_whole_seconds() -> None:
    elsewhere = NOW.replace(microsecond=999_999).astimezone(timezone(timedelta(hours=-11)))
    assert form(now=elsewhere) == form()
    assert policy_of(form())["expiration"] == "2026-11-22T09:20:07Z"


def test_a_lifetime_that_is_none_a_naive_time_and_a_template_for_a_key_are_mistakes() -> None:
    for seconds in (0, 604_801):
        with pytest.raises(ValueError, match="seven days"):
            form(lifetime=timedelta(seconds=seconds))
    with pytest.raises(ValueError, match="aware"):
        form(now=NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="filename"):
        form(key="o/${filename}")
