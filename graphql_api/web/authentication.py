"""From ``Authorization`` header to ``Identity``: a bearer token is verified, or the request is refused.

Sources: RFC 6750 (bearer tokens), RFC 7519 (JWT), RFC 8725 (JWT best current practices). PyJWT checks signatures.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio
import jwt
from jwt import PyJWK

from graphql_api.errors import ConfigurationError, Unauthenticated, Unavailable
from graphql_api.model.principal import Identity
from graphql_api.web.provider_keys import ProviderKeys

MAX_TOKEN_LENGTH: Final = 8 * 1024  # characters; servers refuse longer header lines anyway
MAX_NAME_LENGTH: Final = 255  # characters; OpenID Connect Core, section 2, for `sub`; used for all names we keep
MEMORY_SIZE: Final = 1024  # verified tokens
MEMORY_LIFETIME: Final = timedelta(seconds=60)  # a withdrawn key or changed policy counts after this at the latest

RECHECK_INTERVAL: Final = timedelta(minutes=10)  # for what stays open; as long as a provider's keys are trusted
SHORTEST_PAUSE: Final = timedelta(milliseconds=20)
_LAST_INSTANT: Final = datetime(9000, 1, 1, tzinfo=UTC).timestamp()  # a token that ends later may as well end here

HS256: Final = "HS256"


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token came to. ``ends_at``: from then on it is refused."""

    identity: Identity
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """Which tokens are believed, and where in them things stand.

    ``hs256_secret`` admits HS256; ``jwks_url`` admits ``algorithms`` (public-key ones only). At least one of the two is
    set. A claim name is taken literally first, then as a path: ``realm_access.roles`` finds ``{"realm_access":
    {"roles": …}}``.

    Raises: ConfigurationError: neither way is set, or an algorithm is not a public-key one.
    """

    issuer: str
    audience: str
    hs256_secret: str | None = field(default=None, repr=False)
    jwks_url: str | None = None
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    leeway: timedelta = timedelta(seconds=30)  # for clocks that differ
    subject_claim: str = "sub"
    groups_claim: str = "groups"
    roles_claim: str = "roles"
    name_claim: str = "name"
    email_claim: str = "email"
    trusts_email: bool = False  # whether an address counts that the token does not call verified
    admin_role: str | None = None

    def __post_init__(self) -> None:
        if self.hs256_secret is None and self.jwks_url is None:
            raise ConfigurationError("Either an HS256 secret or a JWKS address is needed to verify tokens.")
        # With HS256 among the JWKS algorithms, a public key would do as a shared secret: RFC 8725 section 2.1.
        if wrong := [name for name in self.algorithms if name[:2] not in ("RS", "PS", "ES", "Ed")]:
            raise ConfigurationError(f"Not public-key signature algorithms: {', '.join(wrong)}.")


