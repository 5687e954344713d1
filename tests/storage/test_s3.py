"""The S3 store beside the contract: where it sends, whose keys it uses, and what it makes of a store's failures."""

import json
import logging
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import boto3
import pytest
from botocore.config import Config

from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.model.parts import StoredPart, StoreUpload
from graphql_api.model.stored_object import PromisedObject
from graphql_api.storage import ObjectStore
from graphql_api.storage.s3 import S3Store
from graphql_api.storage.s3_connection import AddressingStyle
from tests.storage.answer import Answer, store_at

NOW = datetime.now(UTC).replace(
    microsecond=0
)  # boto's credential chain reads the real clock, so these tests start from it
LIFETIME = timedelta(hours=1)
UPLOAD = StoreUpload("o/01jd9x2q6c8s5v7e0k3m4n5p6r", "upload-1")
PART = StoredPart(1, 3, "900150983cd24fb0d6963f7d28e17f72")
PROMISE = PromisedObject("o/01jd9x2q6c8s5v7e0k3m4n5p6r", 3, "text/plain", None)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("bucket", "region", "endpoint_url", "style", "address"),
    [
        ("bucket", "eu-central-1", None, "virtual", "https://bucket.s3.eu-central-1.amazonaws.com"),
        ("bucket", "us-east-1", None, "virtual", "https://bucket.s3.us-east-1.amazonaws.com"),
        ("bucket", "cn-north-1", None, "virtual", "https://bucket.s3.cn-north-1.amazonaws.com.cn"),
        ("bucket", "us-gov-west-1", None, "path", "https://s3.us-gov-west-1.amazonaws.com/bucket"),
        ("my.bucket", "eu-central-1", None, "virtual", "https://s3.eu-central-1.amazonaws.com/my.bucket"),
        ("bucket", "auto", "https://store.example", "virtual", "https://bucket.store.example"),
        ("bucket", "auto", "https://store.example:9000", "path", "https://store.example:9000/bucket"),
        ("bucket", "auto", "http://localhost:9000", "virtual", "http://bucket.localhost:9000"),
        ("bucket", "auto", "http://127.0.0.1:9000", "virtual", "http://127.0.0.1:9000/bucket"),
    ],
)
async def test_targets_go_where_boto_sends_its_requests(
    bucket: str, region: str, endpoint_url: str | None, style: AddressingStyle, address: str
) -> None:
    client: Any = boto3.client(
        "s3",
        region_name=region,
        endpoint_url=endpoint_url,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="the-secret",
        config=Config(
            signature_version="s3v4", s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"}
        ),
    )
    expected = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": PROMISE.key})
    store = store_at(endpoint_url, bucket=bucket, region=region, style=style)
    target = await store.presign_put(PROMISE, now=NOW, lifetime=LIFETIME)
    assert target.url.partition("?")[0] == expected.partition("?")[0] == f"{address}/{PROMISE.key}"


async def test_the_store_is_an_object_store_and_a_target_ends_in_utc() -> None:
    store: ObjectStore = store_at()
    target = await store.presign_put(PROMISE, now=NOW.astimezone(), lifetime=LIFETIME)
    assert target.expires_at == NOW + LIFETIME
    assert target.expires_at.tzinfo is UTC


async def test_a_key_beyond_ascii_and_a_lifetime_beyond_a_week_are_mistakes() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        await store_at().presign_put(PromisedObject("o/ü", 3, "text/plain", None), now=NOW, lifetime=LIFETIME)
    with pytest.raises(ValueError, match="seven days"):
        await store_at().presign_put(PROMISE, now=NOW, lifetime=timedelta(days=8))


