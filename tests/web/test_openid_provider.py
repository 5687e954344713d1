"""Tokens of a real OpenID provider over HTTP, and what happens when it rotates keys or fails."""

import asyncio
import hmac
import json
import socket
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from graphql_api.errors import Unauthenticated, Unavailable
from graphql_api.web import provider_keys
from graphql_api.web.authentication import Authenticator, TokenPolicy
from tests.web.conftest import Provider
from tests.web.tokens import AUDIENCE, ISSUER, Clock, claims


def authenticator(clock: Clock, jwks_url: str, **policy: Any) -> Authenticator:
    return Authenticator(
        TokenPolicy(**{"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": jwks_url, **policy}), clock=clock
    )


def token(provider: Provider, clock: Clock, kid: str, **parts: Any) -> str:
    changes = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": clock().timestamp() + 3600, "nbf": None}
    changes |= parts.pop("claims", {})
    return "Bearer " + provider.token(kid, claims=changes, **parts)


def keys(provider: Provider, *algorithms: str) -> list[str]:
    kids: list[str] = provider.tell("provider", algorithms=algorithms)["kids"]
    return kids


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_token_of_the_provider_is_believed(provider: Provider, clock: Clock, algorithm: str) -> None:
    [kid] = keys(provider, algorithm)
    identity = await authenticator(clock, provider.jwks_url).identify(token(provider, clock, kid))
    assert identity is not None
    assert identity.subject == "ada"


async def test_a_token_from_the_token_endpoint_is_believed(provider: Provider, clock: Clock) -> None:
    keys(provider, "RS256")
    form = {"grant_type": "client_credentials", "scope": "files", "aud": AUDIENCE}
    async with httpx.AsyncClient() as client:
        document = (await client.get(f"{provider.address}/.well-known/openid-configuration")).json()
        answer = (await client.post(document["token_endpoint"], data=form)).json()
    judge = authenticator(
        clock, document["jwks_uri"], issuer=document["issuer"], subject_claim="scope", groups_claim="scope"
    )
    clock.now = issued_at(answer["access_token"])
    identity = await judge.identify(f"Bearer {answer['access_token']}")
    assert identity is not None
    assert identity.issuer == provider.address
    assert identity.groups == {"files"}


def issued_at(access_token: str) -> datetime:
    payload = jwt.decode(access_token, options={"verify_signature": False})
    return datetime.fromtimestamp(payload["iat"], UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-api"},
        {"iss": "https://evil.example.com"},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"nbf": 4_000_000_000},
    ],
    ids=str,
)
async def test_a_well_signed_token_that_says_the_wrong_thing_is_refused(
    provider: Provider, clock: Clock, changes: dict[str, Any]
) -> None:
    [kid] = keys(provider, "RS256")
    with pytest.raises(Unauthenticated):
        await authenticator(clock, provider.jwks_url).identify(token(provider, clock, kid, claims=changes))


async def test_the_leeway_covers_clocks_that_differ(provider: Provider, clock: Clock) -> None:
    [kid] = keys(provider, "ES256")
    just_expired = token(provider, clock, kid, claims={"exp": clock().timestamp() - 29})
    assert await authenticator(clock, provider.jwks_url).identify(just_expired)
    with pytest.raises(Unauthenticated, match="expired"):
        await authenticator(clock, provider.jwks_url, leeway=timedelta(seconds=10)).identify(just_expired)


async def test_a_public_key_is_no_shared_secret(provider: Provider, clock: Clock) -> None:
    """Algorithm confusion: the public key, in every form one may have it, used as an HS256 secret."""
    [kid] = keys(provider, "RS256")
    async with httpx.AsyncClient() as client:
        entry = (await client.get(provider.jwks_url)).json()["keys"][0]
    key = jwt.PyJWK(entry).key
    assert isinstance(key, rsa.RSAPublicKey)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, pem.strip(), der, json.dumps(entry).encode()):
        head = urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": kid}).encode()).rstrip(b"=")
        body = urlsafe_b64encode(json.dumps(claims(clock)).encode()).rstrip(b"=")
        signature = urlsafe_b64encode(hmac.digest(secret, head + b"." + body, sha256)).rstrip(b"=")
        forged = b".".join([head, body, signature]).decode()
        for policy in ({}, {"hs256_secret": "a secret of at least thirty-two bytes"}):
            with pytest.raises(Unauthenticated):
                await authenticator(clock, provider.jwks_url, **policy).identify(f"Bearer {forged}")


