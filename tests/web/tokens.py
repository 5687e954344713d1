"""Tokens for the tests: a clock that stands still, what a good token says, and who believes it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from graphql_api.web.authentication import TokenPolicy

ISSUER = "https://login.example.com"
AUDIENCE = "graphql-api"
SECRET = "a secret of at least thirty-two bytes"


@dataclass
class Clock:
    """Stands still until told otherwise."""

    now: datetime = datetime(2026, 11, 22, 18, 43, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


def claims(clock: Clock, **changes: object) -> dict[str, object]:
    """What a good token says; a claim changed to None is left out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": int(clock().timestamp()) + 3600}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def bearer(clock: Clock, **changes: object) -> str:
    payload = json.dumps(claims(clock, **changes)).encode()  # PyJWT would refuse to write some claims it must read
    return "Bearer " + jwt.PyJWS().encode(payload, SECRET, algorithm="HS256")


def secret_policy(**changes: Any) -> TokenPolicy:
    return TokenPolicy(**{"issuer": ISSUER, "audience": AUDIENCE, "hs256_secret": SECRET, **changes})
