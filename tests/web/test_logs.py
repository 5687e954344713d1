"""Nothing that opens a file or an account reaches the log, whatever way it takes."""

import io
import json
import logging
from datetime import timedelta
from urllib.parse import quote, quote_plus

import boto3
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from graphql_api.web.logs import configure_logging, redact, request_id
from tests.web.small_app import SIGNED_URL, FewServices, app_around, running
from tests.web.tokens import SECRET, Clock, bearer, claims

log = logging.getLogger("tests.web")


JWT = jwt.encode({"sub": "ada"}, SECRET, algorithm="HS256")
PEM = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
TOKEN = "q9c-3r_5SxJ5R0kDWfM2hZ1aE7uT8vLyPbNoGiKwXsQ"
HEX = "5f4dcc3b5aa765d61d8327deb882cf995f4dcc3b5aa765d61d8327deb882cf99"


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (f"url={SIGNED_URL}", ["UE9MSUNZ", "U0lHTkFUVVJF", "secret-1_"]),
        (quote(SIGNED_URL, safe=""), ["UE9MSUNZ", "U0lHTkFUVVJF", "secret-1_"]),
        (f"/o/1?X-Amz-Credential=AKIDEXAMPLE%2F20261122&X-Amz-Signature={HEX}", ["AKIDEXAMPLE", HEX]),
        (f"X-Amz-Security-Token=IQoJb3JpZ2luX2VjE%2F%2F&x-amz-signature={HEX}", ["IQoJb3", HEX]),
        ({"X-Amz-Signature": HEX, "policy": "eydleHBpcmF0aW9u"}, [HEX, "eydleHBp"]),
        ([(b"x-amz-signature", HEX.encode())], [HEX]),
        (json.dumps({"x-amz-security-token": "IQoJb3JpZ2lu"}), ["IQoJb3JpZ2lu"]),
        ("x-amz-security-token: IQoJb3JpZ2lu", ["IQoJb3JpZ2lu"]),
        (f"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/x, Signature={HEX}", ["AKIDEXAMPLE", HEX]),
        (f"Signature:\n{HEX}", [HEX]),
        ("CloudFront-Policy=UE9MSUNZ; CloudFront-Signature=U0lHTkFUVVJF", ["UE9MSUNZ", "U0lHTkFUVVJF"]),
        ({"cookie": "a=b; CloudFront-Key-Pair-Id=K2JCJMDEHXQW5F"}, ["K2JCJMDEHXQW5F"]),
        ("Cookie: session=hunter2hunter2", ["hunter2"]),
        (f"X-Goog-Credential=sa%40project&X-Goog-Signature={HEX}", ["sa%40", HEX]),
        ("https://a.blob.core.windows.net/c/b?sv=2026&sig=c2VjcmV0%3D", ["c2VjcmV0"]),
        (f"Authorization: Bearer {JWT}", [JWT[-20:]]),
        ({"authorization": f"Bearer {JWT}"}, [JWT[-20:], JWT[:20]]),
        ({"authorization": "Bearer opaque-access-token"}, ["opaque"]),
        (f"token {JWT} expired", [JWT[:20], JWT[-20:]]),
        (PEM, [PEM.splitlines()[1]]),
        (quote_plus(PEM), [PEM.splitlines()[1]]),
        (quote(PEM), [PEM.splitlines()[1]]),
        (PEM[:-30], [PEM.splitlines()[1]]),
        (repr(PEM), [PEM.splitlines()[1]]),
        (f"path=/s/{TOKEN} status=302", [TOKEN]),
        (f"https://files.test/s/{TOKEN}?after=x", [TOKEN]),
        (quote(f"https://files.test/s/{TOKEN}", safe=""), [TOKEN]),
        (f"//S//{TOKEN[:20]} and {TOKEN}", [TOKEN[:20], TOKEN]),
    ],
    ids=lambda value: repr(value)[:40] if not isinstance(value, list) else "",
)
def test_what_opens_something_is_redacted(text: object, secrets: list[str]) -> None:
    written = redact(str(text))
    assert "[redacted]" in written
    for secret in secrets:
        assert secret not in written


@pytest.mark.parametrize(
    "text",
    [
        "upload_completed upload=upload_01jd9x2q6c8s5v7e0k3m4n5p6r size=17",
        "The bearer token has expired.",
        "policy_changed version=7",
        "graphql_api.web.authentication.Authenticator",
        "key_pair_id=K2JCJMDEHXQW5F expires=1795372980",
        'File "graphql_api/signing/cloudfront.py", line 12, in sign',
    ],
)
def test_what_opens_nothing_stays(text: str) -> None:
    assert redact(text) == text


HOSTILE = ["Signature", "Signature:\n", "Bearer ", "Bearer+", "eyJ", "ey.", "-----BEGIN A-----", "-----BEGIN "]
HOSTILE += ["Signature=", "Policy' ", "X-Amz-", "X-Amz-Signature", "CloudFront-"]


@pytest.mark.timeout(60)  # a quadratic pattern would take a quarter of an hour for these; a linear one takes a moment
@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_does_not_hang_the_redaction(piece: str) -> None:
    text = piece * 200_000
    assert len(redact(text)) <= len(text) * 2