@pytest.mark.parametrize("endpoint_url", ["store.example", "ftp://store.example", "https://u:p@store.example"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint_url: str) -> None:
    with pytest.raises(ConfigurationError):
        store_at(endpoint_url)


# Credentials


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which the AWS default chain finds nothing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def credential_program(no_credentials: None, tmp_path: Path) -> Callable[[str], None]:
    """Let the default chain run ``program`` (Python) for credentials, as ``credential_process`` in AWS's config."""

    def install(program: str) -> None:
        (tmp_path / "program.py").write_text(program)
        (tmp_path / "config").write_text(
            f"[default]\ncredential_process = {sys.executable} -I -S {tmp_path / 'program.py'}\n"
        )

    return install


def prints(key_id: str, ends_at: datetime) -> str:
    answer = {
        "Version": 1,
        "AccessKeyId": key_id,
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": ends_at.isoformat(),
    }
    return f"print({json.dumps(answer)!r})\n"


def default_chain_store() -> S3Store:
    return S3Store(bucket="bucket", region="eu-central-1")


def key_id_and_token(url: str) -> tuple[str, str]:
    query = parse_qs(urlsplit(url).query)
    return query["X-Amz-Credential"][0].partition("/")[0], query["X-Amz-Security-Token"][0]


async def test_a_target_ends_before_temporary_credentials_do(credential_program: Callable[[str], None]) -> None:
    credential_program(prints("ASIA1", NOW + timedelta(minutes=40)))
    store = default_chain_store()
    target = await store.presign_put(PROMISE, now=NOW, lifetime=LIFETIME)
    assert target.expires_at == NOW + timedelta(minutes=39)
    assert parse_qs(urlsplit(target.url).query)["X-Amz-Expires"] == [str(39 * 60)]
    assert key_id_and_token(target.url) == ("ASIA1", "token")
    short = await store.presign_put(PROMISE, now=NOW, lifetime=timedelta(minutes=5))
    assert short.expires_at == NOW + timedelta(minutes=5)


async def test_credentials_that_end_soon_are_renewed_before_use(
    credential_program: Callable[[str], None], tmp_path: Path
) -> None:
    """The program answers with a short life first and with a long one from then on."""
    marker = tmp_path / "asked"
    credential_program(
        f"import pathlib\nmarker = pathlib.Path({str(marker)!r})\nasked = marker.exists()\nmarker.touch()\n"
        f"if asked:\n    {prints('ASIA2', NOW + timedelta(hours=6))}else:\n"
        f"    {prints('ASIA1', NOW + timedelta(minutes=5))}"
    )
    target = await default_chain_store().presign_put(PROMISE, now=NOW, lifetime=LIFETIME)
    assert key_id_and_token(target.url)[0] == "ASIA2"
    assert target.expires_at == NOW + LIFETIME


async def test_looking_for_credentials_leaves_the_event_loop_free(
    credential_program: Callable[[str], None], tmp_path: Path
) -> None:
    """The program waits for a file that only a running event loop can make."""
    go = tmp_path / "go"
    credential_program(
        f"import pathlib, sys, time\ngo = pathlib.Path({str(go)!r})\n"
        "for _ in range(2000):\n    if go.exists():\n        break\n    time.sleep(0.01)\nelse:\n    sys.exit(1)\n"
        + prints("ASIA1", NOW + timedelta(hours=6))
    )
    store = default_chain_store()
    urls: list[str] = []

    async def presign() -> None:
        urls.append((await store.presign_put(PROMISE, now=NOW, lifetime=LIFETIME)).url)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(presign)
        await anyio.sleep(0.05)
        assert not urls
        await anyio.Path(go).touch()
    assert {key_id_and_token(url)[0] for url in urls} == {"ASIA1"}


async def test_a_failing_credential_program_is_unavailable_and_its_output_is_not_logged(
    credential_program: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    credential_program("import sys\nsys.exit('hunter2')\n")
    store = default_chain_store()
    with caplog.at_level(logging.WARNING, "graphql_api"):
        for call in (store.presign_put(PROMISE, now=NOW, lifetime=LIFETIME), store.find("o/a")):
            with pytest.raises(Unavailable):
                await call
    assert "operation=presign_put error=CredentialRetrievalError" in caplog.text
    assert "hunter2" not in caplog.text


async def test_credentials_that_have_ended_are_unavailable(credential_program: Callable[[str], None]) -> None:
    credential_program(prints("ASIA1", NOW - timedelta(minutes=1)))
    with pytest.raises(Unavailable):
        await default_chain_store().presign_put(PROMISE, now=NOW, lifetime=LIFETIME)


async def test_credentials_that_end_within_the_margin_are_unavailable(
    credential_program: Callable[[str], None],
) -> None:
    credential_program(prints("ASIA1", NOW + timedelta(minutes=20)))
    with pytest.raises(Unavailable):
        await default_chain_store().presign_put(PROMISE, now=NOW + timedelta(minutes=19), lifetime=LIFETIME)


async def test_no_credentials_at_all_are_unavailable(no_credentials: None) -> None:
    store = default_chain_store()
    with pytest.raises(Unavailable):
        await store.presign_put(PROMISE, now=NOW, lifetime=LIFETIME)
    with pytest.raises(Unavailable):
        await store.check()


def test_a_profile_that_does_not_exist_is_a_configuration_error(
    no_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "absent")
    with pytest.raises(ConfigurationError, match="absent"):
        default_chain_store()


# Failures


CALLS: dict[str, Callable[[S3Store], Awaitable[object]]] = {
    "check": lambda store: store.check(),
    "find": lambda store: store.find("o/a"),
    "read_start": lambda store: store.read_start("o/a", 8),
    "read": lambda store: anext(store.read("o/a")),
    "delete": lambda store: store.delete(["o/a"]),
    "begin_parts": lambda store: store.begin_parts(PROMISE),
    "list_parts": lambda store: store.list_parts(UPLOAD),
    "join_parts": lambda store: store.join_parts(UPLOAD, [PART], crc64nvme=None),
    "abort_parts": lambda store: store.abort_parts(UPLOAD),
    "list_open_uploads": lambda store: store.list_open_uploads("o/", after=None, limit=10),
    "list_objects": lambda store: store.list_objects("o/", after=None, limit=10),
}


@pytest.mark.parametrize("status", [500, 503, 403, 400])
@pytest.mark.parametrize("operation", CALLS)
async def test_a_store_that_refuses_us_or_fails_is_unavailable(
    operation: str, status: int, answer: Answer, store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    answer.status = status
    with caplog.at_level(logging.WARNING, "graphql_api"), pytest.raises(Unavailable) as caught:
        await CALLS[operation](store)
    assert caught.value.part == "store"
    assert f"operation={operation}" in caplog.text
    assert "the-secret" not in caplog.text
    attempts = answer.requests.count(answer.requests[0])  # boto may ask after the bucket's region as well
    assert attempts == (2 if status >= 500 else 1), "one retry, and only where it can help"


@pytest.mark.parametrize(("ahead", "said"), [(-960, 960), (960, -960), (-20, None), (20, None)])
async def test_a_refusal_by_a_store_whose_clock_differs_says_by_how_much(
    ahead: int, said: int | None, answer: Answer, store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    answer.status, answer.ahead = 403, ahead
    with pytest.raises(Unavailable):
        await store.find("o/a")
    found = re.search(r"error=403 status=403(?: clock_ahead=(-?\d+))?$", caplog.messages[-1])
    assert found
    if said is None:
        assert found[1] is None
    else:
        assert abs(int(found[1]) - said) < 30  # a slow machine, and seconds cut off


@pytest.mark.parametrize("headers", [(), (("Date", "yesterday"),), (("Date", "Sun, 06 Nov 1994 08:49:37 -0000"),)])
async def test_a_refusal_without_a_date_says_nothing_of_clocks(
    headers: tuple[tuple[str, str], ...], answer: Answer, store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    answer.status, answer.dates, answer.headers = 403, False, headers
    with pytest.raises(Unavailable):
        await store.find("o/a")
    assert caplog.messages[-1].endswith("error=403 status=403")


async def test_an_object_that_cannot_be_removed_is_named(answer: Answer, store: S3Store) -> None:
    answer.body = b"<DeleteResult><Error><Key>o/a</Key><Code>InternalError</Code></Error></DeleteResult>"
    assert await store.delete(["o/a", "o/b"]) == ["o/a"]


async def test_a_store_that_calls_absence_an_error_has_removed_it(answer: Answer, store: S3Store) -> None:
    answer.body = b"<DeleteResult><Error><Key>o/a</Key><Code>NoSuchKey</Code></Error></DeleteResult>"
    await store.delete(["o/a"])


async def test_at_most_a_thousand_keys_go_into_one_removal(answer: Answer, store: S3Store) -> None:
    answer.body = b"<DeleteResult></DeleteResult>"
    await store.delete([f"o/{n}" for n in range(2001)])
    assert answer.requests == ["POST /bucket?delete"] * 3


async def test_a_body_that_breaks_off_is_unavailable(answer: Answer, store: S3Store) -> None:
    answer.headers = (("Content-Length", "8"),)
    answer.body = b"abc"
    with pytest.raises(Unavailable):
        await store.read_start("o/a", 8)
    content = store.read("o/a")
    assert await anext(content) == b"abc"
    with pytest.raises(Unavailable):  # and not the end, or half a file would pass for a whole one
        await anext(content)


async def test_a_store_that_ignores_the_range_is_cut_short(answer: Answer, store: S3Store) -> None:
    answer.headers = (("Content-Length", "12"),)
    answer.body = b"abcdefghijkl"
    assert await store.read_start("o/a", 8) == b"abcdefgh"


@pytest.mark.parametrize(
    ("checksum", "sha256"),
    [
        (None, None),
        (
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        ("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-3", None),
    ],
    ids=["none", "of the object", "of its parts' checksums"],
)
async def test_only_a_checksum_of_the_whole_object_is_its_sha256(
    checksum: str | None, sha256: str | None, answer: Answer, store: S3Store
) -> None:
    answer.headers = (("Content-Length", "0"), ("ETag", '"abc"'))
    if checksum:
        answer.headers += (("x-amz-checksum-sha256", checksum),)
    found = await store.find("o/a")
    assert found
    assert (found.sha256, found.etag, found.size, found.content_type) == (sha256, "abc", 0, "")


@pytest.mark.parametrize(
    ("checksum", "type_", "crc64nvme"),
    [
        ("AQIDBAUGBwg=", "FULL_OBJECT", "0102030405060708"),
        ("AQIDBAUGBwg=", "COMPOSITE", None),
        ("AQIDBAUGBwg=-2", "FULL_OBJECT", None),
        ("AQIDBAUGBwg=", None, None),
    ],
)
async def test_only_a_crc_of_the_whole_object_is_its_crc64nvme(
    checksum: str, type_: str | None, crc64nvme: str | None, answer: Answer, store: S3Store
) -> None:
    answer.headers = (("Content-Length", "0"), ("ETag", '"abc"'), ("x-amz-checksum-crc64nvme", checksum))
    if type_:
        answer.headers += (("x-amz-checksum-type", type_),)
    found = await store.find("o/a")
    assert found
    assert found.crc64nvme == crc64nvme


async def test_a_store_on_this_machine_is_reached_past_the_proxy(
    monkeypatch: pytest.MonkeyPatch, answer: Answer, store: S3Store
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # the discard port; nothing listens there
    await store.check()
    assert answer.requests == ["HEAD /bucket"]


async def test_closing_is_idempotent_and_needs_no_connection(answer: Answer) -> None:
    store = store_at(answer.url)
    store.close()
    await store.check()
    store.close()
    store.close()
