"""Made-up values of whatever type an argument has, as they stand in a document."""

from datetime import date, datetime
from functools import cache, partial
from typing import Any, Final

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    IntValueNode,
    ListValueNode,
    NameNode,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
)
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from graphql_api.schema.scalars import MAX_BYTE_SIZE

Values = SearchStrategy[ValueNode]
MAX_ITEMS: Final = 3
EARLIEST, LATEST = datetime(2020, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001 -- what is made of them names a time zone


def text(value: object) -> ValueNode:
    return StringValueNode(value=str(value))


def number(value: int) -> ValueNode:
    return IntValueNode(value=str(value))


SCALARS: Final[dict[str, Values]] = {
    "ByteSize": st.integers(0, MAX_BYTE_SIZE).map(number) | st.integers(0, 10_000_000).map(text),
    "Date": st.dates(date(2026, 1, 1), date(2027, 12, 31)).map(text) | st.dates().map(text),
    "DateTime": (st.datetimes(EARLIEST, LATEST) | st.datetimes()).map(lambda at: text(f"{at.isoformat()}Z")),
    "ID": st.integers(0, 2**16).map(lambda which: text(f"?{which}")) | st.text().map(text),
}
"""Of the schema's own scalars, and of ids: those with a number are ``Stock.filled_in``."""

_ALL: Final[dict[str, Values]] = {
    **SCALARS,
    "Boolean": st.booleans().map(lambda value: BooleanValueNode(value=value)),
    "Int": st.integers(-(2**31), 2**31 - 1).map(number) | st.integers(-1, 200).map(number),
    "String": st.text().map(text),
}


@cache
def values(type_: Any) -> Values:
    """What fits the type; null as well where that does."""
    if isinstance(type_, GraphQLNonNull):
        return _values(type_.of_type)
    return _values(type_) | st.just(NullValueNode())


def _values(type_: Any) -> Values:
    if isinstance(type_, GraphQLList):
        return st.lists(values(type_.of_type), max_size=MAX_ITEMS).map(lambda items: ListValueNode(values=tuple(items)))
    if isinstance(type_, GraphQLEnumType):
        return st.sampled_from([EnumValueNode(value=name) for name in type_.values])
    if isinstance(type_, GraphQLInputObjectType):
        return _objects(type_)
    return _ALL[type_.name]


def _objects(type_: GraphQLInputObjectType) -> Values:
    fields = type_.fields
    if type_.is_one_of:
        return st.one_of(*(_values(field.type).map(partial(_only, name)) for name, field in fields.items()))
    needed = {name: values(field.type) for name, field in fields.items() if isinstance(field.type, GraphQLNonNull)}
    others = {name: values(field.type) for name, field in fields.items() if name not in needed}
    return st.fixed_dictionaries(needed, optional=others).map(_object)


def _only(name: str, value: ValueNode) -> ValueNode:
    return _object({name: value})


def _object(fields: dict[str, ValueNode]) -> ValueNode:
    nodes = [ObjectFieldNode(name=NameNode(value=name), value=value) for name, value in fields.items()]
    return ObjectValueNode(fields=tuple(nodes))
