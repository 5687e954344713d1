"""Private keys that sign for a CDN, and which of them does it now.

Source: CloudFront developer guide, "Specify signers that can create signed URLs and signed cookies": RSA of 2048 bits
or ECDSA on P-256; SHA-1 unless the request says ``Hash-Algorithm=SHA256``.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from graphql_api.errors import ConfigurationError
from graphql_api.model.signing_key import HashAlgorithm, KeyStatus

__all__ = ["HashAlgorithm", "KeyStatus", "Keyring", "PrivateKey", "SigningKey"]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_RSA_BITS: Final = 2048
# What a CDN calls a key stands in every link as it is, so only characters that are never escaped are taken.
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


_HASHES: Final = {HashAlgorithm.SHA1: hashes.SHA1(), HashAlgorithm.SHA256: hashes.SHA256()}
# RFC 6979: the nonce is derived from key and message, so equal messages give equal links and caches can tell.
_ECDSA: Final = {name: ec.ECDSA(how, deterministic_signing=True) for name, how in _HASHES.items()}
_PKCS1: Final = padding.PKCS1v15()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One private key under the ``key_id`` by which the CDN knows its public half.

    Raises ``ConfigurationError`` for an id or a kind of key that CloudFront cannot use; it never quotes the key.
    """

    key_id: str
    private_key: PrivateKey = field(repr=False)
    hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256
    status: KeyStatus = KeyStatus.ACTIVE

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.key_id):
            # An operator who swaps the two settings would otherwise find the key in the log.
            raise ConfigurationError("A signing key's id must be 1 to 64 letters, digits, hyphens or underscores.")
        if isinstance(self.private_key, rsa.RSAPrivateKey):
            if self.private_key.key_size != _RSA_BITS:
                raise ConfigurationError(
                    f"Signing key {self.key_id} is RSA of {self.private_key.key_size} bits; CloudFront takes 2048 only."
                )
        elif not isinstance(self.private_key, ec.EllipticCurvePrivateKey):
            raise ConfigurationError(f"Signing key {self.key_id} is neither RSA nor an elliptic curve key.")
        elif not isinstance(self.private_key.curve, ec.SECP256R1):
            raise ConfigurationError(
                f"Signing key {self.key_id} is on curve {self.private_key.curve.name}; CloudFront takes P-256 only."
            )

    @classmethod
    def from_pem(
        cls,
        key_id: str,
        pem: str | bytes,
        hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256,
        status: KeyStatus = KeyStatus.ACTIVE,
    ) -> "SigningKey":
        """Read an unencrypted PKCS#8, PKCS#1 or SEC1 private key. Raises ``ConfigurationError``."""
        name = key_id if _KEY_ID.fullmatch(key_id) else "with a bad id"
        try:
            key = serialization.load_pem_private_key(pem.encode() if isinstance(pem, str) else pem, password=None)
        except TypeError:
            raise ConfigurationError(f"Signing key {name} is encrypted; give it without a passphrase.") from None
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigurationError(f"Signing key {name} is not a private key in PEM form.") from None
        return cls(key_id, key, hash_algorithm, status)  # type: ignore[arg-type]  # __post_init__ refuses other kinds

    def sign(self, message: bytes) -> bytes:
        """RSA: 256 bytes of PKCS#1 v1.5 (RFC 8017, 8.2). P-256: a DER sequence of r and s, at most 72 bytes (RFC 6979).

        The same message gives the same signature.
        """
        key = self.private_key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(message, _ECDSA[self.hash_algorithm])
        return key.sign(message, _PKCS1, _HASHES[self.hash_algorithm])

    def public_pem(self) -> str:
        """The public half as the CDN wants it uploaded: SubjectPublicKeyInfo in PEM (RFC 7468, 13)."""
        public = self.private_key.public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


class Keyring:
    """The keys of one CDN, of which exactly one is ACTIVE. Raises ``ConfigurationError`` with every fault found."""

    def __init__(self, keys: Iterable[SigningKey]) -> None:
        self.keys: Final = tuple(keys)
        active = [key for key in self.keys if key.status is KeyStatus.ACTIVE]
        repeated = [key_id for key_id, times in Counter(key.key_id for key in self.keys).items() if times > 1]
        faults = [f"Signing key {key_id} is given more than once." for key_id in repeated]
        if len(active) != 1:
            faults.append(f"Exactly one signing key must be ACTIVE, not {len(active)}.")
        if faults:
            raise ConfigurationError(*faults)
        self.signing_key: Final = active[0]

    @property
    def verifying_keys(self) -> tuple[SigningKey, ...]:
        """Those whose links an edge must open: all but the retired ones."""
        return tuple(key for key in self.keys if key.status is not KeyStatus.RETIRED)