def test_a_text_line_has_time_level_request_and_event(lines: io.StringIO) -> None:
    configure_logging("INFO", stream=lines)
    token = request_id.set("r-1")
    log.info("upload_completed size=%d", 17)
    request_id.reset(token)
    log.info("swept")
    log.debug("unheard")
    first, second = lines.getvalue().splitlines()
    assert first.endswith("Z INFO request_id=r-1 upload_completed size=17")
    assert second.endswith("Z INFO request_id=- swept")


def test_a_json_line_is_one_object(lines: io.StringIO) -> None:
    configure_logging("INFO", "json", lines)
    try:
        raise RuntimeError(f"no answer from {SIGNED_URL}")
    except RuntimeError:
        log.exception("store_failed name=%s", "a\nb\ud800")
    entry = json.loads(lines.getvalue())
    assert entry.keys() == {"time", "level", "logger", "request_id", "message", "exception"}
    assert (entry["level"], entry["logger"], entry["request_id"]) == ("ERROR", "tests.web", None)
    assert "RuntimeError: no answer from https://cdn.example.com" in entry["exception"]
    assert "U0lHTkFUVVJF" not in lines.getvalue()


def test_nobody_can_forge_a_line(lines: io.StringIO) -> None:
    configure_logging("INFO", stream=lines)
    log.info("renamed name=%s", "x\n2026-11-22T18:43:00.000Z INFO request_id=r forged\x1b[31m\u2028\ud800")
    [line] = lines.getvalue().splitlines()
    assert r"x\n2026" in line


def test_a_log_call_that_does_not_fit_neither_fails_nor_tells(lines: io.StringIO) -> None:
    configure_logging("INFO", stream=lines)
    log.info("size=%d", SIGNED_URL)
    assert "log_call_failed" in lines.getvalue()
    assert "UE9MSUNZ" not in lines.getvalue()


def test_a_traceback_is_redacted_with_its_causes_and_stack(lines: io.StringIO) -> None:
    configure_logging("INFO", stream=lines)
    try:
        try:
            raise KeyError(JWT)
        except KeyError as error:
            raise ValueError(f"cannot fetch {SIGNED_URL}") from error
    except ValueError:
        log.exception("failed with %s", PEM, stack_info=True)
    written = lines.getvalue()
    assert "ValueError: cannot fetch" in written
    assert "Stack (most recent call last)" in written
    for secret in (JWT[-20:], "U0lHTkFUVVJF", PEM.splitlines()[1]):
        assert secret not in written


def test_configuring_twice_writes_once(lines: io.StringIO) -> None:
    configure_logging("INFO", stream=lines)
    configure_logging("INFO", stream=lines)
    log.info("once")
    assert lines.getvalue().count("once") == 1


def test_the_aws_sdk_says_nothing_of_its_signatures(lines: io.StringIO) -> None:
    configure_logging("DEBUG", stream=lines)
    s3 = boto3.Session("AKIDEXAMPLE", "wJalrXUtnFEMI", region_name="eu-central-1").client("s3")
    url = s3.generate_presigned_url("put_object", {"Bucket": "files", "Key": "o/1"})
    log.debug("presigned url=%s", url)
    assert "o/1" in lines.getvalue()
    assert "AKIDEXAMPLE" not in lines.getvalue()
    assert url.rpartition("=")[2] not in lines.getvalue()


@pytest.mark.parametrize("format", ["text", "json"])
def test_real_requests_leave_no_secret_in_the_log(
    services: FewServices, clock: Clock, lines: io.StringIO, format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logging("DEBUG", "json" if format == "json" else "text", lines)
    header = bearer(clock)
    expired = bearer(clock, exp=clock().timestamp() - timedelta(days=1).total_seconds())
    foreign = "Bearer " + jwt.encode(claims(clock), SECRET[::-1], algorithm="HS256")
    with running(app_around(services, clock)) as address, httpx.Client(base_url=address, timeout=10) as http:
        bug = "query Q($text: String!) { bug(text: $text) }"
        for text in (SIGNED_URL, f"Bearer {JWT}", PEM):
            http.post("/graphql", json={"query": bug, "variables": {"text": text}})
            http.get("/graphql", params={"query": f"{{ bug(text: {json.dumps(text)}) }}"})
            http.get("/graphql", params={"query": bug, "variables": json.dumps({"text": [text]})})
        for token in (header, expired, foreign, "Bearer opaque-access-token"):
            http.post("/graphql", json={"query": "{ viewer }"}, headers={"authorization": token})
        http.get("/graphql", params={"query": f'{{ unknown(text: "{SIGNED_URL}") }}'})
        http.get(f"/nothing?{SIGNED_URL.partition('?')[2]}", headers={"cookie": "CloudFront-Signature=U0lHTkFUVVJF"})
        services.accounts.error = RuntimeError(f"cannot use {SIGNED_URL} with {header} and {PEM}")
        answer = http.post("/graphql", json={"query": "{ viewer }"}, headers={"authorization": header})
        assert answer.status_code == 500
    written = lines.getvalue() + "".join(capfd.readouterr())
    assert "RuntimeError: could not use https://cdn.example.com" in written
    assert "RuntimeError: cannot use https://cdn.example.com" in written
    assert "request method=POST path=/graphql status=500" in written
    assert "unknown(" not in written
    tokens = [each.removeprefix("Bearer ") for each in (header, expired, foreign, JWT, "opaque-access-token")]
    parts = [part for token in tokens for part in token.split(".")]
    for secret in ("UE9MSUNZ", "U0lHTkFUVVJF", "secret-1_", PEM.splitlines()[1], *parts):
        assert secret not in written
