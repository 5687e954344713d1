"""GraphQL over HTTP: one operation per request, JSON in and out, whatever happens.

Sources: GraphQL over HTTP, as most clients and the audits of ``graphql-http`` know it (2025), and its first edition
(September 2026), sections "Request" and "Response"; statuses as RFC 9110 defines them. The two contradict each other
about statuses: see ``Edition``.
"""

from datetime import timedelta
from email.message import Message
from enum import StrEnum
from typing import Any, Final, cast

import anyio
import orjson
import strawberry
from cross_web import AsyncHTTPRequestAdapter, HTTPException, StarletteRequestAdapter
from graphql import GraphQLSyntaxError
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from graphql_api.errors import RateLimited, Unauthenticated, Unavailable
from graphql_api.schema import Context
from graphql_api.schema.errors import NO_OPERATION
from graphql_api.web import console
from graphql_api.web.answers import error_answer, rate_limit_answer
from graphql_api.web.bundle_cookies import set_cookies
from graphql_api.web.documents import Documents, NotTrusted
from graphql_api.web.event_stream import EventStream
from graphql_api.web.media_types import EVENTS, JSON, RESULT, accepts_events, answer_type, prefers_events
from graphql_api.web.persisted_queries import DocumentFault, UnknownDocument
from graphql_api.web.places import Places
from graphql_api.web.results import TIMEOUT, is_bug_before_fields, result_entry, was_refused
from graphql_api.web.viewers import Viewers, authorization_header

MAX_URL_SIZE: Final = 8_000  # bytes of path and query; RFC 9110, section 4.1, has everybody take as many
TIME_LIMIT: Final = timedelta(seconds=30)
PARTIAL_SUCCESS: Final = 294  # data and errors; of the first edition
MAX_BODY_SIZE: Final = 100_000  # bytes; documents of real clients have a few thousand, and every byte is parsed
RETRY_AFTER: Final = 5  # seconds
METHODS: Final = ("GET", "POST")
PREFLIGHT: Final = "GraphQL-Require-Preflight"
NOT_SIMPLE: Final = (PREFLIGHT.lower(), "authorization", "apollo-require-preflight", "x-apollo-operation-name")
"""Headers of which a page has to have leave before a browser sends them: Fetch standard, "CORS-safelisted"."""

_PARAMETERS: Final = ("query", "documentId", "operationName", "variables", "extensions")
_VARY: Final = {"vary": "Accept"}
_ANSWERED_AT_ONCE: Final = {"GET": {OperationType.QUERY}, "POST": {OperationType.QUERY, OperationType.MUTATION}}


class Refused(HTTPException):
    """A request that is answered without asking the schema."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, message)
        self.code = code
        self.headers = headers


class _Streamed(Exception):
    """The answer is a stream: strawberry's view would frame and end it otherwise."""

    def __init__(self, answer: EventStream) -> None:
        super().__init__()
        self.answer = answer


class LimitedRequest(StarletteRequestAdapter):
    """Reads no more of a body than a request may have."""

    async def get_body(self) -> bytes:
        body = bytearray()
        async for chunk in self._request.stream():
            body += chunk
            if len(body) > MAX_BODY_SIZE:
                raise _too_large()
        return bytes(body)


class Edition(StrEnum):
    """Which text decides about statuses."""

    WIDESPREAD = "2025"
    SEPTEMBER_2026 = "2026"


