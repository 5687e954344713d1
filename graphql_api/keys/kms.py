"""Keys in AWS KMS, which never leave it: each signature is a request, so a page of links takes one asynchronous step.

CloudFront knows RSA with SHA-256 since it reads ``Hash-Algorithm``; KMS has no SHA-1, and its ECDSA is not
deterministic, so that equal requests would give different links. Hence RSA_2048 and SHA-256 only.

The credentials need ``kms:GetPublicKey`` and ``kms:Sign`` on the key.
Source: AWS KMS API reference, "Sign": a message of more than 4,096 bytes must be sent as its digest.
"""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from graphql_api.errors import ConfigurationError
from graphql_api.keys.aws import AwsAccess

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.type_defs import GetPublicKeyResponseTypeDef

MAX_RAW: Final = 4_096  # bytes
RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class KmsKey:
    """A ``RemoteKey``."""

    arn: str
    public_pem: str
    access: AwsAccess = field(repr=False)

    async def sign(self, message: bytes) -> bytes:
        """See ``RemoteKey``."""

        def ask(client: "KMSClient") -> bytes:
            is_raw = len(message) <= MAX_RAW
            return client.sign(
                KeyId=self.arn,
                Message=message if is_raw else hashlib.sha256(message).digest(),
                MessageType="RAW" if is_raw else "DIGEST",
                SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
            )["Signature"]

        return await self.access.ask(self.arn, ask)


class KmsKeys:
    """Names are ARNs of keys, not of aliases, which may come to mean another."""

    def __init__(self, access: AwsAccess) -> None:
        self._access = access

    async def fetch(self, name: str) -> KmsKey:
        """See ``KeySource``."""

        def look(client: "KMSClient") -> "GetPublicKeyResponseTypeDef":
            return client.get_public_key(KeyId=name)

        found = await self._access.ask(name, look)
        try:
            public = load_der_public_key(found["PublicKey"])
        except (ValueError, UnsupportedAlgorithm):
            public = None  # of a kind that is none of ours
        is_rsa_2048 = isinstance(public, RSAPublicKey) and public.key_size == RSA_BITS
        if public is None or not is_rsa_2048 or "RSASSA_PKCS1_V1_5_SHA_256" not in found.get("SigningAlgorithms", ()):
            raise ConfigurationError(f"the key {name} cannot sign links: they need RSA_2048 for SIGN_VERIFY")
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        return KmsKey(name, pem, self._access)
