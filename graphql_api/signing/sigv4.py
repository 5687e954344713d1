"""Presigned requests for S3 and what speaks like it: AWS Signature Version 4 in the query.

Source: Amazon S3 API reference, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)". Unlike
other services S3 escapes the path once and removes neither ``//`` nor dot segments from it.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from graphql_api.errors import ConfigurationError

MAX_LIFETIME: Final = timedelta(days=7)
"""S3 refuses a presigned request that claims to live longer."""

_BASE_URL: Final = re.compile(
    r"(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(?::([0-9]{1,5}))?((?:/[A-Za-z0-9._~-]+)*)/?"
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_OWN_PARAMETERS: Final = frozenset(
    f"x-amz-{name}"
    for name in ("algorithm", "credential", "date", "expires", "security-token", "signature", "signedheaders")
)
_CACHED_SIGNING_KEYS: Final = 32  # today's and tomorrow's key of each bucket's credentials, with room to spare


@dataclass(frozen=True, slots=True)
class StoreCredentials:
    """Who presigns. ``session_token`` comes with temporary credentials; the requests end when those do."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class SigningMoment:
    """What all signatures of one second have in common: the day's key, and the scope that it is good for."""

    __slots__ = ("_key", "credential", "scope", "timestamp")

    def __init__(self, now: datetime, region: str, credentials: StoreCredentials) -> None:
        """Raises ``ValueError`` for a time without a zone."""
        if now.tzinfo is None:
            raise ValueError("Presigning needs an aware time.")
        utc = now.astimezone(UTC)
        day = f"{utc.year:04}{utc.month:02}{utc.day:02}"
        self.timestamp = f"{day}T{utc.hour:02}{utc.minute:02}{utc.second:02}Z"
        self.scope = f"{day}/{region}/s3/aws4_request"
        self.credential = f"{credentials.access_key_id}/{self.scope}"
        self._key = _signing_key(credentials.secret_access_key, day, region)

    def sign(self, text: str) -> str:
        """The signature of ``text``, in hex."""
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    def sign_request(self, digest: str) -> str:
        """The signature of the canonical request with this SHA-256, both in hex."""
        return self.sign(f"AWS4-HMAC-SHA256\n{self.timestamp}\n{self.scope}\n{digest}")


def whole_seconds(lifetime: timedelta) -> int:
    """Raises ``ValueError`` for a lifetime below 1 s or above 7 days."""
    if not timedelta(seconds=1) <= lifetime <= MAX_LIFETIME:
        raise ValueError("A presigned request lives between one second and seven days.")
    return lifetime // timedelta(seconds=1)


class QueryPresigner:
    """Presigns requests to one store.

    ``base_url`` is scheme, host, port and the path that precedes every key: ``https://bucket.s3.eu-west-1.amazonaws.com``
    or ``http://127.0.0.1:8333/bucket``. Raises ``ConfigurationError`` if it is anything else.
    """

    def __init__(self, base_url: str, region: str) -> None:
        match = _BASE_URL.fullmatch(base_url)
        if not match:
            raise ConfigurationError("A store's URL must be http(s)://host[:port][/path] without query or user.")
        scheme, host, port, self._path_prefix = match.groups()
        # Clients leave a default port out of the Host header, which is signed.
        is_default_port = port is None or port == _DEFAULT_PORTS[scheme]
        self.host = host.lower() if is_default_port else f"{host.lower()}:{port}"
        self.origin = f"{scheme}://{self.host}"
        self.bucket_url = f"{self.origin}{self._path_prefix or '/'}"
        self.region = region

    def presign(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[str, str]] = (),
        now: datetime,
        lifetime: timedelta,
        credentials: StoreCredentials,
    ) -> str:
        """The URL with which anyone may send this one request, with exactly ``headers``, for ``lifetime`` from ``now``.

        ``path`` (begins with ``/``) and ``query`` are not yet percent-encoded. Both times count in whole seconds. The
        host is always signed and not to be listed. Raises ``ValueError`` for a lifetime below 1 s or above 7 days.
        """
        canonical_headers, signed_headers = self._canonical_headers(headers)
        moment = SigningMoment(now, self.region, credentials)
        parameters = authentication(moment, lifetime, signed_headers, credentials)
        if query:
            if not _OWN_PARAMETERS.isdisjoint(name.lower() for name, _ in query):
                raise ValueError("The signature brings this query parameter itself.")
            # Sorted by escaped name, then by escaped value: names that are a prefix of another come first.
            parameters = sorted(parameters + [(quote(name, ""), quote(value, "")) for name, value in query])
        canonical_query = "&".join([f"{name}={value}" for name, value in parameters])

        resource = self.resource(path)
        request = f"{method}\n{resource}\n{canonical_query}\n{canonical_headers}\n\n{signed_headers}\nUNSIGNED-PAYLOAD"
        signature = moment.sign_request(sha256(request.encode()).hexdigest())
        return f"{self.origin}{resource}?{canonical_query}&X-Amz-Signature={signature}"

    def resource(self, path: str) -> str:
        """The escaped path of ``path`` (begins with ``/``, not yet percent-encoded) at this store."""
        if not path.startswith("/"):
            raise ValueError("Presigning needs a path that begins with a slash.")
        return self._path_prefix + quote(path)

    def _canonical_headers(self, headers: Sequence[tuple[str, str]]) -> tuple[str, str]:
        """The lines ``name:value`` and the names, both sorted; runs of white space in a value count as one space."""
        lines = {name.lower(): " ".join(value.split()) for name, value in headers}
        if len(lines) != len(headers) or "host" in lines:
            raise ValueError("A header is listed once, and the host not at all.")
        lines["host"] = self.host
        names = sorted(lines)
        return "\n".join([f"{name}:{lines[name]}" for name in names]), ";".join(names)


def authentication(
    moment: SigningMoment, lifetime: timedelta, signed_headers: str, credentials: StoreCredentials
) -> list[tuple[str, str]]:
    """The query parameters that precede the signature, escaped and sorted. ``signed_headers``: joined by ``;``."""
    parameters = [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", quote(moment.credential, "")),
        ("X-Amz-Date", moment.timestamp),
        ("X-Amz-Expires", str(whole_seconds(lifetime))),
        ("X-Amz-SignedHeaders", signed_headers.replace(";", "%3B")),
    ]
    if credentials.session_token is not None:
        parameters.insert(4, ("X-Amz-Security-Token", quote(credentials.session_token, "")))
    return parameters


@lru_cache(maxsize=_CACHED_SIGNING_KEYS)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    """Four of the five HMACs depend on the day only, so they are made once a day."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
