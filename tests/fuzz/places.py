"""Documents that go to each field of the schema in turn, and ask for all that lies one level below."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
)
from graphql.type import SchemaMetaFieldDef

MANY: Final = 12  # items of each list that is given
MAX_LEVELS: Final = 5  # of what is given

Place = tuple[str, int]
"""What opens selections from the root to somewhere, and how many it opens."""


def documents_to_each_field(schema: GraphQLSchema) -> Iterator[tuple[str, str]]:
    """By coordinate, of those fields that have fields."""
    places = _places(schema)
    for type_name, (opened, levels) in places.items():
        for name, field in _fields(schema, type_name).items():
            if not is_leaf_type(get_named_type(field.type)):
                text = f"{opened} {_called(name, field)} {_all_of(schema, field)} {'}' * levels}"
                yield f"{type_name}.{name}", text


def _places(schema: GraphQLSchema) -> Mapping[str, Place]:
    """The shortest way to each type of objects."""
    roots = {"query": schema.query_type, "mutation": schema.mutation_type}
    found: dict[str, Place] = {root.name: (f"{word} {{", 1) for word, root in roots.items() if root is not None}
    unseen = deque(found)
    while unseen:
        type_name = unseen.popleft()
        opened, levels = found[type_name]
        for name, field in _fields(schema, type_name).items():
            named = get_named_type(field.type)
            for kind in schema.get_possible_types(named) if is_abstract_type(named) else [named]:
                if isinstance(kind, GraphQLObjectType) and kind.name not in found:
                    here = f"{opened} {_called(name, field)} {{ ... on {kind.name} {{"
                    found[kind.name] = (here, levels + 2)
                    unseen.append(kind.name)
    return found


def _fields(schema: GraphQLSchema, type_name: str) -> Mapping[str, GraphQLField]:
    type_ = schema.type_map[type_name]
    assert isinstance(type_, GraphQLObjectType)
    return {**type_.fields, "__schema": SchemaMetaFieldDef} if type_ is schema.query_type else type_.fields


def _all_of(schema: GraphQLSchema, field: GraphQLField) -> str:
    named = get_named_type(field.type)
    if not isinstance(named, GraphQLObjectType):
        return "{ __typename }"
    below = [
        f"{_called(name, each)}{'' if is_leaf_type(get_named_type(each.type)) else ' { __typename }'}"
        for name, each in _fields(schema, named.name).items()
    ]
    return f"{{ {' '.join(below)} }}"


def _called(name: str, field: GraphQLField) -> str:
    given = [
        f"{argument}: {3 if argument == 'first' else _literal(each.type, MAX_LEVELS)}"
        for argument, each in field.args.items()
        if is_required_argument(each) or argument == "first"
    ]
    return f"{name}({', '.join(given)})" if given else name


def _literal(type_: Any, levels: int) -> str:
    """As much as the type takes, levels within each other."""
    if isinstance(type_, GraphQLNonNull):
        return _literal(type_.of_type, levels)
    if isinstance(type_, GraphQLList):
        return f"[{', '.join([_literal(type_.of_type, levels - 1)] * MANY)}]"
    if isinstance(type_, GraphQLEnumType):
        return str(next(iter(type_.values)))
    if isinstance(type_, GraphQLInputObjectType):
        is_needed = {name: isinstance(each.type, GraphQLNonNull) for name, each in type_.fields.items()}
        names = [name for name in is_needed if is_needed[name] or levels > 0]
        names = names[:1] if type_.is_one_of else names
        return f"{{{', '.join(f'{name}: {_literal(type_.fields[name].type, levels - 1)}' for name in names)}}}"
    literals = {"Int": "1", "Boolean": "true"}
    return literals.get(type_.name, '"x"')
