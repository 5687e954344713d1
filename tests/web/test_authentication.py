"""A header is believed whole or refused; nothing wrong with it makes its sender anonymous."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.errors import ConfigurationError, Unauthenticated
from graphql_api.model.principal import Identity
from graphql_api.web import authentication
from graphql_api.web.authentication import Authenticator, TokenPolicy
from tests.web.tokens import ISSUER, SECRET, Clock, bearer, claims, secret_policy


def authenticator(clock: Clock, **policy: Any) -> Authenticator:
    return Authenticator(secret_policy(**policy), clock=clock)


def base64url(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_no_header_is_anonymous(clock: Clock) -> None:
    assert await authenticator(clock).identify(None) is None


async def test_a_good_token_names_its_bearer(clock: Clock) -> None:
    identity = await authenticator(clock).identify(
        bearer(clock, name="Ada Lovelace", email="ada@example.com", email_verified=True, groups=["math", "engines"])
    )
    assert identity == Identity(
        issuer=ISSUER,
        subject="ada",
        display_name="Ada Lovelace",
        email="ada@example.com",
        groups=frozenset({"math", "engines"}),
        is_admin=False,
    )


@pytest.mark.parametrize("verified", [None, False, "true", "false", 1, [True], {"email": True}], ids=repr)
async def test_an_address_that_the_issuer_has_not_verified_is_nobodys(clock: Clock, verified: object) -> None:
    header = bearer(clock, email="ada@example.com", email_verified=verified)
    assert await authenticator(clock).identify(header) == Identity(ISSUER, "ada", "ada")
    trusting = authenticator(clock, trusts_email=True)
    assert await trusting.identify(header) == Identity(ISSUER, "ada", "ada", "ada@example.com")


async def test_a_token_needs_no_more_than_subject_and_expiry(clock: Clock) -> None:
    identity = await authenticator(clock).identify(bearer(clock))
    assert identity == Identity(issuer=ISSUER, subject="ada", display_name="ada")


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer ...",
        "Bearer ä.ö.ü",
        "Basic YWRhOnNlY3JldA==",
        "Bearer " + "x" * 9000,
        "Bearer " + base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.x",  # nested too deeply to be parsed
        "Bearer " + base64url({"alg": ["HS256"]}) + ".e30.x",
        "Bearer " + base64url({"alg": {}, "kid": 1}) + ".e30.x",
        "Bearer " + base64url("HS256") + ".e30.x",
    ],
)
async def test_what_is_no_bearer_token_is_refused(clock: Clock, header: str) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator(clock).identify(header)


@given(st.text())
async def test_no_text_is_anonymous(text: str) -> None:
    for header in (text, f"Bearer {text}"):
        with pytest.raises(Unauthenticated):
            await authenticator(Clock()).identify(header)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example.com"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"aud": "another-api"},
        {"aud": ["another-api"]},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\x00b"},
        {"sub": "x" * 256},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"nbf": "yesterday"},
        {"groups": 7},
        {"groups": ["math", 7]},
        {"groups": {"math": True}},
        {"groups": ["a\nb"]},
        {"roles": [None]},
    ],
    ids=str,
)
async def test_a_claim_that_is_wrong_or_missing_is_refused(clock: Clock, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator(clock).identify(bearer(clock, **changes))


async def test_one_of_several_audiences_is_enough(clock: Clock) -> None:
    assert await authenticator(clock).identify(bearer(clock, aud=["another-api", "graphql-api"]))


async def test_a_token_signed_with_another_secret_is_refused(clock: Clock) -> None:
    token = jwt.encode(claims(clock), SECRET[::-1], algorithm="HS256")
    with pytest.raises(Unauthenticated):
        await authenticator(clock).identify(f"Bearer {token}")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
async def test_a_neighbour_of_the_accepted_algorithm_is_refused(clock: Clock, algorithm: str) -> None:
    token = jwt.encode(claims(clock), SECRET * 2, algorithm=algorithm)
    with pytest.raises(Unauthenticated):
        await authenticator(clock, hs256_secret=SECRET * 2).identify(f"Bearer {token}")


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
async def test_an_unsigned_token_is_refused(clock: Clock, name: str) -> None:
    header = base64url({"alg": name, "typ": "JWT"})
    for signature in ("", "x"):
        with pytest.raises(Unauthenticated):
            await authenticator(clock).identify(f"Bearer {header}.{base64url(claims(clock))}.{signature}")


async def test_every_changed_character_of_a_token_matters(clock: Clock) -> None:
    good = bearer(clock)
    for position in range(len("Bearer "), len(good) - 1):  # the last one holds two bits that mean nothing
        changed = good[:position] + ("A" if good[position] != "A" else "B") + good[position + 1 :]
        with pytest.raises(Unauthenticated):
            await authenticator(clock).identify(changed)


@pytest.mark.parametrize(("late", "is_good"), [(-1, True), (0, True), (29, True), (30, False), (4000, False)])
async def test_expiry_is_late_by_no_more_than_the_leeway(clock: Clock, late: int, is_good: bool) -> None:
    header = bearer(clock)
    clock.advance(timedelta(hours=1, seconds=late))
    if is_good:
        assert await authenticator(clock).identify(header)
    else:
        with pytest.raises(Unauthenticated, match="expired"):
            await authenticator(clock).identify(header)


@pytest.mark.parametrize(("early", "is_good"), [(30, True), (31, False)])
async def test_a_token_is_good_before_its_time_by_no_more_than_the_leeway(
    clock: Clock, early: int, is_good: bool
) -> None:
    header = bearer(clock, nbf=clock().timestamp() + early)
    if is_good:
        assert await authenticator(clock).identify(header)
    else:
        with pytest.raises(Unauthenticated):
            await authenticator(clock).identify(header)


async def test_a_remembered_token_expires_on_time(clock: Clock) -> None:
    header = bearer(clock, exp=clock().timestamp() + 20)
    judge = authenticator(clock, leeway=timedelta(0))
    assert await judge.identify(header)
    clock.advance(timedelta(seconds=19))
    assert await judge.identify(header)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthenticated):
        await judge.identify(header)


async def test_a_token_that_resembles_a_remembered_one_is_still_verified(clock: Clock) -> None:
    judge = authenticator(clock)
    header = bearer(clock)
    assert await judge.identify(header)
    with pytest.raises(Unauthenticated):
        await judge.identify(header[:-8] + "AAAAAAAA")


async def test_no_more_tokens_are_remembered_than_there_is_room_for(clock: Clock) -> None:
    judge = authenticator(clock)
    for number in range(authentication.MEMORY_SIZE + 10):
        await judge.identify(bearer(clock, sub=f"user-{number}"))
    assert len(judge._memory) == authentication.MEMORY_SIZE


async def test_claims_are_found_by_literal_name_and_by_path(clock: Clock) -> None:
    header = bearer(clock, realm_access={"roles": ["keeper"]}, **{"https://example.com/groups": ["math"]})
    judge = authenticator(
        clock, roles_claim="realm_access.roles", groups_claim="https://example.com/groups", admin_role="keeper"
    )
    identity = await judge.identify(header)
    assert identity is not None
    assert identity.is_admin
    assert identity.groups == {"math"}


async def test_a_path_that_leads_nowhere_is_an_absent_claim(clock: Clock) -> None:
    identity = await authenticator(clock, groups_claim="realm.groups").identify(bearer(clock, realm="north"))
    assert identity is not None
    assert identity.groups == frozenset()


@pytest.mark.parametrize(
    ("policy", "changes", "is_admin"),
    [
        ({"admin_role": "keeper"}, {"roles": ["keeper", "reader"]}, True),
        ({"admin_role": "keeper"}, {"roles": "keeper"}, True),
        ({"admin_role": "keeper"}, {"roles": ["Keeper"]}, False),
        ({"admin_role": "keeper"}, {"groups": ["keeper"]}, False),
        ({"admin_role": "keeper"}, {}, False),
        ({}, {"roles": ["admin"]}, False),
    ],
)
async def test_admins_are_named_by_role(
    clock: Clock, policy: dict[str, Any], changes: dict[str, Any], is_admin: bool
) -> None:
    identity = await authenticator(clock, **policy).identify(bearer(clock, **changes))
    assert identity is not None
    assert identity.is_admin is is_admin


async def test_another_claim_can_be_the_subject(clock: Clock) -> None:
    identity = await authenticator(clock, subject_claim="oid").identify(bearer(clock, oid="0-1-2"))
    assert identity is not None
    assert identity.subject == "0-1-2"


@pytest.mark.parametrize(("claim", "value"), [("name", 7), ("name", "a\nb"), ("email", "x\x1b[31m"), ("email", [])])
async def test_an_ornament_that_cannot_be_shown_is_left_out(clock: Clock, claim: str, value: object) -> None:
    identity = await authenticator(clock).identify(bearer(clock, email_verified=True, **{claim: value}))
    assert identity == Identity(issuer=ISSUER, subject="ada", display_name="ada")


def test_a_policy_does_not_print_its_secret() -> None:
    assert SECRET not in repr(secret_policy())


@pytest.mark.parametrize(
    "policy",
    [
        {"hs256_secret": None},
        {"hs256_secret": None, "jwks_url": "https://login.example.com/jwks", "algorithms": ("HS256",)},
        {"jwks_url": "https://login.example.com/jwks", "algorithms": ("RS256", "none")},
    ],
    ids=str,
)
def test_a_policy_that_could_be_tricked_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        secret_policy(**policy)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.com/jwks", "/jwks"])
def test_keys_come_over_http_only(clock: Clock, url: str) -> None:
    with pytest.raises(ConfigurationError):
        Authenticator(TokenPolicy(issuer=ISSUER, audience="x", jwks_url=url), clock=clock)
