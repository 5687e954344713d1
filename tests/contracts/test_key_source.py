"""What every place that keeps private keys promises."""

import asyncio
import hashlib
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.key_wiring import cloudfront_signer_of
from graphql_api.keys import PrivatePem
from graphql_api.keys.aws import AwsAccess
from graphql_api.keys.here import KeyFiles
from graphql_api.keys.kms import MAX_RAW, KmsKey, KmsKeys
from graphql_api.keys.secrets_manager import Secrets
from graphql_api.model.signing_key import HashAlgorithm, KeyPlace, KeyReference
from graphql_api.services.key_loading import LoadedKey
from graphql_api.services.link_signing import RemoteSigner
from tests.contracts import key_places
from tests.contracts.key_places import REGION, Place, public_and_signature, verifies
from tests.memory_keys import MemoryEdge
from tests.store import free_port
from tests.world import CDN, Clock

MESSAGE = b'{"Statement":[]}'


@pytest.fixture(params=["file", "environment", "secrets-manager", "kms"])
def place(request: pytest.FixtureRequest, tmp_path: Path, moto_endpoint: str) -> Iterator[Place]:
    match request.param:
        case "file":
            yield key_places.files(tmp_path)
        case "environment":
            yield key_places.variables()
        case "secrets-manager":
            yield from key_places.secrets_manager(moto_endpoint, tmp_path.name)
        case _:
            yield from key_places.kms(moto_endpoint)


async def test_what_it_keeps_signs_what_its_public_half_verifies(place: Place) -> None:
    first, second = [await place.source.fetch(place.put()) for _ in range(2)]
    public, signature = await public_and_signature(first, MESSAGE)
    other, _ = await public_and_signature(second, MESSAGE)
    assert verifies(public, signature, MESSAGE)
    assert not verifies(public, signature, MESSAGE + b" ")
    assert not verifies(other, signature, MESSAGE)


async def test_the_same_key_is_found_again_and_signs_the_same(place: Place) -> None:
    name = place.put()
    first, again = [await public_and_signature(await place.source.fetch(name), MESSAGE) for _ in range(2)]
    assert first == again


async def test_a_link_that_it_signs_is_let_through_and_no_other(place: Place) -> None:
    clock = Clock()
    held, other = [await place.source.fetch(place.put()) for _ in range(2)]
    key, stranger = [cloudfront_signer_of(CDN)("KTEST", HashAlgorithm.SHA256, each) for each in (held, other)]
    edge = MemoryEdge(clock, {"KTEST": key.public_pem})
    canned, bound = [await signed(key, clock, ip_range) for ip_range in (None, "192.0.2.0/24")]
    assert "Hash-Algorithm=SHA256" in canned
    assert [edge.judge(url).is_let_through for url in (canned, bound)] == [True, True]
    assert edge.judge(await signed(stranger, clock)).code == "AccessDenied"
    assert edge.judge(canned.replace("&Hash-Algorithm=SHA256", "")).code == "AccessDenied"


async def signed(key: LoadedKey, clock: Clock, ip_range: str | None = None) -> str:
    path, expires_at = "/o/1", clock() + timedelta(minutes=5)
    if isinstance(key.signer, RemoteSigner):
        unsigned = key.signer.writer.write(path, expires_at=expires_at, ip_range=ip_range)
        signature = await key.signer.signature(unsigned)
        return unsigned.signed(signature).url
    return key.signer.sign(path, expires_at=expires_at, ip_range=ip_range).url


async def test_what_never_leaves_kms_signs_no_sha_1(moto_endpoint: str) -> None:
    [place] = key_places.kms(moto_endpoint)
    held = await place.source.fetch(place.put())
    with pytest.raises(ConfigurationError, match="SHA-256"):
        cloudfront_signer_of(CDN)("KTEST", HashAlgorithm.SHA1, held)


async def test_its_names_have_the_form_that_a_reference_asks_for(place: Place) -> None:
    for name in (place.put(), place.absent):
        assert KeyReference(place.kind, name).fault() is None
    assert KeyReference(place.kind, "-----BEGIN PRIVATE KEY-----").fault() is not None
    assert KeyReference(place.kind, "").fault() is not None