class GraphQLView(GraphQL[Context, None]):
    """The ASGI application behind ``/graphql``; browsers that ask for a page get the console instead.

    ``time_limit``: for one operation that is answered at once.
    """

    request_adapter_class = LimitedRequest

    def __init__(
        self,
        schema: strawberry.Schema,
        viewers: Viewers,
        *,
        operations: Places,
        documents: Documents,
        has_console: bool,
        edition: Edition = Edition.WIDESPREAD,
        time_limit: timedelta = TIME_LIMIT,
    ) -> None:
        super().__init__(schema, graphql_ide=None, subscription_protocols=())
        self._is_first_edition = edition is Edition.SEPTEMBER_2026
        self._time_limit = time_limit
        self._strawberry_schema = schema
        self._viewers = viewers
        self._operations = operations
        self._has_console = has_console
        self._documents = documents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        kind = self._media_type(request)
        answer: ASGIApp
        try:
            answer = await self._answer(request)
        except _Streamed as wanted:
            answer = wanted.answer
        except Refused as refused:
            answer = error_answer(
                refused.status_code, refused.code, refused.reason, {**_VARY, **(refused.headers or {})}, media_type=kind
            )
        except HTTPException as refused:  # strawberry's own
            answer = error_answer(refused.status_code, "BAD_REQUEST", refused.reason, _VARY, media_type=kind)
        except Unauthenticated as refused:
            challenge = {"www-authenticate": 'Bearer error="invalid_token"', **_VARY}  # RFC 6750 section 3
            answer = error_answer(401, refused.code, refused.message, challenge, media_type=kind)
        except Unavailable as refused:
            later = {"retry-after": str(RETRY_AFTER), **_VARY}
            answer = error_answer(503, "SERVICE_UNAVAILABLE", refused.message, later, media_type=kind)
        except RateLimited as refused:
            answer = rate_limit_answer(refused, _VARY, media_type=kind)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in METHODS:
            raise Refused(405, "METHOD_NOT_ALLOWED", "Use GET or POST.", {"allow": ", ".join(METHODS)})
        if len(request.scope.get("raw_path", b"")) + len(request.scope["query_string"]) > MAX_URL_SIZE:
            raise Refused(414, "URI_TOO_LONG", f"The address has more than {MAX_URL_SIZE} bytes: use POST.")
        if request.method == "POST":
            _check_post_headers(request)
        elif self._has_console and _wants_page(request) and not _names_document(request):
            return console.page()
        elif _is_simple_from_another_site(request):
            message = f"From pages of other sites send {PREFLIGHT}, or any other header that has the browser ask first."
            raise Refused(403, "CSRF_PREVENTION", message)
        accept = request.headers.get("accept", "")
        if answer_type(accept) is None and not (accepts_events(accept) and request.method == "POST"):
            raise Refused(406, "NOT_ACCEPTABLE", f"Answers are {JSON} or {RESULT}, and to POST {EVENTS} as well.")
        try:
            with anyio.fail_after(self._time_limit.total_seconds()):
                return await self._run(request)
        except TimeoutError:
            later = {"retry-after": str(RETRY_AFTER)}
            raise Refused(503, *TIMEOUT, later) from None

    async def _run(self, request: Request) -> Response:
        context = await self._viewers.context(request, authorization_header(request))
        try:
            return await self.run(request, context=context)
        except HTTPException:  # what has been read of it is charged
            await context.meter.settle()
            raise

    def _media_type(self, request: Request) -> str:
        """Of what is answered at once, whatever it is."""
        kind = RESULT if self._is_first_edition else answer_type(request.headers.get("accept", "")) or JSON
        return f"{kind}; charset=utf-8"

    def should_render_graphql_ide(self, request: object) -> bool:
        return False  # the console is ours, and strawberry would send it to whoever accepts */*

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData:
        if request.method == "GET":
            data: object = self._parameters(request)
        else:
            data = self.parse_json(await request.get_body())
        if not isinstance(data, dict):  # an array would be a batch
            raise self._malformed("The request must be one JSON object.")
        for name, kind in zip(_PARAMETERS, (str, str, str, dict, dict), strict=True):
            if not isinstance(data.get(name), kind | None):
                raise self._malformed(f"The request's {name!r} has the wrong type.")
        return GraphQLRequestData(
            query=self._document(request, data),
            variables=data.get("variables"),
            operation_name=data.get("operationName"),
            extensions=data.get("extensions"),
            protocol="http",
        )

    def _document(self, request: AsyncHTTPRequestAdapter, data: dict[str, Any]) -> str:
        try:
            return self._documents.wanted(data.get("query"), data.get("documentId"), data.get("extensions"))
        except NotTrusted as error:
            raise Refused(403, error.code, str(error)) from None
        except UnknownDocument as error:
            # The status of a document that would not do.
            in_json = answer_type(request.headers.get("accept", "")) != RESULT
            status = 422 if self._is_first_edition else 200 if in_json else 400
            raise Refused(status, error.code, str(error)) from None
        except DocumentFault as error:
            raise self._malformed(str(error)) from None

    def _parameters(self, request: AsyncHTTPRequestAdapter) -> object:
        """Those of an address. An empty one is none; of one that stands twice nobody knows which counts."""
        given = cast("QueryParams", request.query_params)
        if any(len(given.getlist(name)) > 1 for name in _PARAMETERS):
            raise self._malformed("A parameter of the address stands there twice.")
        return self.parse_query_params({name: value for name, value in given.items() if value})

    def _malformed(self, message: str) -> Refused:
        """Of what is JSON, but no request."""
        return Refused(422 if self._is_first_edition else 400, "BAD_REQUEST", message)

    async def execute_single(
        self,
        request: Request,
        request_adapter: AsyncHTTPRequestAdapter,
        sub_response: Response,
        context: Context,
        root_value: None,
        request_data: GraphQLRequestData,
    ) -> ExecutionResult:
        accept = request.headers.get("accept", "")
        may_stream = request.method == "POST" and accepts_events(accept)
        if may_stream and prefers_events(accept):
            raise self._streamed(request, context, request_data)
        try:
            result = await self.schema.execute(
                request_data.query,
                variable_values=request_data.variables,
                context_value=context,
                operation_name=request_data.operation_name,
                allowed_operation_types=_ANSWERED_AT_ONCE[request.method],
                operation_extensions=request_data.extensions,
            )
        except CannotGetOperationTypeError as error:
            raise self._malformed(NO_OPERATION) from error
        except InvalidOperationTypeError as error:
            if request.method == "GET":
                raise Refused(405, "METHOD_NOT_ALLOWED", "Use POST for this.", {"allow": "POST"}) from error
            if may_stream:
                raise self._streamed(request, context, request_data) from None
            message = f"Subscriptions are answered over a WebSocket, or to requests that accept {EVENTS}."
            raise Refused(406, "NOT_ACCEPTABLE", message) from error
        await context.meter.settle()
        if not was_refused(result):
            self._documents.remember(request_data.query or "", request_data.extensions)
        for link in context.cookies:
            set_cookies(sub_response, link, context.services.bundle_links.cookies)
        sub_response.media_type = self._media_type(request)
        sub_response.status_code = self._status(sub_response.media_type, result)
        return result

    def _status(self, media_type: str, result: ExecutionResult) -> int:
        if not result.errors:
            return 200
        if not was_refused(result):
            return PARTIAL_SUCCESS if self._is_first_edition else 200
        if any(map(is_bug_before_fields, result.errors)):
            return 500
        if self._is_first_edition:
            return 400 if any(isinstance(error, GraphQLSyntaxError) for error in result.errors) else 422
        # In plain JSON anybody on the way could have said 400.
        return 200 if media_type.startswith(JSON) else 400

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        content = self.encode_json(response_data)
        answer = Response(content, sub_response.status_code, _VARY, media_type=sub_response.media_type)
        answer.raw_headers += [header for header in sub_response.raw_headers if header[0] == b"set-cookie"]
        return answer

    def _streamed(self, request: Request, context: Context, data: GraphQLRequestData) -> "_Streamed":
        return _Streamed(
            EventStream(
                self._strawberry_schema,
                data,
                context,
                self._viewers,
                authorization_header(request),
                self._operations,
                self._documents,
                self._time_limit,
            )
        )

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        return cast("GraphQLHTTPResponse", result_entry(result, request.state.request_id))

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)


