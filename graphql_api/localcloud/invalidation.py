"""CloudFront's CreateInvalidation on loopback, as boto3 speaks to it: the edge's cache drops what it names.

It believes whoever knows the key id: a request has to be signed with SigV4, but the signature is not verified. What is
named is dropped before the answer, and not within minutes as at the real edges.

Source: Amazon CloudFront API Reference, "CreateInvalidation"; Amazon CloudFront Developer Guide, "Specify the files to
invalidate" and "Quotas on invalidations".
"""

import re
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api.localcloud.cache import Cache

MAX_PATHS: Final = 3_000  # in progress at a time
MAX_WILDCARDS: Final = 15  # likewise
MAX_BODY: Final = 4 * 1024**2  # bytes
NAMESPACE: Final = "http://cloudfront.amazonaws.com/doc/2020-05-31/"

_SIGNED: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/[0-9]{8}/us-east-1/cloudfront/aws4_request, "
    r"SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]+"
)


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.response = _xml(
            status,
            f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
            f"<Message>{escape(message)}</Message></Error></ErrorResponse>",
        )


def create_invalidation_api(
    cache: Cache, distribution_id: str, access_key_id: str, clock: Callable[[], datetime]
) -> ASGIApp:
    """The control plane as an ASGI app. ``clock`` gives aware time. A reference that was used before is answered as it
    was, and drops nothing again.
    """
    done: dict[str, tuple[str, tuple[str, ...], str]] = {}  # id, paths and time by reference

    async def answer(request: Request) -> Response:
        signed = _SIGNED.fullmatch(request.headers.get("authorization", ""))
        if signed is None or signed[1] != access_key_id:
            raise _Refused(403, "AccessDenied", "Access denied.")
        path = request.url.path
        if (request.method, path) != ("POST", f"/2020-05-31/distribution/{distribution_id}/invalidation"):
            raise _Refused(404, "NoSuchDistribution", "The specified distribution does not exist.")
        reference, paths = _read(await request.body())
        if reference not in done:
            cache.invalidate(paths)
            done[reference] = f"I{secrets.token_hex(12).upper()}", paths, f"{clock():%Y-%m-%dT%H:%M:%S.000Z}"
        id_, known, created = done[reference]
        if known != paths:
            raise _Refused(400, "InvalidArgument", "The reference was used for other paths.")
        items = "".join(f"<Path>{escape(each)}</Path>" for each in paths)
        return _xml(
            201,
            f'<Invalidation xmlns="{NAMESPACE}"><Id>{id_}</Id><Status>Completed</Status><CreateTime>{created}'
            f"</CreateTime><InvalidationBatch><Paths><Quantity>{len(paths)}</Quantity><Items>{items}</Items></Paths>"
            f"<CallerReference>{escape(reference)}</CallerReference></InvalidationBatch></Invalidation>",
            Location=f"https://cloudfront.amazonaws.com{path}/{id_}",
        )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            response = await answer(Request(scope, receive))
        except _Refused as refusal:
            response = refusal.response
        await response(scope, receive, send)

    return app


def _read(body: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        if len(body) > MAX_BODY or b"<!" in body:  # a document type could have entities
            raise ValueError
        batch = ElementTree.fromstring(body)
        names = {"c": NAMESPACE}
        reference = batch.findtext("c:CallerReference", namespaces=names)
        paths = tuple(each.text or "" for each in batch.iterfind("c:Paths/c:Items/c:Path", names))
        quantity = batch.findtext("c:Paths/c:Quantity", namespaces=names)
        if not reference or quantity != str(len(paths)) or not paths:
            raise ValueError
    except (ElementTree.ParseError, ValueError):
        raise _Refused(400, "MalformedXML", "The XML document is malformed.") from None
    if len(paths) > MAX_PATHS or sum("*" in path for path in paths) > MAX_WILDCARDS:
        raise _Refused(400, "TooManyInvalidationsInProgress", "You have exceeded the maximum number of paths.")
    for path in paths:
        if not path.startswith("/") or "*" in path[:-1] or not path.isascii():
            raise _Refused(400, "InvalidArgument", "Your request contains one or more invalid invalidation paths.")
    return reference, paths


def _xml(status: int, text: str, **headers: str) -> Response:
    return Response(f'<?xml version="1.0"?>\n{text}', status, headers, media_type="text/xml")
