"""How the objects of a list are completed when it is plain: a column at a time instead of a field at a time.

The executor of graphql-core asks each object for each field through some ten functions. Where a field does no more than
read an attribute, or is asked for a whole page at once, the values of all objects can be read, checked and written as
one column; then the columns are put side by side. What is seldom or strange is not handled here at all: ``Surprise``
is raised, and whoever asked has the same list completed by the stock executor, which knows how.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain, islice, repeat
from operator import attrgetter
from types import GeneratorType, NoneType
from typing import Any, Final, Protocol

from graphql import (
    FieldNode,
    GraphQLBoolean,
    GraphQLField,
    GraphQLID,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    Undefined,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.schema.schema_converter import CustomGraphQLEnumType

from graphql_api.schema.context import Context
from graphql_api.schema.scalars import instant_text, instant_texts
from graphql_api.schema.shortcuts import PAGE_RESOLVERS, attribute_of

Values = Sequence[Any]
"""One for each object of a list, in its order; attributes can be anything."""


class Surprise(Exception):
    """The stock executor is to complete this list."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a column may know of the operation. ``arguments``: of a field, coerced as graphql-core does."""

    context: Context
    arguments: Callable[[GraphQLField, FieldNode], Mapping[str, Any]]


class Column(Protocol):
    """Completes values of one type, or of one field of these objects. Holds nothing of any operation."""

    def __call__(self, values: Values, asked: Asked, /) -> Values:
        """Raises: Surprise, and whatever attributes and scalars raise."""


class Selection(Protocol):
    """What the executor makes of a selection set, with the values that its variables have."""

    def subfields(self, type_: GraphQLObjectType, below: FieldDetailsList) -> GroupedFieldSet:
        """Its fields by their names in the answer. Raises: Surprise."""


def column_of(type_: GraphQLOutputType, details: FieldDetailsList, selection: Selection) -> Column:
    """Completes values of ``type_``, with what is selected of it in ``details``. Raises: Surprise: it is not plain."""
    if isinstance(type_, GraphQLNonNull):
        return _never_null(type_.of_type, details, selection)
    return _nullable(_never_null(type_, details, selection))


def _never_null(type_: GraphQLOutputType, details: FieldDetailsList, selection: Selection) -> Column:
    if is_leaf_type(type_):
        return _leaves(type_)
    if isinstance(type_, GraphQLList):
        return _lists(column_of(type_.of_type, details, selection))
    if isinstance(type_, GraphQLObjectType):
        return _objects(type_, details, selection)
    raise Surprise  # whose type is known only when it is there


def _nullable(column: Column) -> Column:
    def complete(values: Values, asked: Asked) -> Values:
        there = [value for value in values if value is not None]
        if len(there) == len(values):
            return column(values, asked)
        completed = iter(column(there, asked) if there else ())
        return [None if value is None else next(completed) for value in values]

    return complete


_VALUES: Final = frozenset({str, int, float, bool, datetime, date, dict, list, tuple})
"""Exactly these can be neither awaited nor raised, nor are they null."""

_UNCHANGED: Final[Mapping[Callable[[Any], object], type]] = {
    GraphQLString.coerce_output_value: str,
    GraphQLID.coerce_output_value: str,
    GraphQLBoolean.coerce_output_value: bool,
    str: str,
    int: int,
}
"""What scalars write their values with, and exactly which values it leaves as they are."""


_TOGETHER: Final[Mapping[Callable[[Any], object], tuple[type, Callable[[Values], Values]]]] = {
    instant_text: (datetime, instant_texts),
}
"""What writes the same for many at once, if they are exactly these."""


def _leaves(leaf: GraphQLLeafType) -> Column:
    write = leaf.coerce_output_value
    unchanged = {_UNCHANGED.get(write)}
    of_many, write_many = _TOGETHER.get(write, (None, None))
    known = {leaf.wrapped_cls} if isinstance(leaf, CustomGraphQLEnumType) else _VALUES

    def complete(values: Values, _asked: Asked) -> Values:
        kinds = set(map(type, values))
        if kinds <= unchanged:
            return values
        if write_many is not None and kinds == {of_many}:
            return write_many(values)
        if not kinds <= known:
            raise Surprise
        written = [write(value) for value in values]
        if any(value is None or value is Undefined for value in written):
            raise Surprise
        return written

    return complete


def _lists(items: Column) -> Column:
    def complete(values: Values, asked: Asked) -> Values:
        if not set(map(type, values)) <= {list, tuple}:
            raise Surprise
        completed = iter(items(list(chain.from_iterable(values)), asked))
        return [list(islice(completed, len(value))) for value in values]

    return complete


def _objects(type_: GraphQLObjectType, details: FieldDetailsList, selection: Selection) -> Column:
    subfields = selection.subfields(type_, details)
    names = tuple(subfields)
    columns = [_field(type_, its_details, selection) for its_details in subfields.values()]
    is_type_of = type_.is_type_of

    def complete(values: Values, asked: Asked) -> Values:
        if any(map(_is_strange, set(map(type, values)))):
            raise Surprise
        # None of ours asks where it is, which a column could not say. One that did would fail here.
        if is_type_of is not None and not all(is_type_of(value, None) is True for value in values):  # type: ignore[arg-type]
            raise Surprise
        if not columns:
            return [{} for _ in values]
        rows = zip(*[column(values, asked) for column in columns], strict=True)
        return list(map(dict, map(zip, repeat(names), rows)))  # in a third less time than a comprehension

    return complete


def _is_strange(kind: type) -> bool:
    """Whether an object is null, to be raised or to be awaited."""
    return issubclass(kind, Exception | NoneType | GeneratorType | type(Undefined)) or hasattr(kind, "__await__")


def _field(type_: GraphQLObjectType, details: FieldDetailsList, selection: Selection) -> Column:
    """From the objects that have it to the field's values, completed."""
    node = details[0].node
    name = node.name.value
    if name == "__typename":
        return lambda objects, _asked: [type_.name] * len(objects)
    field = type_.fields.get(name)
    if field is None:  # of the schema itself
        raise Surprise
    attribute, of_page = attribute_of(field), PAGE_RESOLVERS.get((type_.name, name))
    if attribute is not None:
        return _attributes(attribute, column_of(field.type, details, selection))
    if of_page is not None:
        return _page(of_page, field, node, column_of(field.type, details, selection))
    raise Surprise


def _attributes(name: str, column: Column) -> Column:
    read = attrgetter(name)
    return lambda objects, asked: column(list(map(read, objects)), asked)


def _page(resolve: Callable[..., Values | None], field: GraphQLField, node: FieldNode, column: Column) -> Column:
    def complete(objects: Values, asked: Asked) -> Values:
        values = resolve(objects, asked.context, **asked.arguments(field, node))
        if not isinstance(values, Sequence):
            raise Surprise
        return column(values, asked)

    return complete
