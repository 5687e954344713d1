"""Errors of the GraphQL face, translated here and nowhere else.

Expected failures of a mutation are data (``userErrors``). Elsewhere an expected failure is an error with a code, and
anything else is a bug: "Internal error" and a request id, nothing more; the log has the rest.
"""

import logging
from collections.abc import Awaitable, Iterator, Sequence
from typing import Final, TypeVar

import strawberry
from graphql import ExecutionResult as CoreExecutionResult
from graphql import GraphQLError, IntValueNode
from strawberry.extensions import SchemaExtension
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult

from graphql_api.errors import (
    BytesMissing,
    Conflict,
    DeliveryError,
    EdgeRefused,
    Forbidden,
    InputFault,
    InvalidInput,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unavailable,
    UploadMismatch,
    UploadStateConflict,
)
from graphql_api.model.principal import Permission
from graphql_api.model.quota import Quota as QuotaNoun
from graphql_api.model.upload import UploadFailureCode, UploadStatus
from graphql_api.schema.enums import UserErrorCode
from graphql_api.schema.quotas import Quota

NO_OPERATION: Final = "The request names no operation of its document."

log = logging.getLogger(__name__)
T = TypeVar("T")

_CODES: Final = {
    InvalidInput: "BAD_USER_INPUT",
    Unavailable: "SERVICE_UNAVAILABLE",
    NotFound: "NOT_FOUND",
    Forbidden: "FORBIDDEN",
    Conflict: "CONFLICT",
}


@strawberry.interface(description="An expected failure; every kind of error has these fields.")
class UserError:
    message: str = strawberry.field(description="For people.")
    code: UserErrorCode = strawberry.field(description="Machine-readable kind.")
    path: list[str] = strawberry.field(
        description='Path of the input at fault, such as ["input", "filename"]; empty when it is not about one.'
    )


@strawberry.type(description="An input value is not acceptable.")
class InvalidInputError(UserError):
    pass


@strawberry.type(description="It does not exist, or the viewer may not know that it does.")
class NotFoundError(UserError):
    pass


@strawberry.type(description="The viewer may see it but not do this.")
class ForbiddenError(UserError):
    required_permission: Permission = strawberry.field(description="What is missing.")


@strawberry.type(description="The state differs from what the client expects, such as a taken name.")
class ConflictError(UserError):
    conflicting_id: strawberry.ID | None = strawberry.field(
        description="What is in the way; null if the viewer may not see it."
    )


@strawberry.type(description="So many bytes do not fit into the quota of a user or a folder.")
class QuotaExceededError(UserError):
    quota: QuotaNoun | None = strawberry.field(
        description="What it is and how much of it is taken; null if it is another's, or of a folder that the viewer "
        "may not see.",
        graphql_type=Quota | None,
    )


@strawberry.type(description="The upload is not in a state that allows this; PENDING: its bytes are not there yet.")
class UploadStateError(UserError):
    status: UploadStatus = strawberry.field(description="Its state.")
    missing_part_numbers: list[int] = strawberry.field(
        description="Parts that are missing or have another length, the first thousand of them."
    )


@strawberry.type(description="The store holds something else than was announced, or malware; the upload has failed.")
class UploadMismatchError(UserError):
    failure_code: UploadFailureCode = strawberry.field(description="What differs, or what else is wrong.")


@strawberry.type(description="The CDN does not let through what it should. Nothing was changed.")
class EdgeRefusedError(UserError):
    status: int = strawberry.field(description="HTTP status of its answer.")
    edge_code: str | None = strawberry.field(description="Its own word for why, such as InvalidKey, if it gave one.")


@strawberry.type(description="A part of the service does not answer. Nothing is half-done; asking again is safe.")
class UnavailableError(UserError):
    pass


USER_ERRORS: Final = (
    InvalidInputError,
    NotFoundError,
    ForbiddenError,
    ConflictError,
    QuotaExceededError,
    UploadStateError,
    UploadMismatchError,
    EdgeRefusedError,
    UnavailableError,
)


async def attempt(work: Awaitable[T], *prefix: str) -> tuple[T | None, list[UserError]]:
    """What ``work`` gives and no errors, or None and the expected failure as data, below ``prefix`` of the input."""
    try:
        return await work, []
    except DeliveryError as error:
        return None, user_errors(error, *prefix)


