"""Answers that are not the result of an operation: always JSON in GraphQL's shape, always with a code."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from graphql_api.errors import RateLimited
from graphql_api.web.logs import request_id
from graphql_api.web.results import rate_limited


class JsonAnswer(Response):
    """Any value that orjson can write."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return orjson.dumps(content)


def rate_limit_answer(
    error: RateLimited, headers: Mapping[str, str] | None = None, *, media_type: str | None = None
) -> JsonAnswer:
    """RFC 6585, section 4: 429, and when to come back."""
    entry = rate_limited(error, request_id.get())
    return JsonAnswer({"errors": [entry]}, 429, {"retry-after": str(error.seconds), **(headers or {})}, media_type)


def error_answer(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, *, media_type: str | None = None
) -> JsonAnswer:
    """``{"errors": [{"message", "extensions": {"code", "requestId"}}]}``: clients need not look at the status."""
    extensions = {"code": code, "requestId": request_id.get()}
    return JsonAnswer({"errors": [{"message": message, "extensions": extensions}]}, status, headers, media_type)
