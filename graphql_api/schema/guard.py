"""What one document may ask for, measured before anything else looks at it, in time that grows with its length only.

A fragment is measured once, however often it is spread: what it amounts to is multiplied, not walked again. Limiters
that follow each spread take exponential time, and so would be what they are to prevent.

Source for what is limited: OWASP GraphQL Cheat Sheet, "DoS Prevention".
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from graphql import (
    ConstValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
)
from graphql.type import GraphQLInterfaceType, GraphQLList, GraphQLNonNull, GraphQLObjectType

SMALL_LIST: Final = 10
"""What a list is taken to have that is not paged: labels of a file, obligations, errors."""
DEFAULT_PAGE: Final = 20
MAX_PAGE: Final = 100
MAX_NESTING: Final = 200
"""Fields, fragments and inline fragments within each other. Each takes two of Python's 1,000 frames, of which the
server and what validates afterwards need some; many fragments together go deeper than any that the parser takes.
"""

WEIGHTS: Final[Mapping[str, int]] = {
    "Upload.parts": 20,  # a request to the store
    # Each looks at many users and files.
    "Query.previewAccessRules": 500,
    "Query.explainAccess": 20,
    "File.access": 20,
    "Folder.access": 20,
    "FileConnection.totalCount": 20,
}
"""Of fields that cost more than a row: everything else that is an object costs one, and what lies in it nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one operation with all that it spreads. ``cost``: rows, roughly, times the weights."""

    depth: int = 15
    aliases: int = 60
    directives: int = 50
    root_fields: int = 50
    fields: int = 1_000
    cost: int = 20_000


class Measure(NamedTuple):
    """Of what is selected, with all fragments spread."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    fields: int = 0
    cost: int = 0

    def beside(self, other: "Measure") -> "Measure":
        """Both in one selection."""
        return Measure(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.directives + other.directives,
            self.fields + other.fields,
            self.cost + other.cost,
        )


NOTHING: Final = Measure()
_INTROSPECTION: Final = ("__schema", "__type")