def user_errors(error: DeliveryError, *prefix: str) -> list[UserError]:
    """The failure as data. An unknown kind is a bug and raised as it is."""
    where = ["input", *prefix, *error.path] if error.path else []
    match error:
        case InvalidInput():
            return [
                InvalidInputError(
                    message=fault.message, code=UserErrorCode.INVALID, path=["input", *prefix, *fault.path]
                )
                for fault in error.faults
            ]
        case NotFound():
            return [NotFoundError(message=error.message, code=UserErrorCode.NOT_FOUND, path=where)]
        case Forbidden():
            return [
                ForbiddenError(
                    message=error.message,
                    code=UserErrorCode.FORBIDDEN,
                    path=where,
                    required_permission=Permission(error.required_permission),
                )
            ]
        case Conflict():
            conflicting = None if error.conflicting_id is None else strawberry.ID(error.conflicting_id)
            return [
                ConflictError(
                    message=error.message, code=UserErrorCode.CONFLICT, path=where, conflicting_id=conflicting
                )
            ]
        case QuotaExceeded():
            return [
                QuotaExceededError(
                    message=error.message, code=UserErrorCode.QUOTA_EXCEEDED, path=where, quota=error.quota
                )
            ]
        case UploadStateConflict():
            return [
                UploadStateError(
                    message=error.message,
                    code=UserErrorCode.UPLOAD_STATE,
                    path=where,
                    status=error.status,
                    missing_part_numbers=list(error.missing_parts) if isinstance(error, BytesMissing) else [],
                )
            ]
        case UploadMismatch():
            return [
                UploadMismatchError(
                    message=error.message,
                    code=UserErrorCode.UPLOAD_MISMATCH,
                    path=where,
                    failure_code=error.failure.code,
                )
            ]
        case EdgeRefused():
            return [
                EdgeRefusedError(
                    message=error.message,
                    code=UserErrorCode.EDGE_REFUSED,
                    path=where,
                    status=error.status,
                    edge_code=error.edge_code or None,
                )
            ]
        case Unavailable():
            return [UnavailableError(message=error.message, code=UserErrorCode.UNAVAILABLE, path=where)]
        case _:
            raise error


def too_many(name: str, values: Sequence[object], limit: int) -> InvalidInput | None:
    """The fault of a list that is empty or longer than ``limit``, or None."""
    return (
        None if 1 <= len(values) <= limit else InvalidInput(InputFault(f"{name} takes 1 to {limit} entries", (name,)))
    )


class ErrorPolicy(SchemaExtension):
    """Lets expected failures through with a code and hides everything else behind a request id, on every transport."""

    _is_executed = False

    def on_execute(self) -> Iterator[None]:
        self._is_executed = True
        yield

    def on_operation(self) -> Iterator[None]:
        yield
        self._hide_bugs(self.execution_context.result)

    def on_stream_result(self, result: object) -> Iterator[None]:
        """What goes over a WebSocket or as an event is not the operation's result, or not yet."""
        self._hide_bugs(result)
        yield

    def _hide_bugs(self, result: object) -> None:
        if isinstance(result, ExecutionResult | CoreExecutionResult) and result.errors:
            result.errors = [self._shown(error) for error in result.errors]

    def _shown(self, error: GraphQLError) -> GraphQLError:
        original = error.original_error
        while isinstance(original, GraphQLError) and original.original_error is not None:
            original = original.original_error
        if isinstance(original, CannotGetOperationTypeError):
            return _rewritten(error, NO_OPERATION, {"code": "BAD_REQUEST"})
        if isinstance(original, RateLimited):
            return _rewritten(error, original.message, {"code": original.code, "retryAfter": original.seconds})
        if isinstance(original, DeliveryError) and type(original) in _CODES:
            extensions: dict[str, object] = {"code": _CODES[type(original)], "inputPath": list(original.path)}
            if isinstance(original, Forbidden):
                extensions["requiredPermission"] = original.required_permission
            return _rewritten(error, original.message, extensions)
        if isinstance(original, ValueError) and error.nodes and isinstance(error.nodes[0], IntValueNode):
            # Python reads 4,300 of them, and graphql-core expects only numbers that it can read.
            return _rewritten(error, "Int cannot represent a number of so many digits", {})
        # Of the language: syntax, validation, coercion of what was sent. That points into the document or came before
        # any field; a value of ours that cannot be written does neither.
        if original is None or (isinstance(original, GraphQLError) and (original.nodes or error.path is None)):
            is_of_variables = self._is_executed and error.path is None  # the document was found to be good
            return _rewritten(error, error.message, {"code": "BAD_USER_INPUT"}) if is_of_variables else error
        request_id = self.execution_context.context.request_id
        log.error("internal_error path=%s", error.path, exc_info=original)
        return _rewritten(error, "Internal error", {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id})


def _rewritten(error: GraphQLError, message: str, extensions: dict[str, object]) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