class Authenticator:
    """Verifies bearer tokens by ``policy``. Verified ones are remembered for a while, never beyond their expiry."""

    def __init__(self, policy: TokenPolicy, *, clock: Callable[[], datetime]) -> None:
        self._policy = policy
        self._clock = clock
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})
        self._provider_keys = (
            ProviderKeys(policy.jwks_url, algorithms=policy.algorithms, clock=clock) if policy.jwks_url else None
        )
        self._memory: OrderedDict[bytes, tuple[Verified, datetime]] = OrderedDict()

    async def identify(self, authorization: str | None) -> Identity | None:
        """Who sent this ``Authorization`` header; None (anonymous) only when there is no such header.

        Raises: Unauthenticated: whatever is wrong with the header. Unavailable: the provider's keys cannot be had.
        """
        return None if authorization is None else (await self.verify(authorization)).identity

    async def until_refused(self, authorization: str | None) -> None:
        """Returns when a header that was accepted is accepted no longer: its token has ended, or its key was withdrawn,
        which is noticed within ``RECHECK_INTERVAL``. An absent header is never refused.
        """
        if authorization is None:
            await anyio.sleep_forever()
            return
        while True:
            pause = RECHECK_INTERVAL
            try:
                verified = await self.verify(authorization)
            except Unauthenticated:
                return
            except Unavailable:
                pass  # of the keys nothing is known: they were good
            else:
                pause = min(pause, max(verified.ends_at - self._clock(), SHORTEST_PAUSE))
            await anyio.sleep(pause.total_seconds())

    async def verify(self, authorization: str) -> Verified:
        """Who sent this header, and until when that is so. Raises: as ``identify`` does."""
        token = _bearer_token(authorization)
        digest = hashlib.sha256(token.encode()).digest()  # a key that gives no token away
        if (verified := self._recall(digest)) is not None:
            return verified
        claims = self._verified_claims(token, await self._key_for(token))
        ends_at = datetime.fromtimestamp(min(_seconds(claims, "exp"), _LAST_INSTANT), UTC) + self._policy.leeway
        verified = Verified(self._identity_in(claims), ends_at)
        self._remember(digest, verified, claims)
        return verified

    async def _key_for(self, token: str) -> PyJWK | str:
        """The policy names a key for each algorithm; the token may only choose among them."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:  # deeply nested JSON exhausts the stack
            raise Unauthenticated("The bearer token is malformed.") from error
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm == HS256 and self._policy.hs256_secret is not None:
            return self._policy.hs256_secret
        if self._provider_keys is not None and algorithm in self._policy.algorithms:
            if (key := await self._provider_keys.find_key(key_id, algorithm)) is None:
                raise Unauthenticated("The bearer token names no key of the identity provider.")
            return key
        raise Unauthenticated("The bearer token is signed in a way that is not accepted here.")

    def _verified_claims(self, token: str, key: PyJWK | str) -> Mapping[str, Any]:
        try:
            claims = self._jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name] if isinstance(key, PyJWK) else [HS256],
                audience=self._policy.audience,
                issuer=self._policy.issuer,
                # Times are compared below, by the caller's clock.
                options={"require": ["exp"], "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidAudienceError as error:
            raise Unauthenticated("The bearer token was issued for somebody else.") from error
        except jwt.InvalidIssuerError as error:
            raise Unauthenticated("The bearer token was issued by somebody who is not trusted here.") from error
        except jwt.MissingRequiredClaimError as error:
            raise Unauthenticated(f"The bearer token lacks the claim {error.claim!r}.") from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Unauthenticated("The bearer token is not valid.") from error
        now = self._clock().timestamp()
        leeway = self._policy.leeway.total_seconds()
        if now >= _seconds(claims, "exp") + leeway:
            raise Unauthenticated("The bearer token has expired.")
        if "nbf" in claims and now < _seconds(claims, "nbf") - leeway:
            raise Unauthenticated("The bearer token is not valid yet.")
        return claims

    def _identity_in(self, claims: Mapping[str, Any]) -> Identity:
        policy = self._policy
        subject = _claim(claims, policy.subject_claim)
        if not _is_name(subject):
            raise Unauthenticated(f"The bearer token lacks a usable claim {policy.subject_claim!r}.")
        name, email = _claim(claims, policy.name_claim), _claim(claims, policy.email_claim)
        return Identity(
            issuer=policy.issuer,
            subject=subject,
            display_name=name if _is_name(name) else subject,
            email=email if _is_name(email) and self._is_verified(claims) else None,
            groups=_names(claims, policy.groups_claim),
            is_admin=policy.admin_role in _names(claims, policy.roles_claim),
        )

    def _is_verified(self, claims: Mapping[str, Any]) -> bool:
        """Whether the issuer has seen to it that the address is the bearer's, who could write any into a profile.

        Source: OpenID Connect Core, section 5.1; some issuers write "true" there, which is no promise of theirs to us.
        """
        return self._policy.trusts_email or claims.get("email_verified") is True

    def _recall(self, digest: bytes) -> Verified | None:
        verified, until = self._memory.get(digest, (None, None))
        if until is None:
            return None
        if self._clock() >= until:
            del self._memory[digest]
            return None
        self._memory.move_to_end(digest)
        return verified

    def _remember(self, digest: bytes, verified: Verified, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        left = timedelta(seconds=min(_seconds(claims, "exp") - now.timestamp(), MEMORY_LIFETIME.total_seconds()))
        self._memory[digest] = (verified, now + left)
        if len(self._memory) > MEMORY_SIZE:
            self._memory.popitem(last=False)


def _bearer_token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("The Authorization header must be: Bearer, a space, and a token.")
    if len(token) > MAX_TOKEN_LENGTH:
        raise Unauthenticated(f"The bearer token is longer than {MAX_TOKEN_LENGTH} characters.")
    if not token.isascii():
        raise Unauthenticated("The bearer token is malformed.")
    return token


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    if name in claims:  # such as "https://example.com/roles", where the dots are no path
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unauthenticated(f"The claim {name!r} of the bearer token is not a time.")
    return float(value)


def _is_name(value: object) -> bool:
    """Text that can be stored, shown and logged: no control characters, no halves of surrogate pairs."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME_LENGTH and value.isprintable()


def _names(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """A list of names or a single one; absent is empty. Anything else is refused: a lost group may be a lost denial."""
    value = _claim(claims, name)
    values = [] if value is None else value if isinstance(value, list) else [value]
    if not all(_is_name(each) for each in values):
        raise Unauthenticated(f"The claim {name!r} of the bearer token is not a list of names.")
    return frozenset(values)