class Guard:
    """Measures one operation of a document. ``steps``: how many nodes were looked at."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments: dict[str, FragmentDefinitionNode] = {}
        self._operations: list[OperationDefinitionNode] = []
        for definition in document.definitions:
            if isinstance(definition, FragmentDefinitionNode):
                self._fragments[definition.name.value] = definition
            elif isinstance(definition, OperationDefinitionNode):
                self._operations.append(definition)
        self._measured: dict[str, Measure] = {}
        self._defaults: dict[str, ConstValueNode] = {}
        self._asked = SMALL_LIST
        self._is_too_deep = False
        self.steps = 0

    def measure(self, operation_name: str | None) -> tuple[Measure, int]:
        """Of the operation that is to be executed, and how many fields it has at its root. What does not exist counts
        nothing: validation will tell.
        """
        operation = self._operation(operation_name)
        if operation is None:
            return NOTHING, 0
        root = self._schema.get_root_type(operation.operation)
        variables = operation.variable_definitions or ()
        self._defaults = {each.variable.name.value: each.default_value for each in variables if each.default_value}
        root_fields = list(self._fields_of(operation.selection_set, set(), 0))
        self._asked = self._longest_list(root_fields)
        measured = self._selection(operation.selection_set, root, (), 0)
        directives = len(operation.directives or ()) + sum(len(each.directives or ()) for each in variables)
        measured = measured._replace(directives=measured.directives + directives)
        if self._is_too_deep:  # what lies deeper has not been looked at
            measured = measured._replace(depth=max(measured.depth, MAX_NESTING))
        return measured, len(root_fields)

    def introspects(self, operation_name: str | None) -> bool:
        """Whether the operation asks for the schema; ``__typename`` is everybody's."""
        operation = self._operation(operation_name)
        if operation is None:
            return False
        fields = self._fields_of(operation.selection_set, set(), 0)
        return any(each.name.value in _INTROSPECTION for each in fields)

    def _operation(self, name: str | None) -> OperationDefinitionNode | None:
        if name is None:
            return self._operations[0] if self._operations else None
        return next((each for each in self._operations if each.name and each.name.value == name), None)

    def _fields_of(self, selection: SelectionSetNode, seen: set[str], nesting: int) -> Iterator[FieldNode]:
        """Directly selected, each fragment once; not those that are nested so deep that the operation is refused."""
        if nesting >= MAX_NESTING:
            self._is_too_deep = True
            return
        for node in selection.selections:
            self.steps += 1
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                yield from self._fields_of(node.selection_set, seen, nesting + 1)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                fragment = self._fragments.get(node.name.value)
                if fragment is not None:
                    yield from self._fields_of(fragment.selection_set, seen, nesting + 1)

    def _selection(
        self, selection: SelectionSetNode, parent: GraphQLNamedType | None, within: tuple[str, ...], nesting: int
    ) -> Measure:
        found = NOTHING
        if nesting >= MAX_NESTING:
            self._is_too_deep = True
            return found
        for node in selection.selections:
            self.steps += 1
            if isinstance(node, FieldNode):
                part = self._field(node, parent, within, nesting)
            elif isinstance(node, InlineFragmentNode):
                kind = node.type_condition
                inner = parent if kind is None else self._schema.get_type(kind.name.value)
                part = self._selection(node.selection_set, inner, within, nesting + 1)
            else:
                part = self._spread(node, within, nesting)  # type: ignore[arg-type]  # there is no fourth kind
            found = found.beside(part._replace(directives=part.directives + len(node.directives or ())))
        return found

    def _spread(self, node: FragmentSpreadNode, within: tuple[str, ...], nesting: int) -> Measure:
        name = node.name.value
        known = self._measured.get(name)
        if known is not None:
            return known
        fragment = self._fragments.get(name)
        if fragment is None or name in within:  # unknown, or a circle
            return NOTHING
        kind = self._schema.get_type(fragment.type_condition.name.value)
        measured = self._selection(fragment.selection_set, kind, (*within, name), nesting + 1)
        measured = measured._replace(directives=measured.directives + len(fragment.directives or ()))
        self._measured[name] = measured
        return measured

    def _field(
        self, node: FieldNode, parent: GraphQLNamedType | None, within: tuple[str, ...], nesting: int
    ) -> Measure:
        field = self._definition(node.name.value, parent)
        own = Measure(depth=1, aliases=1 if node.alias else 0, fields=1)
        if node.name.value == "__typename":
            own = own._replace(aliases=0)
        if node.selection_set is None:
            weight = WEIGHTS.get(f"{parent.name}.{node.name.value}", 0) if parent is not None else 0
            return own._replace(cost=weight)
        kind = None if field is None else get_named_type(field.type)
        inner = self._selection(node.selection_set, kind, within, nesting + 1)
        weight = WEIGHTS.get(f"{parent.name}.{node.name.value}", 1) if parent is not None else 1
        times = self._times(node, field)
        return Measure(
            inner.depth + 1,
            inner.aliases + own.aliases,
            inner.directives,
            inner.fields + 1,
            weight + times * (inner.cost + (1 if times > 1 else 0)),
        )

    def _definition(self, name: str, parent: GraphQLNamedType | None) -> GraphQLField | None:
        found: GraphQLField | None = None
        if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            found = parent.fields.get(name)
        return found

    def _times(self, node: FieldNode, field: GraphQLField | None) -> int:
        """How often what it selects may be there."""
        if field is None:
            return 1
        arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
        if "first" in field.args or "last" in field.args:
            asked = [self._number(arguments[name]) for name in ("first", "last") if name in arguments]
            wanted = [number for number in asked if number is not None]
            return max(0, min(max(wanted, default=DEFAULT_PAGE), MAX_PAGE))
        inner = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
        is_page = not arguments and node.name.value in ("nodes", "edges")  # whose connection has counted them already
        if not isinstance(inner, GraphQLList) or is_page:
            return 1
        if node.name.value == "results":  # of a mutation that was asked for many things at once
            return min(self._asked, MAX_PAGE)  # of more none is done
        amounts = [self._amount(value) for value in arguments.values()]
        return max([amount for amount in amounts if amount is not None], default=SMALL_LIST)

    def _longest_list(self, root_fields: Sequence[FieldNode]) -> int:
        """In what was sent and in what stands in the document, at any depth. Each is looked at once."""
        unseen: list[object] = [*self._variables.values(), *self._defaults.values()]
        unseen += [argument.value for node in root_fields for argument in node.arguments or ()]
        longest = SMALL_LIST
        while unseen:
            self.steps += 1
            match unseen.pop():
                case ListValueNode(values=inner) | (list() as inner):
                    longest = max(longest, len(inner))
                    unseen += inner
                case ObjectValueNode(fields=fields):
                    unseen += [field.value for field in fields]
                case dict() as inner:
                    unseen += inner.values()
        return longest

    def _number(self, value: ValueNode) -> int | None:
        """None where null or no number stands. What might be one (``100.0`` is an ``Int``) is the largest."""
        sent = self._sent(value)
        if isinstance(sent, IntValueNode):
            return int(sent.value) if len(sent.value) < 10 else MAX_PAGE
        if sent is None or isinstance(sent, ValueNode):
            return None
        return sent if isinstance(sent, int) else MAX_PAGE

    def _amount(self, value: ValueNode) -> int | None:
        sent = self._sent(value)
        if isinstance(sent, ListValueNode):
            return len(sent.values)
        return len(sent) if isinstance(sent, Collection) and not isinstance(sent, str | Mapping) else None

    def _sent(self, value: ValueNode) -> object:
        """What stands there, or for a variable what was sent for it, or else its default."""
        if not isinstance(value, VariableNode):
            return value
        name = value.name.value
        return self._variables[name] if name in self._variables else self._defaults.get(name)


def faults_of(measure: Measure, root_fields: int, limits: Limits) -> list[tuple[str, str]]:
    """A code and a sentence for each limit that is passed."""
    passed = [
        ("DEPTH_LIMITED", "levels", measure.depth, limits.depth),
        ("ALIASES_LIMITED", "aliases", measure.aliases, limits.aliases),
        ("DIRECTIVES_LIMITED", "directives", measure.directives, limits.directives),
        ("ROOT_FIELDS_LIMITED", "fields at its root", root_fields, limits.root_fields),
        ("FIELDS_LIMITED", "fields", measure.fields, limits.fields),
        ("COST_LIMITED", "points of cost", measure.cost, limits.cost),
    ]
    return [
        (code, f"The operation has {_told(found)} {what}; {limit} are possible.")
        for code, what, found, limit in passed
        if found > limit
    ]


def _told(number: int) -> str:
    """A chain of fragments amounts to numbers of many digits."""
    return str(number) if number < 10**9 else "more than a billion"
