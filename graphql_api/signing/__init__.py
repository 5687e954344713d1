"""Pure arithmetic: data in, value out, no clock, no network. The one protocol a CDN's signer has is here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from graphql_api.model.delivery import SignedUrl


class UrlSigner(Protocol):
    """Signs addresses at one CDN host. What is signed is what is emitted, byte for byte, and equal calls give equal
    addresses, from any process with the same key.
    """

    @property
    def key_pair_id(self) -> str:
        """Of the key that signs now."""

    def sign(
        self,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        expires_at: datetime,
        starts_at: datetime | None = None,
        ip_range: str | None = None,
        below: str | None = None,
    ) -> SignedUrl:
        """Sign the file at ``path`` (begins with ``/``, not yet percent-encoded) with the ``query`` bound to it. With
        ``below``, a part of the path that ends with a slash, what is signed opens every address below, with any query.

        Raises ``InvalidInput`` when the CDN cannot bind ``ip_range`` (CloudFront: IPv4 only) or the dates.
        """


class UnsignedUrl(Protocol):
    """An address that lacks nothing but its signature."""

    @property
    def message(self) -> bytes:
        """What is to be signed."""

    def signed(self, signature: bytes) -> SignedUrl:
        """The address with the signature of ``message``. Raises ``InvalidInput``: it would be too long."""


class UrlWriter(Protocol):
    """Writes what a key signs that is not here. What comes of it is the same as a ``UrlSigner`` with that key gives."""

    @property
    def key_pair_id(self) -> str:
        """Of the key that is to sign."""

    def write(
        self,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        *,
        expires_at: datetime,
        starts_at: datetime | None = None,
        ip_range: str | None = None,
        below: str | None = None,
    ) -> UnsignedUrl:
        """See ``UrlSigner.sign``."""