async def test_a_key_is_good_for_its_own_algorithm_only(provider: Provider, clock: Clock) -> None:
    [rs256, es256] = keys(provider, "RS256", "ES256")
    for kid, other in ((rs256, es256), (es256, rs256)):
        renamed = token(provider, clock, kid, header={"kid": other})
        with pytest.raises(Unauthenticated):
            await authenticator(clock, provider.jwks_url).identify(renamed)


async def test_an_algorithm_the_policy_leaves_out_is_refused(provider: Provider, clock: Clock) -> None:
    [_, es256] = keys(provider, "RS256", "ES256")
    with pytest.raises(Unauthenticated):
        await authenticator(clock, provider.jwks_url, algorithms=("RS256",)).identify(token(provider, clock, es256))


async def test_a_token_without_key_id_means_the_only_key(provider: Provider, clock: Clock) -> None:
    [kid] = keys(provider, "RS256")
    nameless = token(provider, clock, kid, header={"kid": None})
    assert await authenticator(clock, provider.jwks_url).identify(nameless)


async def test_a_token_without_key_id_is_refused_when_it_could_mean_several(provider: Provider, clock: Clock) -> None:
    [kid, _] = keys(provider, "RS256", "RS256")
    nameless = token(provider, clock, kid, header={"kid": None})
    with pytest.raises(Unauthenticated):
        await authenticator(clock, provider.jwks_url).identify(nameless)


async def test_a_new_key_is_fetched_when_a_token_names_it(provider: Provider, clock: Clock) -> None:
    [old] = keys(provider, "RS256")
    judge = authenticator(clock, provider.jwks_url)
    assert await judge.identify(token(provider, clock, old))
    new = provider.tell("keys", algorithm="RS256")["kid"]
    clock.advance(provider_keys.REFETCH_COOLDOWN)
    assert await judge.identify(token(provider, clock, new))
    assert await judge.identify(token(provider, clock, old))
    assert provider.fetches() == 2


async def test_a_withdrawn_key_is_trusted_for_ten_minutes_at_most(provider: Provider, clock: Clock) -> None:
    [old] = keys(provider, "RS256")
    judge = authenticator(clock, provider.jwks_url)
    old_token = token(provider, clock, old)
    assert await judge.identify(old_token)
    keys(provider, "RS256")
    clock.advance(provider_keys.KEYS_LIFETIME)
    with pytest.raises(Unauthenticated):
        await judge.identify(old_token)


async def test_made_up_key_ids_cannot_hammer_the_provider(provider: Provider, clock: Clock) -> None:
    [kid] = keys(provider, "RS256")
    judge = authenticator(clock, provider.jwks_url)
    for number in range(50):
        forged = token(provider, clock, kid, header={"kid": f"made-up-{number}"})
        with pytest.raises(Unauthenticated):
            await judge.identify(forged)
    assert provider.fetches() == 1
    clock.advance(provider_keys.REFETCH_COOLDOWN)
    with pytest.raises(Unauthenticated):
        await asyncio.gather(*(judge.identify(forged) for _ in range(20)))
    assert provider.fetches() == 2


async def test_requests_at_the_same_time_share_one_fetch(provider: Provider, clock: Clock) -> None:
    kids = keys(provider, "RS256", "ES256", "EdDSA")
    tokens = [token(provider, clock, kid) for kid in kids] * 10
    judge = authenticator(clock, provider.jwks_url)
    identities = await asyncio.gather(*(judge.identify(each) for each in tokens))
    assert all(identities)
    assert provider.fetches() == 1


