"""Is this request signed by a key we trust, for this address, at this time? CloudFront's rules, from its documentation.

This is the judge: it shares no line with ``signing``, and what it reads comes from the request line as it was sent.

Source: Amazon CloudFront Developer Guide, "Serve private content with signed URLs and signed cookies".
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from graphql_api.errors import ConfigurationError
from graphql_api.localcloud.policy import MAX_EPOCH, Policy, ViewerUrl
from graphql_api.localcloud.refusal import (
    AccessDenied,
    InvalidKey,
    MalformedPolicy,
    MalformedSignature,
    MissingKey,
)

SIGNING_PARAMETERS: Final = ("Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm")
COOKIE_PREFIX: Final = "CloudFront-"

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # so it is no path, either
_EXPIRES: Final = re.compile(r"[1-9][0-9]{0,9}")
_BASE64: Final = re.compile(r"[A-Za-z0-9~-]+_{0,2}")
_JSON_UNSAFE: Final = re.compile(r'[^!-~]|["\\]')
_FROM_CLOUDFRONT: Final = str.maketrans("-_~", "+=/")


@dataclass(frozen=True, slots=True)
class ViewerRequest:
    """What a viewer sent: request line and Cookie header undecoded. ``address`` is the peer's, None if it has none."""

    scheme: str
    host: str
    path: str
    query: str
    cookie: str
    address: str | None

    @property
    def url(self) -> ViewerUrl:
        """The address that was signed: all but CloudFront's own parameters, byte for byte."""
        own = [part for part in self.query.split("&") if part.partition("=")[0] not in SIGNING_PARAMETERS]
        return ViewerUrl(self.scheme, self.host, self.path, "&".join(own))


class KeyGroup(Protocol):
    """The public keys that a viewer's signature may be from, as they are when they are asked for."""

    def get(self, key_id: str) -> PublicKey | None:
        """None: nobody trusts it."""


class SignatureVerifier:
    """Knows the public keys (key id to SPKI PEM; RSA 2048 or P-256) that a viewer's signature may be from.

    Raises ``ConfigurationError`` for a key that CloudFront would not take.
    """

    def __init__(self, trusted_keys: Mapping[str, str] | KeyGroup) -> None:
        self._keys: KeyGroup = (
            {key_id: load_public_key(key_id, pem) for key_id, pem in trusted_keys.items()}
            if isinstance(trusted_keys, Mapping)
            else trusted_keys
        )

    def verify(self, request: ViewerRequest, now: datetime) -> None:
        """Return if the request may pass at ``now`` (aware). Raises the ``Refusal`` that CloudFront answers with."""
        parts = _collect(request.query.split("&"), prefix="")
        has_cookies = not parts  # parameters in the URL decide alone
        if has_cookies:
            parts = _collect((part.strip() for part in request.cookie.split(";")), prefix=COOKIE_PREFIX)
        key_id = parts.get("Key-Pair-Id", "")
        if not _KEY_ID.fullmatch(key_id):
            raise MissingKey
        key = self._keys.get(key_id)
        if key is None:
            raise InvalidKey
        signature = _decode(parts.get("Signature", ""))
        if signature is None:
            raise MalformedSignature
        text, policy = _policy(parts, request.url)
        if not _verifies(key, signature, text, parts.get("Hash-Algorithm")):
            raise AccessDenied
        if has_cookies and "Policy" in parts and not (policy.resource or "").startswith(("http://", "https://")):
            raise AccessDenied
        if not policy.permits(request.url, request.address, now):
            raise AccessDenied


def _collect(parts: Iterable[str], *, prefix: str) -> dict[str, str]:
    """CloudFront's own parameters or cookies by name. One that stands twice is refused: which counts is not defined."""
    found: dict[str, str] = {}
    for part in parts:
        name, _, value = part.partition("=")
        if not name.startswith(prefix) or (name := name.removeprefix(prefix)) not in SIGNING_PARAMETERS:
            continue
        if name in found:
            raise AccessDenied
        found[name] = value
    return found


def _policy(parts: Mapping[str, str], url: ViewerUrl) -> tuple[bytes, Policy]:
    """The text that was signed, and what it says."""
    if ("Policy" in parts) == ("Expires" in parts):  # neither, or two that contradict each other
        raise MalformedPolicy
    if "Policy" in parts:
        sent = _decode(parts["Policy"])
        if sent is None:
            raise MalformedPolicy
        return sent, Policy.read(sent)
    if not _EXPIRES.fullmatch(parts["Expires"]) or (expires := int(parts["Expires"])) > MAX_EPOCH:
        raise MalformedPolicy
    if _JSON_UNSAFE.search(str(url)):  # nothing escapes it in the text below, so it could pose as another policy
        raise AccessDenied
    canned = f'{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}'
    return canned.encode(), Policy(resource=None, before=expires)  # the text itself binds the address, literally


def _decode(text: str) -> bytes | None:
    """CloudFront's Base64: ``-_~`` for ``+=/``. None for anything that the encoder would not have written."""
    if not _BASE64.fullmatch(text):
        return None
    standard = text.translate(_FROM_CLOUDFRONT)
    try:
        data = b64decode(standard, validate=True)
    except ValueError:
        return None
    return data if b64encode(data).decode() == standard else None


def _verifies(key: PublicKey, signature: bytes, text: bytes, hash_algorithm: str | None) -> bool:
    """SHA-1 unless the request names SHA-256; whether an explicit ``SHA1`` passes there is unknown, so not here."""
    if hash_algorithm not in (None, "SHA256"):
        return False
    digest = SHA256() if hash_algorithm else SHA1()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, text, padding.PKCS1v15(), digest)
        else:
            key.verify(signature, text, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def load_public_key(key_id: str, pem: str) -> PublicKey:
    """Raises ``ConfigurationError``: CloudFront would not take it."""
    fault = f"Public key {key_id}: CloudFront takes RSA of 2048 bits or ECDSA P-256, in a PEM file"
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(fault) from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ConfigurationError(fault)
