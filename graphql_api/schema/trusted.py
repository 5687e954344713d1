"""Whether a document that somebody means to trust will be answered."""

from typing import Final

import strawberry
from graphql import GraphQLSyntaxError, OperationDefinitionNode, parse, validate

from graphql_api.schema.guard import Guard, Limits, faults_of
from graphql_api.schema.guarding import RULES

MAX_TOKENS: Final = 2_000  # of a document; one of 100 kB would take a second to validate and 28 MB to remember


def faults_of_document(schema: strawberry.Schema, text: str, limits: Limits) -> list[str]:
    """Why every request for ``text`` would be refused, in one line each: it cannot be parsed, does not fit the schema,
    or passes a limit with whatever variables.
    """
    core = schema._schema
    try:
        document = parse(text, max_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        return [error.message]
    faults = [" ".join(error.message.split()) for error in validate(core, document, RULES)]
    if faults:
        return faults
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            name = definition.name.value if definition.name else None
            measure, root_fields = Guard(core, document, {}).measure(name)
            faults += [message for _, message in faults_of(measure, root_fields, limits)]
    return faults