async def test_what_is_not_there_is_a_fault_that_names_it(place: Place) -> None:
    with pytest.raises(ConfigurationError) as raised:
        await place.source.fetch(place.absent)
    assert place.absent in raised.value.message


async def test_no_private_part_is_shown_or_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "graphql_api")  # those of botocore speak from WARNING on, see ``web.logs``
    key = await place.source.fetch(place.put())
    shown = f"{key!r} {key} {place.source!r} {caplog.text}"
    assert "PRIVATE KEY" not in shown
    for secret in place.secrets:
        assert not any(line in shown for line in secret.splitlines())


async def test_a_key_that_never_leaves_signs_many_at_once(moto_endpoint: str) -> None:
    [place] = key_places.kms(moto_endpoint)
    key = await place.source.fetch(place.put())
    assert not isinstance(key, PrivatePem)
    messages = [b"%d" % number for number in range(40)]
    signatures = await asyncio.gather(*map(key.sign, messages))
    assert all(verifies(key.public_pem, *pair) for pair in zip(signatures, messages, strict=True))


@pytest.mark.parametrize("size", [MAX_RAW, MAX_RAW + 1])
async def test_kms_is_sent_what_it_takes(size: int) -> None:
    """moto signs whatever it is sent as if it were a message, and so cannot judge a digest."""
    sent: list[dict[str, Any]] = []

    class Client:
        def sign(self, **parameters: Any) -> dict[str, bytes]:
            sent.append(parameters)
            return {"Signature": b"signature"}

    class Access(AwsAccess):
        def _client(self, arn: str) -> Any:
            return Client()

    message = b"x" * size
    assert await KmsKey("arn:aws:kms:eu-west-1:1:key/1", "", Access()).sign(message) == b"signature"
    is_raw = size <= 4096  # AWS KMS API reference, "Sign"
    assert sent[0]["MessageType"] == ("RAW" if is_raw else "DIGEST")
    assert sent[0]["Message"] == (message if is_raw else hashlib.sha256(message).digest())


@pytest.mark.parametrize(
    ("spec", "usage"), [("RSA_4096", "SIGN_VERIFY"), ("ECC_NIST_P256", "SIGN_VERIFY"), ("RSA_2048", "ENCRYPT_DECRYPT")]
)
async def test_kms_keys_that_cannot_sign_links_are_refused(moto_endpoint: str, spec: Any, usage: Any) -> None:
    client = boto3.client(
        "kms", endpoint_url=moto_endpoint, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x"
    )
    arn = client.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"]
    client.close()
    access = key_places.aws(moto_endpoint)
    with pytest.raises(ConfigurationError, match="RSA_2048"):
        await KmsKeys(access).fetch(arn)
    access.close()


async def test_a_place_that_does_not_answer_is_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    access = key_places.aws(f"http://127.0.0.1:{free_port()}")
    arn = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:links-AbCdEf"
    with pytest.raises(Unavailable, match="key source"):
        await Secrets(access).fetch(arn)
    assert caplog.messages == [f"key_source_unavailable key={arn} error=EndpointConnectionError"]
    access.close()


async def test_a_file_that_holds_no_key_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"secret" * 20_000)
    with pytest.raises(ConfigurationError) as raised:
        await KeyFiles().fetch(str(path))
    assert "secret" not in raised.value.message


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (KeyPlace.FILE, "relative.pem"),
        (KeyPlace.FILE, "/a\nb"),
        (KeyPlace.ENVIRONMENT, "GRAPHQL_API_KEY"),
        (KeyPlace.ENVIRONMENT, "A=B"),
        (KeyPlace.SECRETS_MANAGER, "links"),
        (KeyPlace.KMS, "arn:aws:kms:eu-west-1:123456789012:alias/links"),
        (KeyPlace.SETTINGS, "/links.pem"),
    ],
)
def test_names_of_another_form_are_refused_unquoted(kind: KeyPlace, name: str) -> None:
    fault = KeyReference(kind, name).fault()
    assert fault is not None
    assert name not in fault
