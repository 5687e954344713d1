"""Documents that clients name by their hash instead of sending them again: automatic persisted queries.

Source: Apollo, "Automatic Persisted Queries": a client sends the hash alone; where it is unknown, once both.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

MAX_DOCUMENTS: Final = 1_000
MAX_STORED: Final = 10_000_000  # characters of all documents together
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class DocumentFault(Exception):
    """There is no document to run. ``code``: for programs; some look for the message as well."""

    code = "BAD_REQUEST"


class WrongHash(DocumentFault):
    """What is said about the document is malformed or not true."""


class UnknownDocument(DocumentFault):
    """What is named is not known here."""

    code = "DOCUMENT_NOT_FOUND"


class UnknownHash(UnknownDocument):
    """No such document is kept: the client sends it along and goes on."""

    code = "PERSISTED_QUERY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")


def hash_in(extensions: Mapping[str, object] | None) -> str | None:
    """The SHA-256 by which ``extensions["persistedQuery"]`` names a document, or None. Raises: WrongHash."""
    named = (extensions or {}).get("persistedQuery")
    if named is None:
        return None
    if not isinstance(named, Mapping) or type(named.get("version")) is not int or named["version"] != 1:
        raise WrongHash("A persisted query has version 1 and a sha256Hash.")
    sha256 = named.get("sha256Hash")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise WrongHash("A sha256Hash is 64 hexadecimal digits in lower case.")
    return sha256


def sha256_of(text: str) -> str:
    """In lower-case hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


class PersistedQueries:
    """The documents that were sent last, by SHA-256. In this process; whoever meets another one sends again.

    ``documents`` and ``characters`` are the most that are kept: the longest unused leave first. A hash is believed only
    when it was computed here, so that nobody can have others run something else than they named.
    """

    def __init__(self, *, documents: int = MAX_DOCUMENTS, characters: int = MAX_STORED) -> None:
        self._documents = documents
        self._characters = characters
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._size = 0

    def document(self, query: str | None, sha256: str | None) -> str:
        """What is to be run: ``query``, or the document that ``sha256`` names; one of them is there.

        Raises: UnknownHash. WrongHash.
        """
        if query is None:
            return self._find(sha256 or "")
        if sha256 is not None and sha256_of(query) != sha256:
            raise WrongHash("The sha256Hash is not that of the query.")
        return query

    def _find(self, sha256: str) -> str:
        if sha256 not in self._kept:
            raise UnknownHash
        self._kept.move_to_end(sha256)
        return self._kept[sha256]

    def keep(self, sha256: str, query: str) -> None:
        """So that the hash, which is that of the query, names it from now on."""
        if sha256 not in self._kept:
            self._kept[sha256] = query
            self._size += len(query)
        self._kept.move_to_end(sha256)
        while len(self._kept) > self._documents or self._size > self._characters:
            _, left = self._kept.popitem(last=False)
            self._size -= len(left)
