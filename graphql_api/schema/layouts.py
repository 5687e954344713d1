"""The executor of the schema: graphql-core's, but lists of objects that are plain are completed by column.

How the columns of a selection are laid out is found out once, when it comes for the second time, and remembered.
Everything else, and every list in which something is not as it mostly is, is left to graphql-core.
"""

from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, ClassVar, Final
from weakref import ref

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLObjectType,
    GraphQLResolveInfo,
    NonNullTypeNode,
    OperationDefinitionNode,
    get_argument_values,
    get_nullable_type,
)
from graphql.execution.collect_fields import FieldDetails, FieldDetailsList, GroupedFieldSet
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graphql_api.schema.columns import Asked, Column, Surprise, Values, column_of

MAX_SIZE: Final = 20_000
"""Of all that is remembered: a list in a document counts as one, and so does each of its columns. They take some 25 MB,
and are a thousand pages of everything that a file has.
"""

_Key = tuple[int, tuple[object, ...]]
"""Which operation; and which type, which nodes, and what is selected of them."""


class ColumnExecutor(StrawberryGraphQLCoreExecutionContext):
    """For one schema: see ``column_executor``."""

    layouts: ClassVar["Layouts"]

    def complete_list_value(
        self,
        return_type: GraphQLList[Any],
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> AwaitableOrValue[list[Any]]:
        if result and type(result) in (list, tuple) and position_context is None and not self._has_middleware:
            column = self.layouts.find(self, return_type, field_details_list)
            if column is not None:
                with suppress(Exception):  # whatever it is, graphql-core comes upon it again and tells of it
                    return self.complete_by_column(column, result)
        return super().complete_list_value(return_type, field_details_list, info, path, result, position_context)

    def complete_by_column(self, column: Column, values: Values) -> list[Any]:
        """Raises: whatever keeps the list from being completed so; nothing has happened then."""
        return list(column(values, Asked(self.context_value, self._arguments)))

    def _arguments(self, of: GraphQLField, node: FieldNode) -> Mapping[str, Any]:
        return get_argument_values(of, node, self.variable_values, None, self.hide_suggestions)

    @property
    def _has_middleware(self) -> bool:
        """Which wants to be around each field."""
        return self.middleware_manager is not None and bool(self.middleware_manager.middlewares)


def column_executor(layouts: "Layouts") -> type[ColumnExecutor]:
    """The executor with a memory of its own, as strawberry takes it: it makes one for each operation."""
    return type("ColumnExecutor", (ColumnExecutor,), {"layouts": layouts})


@dataclass(slots=True)
class _Sighting:
    """Of a list in a document. It holds ``details``, so that no other nodes have the identity of theirs."""

    details: FieldDetailsList
    column: Column | None = None
    times: int = 1
    size: int = 1


@dataclass(slots=True)
class _Operation:
    """``flags``: variables on which it can depend what is selected."""

    is_there: ref[OperationDefinitionNode]
    flags: tuple[str, ...]
    keys: set[_Key] = field(default_factory=set)


class Layouts:
    """What was found out of lists in documents. The least recently used are forgotten if there are too many, and all
    that belong to a document when nobody holds it any longer: here nobody does. For one schema and one thread.
    """

    def __init__(self, max_size: int = MAX_SIZE) -> None:
        self._max_size = max_size
        self._seen: OrderedDict[_Key, _Sighting] = OrderedDict()
        self._operations: dict[int, _Operation] = {}
        self.size = 0

    def find(self, executor: ColumnExecutor, type_: GraphQLList[Any], details: FieldDetailsList) -> Column | None:
        """What completes lists of ``type_`` that have something in them; None: that is up to graphql-core."""
        if not isinstance(get_nullable_type(type_.of_type), GraphQLObjectType):
            return None
        operation = self._operation(executor.operation)
        values = executor.variable_values.coerced
        nodes, flags = [id(detail.node) for detail in details], [values.get(name) for name in operation.flags]
        key = (id(executor.operation), (type_, *nodes, *flags))
        seen = self._seen.get(key)
        if seen is None:
            operation.keys.add(key)
            self._seen[key] = seen = _Sighting(details)
            self._grow(seen.size)
            return None
        self._seen.move_to_end(key)
        if seen.times == 1:
            seen.times += 1
            self._lay_out(seen, executor, type_)
        return seen.column

    def _lay_out(self, seen: _Sighting, executor: ColumnExecutor, type_: GraphQLList[Any]) -> None:
        selection = _Selection(executor)
        try:
            seen.column = column_of(type_.of_type, seen.details, selection)
        except (Surprise, GraphQLError):  # graphql-core finds the same error
            return
        seen.size += selection.fields
        self._grow(selection.fields)

    def _operation(self, node: OperationDefinitionNode) -> _Operation:
        known = self._operations.get(id(node))
        if known is None:
            flags = tuple(
                definition.variable.name.value
                for definition in node.variable_definitions or ()
                if _is_boolean(definition.type)
            )
            known = _Operation(ref(node, partial(self._forget, id(node))), flags)
            self._operations[id(node)] = known
        return known

    def _grow(self, size: int) -> None:
        self.size += size
        while self.size > self._max_size:
            key, seen = self._seen.popitem(last=False)
            self.size -= seen.size
            operation = self._operations[key[0]]
            operation.keys.discard(key)
            if not operation.keys:
                del self._operations[key[0]]

    def _forget(self, operation: int, _gone: object) -> None:
        for key in self._operations.pop(operation).keys:
            self.size -= self._seen.pop(key).size


def _is_boolean(type_: Any) -> bool:
    """What @skip and @include take, whether or not it may be null."""
    named = type_.type if isinstance(type_, NonNullTypeNode) else type_
    name = getattr(named, "name", None)
    return name is not None and name.value == "Boolean"


class _Selection:
    """As ``columns.Selection`` has it. ``fields``: how many there are."""

    def __init__(self, executor: ColumnExecutor) -> None:
        self._executor = executor
        self.fields = 0

    def subfields(self, type_: GraphQLObjectType, below: FieldDetailsList) -> GroupedFieldSet:
        """Raises: Surprise: some come later, or in another way. GraphQLError: it cannot be said which there are."""
        fields, deferred, _ = self._executor.collect_subfields(type_, below)
        if deferred or any(map(_is_unusual, chain(below, *fields.values()))):
            raise Surprise
        self.fields += len(fields)
        return fields


def _is_unusual(detail: FieldDetails) -> bool:
    """It is deferred, depends on a fragment's own variables, or has directives that are not about its being there."""
    if detail.defer_usage or detail.fragment_variable_values:
        return True
    return any(directive.name.value not in ("skip", "include") for directive in detail.node.directives or ())
