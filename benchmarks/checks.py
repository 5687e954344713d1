"""Nothing is compared before all variants have given the same answer and every signature in it has been verified."""

import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from benchmarks import site
from graphql_api.localcloud.signature import SignatureVerifier, ViewerRequest


class Unequal(Exception):
    """The variants do not do the same, so their times say nothing."""


def check_pages(answers: Mapping[str, bytes], verifier: SignatureVerifier, *, has_links: bool, size: int) -> None:
    """Raises ``Unequal`` unless all pages hold the same ``size`` files, and links that an edge would let through."""
    pages = {name: json.loads(answer)["data"]["files"] for name, answer in answers.items()}
    _require_equal({name: _facts_of_page(page) for name, page in pages.items()})
    for name, page in pages.items():
        if len(page["nodes"]) != size or not page["pageInfo"]["endCursor"]:
            raise Unequal(f"{name}: not a full page")
        for node in page["nodes"] if has_links else ():
            check_link(node["signedUrl"]["url"], verifier)
            left = datetime.fromisoformat(node["signedUrl"]["expiresAt"]) - datetime.now(UTC)
            if not site.LINK_SECONDS - 60 < left.total_seconds() <= site.LINK_SECONDS + site.WINDOW_SECONDS:
                raise Unequal(f"{name}: a link lives for {left}")


def check_link(url: str, verifier: SignatureVerifier) -> None:
    """Raises the edge's refusal, or ``Unequal`` for a link that does not tell the browser a name."""
    parts = urlsplit(url)
    request = ViewerRequest(parts.scheme, parts.netloc, parts.path, parts.query, cookie="", address=None)
    verifier.verify(request, datetime.now(UTC))
    if not parts.query.startswith("response-content-disposition=inline%3B%20filename%3D%22"):
        raise Unequal("a link has no content disposition")


def check_targets(answers: Mapping[str, bytes], wish: Mapping[str, Any]) -> None:
    """Raises ``Unequal`` unless all targets are for the same request and the store would accept it."""
    payloads = {name: json.loads(answer)["data"]["createUpload"] for name, answer in answers.items()}
    bound = {}
    for name, payload in payloads.items():
        if payload["userErrors"]:
            raise Unequal(f"{name}: {payload['userErrors']}")
        target = payload["upload"]["target"]
        headers = {header["name"]: header["value"] for header in target["headers"]}
        bound[name] = (headers, *check_put(target["url"], {**headers, "content-length": str(wish["size"])}))
        left = datetime.fromisoformat(target["expiresAt"]) - datetime.now(UTC)
        if not site.TARGET_SECONDS - 60 < left.total_seconds() <= site.TARGET_SECONDS:
            raise Unequal(f"{name}: a target lives for {left}")
    _require_equal(bound)


def check_put(url: str, headers: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """Host and parameters of a presigned PUT without what differs each time. Raises ``Unequal`` if S3 would refuse it.

    Source: Amazon S3 API reference, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, strict_parsing=True))
    sent = query.pop("X-Amz-Signature")
    lines = {name.lower(): value for name, value in headers.items()} | {"host": parts.netloc}
    if query["X-Amz-SignedHeaders"] != ";".join(sorted(lines)):
        raise Unequal(f"signed are {query['X-Amz-SignedHeaders']}")
    canonical = "&".join(f"{quote(name, '')}={quote(value, '')}" for name, value in sorted(query.items()))
    request = "\n".join(
        ["PUT", parts.path, canonical]
        + [f"{name}:{lines[name]}" for name in sorted(lines)]
        + ["", query["X-Amz-SignedHeaders"], "UNSIGNED-PAYLOAD"]
    )
    scope = query["X-Amz-Credential"].split("/", 1)[1]
    text = f"AWS4-HMAC-SHA256\n{query['X-Amz-Date']}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key = f"AWS4{site.SECRET_ACCESS_KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), sent):
        raise Unequal(f"the signature of a PUT to {parts.netloc} does not verify")
    del query["X-Amz-Date"]
    return parts.netloc, sorted(query.items())


def checksum_header(checksum: str) -> str:
    """As S3 wants it, from hex."""
    return b64encode(bytes.fromhex(checksum)).decode()


def _facts_of_page(page: Any) -> object:
    nodes = [
        (node["id"], node["name"], node["size"], node["contentType"], datetime.fromisoformat(node["createdAt"]))
        for node in page["nodes"]
    ]
    return nodes, page["pageInfo"]["hasNextPage"]


def _require_equal(answers: Mapping[str, object]) -> None:
    names = list(answers)
    for other in names[1:]:
        if answers[other] != answers[names[0]]:
            raise Unequal(f"{names[0]} and {other} answer differently: {answers[names[0]]} / {answers[other]}")
