"""A trusted key group on this machine: a folder of public keys, each named by its id, such as ``K2JCJMDEHXQW5F.pem``.

To put a file there is what it is at CloudFront to create a public key and to add it to the group; to remove it, the
reverse.
"""

import logging
from pathlib import Path

from graphql_api.errors import ConfigurationError
from graphql_api.localcloud.signature import PublicKey, load_public_key

log = logging.getLogger(__name__)


class KeyGroupFolder:
    """The keys that are there when they are asked for. A file that CloudFront would not take is none, and logged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[tuple[int, int], PublicKey | None]] = {}

    def get(self, key_id: str) -> PublicKey | None:
        """``key_id`` is one by its form. None: it is not in the group."""
        path = self._folder / f"{key_id}.pem"
        try:
            about = path.stat()
            version = (about.st_mtime_ns, about.st_ino)
            known = self._read.get(key_id)
            if known is None or known[0] != version:
                known = self._read[key_id] = (
                    version,
                    _loaded(key_id, path.read_text(encoding="ascii", errors="replace")),
                )
        except OSError:  # it is not there, or nothing can be called so
            self._read.pop(key_id, None)
            return None
        return known[1]


def _loaded(key_id: str, pem: str) -> PublicKey | None:
    try:
        return load_public_key(key_id, pem)
    except ConfigurationError as error:
        log.warning("key_not_trusted key=%s error=%s", key_id, error.message)
        return None
