"""Seals cursors that point at what their viewer may not see: they can be given back, but neither read nor made up."""

import os
from dataclasses import dataclass, field
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from graphql_api.model.ids import UserId

_PURPOSE: Final = b"graphql-api: cursors of hidden positions"
_NONCE_LENGTH: Final = 12  # bytes


@dataclass(frozen=True)
class ViewerSeal:
    """What it seals opens for the same viewer and in the same order only; None is the anonymous viewer.

    AES-256-GCM with random nonces, so that two cursors of one position have nothing in common.
    Source: NIST SP 800-38D, 8.2.2.
    """

    viewer_id: UserId | None
    cipher: AESGCM = field(repr=False)

    def close(self, order: str, content: bytes) -> bytes:
        nonce = os.urandom(_NONCE_LENGTH)
        return nonce + self.cipher.encrypt(nonce, content, self._bound_to(order))

    def open(self, order: str, sealed: bytes) -> bytes:
        """Raises: ValueError: not sealed with this key, for this viewer, in this order."""
        try:
            return self.cipher.decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], self._bound_to(order))
        except InvalidTag:
            raise ValueError("not sealed here") from None

    def _bound_to(self, order: str) -> bytes:
        return orjson.dumps([order, self.viewer_id])


class CursorSeal:
    """``secret``: of enough entropy, the same in all processes, used for whatever else; the key is derived from it
    (HKDF, RFC 5869). Under another secret a cursor that was sealed before is refused like any made-up one.
    """

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret))

    def of(self, viewer_id: UserId | None) -> ViewerSeal:
        return ViewerSeal(viewer_id, self._cipher)
