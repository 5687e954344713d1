"""The public keys of an OpenID provider: fetched, cached, and fetched again when the provider rotates them.

Source: RFC 7517 (JWK), section 5: keys of unknown types are skipped, not errors.
"""

import asyncio
import logging
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlsplit

import anyio.to_thread
import orjson
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from graphql_api.errors import ConfigurationError, Unavailable

PROVIDER: Final = "identity provider"

FETCH_TIMEOUT: Final = 5.0  # seconds, for connecting and for each read
FETCH_DEADLINE: Final = 10.0  # seconds, for the whole answer
MAX_ANSWER_SIZE: Final = 256 * 1024  # bytes; a key takes 500 to 2000
KEYS_LIFETIME: Final = timedelta(minutes=10)  # a key that the provider withdrew is trusted no longer than this
REFETCH_COOLDOWN: Final = timedelta(seconds=30)  # tokens with made-up key ids cannot cause more traffic than this
RETRY_COOLDOWN: Final = timedelta(seconds=5)  # after a fetch that failed

_KEY_TYPES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}  # RFC 7518 section 6.1, RFC 8037 section 2

log = logging.getLogger(__name__)

KeysByName = Mapping[tuple[str | None, str], tuple[PyJWK, ...]]


class ProviderKeys:
    """The keys at ``url`` that may verify one of ``algorithms``.

    Requests share one fetch. While a fetch runs or the provider is down, keys fetched before go on working.
    """

    def __init__(self, url: str, *, algorithms: tuple[str, ...], clock: Callable[[], datetime]) -> None:
        if urlsplit(url).scheme not in ("https", "http"):
            raise ConfigurationError("The JWKS address must be an http(s) URL.")
        self._url = url
        self._algorithms = algorithms
        self._clock = clock
        self._keys: KeysByName | None = None
        self._fetched_at: datetime | None = None
        self._next_attempt_at: datetime | None = None
        self._fetching = asyncio.Lock()

    async def find_key(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """The one key that a token with this header can mean, or None if there is none or more than one.

        A token need not name its key when the provider has just one for the algorithm (RFC 7515 section 4.1.4).
        Raises: Unavailable: no keys were ever fetched and the provider does not answer.
        """
        if self._keys is None or (self._are_old() and not self._fetching.locked()):
            await self._fetch()
        found = self._matches(key_id, algorithm)
        if not found:
            await self._fetch()
            found = self._matches(key_id, algorithm)
        return found[0] if len(found) == 1 else None

    def _matches(self, key_id: str | None, algorithm: str) -> tuple[PyJWK, ...]:
        keys = self._keys or {}
        if key_id is not None:
            return keys.get((key_id, algorithm), ())
        return tuple(key for (_, name), same in keys.items() if name == algorithm for key in same)

    def _are_old(self) -> bool:
        return self._fetched_at is None or self._clock() - self._fetched_at >= KEYS_LIFETIME

    async def _fetch(self) -> None:
        async with self._fetching:
            now = self._clock()
            if self._next_attempt_at is None or now >= self._next_attempt_at:
                try:
                    with anyio.fail_after(FETCH_DEADLINE):
                        answer = await anyio.to_thread.run_sync(_download, self._url, abandon_on_cancel=True)
                    self._keys = _usable_keys(answer, self._algorithms)
                    self._fetched_at = now
                    self._next_attempt_at = now + REFETCH_COOLDOWN
                except (OSError, HTTPException, ValueError) as error:  # URLError and timeouts are OSErrors
                    self._next_attempt_at = now + RETRY_COOLDOWN
                    log.warning("jwks_fetch_failed reason=%s", type(error).__name__)
        if self._keys is None:
            raise Unavailable(PROVIDER)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The operator named one address; whoever answers there may not send us to another, such as an internal one."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


def _download(url: str) -> bytes:
    try:
        with urllib.request.build_opener(_NoRedirects).open(url, timeout=FETCH_TIMEOUT) as answer:
            body: bytes = answer.read(MAX_ANSWER_SIZE + 1)
    except HTTPError as error:
        error.close()  # it holds the connection
        raise
    if len(body) > MAX_ANSWER_SIZE:
        raise ValueError("the key set is too large")
    return body


def _usable_keys(answer: bytes, algorithms: tuple[str, ...]) -> KeysByName:
    """Every key that may verify, under its id and each algorithm it is good for.

    Raises: ValueError: the answer is no key set, or holds no usable key.
    """
    document = orjson.loads(answer)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("the answer is not a key set")
    keys: dict[tuple[str | None, str], tuple[PyJWK, ...]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        for algorithm in algorithms:
            # Some providers leave `alg` out: such a key is good for every algorithm of its type that we accept.
            if entry.get("kty") != _KEY_TYPES[algorithm[:2]] or entry.get("alg", algorithm) != algorithm:
                continue
            try:
                key = PyJWK(entry, algorithm)
            except PyJWTError:
                continue  # a curve we do not know, or a broken entry; the others still count
            name = (key.key_id, algorithm)
            keys[name] = (*keys.get(name, ()), key)
    if not keys:
        raise ValueError("the key set holds no usable key")
    return keys
