"""The places that keep private keys, each with keys put where it looks, as an operator would."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from graphql_api.keys import KeySource, PrivatePem, RemoteKey
from graphql_api.keys.aws import AwsAccess
from graphql_api.keys.here import KeyFiles, KeyVariables
from graphql_api.keys.kms import KmsKeys
from graphql_api.keys.secrets_manager import Secrets
from graphql_api.model.signing_key import KeyPlace
from graphql_api.signing.keyring import SigningKey

REGION = "eu-west-1"
ACCOUNT = "123456789012"


@dataclass
class Place:
    """``put`` keeps a new key and gives its name; ``absent`` is a name under which there is nothing."""

    kind: KeyPlace
    source: KeySource
    put: Callable[[], str]
    absent: str
    secrets: list[str] = field(default_factory=list)
    """Texts of the private keys that were put there."""


def new_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def files(folder: Path) -> Place:
    secrets: list[str] = []

    def put() -> str:
        path = folder / f"key-{len(secrets)}.pem"
        secrets.append(new_pem())
        path.write_text(secrets[-1])
        return str(path)

    return Place(KeyPlace.FILE, KeyFiles(), put, str(folder / "absent.pem"), secrets)


def variables() -> Place:
    secrets: list[str] = []
    environ: dict[str, str] = {}

    def put() -> str:
        secrets.append(new_pem())
        environ[name := f"LINKS_KEY_{len(secrets)}"] = secrets[-1].replace("\n", "\\n")
        return name

    return Place(KeyPlace.ENVIRONMENT, KeyVariables(environ), put, "LINKS_KEY_ABSENT", secrets)


def secrets_manager(endpoint_url: str, name: str) -> Iterator[Place]:
    secrets: list[str] = []
    client = boto3.client(
        "secretsmanager",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id="moto",
        aws_secret_access_key="moto",
    )

    def put() -> str:
        secrets.append(new_pem())
        return client.create_secret(Name=f"{name}-{len(secrets)}", SecretString=secrets[-1])["ARN"]

    access = aws(endpoint_url)
    absent = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:absent-AbCdEf"
    yield Place(KeyPlace.SECRETS_MANAGER, Secrets(access), put, absent, secrets)
    access.close()
    client.close()


def kms(endpoint_url: str) -> Iterator[Place]:
    client = boto3.client(
        "kms", endpoint_url=endpoint_url, region_name=REGION, aws_access_key_id="moto", aws_secret_access_key="moto"
    )

    def put() -> str:
        return client.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]

    access = aws(endpoint_url)
    absent = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000"
    yield Place(KeyPlace.KMS, KmsKeys(access), put, absent)
    access.close()
    client.close()


def aws(endpoint_url: str) -> AwsAccess:
    return AwsAccess(endpoint_url=endpoint_url, access_key_id="moto", secret_access_key="moto")


async def public_and_signature(key: PrivatePem | RemoteKey, message: bytes) -> tuple[str, bytes]:
    """Whatever kind of key it is: its public half, and what it signs with SHA-256."""
    if isinstance(key, PrivatePem):
        held = SigningKey.from_pem("KTEST", key.text)
        return held.public_pem(), held.sign(message)
    return key.public_pem, await key.sign(message)


def verifies(public_pem: str, signature: bytes, message: bytes) -> bool:
    """As the edge would do it."""
    public = load_pem_public_key(public_pem.encode())
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, message, padding.PKCS1v15(), SHA256())
        else:
            assert isinstance(public, ec.EllipticCurvePublicKey)
            public.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
