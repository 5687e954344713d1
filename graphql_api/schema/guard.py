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
    EnumValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
)
from graphql.type import (
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    SchemaMetaFieldDef,
    TypeMetaFieldDef,
)

from graphql_api.schema.costs import (
    AS_MANY_AS_ASKED,
    BUCKETS,
    DEFAULT_BUCKETS,
    LIST_SIZES,
    MAX_BUCKETS,
    META_SHARE,
    META_SIZES,
    MONTHS,
    OF_PAGES,
    SMALL_LIST,
    WEIGHTS,
    WORK,
    Work,
)

DEFAULT_PAGE: Final = 20
MAX_PAGE: Final = 100
MAX_NESTING: Final = 200
"""Fields, fragments and inline fragments within each other. Each takes two of Python's 1,000 frames, of which the
server and what validates afterwards need some; many fragments together go deeper than any that the parser takes.
"""


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
    """Of what is selected, with all fragments spread. ``once``: what a page costs besides, however long it is."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    fields: int = 0
    cost: int = 0
    once: int = 0

    def beside(self, other: "Measure") -> "Measure":
        """Both in one selection."""
        return Measure(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.directives + other.directives,
            self.fields + other.fields,
            self.cost + other.cost,
            self.once + other.once,
        )


class Lists(NamedTuple):
    """In some values, at any depth: items of the longest, and of all together."""

    longest: int = 0
    items: int = 0


NOTHING: Final = Measure()
_INTROSPECTION: Final[Mapping[str, GraphQLField]] = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}


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
        self._given: dict[int, Lists] = {}  # by id of a mutation's field
        self._sent_lists: dict[str, Lists] = {}  # by name of a variable
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
        if root is not None and root is self._schema.mutation_type:
            for node in root_fields:
                self._given[id(node)] = self._lists([argument.value for argument in node.arguments or ()])
            self._asked = max([SMALL_LIST, *(given.longest for given in self._given.values())])
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
        name = node.name.value
        of = "" if parent is None else parent.name
        coordinate = f"{of}.{name}"
        field = self._definition(name, parent)
        own = Measure(depth=1, aliases=1 if node.alias and name != "__typename" else 0, fields=1)
        if node.selection_set is None:
            if coordinate in OF_PAGES:
                return own._replace(once=OF_PAGES[coordinate])
            return own._replace(cost=WEIGHTS.get(coordinate, 1 if of.startswith("__") else 0))
        kind = None if field is None else get_named_type(field.type)
        inner = self._selection(node.selection_set, kind, within, nesting + 1)
        times = self._times(node, field, coordinate)
        below = times * (inner.cost + (1 if times > 1 else 0))
        below += inner.once
        if name in _INTROSPECTION:
            below = -(-below // META_SHARE)
        return Measure(
            inner.depth + 1,
            inner.aliases + own.aliases,
            inner.directives,
            inner.fields + 1,
            self._weight(node, field, coordinate) + below,
        )

    def _definition(self, name: str, parent: GraphQLNamedType | None) -> GraphQLField | None:
        if name in _INTROSPECTION:
            return _INTROSPECTION[name] if parent is self._schema.query_type else None
        found: GraphQLField | None = None
        if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            found = parent.fields.get(name)
        return found

    def _weight(self, node: FieldNode, field: GraphQLField | None, coordinate: str) -> int:
        """Of the field itself, whatever is selected below."""
        given = self._given.get(id(node))
        if given is None or field is None:
            return WEIGHTS.get(coordinate, 1)
        work = WORK.get(node.name.value, Work())
        return work.once + work.each * given.items

    def _times(self, node: FieldNode, field: GraphQLField | None, coordinate: str) -> int:
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
        return self._length(coordinate, arguments)

    def _length(self, coordinate: str, arguments: Mapping[str, ValueNode]) -> int:
        """Of a list that is no page."""
        if coordinate in AS_MANY_AS_ASKED:
            return min(self._asked, AS_MANY_AS_ASKED[coordinate])
        if coordinate in BUCKETS:
            return self._buckets(arguments)
        if coordinate == "__Schema.types":
            return len(self._schema.type_map)
        if coordinate.startswith("__"):
            return META_SIZES[coordinate]
        amounts = [self._amount(value) for value in arguments.values()]
        return max([amount for amount in amounts if amount is not None], default=LIST_SIZES.get(coordinate, SMALL_LIST))

    def _buckets(self, arguments: Mapping[str, ValueNode]) -> int:
        """Of days or months, from the day that is given or a few before the last one."""
        interval = self._sent(arguments["interval"]) if "interval" in arguments else None
        if (interval.value if isinstance(interval, EnumValueNode) else interval) == "MONTH":
            return MONTHS
        since = self._sent(arguments["since"]) if "since" in arguments else None
        return DEFAULT_BUCKETS if since is None or isinstance(since, NullValueNode) else MAX_BUCKETS

    def _lists(self, values: Sequence[object]) -> Lists:
        """In what was sent and in what stands in the document. What a variable has is looked at once."""
        unseen = [*values]
        longest = items = 0
        while unseen:
            self.steps += 1
            match unseen.pop():
                case ListValueNode(values=inner) | (list() as inner):
                    longest, items = max(longest, len(inner)), items + len(inner)
                    unseen += inner
                case ObjectValueNode(fields=fields):
                    unseen += [field.value for field in fields]
                case dict() as inner:
                    unseen += inner.values()
                case VariableNode() as variable:
                    name = variable.name.value
                    if name not in self._sent_lists:
                        self._sent_lists[name] = self._lists([self._sent(variable)])
                    sent = self._sent_lists[name]
                    longest, items = max(longest, sent.longest), items + sent.items
        return Lists(longest, items)

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
