"""Operations that schemathesis makes up of the schema, and what it and we say of the answers."""

from collections.abc import Sequence
from typing import Any, Final

import httpx
import schemathesis
from graphql import (
    GraphQLInputObjectType,
    GraphQLNonNull,
    InputObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    Visitor,
    build_schema,
    parse,
    print_ast,
    visit,
)
from schemathesis import Case
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.graphql.checks import GraphQLClientError, GraphQLServerError
from schemathesis.schemas import APIOperation

from tests.fuzz.values import SCALARS, values

Operation = APIOperation[Any, Any, Any, Any]
TOLD: Final = {"BAD_USER_INPUT", "NOT_FOUND", "CONFLICT"}


class _OneOfAsScalar(Visitor):
    """An input of exactly one field becomes a scalar: schemathesis gives it any number of them, else."""

    def enter_input_object_type_definition(
        self, node: InputObjectTypeDefinitionNode, *_at: Any
    ) -> ScalarTypeDefinitionNode | None:
        is_one_of = any(directive.name.value == "oneOf" for directive in node.directives or ())
        return ScalarTypeDefinitionNode(name=node.name) if is_one_of else None


def operations(sdl: str) -> dict[str, Operation]:
    """One for each field of the query and the mutation types, by coordinate."""
    for name, scalar in SCALARS.items():
        schemathesis.graphql.scalar(name, scalar)
    for type_ in build_schema(sdl).type_map.values():
        if isinstance(type_, GraphQLInputObjectType) and type_.is_one_of:
            schemathesis.graphql.scalar(type_.name, values(GraphQLNonNull(type_)))
    schema = schemathesis.graphql.from_file(print_ast(visit(parse(sdl), _OneOfAsScalar())))
    found = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    return {operation.label: operation for operation in found}


def faults(case: Case[Any], answer: httpx.Response) -> Sequence[object]:
    """What is wrong with the answer. A refusal that the schema tells of is not."""
    try:
        case.validate_response(answer)
    except FailureGroup as group:
        refused = [each for each in group.exceptions if isinstance(each, GraphQLClientError | GraphQLServerError)]
        if len(refused) == len(group.exceptions) and all(map(_is_told, answer.json()["errors"])):
            return []
        return group.exceptions
    return []


def is_limited(error: dict[str, Any]) -> bool:
    """Whether the guard refused the operation."""
    return bool(error["extensions"]["code"].endswith("_LIMITED"))


def _is_told(error: dict[str, Any]) -> bool:
    """Whether the guard refused the operation, or one field a value that its type cannot exclude: a page of 1,000, an
    address that is none. Such an error says which field and which argument.
    """
    told = error["extensions"]
    if is_limited(error):
        return "path" not in error
    return bool(told["code"] in TOLD and error.get("path") and told["inputPath"])