async def test_known_keys_go_on_working_while_the_provider_is_down(provider: Provider, clock: Clock) -> None:
    [kid] = keys(provider, "RS256")
    judge = authenticator(clock, provider.jwks_url)
    assert await judge.identify(token(provider, clock, kid))
    provider.tell("failing", failing=True)
    clock.advance(timedelta(minutes=30))
    for _ in range(10):
        assert await judge.identify(token(provider, clock, kid))
        clock.advance(timedelta(seconds=1))
    assert provider.fetches() == 1 + 2  # once more after the retry cooldown of five seconds


async def test_without_keys_and_provider_nobody_can_be_judged(provider: Provider, clock: Clock) -> None:
    [kid] = keys(provider, "RS256")
    provider.tell("failing", failing=True)
    judge = authenticator(clock, provider.jwks_url)
    for _ in range(10):
        with pytest.raises(Unavailable, match="identity provider"):
            await judge.identify(token(provider, clock, kid))
    assert provider.fetches() == 1
    assert await judge.identify(None) is None

    provider.tell("failing", failing=False)
    clock.advance(provider_keys.RETRY_COOLDOWN)
    assert await judge.identify(token(provider, clock, kid))


async def test_a_provider_that_is_not_there_is_unavailable(provider: Provider, clock: Clock) -> None:
    [kid] = keys(provider, "RS256")
    with socket.socket() as reserved:  # bound but not listening: connections are refused
        reserved.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{reserved.getsockname()[1]}/jwks"
        with pytest.raises(Unavailable):
            await authenticator(clock, address).identify(token(provider, clock, kid))


@contextmanager
def serving(status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    """A provider that gives one answer to everything."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/jwks"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b"{}",
        b'{"keys": 7}',
        b'{"keys": []}',
        b'{"keys": [7, {"kty": "RSA"}, {"kty": "RSA", "n": "!", "e": "!"}, {"kty": "EC", "crv": "P-999"}]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "x"}]}',
        b'{"keys": [' + b" " * provider_keys.MAX_ANSWER_SIZE + b"]}",
    ],
    ids=lambda body: body[:40].decode(),
)
async def test_an_answer_without_usable_keys_is_no_answer(provider: Provider, clock: Clock, body: bytes) -> None:
    [kid] = keys(provider, "RS256")
    with serving(200, {}, body) as url, pytest.raises(Unavailable):
        await authenticator(clock, url).identify(token(provider, clock, kid))


async def test_a_redirect_of_the_provider_is_not_followed(provider: Provider, clock: Clock) -> None:
    [kid] = keys(provider, "RS256")
    with serving(302, {"location": provider.jwks_url}, b"") as url, pytest.raises(Unavailable):
        await authenticator(clock, url).identify(token(provider, clock, kid))
    assert provider.fetches() == 0


async def test_a_key_without_algorithm_is_good_for_those_of_its_type(provider: Provider, clock: Clock) -> None:
    """Entra ID leaves `alg` out; keys for encryption and of unknown types stand in the same set."""
    [kid] = keys(provider, "RS256")
    async with httpx.AsyncClient() as client:
        entry = (await client.get(provider.jwks_url)).json()["keys"][0]
    plain = {name: value for name, value in entry.items() if name != "alg"}
    others = [{**plain, "kid": "encrypts", "use": "enc"}, {"kty": "AKP", "kid": "unknown"}]
    with serving(200, {}, json.dumps({"keys": [*others, plain]}).encode()) as url:
        judge = authenticator(clock, url)
        assert await judge.identify(token(provider, clock, kid))
        with pytest.raises(Unauthenticated):
            await judge.identify(token(provider, clock, kid, header={"kid": "encrypts"}))


async def test_a_short_rsa_key_is_refused(clock: Clock) -> None:
    key = rsa.generate_private_key(65537, 1024)
    entry = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "short"}
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        weak = jwt.encode(claims(clock), key, algorithm="RS256", headers={"kid": "short"})
    with serving(200, {}, json.dumps({"keys": [entry]}).encode()) as url, pytest.raises(Unauthenticated):
        await authenticator(clock, url).identify(f"Bearer {weak}")
