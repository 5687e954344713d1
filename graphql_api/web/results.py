"""Results of operations as clients read them, the same on every transport."""

import logging
from typing import Any, Final

from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.http import process_result
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from graphql_api.errors import RateLimited

BUG: Final = ("INTERNAL_SERVER_ERROR", "Internal error")
TIMEOUT: Final = ("OPERATION_TIMEOUT", "The operation took too long and was given up.")

log = logging.getLogger(__name__)


def result_entry(result: ExecutionResult, request_id: str) -> dict[str, Any]:
    """``{"data", "errors"}``, each error with a code; without data when nothing was executed."""
    entry: dict[str, Any] = {**process_result(result)}
    if result.errors:
        entry["errors"] = error_entries(result, request_id)
    if was_refused(result):
        entry.pop("data", None)
    return entry


def was_refused(result: ExecutionResult) -> bool:
    """Whether nothing was executed: the document or the variables would not do. What fails while executing has a path.

    Source: GraphQL specification, section "Request Error Result".
    """
    return result.data is None and bool(result.errors) and not any(error.path for error in result.errors or ())


def error_entries(result: ExecutionResult, request_id: str) -> list[dict[str, object]]:
    """As the specification has them, with a code where the schema gave none, and the request's id."""
    return [_entry(error, result, request_id) for error in result.errors or ()]


def plain_error(code: str, message: str, request_id: str | None, **more: object) -> dict[str, object]:
    """An error that is not the result of an operation. ``more``: of its extensions."""
    return {"message": message, "extensions": {"code": code, **more, "requestId": request_id}}


def rate_limited(error: RateLimited, request_id: str | None) -> dict[str, object]:
    """As the schema's errors have it, see ``ErrorPolicy``."""
    return plain_error(error.code, error.message, request_id, retryAfter=error.seconds)


def is_bug_before_fields(error: GraphQLError) -> bool:
    """Whether what runs before any field has failed, such as an extension: no policy of the schema has seen it."""
    original = error.original_error
    return original is not None and not (isinstance(original, GraphQLError) or error.path or error.locations)


def _entry(error: GraphQLError, result: ExecutionResult, request_id: str) -> dict[str, object]:
    if is_bug_before_fields(error):
        log.error("internal_error", exc_info=error.original_error)
        return plain_error(*BUG, request_id)
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
