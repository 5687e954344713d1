"""GraphQL and nothing else: types, thin resolvers, errors as data. ``schema.graphql`` at the top is its export."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import strawberry
from graphql import Executor, GraphQLError, OperationDefinitionNode, is_wrapping_type
from strawberry.extensions import MaxTokensLimiter, ParserCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graphql_api.schema.context import Context
from graphql_api.schema.deadline import LastingSubscriptions
from graphql_api.schema.errors import USER_ERRORS, ErrorPolicy
from graphql_api.schema.guarding import GuardedValidation, GuardRules, Introspection
from graphql_api.schema.layouts import Layouts, column_executor
from graphql_api.schema.mutation import Mutation
from graphql_api.schema.query import Query
from graphql_api.schema.scalars import SCALARS
from graphql_api.schema.shortcuts import take_shortcuts
from graphql_api.schema.subscription import Subscription
from graphql_api.schema.targets import MultipartUploadTarget, PostUploadTarget, PutUploadTarget
from graphql_api.schema.trusted import MAX_TOKENS, faults_of_document
from graphql_api.schema.uploads import Upload

__all__ = [
    "CACHED_DOCUMENTS",
    "Context",
    "DocumentCache",
    "GuardRules",
    "Introspection",
    "build_schema",
    "faults_of_document",
]

CACHED_DOCUMENTS: Final = 512  # distinct query texts that are parsed and validated once


class DeliverySchema(strawberry.Schema):
    """Strawberry logs every error with its text; here ``ErrorPolicy`` decides what is a bug and logs only that."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        return None

    def _extend_introspection(self) -> None:
        """Strawberry's resolver of ``isOneOf`` fails for lists and for what is never null."""
        super()._extend_introspection()
        field = self._schema.type_map["__Type"].fields["isOneOf"]  # type: ignore[attr-defined]  # of an object type
        told = field.resolve
        field.resolve = lambda type_, info: None if is_wrapping_type(type_) else told(type_, info)


class DocumentCache(ParserCache):
    """What cannot be parsed is left to strawberry, which makes a result of the error; one that a hook raises ends a
    stream without a result.
    """

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        with suppress(GraphQLError):
            document = self.cached_parse_document(context.query, **context.parse_options)
            context.graphql_document = document
            operations = sum(isinstance(each, OperationDefinitionNode) for each in document.definitions)
            if operations > 1 and context._provided_operation_name is None:
                # Strawberry would take the first. No operation has this name, so it finds none: GraphQL specification,
                # GetOperation(). The public property tells the name of the first, and cannot be set.
                context._provided_operation_name = ""
        yield


def build_schema(
    rules: GuardRules | None = None, *, trusted: int = 0, has_fast_lists: bool = True
) -> strawberry.Schema:
    """The schema, with what its guard goes by; it is built once in a process. ``trusted``: how many documents are
    known to come, and are therefore to be remembered besides the usual number. ``has_fast_lists``: lists of objects are
    completed by column where that can be.
    """
    executor = column_executor(Layouts()) if has_fast_lists else None
    return take_shortcuts(build_stock_schema(rules=rules, documents=CACHED_DOCUMENTS + trusted, executor=executor))


def build_stock_schema(
    query: type = Query,
    mutation: type = Mutation,
    subscription: type = Subscription,
    rules: GuardRules | None = None,
    documents: int = CACHED_DOCUMENTS,
    executor: type[Executor[Any]] | None = None,
) -> strawberry.Schema:
    """The schema as strawberry resolves it: what the shortcuts must agree with. ``executor``: strawberry's own if None,
    which is what a ``column_executor`` must agree with; such a one is for the schema with shortcuts.
    """
    guard_rules = rules or GuardRules()
    return DeliverySchema(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=[*USER_ERRORS, MultipartUploadTarget, PostUploadTarget, PutUploadTarget, Upload],
        config=StrawberryConfig(scalar_map=SCALARS),
        execution_context_class=executor,
        extensions=[
            ErrorPolicy,
            lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
            lambda: DocumentCache(maxsize=documents),
            lambda: GuardedValidation(guard_rules, maxsize=documents),
            LastingSubscriptions,
        ],
    )
