"""Which document a request means: the one it brings along, or the one it names. The same on every transport.

Documents are named in two ways: ``documentId`` of GraphQL over HTTP, "Persisted Documents", and the ``persistedQuery``
of Apollo's clients. Trusted ones are known from the start; others become known by being sent, unless only the trusted
ones are run.
"""

from collections.abc import Mapping

from graphql_api.web.manifest import SHA256_PREFIX
from graphql_api.web.persisted_queries import (
    DocumentFault,
    PersistedQueries,
    UnknownDocument,
    WrongHash,
    hash_in,
    sha256_of,
)


class UnknownId(UnknownDocument):
    """No trusted document has this id: client and manifest are not of the same build."""

    def __init__(self) -> None:
        super().__init__("No document has this id here.")


class NotTrusted(DocumentFault):
    """Only trusted documents are run, and this is none."""

    code = "DOCUMENT_NOT_TRUSTED"

    def __init__(self) -> None:
        super().__init__("Only documents that the operator has listed are run here, and this is none of them.")


class Documents:
    """``trusted``: texts by id. ``only_trusted``: others are refused, and no hash makes them known."""

    def __init__(self, trusted: Mapping[str, str] | None = None, *, only_trusted: bool = False) -> None:
        self._by_id = dict(trusted or {})
        self._by_hash = {sha256_of(text): text for text in self._by_id.values()}
        self._only_trusted = only_trusted
        self._sent = PersistedQueries()

    def wanted(self, query: str | None, document_id: str | None, extensions: Mapping[str, object] | None) -> str:
        """What is to be run. An empty query is none. Who names a trusted document may bring its text along; it has to
        be that text.

        Raises: DocumentFault: there is no document, or what is said does not fit together. UnknownDocument. NotTrusted.
        """
        query = query or None
        sha256 = hash_in(extensions)
        if query is None and document_id is None and sha256 is None:
            raise DocumentFault("The request has no document.")
        if document_id is not None and sha256 is not None:
            raise WrongHash("The request names its document twice.")
        if document_id is not None:
            known = self._by_id.get(document_id) or self._by_hash.get(document_id.removeprefix(SHA256_PREFIX))
            if known is None:
                raise NotTrusted if self._only_trusted else UnknownId
        else:
            known = self._by_hash.get(sha256 or "")
            if known is None:
                return self._not_named(query, sha256)
        if query is not None and query != known:
            raise WrongHash("The query is not the document that is named.")
        return known

    def remember(self, document: str, extensions: Mapping[str, object] | None) -> None:
        """The document, if ``extensions`` name it: it was valid, and whoever sent it was let through. What was not must
        not push out what others have sent.
        """
        sha256 = hash_in(extensions)
        if sha256 is not None and not self._only_trusted and sha256 not in self._by_hash:
            self._sent.keep(sha256, document)

    def _not_named(self, query: str | None, sha256: str | None) -> str:
        """Of a request that names no trusted document."""
        if not self._only_trusted:
            return self._sent.document(query, sha256)
        if query is not None:
            computed = sha256_of(query)
            if sha256 not in (None, computed):
                raise WrongHash("The sha256Hash is not that of the query.")
            if computed in self._by_hash:
                return self._by_hash[computed]
        raise NotTrusted
