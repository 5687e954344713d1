"""A client of the API as a user would write one: GraphQL over HTTP, bytes straight to the store, links at the edge."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx

CREATE = """
mutation ($input: CreateUploadInput!) {
  createUpload(input: $input) {
    upload { id status size target { expiresAt ... on PutUploadTarget { url headers { name value } } } }
    userErrors { __typename code path message }
  }
}
"""
COMPLETE = """
mutation ($id: ID!) {
  completeUpload(input: {uploadId: $id}) {
    upload { id status failure { code } }
    file { id name path size contentType sha256 createdAt signedUrl { url expiresAt keyPairId hasCustomPolicy } }
    userErrors { __typename code path message ... on UploadMismatchError { failureCode } }
  }
}
"""
ABORT = "mutation ($id: ID!) { abortUpload(input: {uploadId: $id}) { upload { status } userErrors { code } } }"
LINK = """
query ($id: ID!, $expiresIn: Int!, $startsAt: DateTime, $disposition: ContentDisposition!, $filename: String,
       $ipAddress: String) {
  file(by: {id: $id}) {
    signedUrl(expiresIn: $expiresIn, startsAt: $startsAt, disposition: $disposition, filename: $filename,
              ipAddress: $ipAddress) { url hasCustomPolicy }
  }
}
"""


@dataclass(frozen=True)
class Target:
    """Where an upload's bytes go."""

    upload_id: str
    url: str
    headers: Mapping[str, str]


class Client:
    """One user of the API at ``graphql``."""

    def __init__(self, graphql: str, token: str | None) -> None:
        self.graphql = graphql
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.api = httpx.Client(headers=headers, trust_env=False, timeout=60)
        self.plain = httpx.Client(trust_env=False, timeout=60)  # store and edge are told no token

    def close(self) -> None:
        self.api.close()
        self.plain.close()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation without errors."""
        answer = self.api.post(self.graphql, json={"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert "errors" not in body, body
        data: dict[str, Any] = body["data"]
        return data

    def promise(self, name: str, content_type: str, size: int, **wish: Any) -> Target:
        payload = self.ask(CREATE, input={"filename": name, "contentType": content_type, "size": size, **wish})
        created = payload["createUpload"]
        assert created["userErrors"] == []
        target = created["upload"]["target"]
        headers = {header["name"]: header["value"] for header in target["headers"]}
        return Target(created["upload"]["id"], target["url"], headers)

    def put(self, target: Target, content: bytes | Iterable[bytes], **changed: str) -> httpx.Response:
        return self.plain.put(target.url, content=content, headers={**target.headers, **changed})

    def complete(self, upload_id: str) -> dict[str, Any]:
        payload: dict[str, Any] = self.ask(COMPLETE, id=upload_id)["completeUpload"]
        return payload

    def upload(self, name: str, content_type: str, content: bytes, *, with_checksum: bool = False) -> dict[str, Any]:
        """The file that came of it."""
        wish = {"sha256": sha256(content).hexdigest()} if with_checksum else {}
        target = self.promise(name, content_type, len(content), onConflict="RENAME", **wish)
        answer = self.put(target, content)
        assert answer.status_code == 200, answer.text
        completed = self.complete(target.upload_id)
        assert completed["userErrors"] == []
        file: dict[str, Any] = completed["file"]
        return file

    def link(self, file_id: str, *, expires_in: int = 3600, disposition: str = "INLINE", **wish: Any) -> str:
        found = self.ask(LINK, id=file_id, expiresIn=expires_in, disposition=disposition, **wish)
        return str(found["file"]["signedUrl"]["url"])

    def get(self, url: str, **headers: str) -> httpx.Response:
        return self.plain.get(url, headers=headers)
