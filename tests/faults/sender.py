"""Somebody who uploads: asks the API, and sends to the store what its targets say."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import httpx

from graphql_api.model.ids import OBJECT_PREFIX
from graphql_api.model.parts import MIN_PART_SIZE
from tests.contracts.samples import crc64nvme_of
from tests.e2e.client import Client
from tests.e2e.service import Service

SMALL: Final = os.urandom(1000)
PARTS: Final = (os.urandom(MIN_PART_SIZE), os.urandom(1000))
LARGE: Final = b"".join(PARTS)
_numbers = count(1)

_UPLOAD = """
fragment Seen on Upload {
  id status failure { code } file { id size }
  parts { partNumber size }
  target {
    ... on PutUploadTarget { url headers { name value } }
    ... on MultipartUploadTarget { uploadId key partCount }
  }
}
"""
_ERRORS = """
userErrors {
  __typename code message path
  ... on UploadStateError { status missingPartNumbers } ... on UploadMismatchError { failureCode }
}
"""
_CREATE = (
    f"mutation ($input: CreateUploadInput!) {{ createUpload(input: $input) {{ upload {{ ...Seen }} {_ERRORS} }} }}"
)
_SIGN = f"""
mutation ($id: ID!, $parts: [UploadPartInput!]!) {{
  signUploadParts(input: {{uploadId: $id, parts: $parts}}) {{ parts {{ url headers {{ name value }} }} {_ERRORS} }}
}}
"""
_COMPLETE = f"""
mutation ($id: ID!, $crc: String) {{
  completeUpload(input: {{uploadId: $id, crc64nvme: $crc}}) {{ upload {{ status }} file {{ id size }} {_ERRORS} }}
}}
"""
_REQUEST = f"""
mutation ($input: SignUploadRequestInput!) {{
  signUploadRequest(input: $input) {{ request {{ method url headers {{ name value }} }} {_ERRORS} }}
}}
"""
_ABORT = f"mutation ($id: ID!) {{ abortUpload(input: {{uploadId: $id}}) {{ upload {{ status }} {_ERRORS} }} }}"
_DELETE = f"""
mutation ($ids: [ID!]!) {{ deleteFiles(input: {{fileIds: $ids}}) {{ results {{ deletedFileId {_ERRORS} }} }} }}
"""
_LOOK = "query ($id: ID!) { node(id: $id) { ...Seen } }" + _UPLOAD
_FIND = "query ($it: UploadFingerprint) { uploads(fingerprint: $it, status: [PENDING]) { nodes { id } } }"


@dataclass
class Answered:
    """What an operation came to, also if it did not come to all of it."""

    payload: Any
    errors: list[Any]

    @property
    def codes(self) -> list[str]:
        """Of every failure, in the payload and beside it."""
        told = [] if self.payload is None else self.payload.get("userErrors", [])
        return [each["code"] for each in told] + [each["extensions"]["code"] for each in self.errors]


class Sender:
    """Names its files itself."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def ask(self, query: str, **variables: Any) -> Answered:
        """The first field of the answer. Raises: httpx.TransportError: there was none."""
        answer = self._client.api.post(self._client.graphql, json={"query": query, "variables": variables})
        body = answer.json()
        [payload] = (body.get("data") or {"": None}).values()
        return Answered(payload, body.get("errors", []))

    def create(self, size: int, method: str = "PUT", **wish: Any) -> Answered:
        name = f"{next(_numbers)}.bin"
        how = {"filename": name, "size": size, "contentType": "application/octet-stream", "method": method}
        return self.ask(_CREATE + _UPLOAD, input=how | wish)

    def promised(self, size: int, method: str = "PUT", **wish: Any) -> str:
        """The id of an upload."""
        created = self.create(size, method, **wish)
        assert not created.codes, created
        return str(created.payload["upload"]["id"])

    def look(self, upload_id: str) -> dict[str, Any]:
        seen = self.ask(_LOOK, id=upload_id)
        assert not seen.codes, seen
        found: dict[str, Any] = seen.payload
        return found

    def key(self, upload_id: str) -> str:
        """Where its bytes go."""
        target = self.look(upload_id)["target"]
        path: str = target.get("key") or httpx.URL(target["url"]).path
        return path[path.index(OBJECT_PREFIX) :]

    def find(self, filename: str, size: int) -> list[str]:
        """Ids of pending uploads."""
        return [node["id"] for node in self.ask(_FIND, it={"filename": filename, "size": size}).payload["nodes"]]

    def put(self, upload_id: str, content: bytes = SMALL) -> httpx.Response:
        return self.send(self.look(upload_id)["target"], content)

    def sign(self, upload_id: str, *parts: tuple[int, bytes | None]) -> Answered:
        """Numbers, with the bytes that are told in advance."""
        wishes = [{"partNumber": n, "crc64nvme": None if told is None else crc64nvme_of(told)} for n, told in parts]
        return self.ask(_SIGN, id=upload_id, parts=wishes)

    def request(self, upload_id: str, kind: str, **about: Any) -> Answered:
        """Sign one, for a client that drives the store itself."""
        return self.ask(_REQUEST, input={"uploadId": upload_id, "kind": kind} | about)

    def put_part(self, upload_id: str, number: int, content: bytes, *, tells: bool = True) -> httpx.Response:
        signed = self.sign(upload_id, (number, content if tells else None))
        assert not signed.codes, signed
        [target] = signed.payload["parts"]
        return self.send(target, content)

    def send(self, target: dict[str, Any], content: bytes) -> httpx.Response:
        headers = {header["name"]: header["value"] for header in target["headers"]}
        method = target.get("method", "PUT")
        return self._client.plain.request(method, target["url"], content=content, headers=headers)

    def sent(self, method: str = "PUT") -> str:
        """The id of an upload whose bytes are there: ``SMALL``, or ``PARTS``."""
        upload_id = self.promised(len(SMALL if method == "PUT" else LARGE), method)
        if method == "PUT":
            assert self.put(upload_id).status_code == 200
        else:
            for number, part in enumerate(PARTS, 1):
                assert self.put_part(upload_id, number, part).status_code == 200
        return upload_id

    def complete(self, upload_id: str, crc64nvme: str | None = None) -> Answered:
        return self.ask(_COMPLETE, id=upload_id, crc=crc64nvme)

    def completed(self, upload_id: str) -> dict[str, Any]:
        """The file."""
        done = self.complete(upload_id)
        assert not done.codes, done
        file: dict[str, Any] = done.payload["file"]
        return file

    def abort(self, upload_id: str) -> Answered:
        return self.ask(_ABORT, id=upload_id)

    def delete(self, file_id: str) -> Answered:
        return self.ask(_DELETE, ids=[file_id])


@contextmanager
def sender(service: Service, subject: str = "ada") -> Iterator[Sender]:
    with service.user(subject) as client:
        yield Sender(client)
