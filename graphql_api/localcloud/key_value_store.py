"""A CloudFront KeyValueStore on loopback, as boto3 speaks to it: what a function reads, and its control plane.

It believes whoever knows the key id: a request has to be signed with SigV4A, but the signature is not verified. Each
change is written to a file, if there is one, before it is answered; the function sees it at once, and not some seconds
later as at the real edges.

Source: Amazon CloudFront API Reference, "Amazon CloudFront KeyValueStore"; Amazon CloudFront Developer Guide, "Quotas
on key value stores".
"""

import json
import os
import re
import secrets
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_SIZE: Final = 5 * 1024**2  # bytes of all keys and values
MAX_KEY_LENGTH: Final = 512  # characters
MAX_VALUE_LENGTH: Final = 1024  # characters
MAX_CHANGES: Final = 50  # of one UpdateKeys
PAGE: Final = 50  # keys of one ListKeys, unless it asks for less

_SIGNED: Final = re.compile(
    r"AWS4-ECDSA-P256-SHA256 Credential=([^/]+)/[0-9]{8}/cloudfront-keyvaluestore/aws4_request, "
    r"SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]+"
)


class KeyValueStore:
    """``KeyValues`` of a function. ``path``: where they are kept from one run to the next."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.items: dict[str, str] = json.loads(path.read_bytes()) if path is not None and path.exists() else {}
        self.etag = secrets.token_hex(8)

    def find(self, key: str) -> str | None:
        """See ``KeyValues``."""
        return self.items.get(key)

    @property
    def size(self) -> int:
        """Bytes of all keys and values."""
        return sum(len(key.encode()) + len(value.encode()) for key, value in self.items.items())

    def change(self, put: dict[str, str], remove: set[str]) -> bool:
        """All or nothing; False when it would hold too much."""
        before = self.items
        self.items = {key: value for key, value in (before | put).items() if key not in remove}
        if self.size > MAX_SIZE:
            self.items = before
            return False
        if self._path is not None:
            beside = self._path.with_suffix(".new")
            beside.write_text(json.dumps(self.items))
            os.replace(beside, self._path)
        self.etag = secrets.token_hex(8)
        return True


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.response = JSONResponse({"Message": message}, status, {"x-amzn-errortype": code})


def create_key_value_store_api(store: KeyValueStore, arn: str, access_key_id: str) -> ASGIApp:
    """The control plane as an ASGI app: DescribeKeyValueStore, ListKeys, GetKey, PutKey, DeleteKey, UpdateKeys."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await _answer(request, store, arn, access_key_id)
        except _Refused as refusal:
            response = refusal.response
        await response(scope, receive, send)

    return app


async def _answer(request: Request, store: KeyValueStore, arn: str, access_key_id: str) -> Response:
    signed = _SIGNED.fullmatch(request.headers.get("authorization", ""))
    if signed is None or signed[1] != access_key_id or "x-amz-region-set" not in request.headers:
        raise _Refused(403, "AccessDeniedException", "Access denied.")
    _, first, *names = [unquote(part) for part in request.scope["raw_path"].decode("latin-1").split("/")]
    if first != "key-value-stores" or names[:1] != [arn] or names[1:2] not in ([], ["keys"]) or len(names) > 3:
        raise _Refused(404, "ResourceNotFoundException", "There is no such store.")
    body = await request.body()
    match request.method, names[2:], names[1:]:
        case "GET", [], []:
            return _with_counts(store, {"KvsARN": arn, "Created": 0, "Status": "READY"})
        case "GET", [], ["keys"]:
            return _page(request, store)
        case "POST", [], ["keys"]:
            said = _json(body)
            put = {str(entry["Key"]): entry["Value"] for entry in said.get("Puts") or ()}
            remove = [str(entry["Key"]) for entry in said.get("Deletes") or ()]
            if not 0 < len(put) + len(remove) <= MAX_CHANGES or not put.keys().isdisjoint(remove):
                raise _Refused(400, "ValidationException", f"1 to {MAX_CHANGES} different keys can be changed at once.")
            return _changed(request, store, put, set(remove))
        case "GET", [key], _ if key in store.items:
            return _with_counts(store, {"Key": key, "Value": store.items[key]})
        case "PUT", [key], _:
            return _changed(request, store, {key: _json(body).get("Value")}, set())
        case "DELETE", [key], _ if key in store.items:
            return _changed(request, store, {}, {key})
    raise _Refused(404, "ResourceNotFoundException", "There is no such key.")


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
        if not isinstance(said, dict):
            raise TypeError
    except (ValueError, TypeError):
        raise _Refused(400, "ValidationException", "This is not a request.") from None
    return said


def _changed(request: Request, store: KeyValueStore, put: dict[str, Any], remove: set[str]) -> Response:
    if request.headers.get("if-match") != store.etag:
        raise _Refused(409, "ConflictException", "The store has changed: describe it for its version.")
    for key, value in put.items():
        if not isinstance(value, str) or not 0 < len(key) <= MAX_KEY_LENGTH or len(value) > MAX_VALUE_LENGTH:
            raise _Refused(400, "ValidationException", "A key or value is too long, or is no text.")
    if not store.change(put, remove):
        raise _Refused(402, "ServiceQuotaExceededException", "The store is full.")
    return _with_counts(store, {})


def _with_counts(store: KeyValueStore, more: dict[str, object]) -> Response:
    counts = {"ItemCount": len(store.items), "TotalSizeInBytes": store.size}
    return JSONResponse(counts | more, headers={"ETag": store.etag})


def _page(request: Request, store: KeyValueStore) -> Response:
    keys = sorted(key for key in store.items if key > request.query_params.get("NextToken", ""))
    size = min(int(request.query_params.get("MaxResults", PAGE)), PAGE)
    found: dict[str, object] = {"Items": [{"Key": key, "Value": store.items[key]} for key in keys[:size]]}
    if len(keys) > size:
        found["NextToken"] = keys[size - 1]
    return JSONResponse(found)
