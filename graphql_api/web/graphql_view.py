"""GraphQL over HTTP: one operation per request, JSON in and out, whatever happens.

Source: GraphQL over HTTP specification, sections "Request" and "Response"; statuses as RFC 9110 defines them.
"""

from dataclasses import replace
from email.message import Message
from typing import Any, Final

import orjson
import strawberry
from cross_web import AsyncHTTPRequestAdapter, HTTPException, StarletteRequestAdapter
from graphql import GraphQLError, GraphQLSyntaxError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from graphql_api.errors import Unauthenticated, Unavailable
from graphql_api.model.principal import ANONYMOUS
from graphql_api.schema import Context
from graphql_api.services import Services
from graphql_api.web import console
from graphql_api.web.answers import error_answer
from graphql_api.web.authentication import Authenticator
from graphql_api.web.client_address import parse_address

MAX_BODY_SIZE: Final = 100_000  # bytes; documents of real clients have a few thousand, and every byte is parsed
RETRY_AFTER: Final = 5  # seconds
METHODS: Final = ("GET", "POST")


class Refused(HTTPException):
    """A request that is answered without asking the schema."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, message)
        self.code = code
        self.headers = headers


class LimitedRequest(StarletteRequestAdapter):
    """Reads no more of a body than a request may have."""

    async def get_body(self) -> bytes:
        body = bytearray()
        async for chunk in self._request.stream():
            body += chunk
            if len(body) > MAX_BODY_SIZE:
                raise _too_large()
        return bytes(body)


class GraphQLView(GraphQL[Context, None]):
    """The ASGI application behind ``/graphql``; browsers that ask for a page get the console instead."""

    request_adapter_class = LimitedRequest

    def __init__(
        self, schema: strawberry.Schema, *, services: Services, authenticator: Authenticator, has_console: bool
    ) -> None:
        super().__init__(schema, graphql_ide=None, subscription_protocols=())
        self._services = services
        self._authenticator = authenticator
        self._has_console = has_console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except Refused as refused:
            answer = error_answer(refused.status_code, refused.code, refused.reason, refused.headers)
        except HTTPException as refused:  # strawberry's own
            answer = error_answer(refused.status_code, "BAD_REQUEST", refused.reason)
        except Unauthenticated as refused:
            challenge = {"www-authenticate": 'Bearer error="invalid_token"'}  # RFC 6750 section 3
            answer = error_answer(401, refused.code, refused.message, challenge)
        except Unavailable as refused:
            answer = error_answer(503, "SERVICE_UNAVAILABLE", refused.message, {"retry-after": str(RETRY_AFTER)})
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in METHODS:
            raise Refused(405, "METHOD_NOT_ALLOWED", "Use GET or POST.", {"allow": ", ".join(METHODS)})
        if request.method == "POST":
            _check_post_headers(request)
        elif self._has_console and "query" not in request.query_params and _wants_page(request):
            return console.page()
        return await self.run(request)

    def should_render_graphql_ide(self, request: object) -> bool:
        return False  # the console is ours, and strawberry would send it to whoever accepts */*

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        headers = request.headers.getlist("authorization")
        if len(headers) > 1:
            raise Unauthenticated("There is more than one Authorization header.")
        identity = await self._authenticator.identify(headers[0] if headers else None)
        client_address, request_id = request.state.client_address, request.state.request_id
        address = parse_address(client_address or "")
        principal = replace(ANONYMOUS, address=address, request_id=request_id)
        if identity is not None:
            principal = await self._services.accounts.principal_of(identity, address=address, request_id=request_id)
        return Context(self._services, principal, client_address=client_address, request_id=request_id)

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData:
        if request.method == "GET":
            data: object = self.parse_query_params(request.query_params)
        else:
            data = self.parse_json(await request.get_body())
        if not isinstance(data, dict):  # an array would be a batch
            raise _malformed("The request must be one JSON object.")
        for name, kind in (("query", str), ("operationName", str), ("variables", dict), ("extensions", dict)):
            if not isinstance(data.get(name), kind | None):
                raise _malformed(f"The request's {name!r} has the wrong type.")
        return GraphQLRequestData(
            query=data.get("query"),
            variables=data.get("variables"),
            operation_name=data.get("operationName"),
            extensions=data.get("extensions"),
            protocol="http",
        )

    async def execute_single(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        try:
            return await super().execute_single(*args, **kwargs)
        except HTTPException as error:
            if isinstance(error.__cause__, InvalidOperationTypeError):
                raise Refused(405, "METHOD_NOT_ALLOWED", "Use POST for mutations.", {"allow": "POST"}) from error
            raise

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        answer = await super().process_result(request, result)
        if result.errors:
            answer["errors"] = [_error_entry(error, result, request.state.request_id) for error in result.errors]
        return answer

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)

    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)


def _error_entry(error: GraphQLError, result: ExecutionResult, request_id: str) -> dict[str, object]:
    """``error`` as the specification has it, with a code if the schema gave none, and the request's id."""
    entry: dict[str, object] = {**error.formatted}
    code = {}
    if isinstance(error, GraphQLSyntaxError):
        code = {"code": "GRAPHQL_PARSE_FAILED"}
    elif isinstance(result, PreExecutionError):
        code = {"code": "GRAPHQL_VALIDATION_FAILED"}
    elif error.path is None:  # variables that do not fit; what fails while executing has a path
        code = {"code": "BAD_USER_INPUT"}
    entry["extensions"] = {**code, **(error.extensions or {}), "requestId": request_id}
    return entry


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


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "").lower()


def _malformed(message: str) -> Refused:
    return Refused(400, "BAD_REQUEST", message)


def _too_large() -> Refused:
    # The rest of the body stays unread, so the connection cannot be used again.
    message = f"The request has more than {MAX_BODY_SIZE} bytes."
    return Refused(413, "PAYLOAD_TOO_LARGE", message, {"connection": "close"})
