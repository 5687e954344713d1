"""Reads the documents that an operator trusts, from the file in which a client's build has put them.

Sources: GraphQL Code Generator, client preset, ``persistedDocuments``, and Relay, ``persistConfig.file``: one object,
the document's text under its id. Apollo, "Persisted query manifest": ``operations`` with ``id`` and ``body``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from graphql_api.errors import ConfigurationError
from graphql_api.web.persisted_queries import sha256_of

APOLLO: Final = "apollo-persisted-query-manifest"
SHA256_PREFIX: Final = "sha256:"
MAX_ID_LENGTH: Final = 256  # characters

_ID: Final = re.compile(r"(sha256:|x-[\w.~-]+:)?[\w.~-]+", re.ASCII)
_SHA256: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def read_manifest(path: Path) -> Mapping[str, str]:
    """Texts of documents by id, at least one. Whether they fit the schema is for others to say.

    An id is what a client may send. Source of its syntax: GraphQL over HTTP, "Persisted Documents", section "Document
    identifier syntax". One that looks like a SHA-256 has to be that of its text.

    Raises: ConfigurationError: the file cannot be read, or not as such a file; one line for each id that will not do.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_Pairs)
    except OSError as error:
        raise ConfigurationError(f"the trusted documents in {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(f"the trusted documents in {path} are not JSON in UTF-8") from None
    documents: dict[str, str] = {}
    faults: list[str] = []
    for id_, text in _entries(content, path):
        fault = "stands there twice" if id_ in documents else _fault(id_, text)
        if fault is None:
            documents[id_] = text
        else:
            faults.append(f"trusted document {id_[:MAX_ID_LENGTH]!r}: {fault}")
    if faults:
        raise ConfigurationError(*faults)
    if not documents:
        raise ConfigurationError(f"the file {path} holds no trusted documents")
    return documents


class _Pairs(list[tuple[str, Any]]):
    """An object with all of its members: a dictionary would keep the last of those that have one name."""

    def get(self, name: str) -> Any:
        return dict(self).get(name)


def _entries(content: object, path: Path) -> Iterator[tuple[str, Any]]:
    """Raises: ConfigurationError: this is none of the three formats."""
    if not isinstance(content, _Pairs):
        raise ConfigurationError(f"the trusted documents in {path} are not one JSON object")
    if content.get("format") != APOLLO:
        yield from content
        return
    operations = content.get("operations")
    if content.get("version") != 1 or not isinstance(operations, list) or isinstance(operations, _Pairs):
        raise ConfigurationError(f"the manifest {path} is not of version 1, or has no list of operations")
    for number, operation in enumerate(operations, 1):
        if not isinstance(operation, _Pairs) or not isinstance(operation.get("id"), str):
            raise ConfigurationError(f"the manifest {path}: operation {number} is no object with an id")
        yield operation.get("id"), operation.get("body")


def _fault(id_: str, text: object) -> str | None:
    if len(id_) > MAX_ID_LENGTH or not _ID.fullmatch(id_):
        return f"no client can send this id: letters, digits and - . _ ~ are possible, {MAX_ID_LENGTH} at most"
    if not isinstance(text, str) or not _is_unicode(text):
        return "is not text"
    looks_like = _SHA256.fullmatch(id_)
    if looks_like is None and id_.startswith(SHA256_PREFIX):
        return "the id is no SHA-256"
    if looks_like is not None and looks_like[1] != sha256_of(text):
        return "the text has another SHA-256"
    return None


def _is_unicode(text: str) -> bool:
    """JSON can write halves of a character, which no client can send or hash."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
