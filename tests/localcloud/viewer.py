"""A signer and a viewer for tests: written from CloudFront's documentation, so that nothing here is our own signer."""

import json
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from graphql_api.localcloud.signature import ViewerRequest

BASE_URL = "http://127.0.0.1:8001"
URL = f"{BASE_URL}/o/01jd9x2q6c8s5v7e0k3m4n5p6r"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@dataclass(frozen=True)
class Signer:
    """Signs with one private key under one id; ``is_sha256`` adds Hash-Algorithm."""

    key_id: str
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    is_sha256: bool = False

    @property
    def public_pem(self) -> str:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def signature(self, text: bytes) -> bytes:
        digest = SHA256() if self.is_sha256 else SHA1()  # SHA-1 is CloudFront's default
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(text, padding.PKCS1v15(), digest)
        return self.key.sign(text, ec.ECDSA(digest))

    def canned(self, url: str, expires: int = EPOCH + 60) -> str:
        text = canned_policy(url, expires).encode()
        return with_query(url, f"Expires={expires}&{self.rest(text)}")

    def custom(self, url: str, policy: str) -> str:
        return with_query(url, f"Policy={cloudfront_base64(policy.encode())}&{self.rest(policy.encode())}")

    def rest(self, text: bytes) -> str:
        hash_algorithm = "&Hash-Algorithm=SHA256" if self.is_sha256 else ""
        return f"Signature={cloudfront_base64(self.signature(text))}&Key-Pair-Id={self.key_id}{hash_algorithm}"


def canned_policy(url: str, expires: int) -> str:
    condition = {"DateLessThan": {"AWS:EpochTime": expires}}
    return json.dumps({"Statement": [{"Resource": url, "Condition": condition}]}, separators=(",", ":"))


def custom_policy(resource: str, **conditions: object) -> str:
    conditions.setdefault("DateLessThan", {"AWS:EpochTime": EPOCH + 60})
    return json.dumps({"Statement": [{"Resource": resource, "Condition": conditions}]}, separators=(",", ":"))


def cloudfront_base64(data: bytes) -> str:
    return b64encode(data).decode().replace("+", "-").replace("=", "_").replace("/", "~")


def with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"


def cookies(signed_url: str) -> str:
    """The Cookie header that carries the signing parameters of ``signed_url``."""
    names = {"Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"}
    parts = [part for part in urlsplit(signed_url).query.split("&") if part.partition("=")[0] in names]
    return "; ".join(f"CloudFront-{part}" for part in parts)


def request(url: str, *, cookie: str = "", address: str | None = "192.0.2.7") -> ViewerRequest:
    scheme, _, rest = url.partition("://")
    host, slash, rest = rest.partition("/")
    path, _, query = (slash + rest).partition("?")
    return ViewerRequest(scheme, host, path, query, cookie, address)
