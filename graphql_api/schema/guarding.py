"""The guard on every transport: what is measured too large, or asks for a schema that is not shown, is not executed."""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OverlappingFieldsCanBeMergedRule,
    SelectionSetNode,
    ValidationContext,
    specified_rules,
    validate,
)
from graphql import ExecutionResult as CoreExecutionResult
from graphql.validation.validate import ValidationAbortedError
from strawberry.extensions import ValidationCache
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types import ExecutionResult

from graphql_api.errors import RateLimited
from graphql_api.model.principal import Principal
from graphql_api.schema.guard import Guard, Limits, Measure, faults_of

MAX_ERRORS: Final = 5  # reported for one operation; a scanner learns no more from the next

MAX_COMPARISONS: Final = 50_000
"""Of fields that have one name in the answer, each with each other. Fifty fragments with the same ten fields in one
place come to 39,000; some of what the other limits let through would come to half a million.
"""

_SUGGESTION: Final = re.compile(r" Did you mean [^?]*\?")


class Introspection(StrEnum):
    """Who may ask for the schema, and is told what they may have meant."""

    EVERYBODY = "everybody"
    SIGNED_IN = "signed-in"
    ADMINISTRATORS = "administrators"
    NOBODY = "nobody"

    def may(self, principal: Principal) -> bool:
        """Whether the principal may."""
        match self:
            case Introspection.EVERYBODY:
                return True
            case Introspection.SIGNED_IN:
                return principal.user_id is not None
            case Introspection.ADMINISTRATORS:
                return principal.is_admin
            case Introspection.NOBODY:
                return False


@dataclass(frozen=True, slots=True)
class GuardRules:
    """What holds for all operations of a process."""

    limits: Limits = field(default_factory=Limits)
    introspection: Introspection = Introspection.SIGNED_IN


class FewComparisons(OverlappingFieldsCanBeMergedRule):
    """Whether fields can be merged, unless that takes too long to say: it is the one rule whose time grows with the
    square of the document.
    """

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = MAX_COMPARISONS

    def enter_selection_set(self, selection_set: SelectionSetNode, *where: Any) -> None:
        try:
            super().enter_selection_set(selection_set, *where)
        except ValidationAbortedError:
            message = f"More than {MAX_COMPARISONS} comparisons of fields with the same name."
            raise ValidationAbortedError(message, extensions={"code": "COMPARISONS_LIMITED"}) from None


RULES: Final = (
    *(FewComparisons if rule is OverlappingFieldsCanBeMergedRule else rule for rule in specified_rules),
    MaybeNullValidationRule,
    OneOfInputValidationRule,
)
"""Of validation: those of the specification and of strawberry."""


def _validate(schema: GraphQLSchema, document: DocumentNode, _rules: object) -> list[GraphQLError]:
    """What is wrong, no more of it than is told: for each name that is not there, all names are looked through."""
    return validate(schema, document, RULES, max_errors=MAX_ERRORS)


@cache
def _remembered(maxsize: int) -> Callable[..., list[GraphQLError]]:
    return lru_cache(maxsize)(_validate)


class GuardedValidation(ValidationCache):
    """Validates what the guard lets through, and for which the viewer has points left. Only what depends on nothing but
    the document is remembered.
    """

    def __init__(self, rules: GuardRules, *, maxsize: int) -> None:
        super().__init__(maxsize)
        self.cached_validate_document = _remembered(maxsize)
        self._rules = rules
        self._measure: Measure | None = None

    async def on_validate(self) -> AsyncIterator[None]:  # type: ignore[override]  # strawberry takes either kind
        context = self.execution_context
        refusals = self._refusals()
        try:
            await context.context.meter.charge(0 if refusals or self._measure is None else self._measure.cost)
        except RateLimited as limited:
            refusals = [GraphQLError(limited.message, original_error=limited)]
        context.pre_execution_errors = refusals or self.cached_validate_document(
            context.schema._schema, context.graphql_document, context.validation_rules
        )
        yield

    def on_operation(self) -> Iterator[None]:
        yield
        self._shorten(self.execution_context.result)

    def on_stream_result(self, result: object) -> Iterator[None]:
        """What goes over a WebSocket or as an event is not the operation's result, or not yet."""
        self._shorten(result)
        yield

    def get_results(self) -> dict[str, Any]:
        """What it costs, to whoever asks with `"extensions": {"cost": true}`."""
        asked = self.execution_context.operation_extensions or {}
        if asked.get("cost") is not True or self._measure is None:
            return {}
        return {"cost": {"requested": self._measure.cost, "maximum": self._rules.limits.cost}}

    def _refusals(self) -> list[GraphQLError]:
        context = self.execution_context
        assert context.graphql_document is not None, "it has been parsed"
        guard = Guard(context.schema._schema, context.graphql_document, context.variables or {})
        if guard.introspects(context.operation_name) and not self._may_introspect:
            extensions = {"code": "INTROSPECTION_DISABLED"}
            return [GraphQLError("The schema is not shown to you.", extensions=extensions)]
        self._measure, root_fields = guard.measure(context.operation_name)
        faults = faults_of(self._measure, root_fields, self._rules.limits)
        return [GraphQLError(message, extensions={"code": code}) for code, message in faults]

    @property
    def _may_introspect(self) -> bool:
        return self._rules.introspection.may(self.execution_context.context.principal)

    def _shorten(self, result: object) -> None:
        if isinstance(result, ExecutionResult | CoreExecutionResult) and result.errors:
            errors: Sequence[GraphQLError] = result.errors[:MAX_ERRORS]
            result.errors = list(errors) if self._may_introspect else [_without_suggestion(error) for error in errors]


def _without_suggestion(error: GraphQLError) -> GraphQLError:
    """Names of the schema are for those who may ask for it. Errors are remembered with their document, hence a copy."""
    if "Did you mean" not in error.message or (
        error.original_error and not isinstance(error.original_error, GraphQLError)
    ):
        return error
    return GraphQLError(
        _SUGGESTION.sub("", error.message),
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        original_error=error.original_error,
        extensions=error.extensions,
    )
