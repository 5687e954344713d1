"""Short texts that a browser keeps for us in a cookie: it can give them back, but neither change nor make them up."""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from graphql_api.errors import Unavailable

_PURPOSE: Final = b"graphql-api: passes in cookies"
_PASS: Final = re.compile(r"([0-9]{1,11})\.([A-Za-z0-9_]{1,64})\.([A-Za-z0-9_-]{43})")


class Passes:
    """A pass says what it is for, whose it is, and until when; all of that is under an HMAC-SHA256.

    ``secret``: of enough entropy, the same in all processes, used for whatever else; the key is derived from it (HKDF,
    RFC 5869). Under another secret a pass that was issued before is none. ``is_secret``: whether it is in no other
    hands, as far as is known; else anybody may have made a pass, so none is believed, and none issued.
    """

    def __init__(self, secret: bytes, *, is_secret: Callable[[], bool] = lambda: True) -> None:
        self._is_secret = is_secret
        self._key = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)

    def issue(self, purpose: str, holder: str, *, expires_at: datetime) -> str:
        """``holder``: an id. The end is cut to the second. Raises: Unavailable: the secret is none any longer."""
        if not self._is_secret():
            raise Unavailable("key of sessions")
        end = int(expires_at.timestamp())
        return f"{end}.{holder}.{self._seal(purpose, holder, end)}"

    def holder(self, purpose: str, text: str, *, now: datetime) -> str | None:
        """Whose pass ``text`` is; None when it is none, for something else, or at its end."""
        found = _PASS.fullmatch(text)
        if found is None or not self._is_secret():
            return None
        end, holder, seal = int(found[1]), found[2], found[3]
        if not hmac.compare_digest(seal, self._seal(purpose, holder, end)):
            return None
        return holder if now < datetime.fromtimestamp(end, UTC) else None

    def _seal(self, purpose: str, holder: str, end: int) -> str:
        digest = hmac.digest(self._key, f"{purpose}\n{holder}\n{end}".encode(), "sha256")
        return urlsafe_b64encode(digest).decode().rstrip("=")
