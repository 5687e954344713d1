"""Whatever a document says, the guard measures it in time that grows with its length, and what it lets through does no
more than what it counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLResolveInfo,
    InlineFragmentNode,
    MiddlewareManager,
    OperationDefinitionNode,
    SelectionSetNode,
    execute_sync,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    parse,
    validate,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from graphql_api.model.labels import MAX_METADATA
from graphql_api.model.page import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from graphql_api.model.preview import MAX_SAMPLE
from graphql_api.model.traffic import DEFAULT_DAYS, MAX_DAYS
from graphql_api.schema.guard import Guard, Limits, Measure, faults_of
from graphql_api.services import previews
from graphql_api.services.upload_targets import FIRST_PARTS
from tests.fuzz.documents import JSON, documents, valid_documents
from tests.fuzz.places import documents_to_each_field
from tests.schema.test_sdl import committed

SCHEMA: Final = committed()
FREELY = settings(
    deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck), max_examples=40
)


def selections(node: DocumentNode) -> int:
    """How many nodes there are in all selections."""

    def count(selection: SelectionSetNode | None) -> int:
        if selection is None:
            return 0
        return sum(1 + count(getattr(each, "selection_set", None)) for each in selection.selections)

    return sum(count(getattr(definition, "selection_set", None)) for definition in node.definitions)


@FREELY
@given(documents(SCHEMA), st.none() | st.text(max_size=3), st.dictionaries(st.sampled_from("abc"), JSON))
def test_every_document_is_measured_in_steps_that_its_length_bounds(
    text: str, name: str | None, variables: dict[str, Any]
) -> None:
    document = parse(text)
    guard = Guard(SCHEMA, document, variables)
    guard.introspects(name)
    guard.measure(name)
    assert guard.steps <= 3 * selections(document)  # once whole, and twice what is at the root


def spelt_out(document: DocumentNode) -> Measure:
    """The same naively: every spread is followed. Without what it costs."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    [operation] = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]

    def walk(selection: SelectionSetNode) -> Measure:
        depth = aliases = directives = fields = 0
        for node in selection.selections:
            directives += len(node.directives or ())
            inner = Measure()
            if isinstance(node, FieldNode):
                fields += 1
                aliases += node.alias is not None and node.name.value != "__typename"
                inner = walk(node.selection_set) if node.selection_set else inner
                depth = max(depth, 1 + inner.depth)
            elif isinstance(node, InlineFragmentNode):
                inner = walk(node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                fragment = fragments[node.name.value]
                inner = walk(fragment.selection_set)
                directives += len(fragment.directives or ())
            depth = max(depth, inner.depth)
            aliases, directives, fields = aliases + inner.aliases, directives + inner.directives, fields + inner.fields
        return Measure(depth, aliases, directives, fields)

    found = walk(operation.selection_set)
    return found._replace(directives=found.directives + len(operation.directives or ()))


@FREELY
@given(documents(SCHEMA) | valid_documents(SCHEMA))
def test_what_is_measured_once_is_what_all_spreads_come_to(text: str) -> None:
    document = parse(text)
    try:
        expected = spelt_out(document)
    except RecursionError:  # a circle
        assume(False)
    assert Guard(SCHEMA, document, {}).measure(None)[0]._replace(cost=0) == expected


MANY: Final[Mapping[str, int]] = {
    "AccessPreview.lines": previews.MAX_USERS,
    "AccessPreviewLine.sample": MAX_SAMPLE,
    "File.metadata": MAX_METADATA,
    "MultipartUploadTarget.firstParts": FIRST_PARTS,
    "Upload.parts": 200,  # more only for those who have sent so many
}
"""As many as the services give. Nothing here is taken from what the guard goes by."""
FEW: Final = 8  # headers, errors, keys, rules above a file
PER_ITEM: Final = ("results", "accessRules", "parts")
FIELDS_IN_A_POINT: Final = (
    200  # of the schema; a hundred, but the query and the mutation type have twice as many as others
)


def lists_in(value: object) -> Iterator[Sequence[object]]:
    """At any depth."""
    if isinstance(value, list):
        yield value
    inner: Iterable[object] = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    for each in inner:
        yield from lists_in(each)


class World:
    """Every list in it is as long as it may get. ``things``: how many objects came out of it, and how many were given
    to a mutation to do something about. ``told``: how many fields of the schema.
    """

    def __init__(self) -> None:
        self.things = 0
        self.told = 0

    def count(self, resolve: Any, source: Any, info: GraphQLResolveInfo[None], **given: Any) -> Any:
        """Around each field."""
        self.told += info.parent_type.name.startswith("__")
        if info.field_name == "isOneOf":  # strawberry puts a resolver of its own there, which knows no other schemas
            return None
        return resolve(source, info, **given)

    def resolve(self, source: Mapping[str, Any] | None, info: GraphQLResolveInfo[None], **given: Any) -> Any:
        type_ = info.return_type.of_type if isinstance(info.return_type, GraphQLNonNull) else info.return_type
        named = get_named_type(type_)
        if is_leaf_type(named):
            return [] if isinstance(type_, GraphQLList) else leaf(named)
        lists = [len(each) for each in lists_in(given)]
        if info.parent_type is SCHEMA.mutation_type:
            self.things += sum(lists)
        possible = SCHEMA.get_possible_types(named)[0] if is_abstract_type(named) else named
        sizes = [given[name] for name in ("first", "last") if given.get(name) is not None]
        page = max(0, min(max(sizes, default=DEFAULT_PAGE_SIZE), MAX_PAGE_SIZE))
        made = {"__typename": possible.name, "page": page, "asked": max(lists, default=0)}
        many = self._many(source or {}, info, given, page) if isinstance(type_, GraphQLList) else 1
        self.things += many
        return [made] * many if isinstance(type_, GraphQLList) else made

    def _many(
        self, source: Mapping[str, Any], info: GraphQLResolveInfo[None], given: Mapping[str, Any], page: int
    ) -> int:
        parent, name = info.parent_type.name, info.field_name
        if "first" in info.parent_type.fields[name].args:
            return page
        if parent.endswith("Connection"):
            return int(source["page"])
        if name == "usage":
            is_short = given.get("since") is None
            return 13 if given.get("interval") == "MONTH" else DEFAULT_DAYS if is_short else MAX_DAYS
        if parent.endswith("Payload") and name in PER_ITEM:
            return min(int(source["asked"]), 100)
        return max(
            (len(value) for value in given.values() if isinstance(value, list)),
            default=MANY.get(f"{parent}.{name}", FEW),
        )


def leaf(type_: Any) -> object:
    if isinstance(type_, GraphQLEnumType):
        return next(iter(type_.values))
    return {"Int": 1, "Boolean": True}.get(type_.name, "x")


@FREELY
@given(valid_documents(SCHEMA))
def test_what_is_executed_is_no_more_than_what_was_counted(text: str) -> None:
    document = parse(text)
    measured, root_fields = Guard(SCHEMA, document, {}).measure(None)
    assert validate(SCHEMA, document) == []
    assume(not faults_of(measured, root_fields, Limits()))
    assert executed(document) <= measured.cost


def executed(document: DocumentNode) -> float:
    """How many points that takes, at least."""
    world = World()
    around = MiddlewareManager(lambda *where, **given: world.count(*where, **given))  # it overlooks methods
    result = execute_sync(SCHEMA, document, field_resolver=world.resolve, middleware=around)
    assert not result.errors
    return world.things + world.told / FIELDS_IN_A_POINT


def test_wherever_a_document_goes_it_does_no_more_than_what_was_counted() -> None:
    places = {where: parse(text) for where, text in documents_to_each_field(SCHEMA)}
    assert {"Query.__schema", "__Type.fields", "Mutation.createUploads", "File.metadata", "Upload.parts"} <= set(places)
    costs = {where: Guard(SCHEMA, document, {}).measure(None)[0].cost for where, document in places.items()}
    done = {where: executed(document) for where, document in places.items()}
    assert {where: (done[where], costs[where]) for where in places if done[where] > costs[where]} == {}
