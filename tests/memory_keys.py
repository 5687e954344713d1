"""A place that keeps keys in memory, and an edge that judges by CloudFront's rules what they sign."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from graphql_api.edge import EdgeAnswer
from graphql_api.errors import ConfigurationError, Unavailable
from graphql_api.keys import PrivatePem, RemoteKey
from graphql_api.localcloud.refusal import Refusal
from graphql_api.localcloud.signature import SignatureVerifier, ViewerRequest
from graphql_api.model.signing_key import KeyPlace, KeyReference
from graphql_api.services.clock import Clock
from graphql_api.signing.keyring import SigningKey


@dataclass
class MemoryKeys:
    """A ``KeySource`` that stands for all places. ``is_up``: whether it answers; ``asked``: how often it was."""

    kept: dict[str, PrivatePem | RemoteKey] = field(default_factory=dict)
    is_up: bool = True
    asked: int = 0

    async def fetch(self, name: str) -> PrivatePem | RemoteKey:
        self.asked += 1
        if not self.is_up:
            raise Unavailable("key source")
        if name not in self.kept:
            raise ConfigurationError(f"nothing is kept as {name}")
        return self.kept[name]

    def put(self, name: str) -> KeyReference:
        """A new key of its own, kept under ``name``."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.kept[name] = PrivatePem(pem)
        return KeyReference(KeyPlace.FILE, name)

    def public_pem(self, name: str) -> str:
        held = self.kept[name]
        return SigningKey.from_pem("K", held.text).public_pem() if isinstance(held, PrivatePem) else held.public_pem

    def pem(self, name: str) -> str:
        held = self.kept[name]
        assert isinstance(held, PrivatePem)
        return held.text


@dataclass
class MemoryEdge:
    """An ``Edge``. ``group``: public keys that it trusts, by key pair id; ``opened``: what it was asked for."""

    clock: Clock
    group: dict[str, str] = field(default_factory=dict)
    is_up: bool = True
    opened: list[str] = field(default_factory=list)

    async def open(self, url: str) -> EdgeAnswer:
        self.opened.append(url)
        if not self.is_up:
            raise Unavailable("edge")
        return self.judge(url)

    def judge(self, url: str) -> EdgeAnswer:
        """What a viewer gets."""
        parts = urlsplit(url)
        request = ViewerRequest(parts.scheme, parts.netloc, parts.path, parts.query, cookie="", address="192.0.2.1")
        try:
            SignatureVerifier(self.group).verify(request, self.clock())
        except Refusal as refusal:
            return EdgeAnswer(403, refusal.code, str(refusal).partition(": ")[2])
        return EdgeAnswer(206)