def _check_post_headers(request: Request) -> None:
    """Refuse what can be refused before anything is read or anyone is asked who it is."""
    content_type = Message()
    content_type["content-type"] = request.headers.get("content-type", "")
    charset = content_type.get_param("charset", "utf-8")
    is_json = content_type.get_content_type() == "application/json"
    if not is_json or str(charset).lower() != "utf-8":
        raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", "Send the request as application/json in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", "Send the request without Content-Encoding.")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > MAX_BODY_SIZE:
        raise _too_large()


def _is_simple_from_another_site(request: Request) -> bool:
    """Whether a page anywhere could have made a browser send this without asking us: an image, a script, a link.

    A POST of JSON is asked about before. Source: Fetch Metadata Request Headers (W3C), section 2.4. Browsers send them
    to https and to this machine; a program that is none sends none.
    """
    site = request.headers.get("sec-fetch-site", "none").lower()
    return site not in ("same-origin", "none") and not any(name in request.headers for name in NOT_SIMPLE)


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "").lower()


def _names_document(request: Request) -> bool:
    return any(name in request.query_params for name in ("query", "documentId", "extensions"))


def _too_large() -> Refused:
    # The rest of the body stays unread, so the connection cannot be used again.
    message = f"The request has more than {MAX_BODY_SIZE} bytes."
    return Refused(413, "PAYLOAD_TOO_LARGE", message, {"connection": "close"})
