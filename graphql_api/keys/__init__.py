"""Where private keys are kept, behind one protocol. Each kind of place stands in a module of this package."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PrivatePem:
    """A private key as its place has it, to sign with here; whether it is one is found out by whoever reads it."""

    text: str = field(repr=False)


class RemoteKey(Protocol):
    """A private key that never leaves its place, which signs what it is sent."""

    @property
    def public_pem(self) -> str:
        """Its public half: SubjectPublicKeyInfo in PEM (RFC 7468, 13)."""

    async def sign(self, message: bytes) -> bytes:
        """RSA of 2048 bits, PKCS#1 v1.5 with SHA-256: the same message gives the same signature.

        Any number may be asked for at once. Raises: Unavailable("key source"). ConfigurationError: it may not be used,
        or is gone.
        """


class KeySource(Protocol):
    """One kind of place."""

    async def fetch(self, name: str) -> PrivatePem | RemoteKey:
        """What is kept under ``name``, which has the form that ``KeyReference`` asks for.

        Raises: ConfigurationError: there is nothing, it may not be read, or cannot sign; no message repeats what is
        there. Unavailable("key source"): the place does not answer.
        """
