"""What one document may ask for: measured in time that grows with its length, and refused alike on every transport."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest
import strawberry
from graphql import (
    GraphQLList,
    GraphQLNonNull,
    get_introspection_query,
    get_named_type,
    is_input_type,
    is_leaf_type,
    parse,
)

from graphql_api.model.ids import UserId
from graphql_api.model.principal import ANONYMOUS, Principal
from graphql_api.schema import Context, GuardRules, Introspection, build_stock_schema
from graphql_api.schema.costs import AS_MANY_AS_ASKED, BUCKETS, LIST_SIZES, META_SIZES, OF_PAGES, WEIGHTS, WORK
from graphql_api.schema.guard import MAX_PAGE, Guard, Limits, Measure, faults_of
from graphql_api.schema.guarding import MAX_ERRORS, _validate

CORE = build_stock_schema()._schema
if TYPE_CHECKING:
    from graphql_api.services import Services

ALICE = Principal(UserId("user_1"))
ADMIN = Principal(UserId("user_2"), is_admin=True)


async def ask(
    document: str, variables: dict[str, Any] | None = None, *, as_: Principal = ALICE, rules: GuardRules | None = None
) -> strawberry.types.ExecutionResult:
    """What becomes of it without any service, which what is refused does not need."""
    context = Context(cast("Services", None), as_, client_address=None, request_id="req-1")
    result = await build_stock_schema(rules=rules).execute(document, variables or {}, context_value=context)
    assert isinstance(result, strawberry.types.ExecutionResult)
    return result


def codes(result: strawberry.types.ExecutionResult) -> list[object]:
    return [(error.extensions or {}).get("code") for error in result.errors or ()]


def measured(document: str, variables: dict[str, Any] | None = None, name: str | None = None) -> Measure:
    return Guard(CORE, parse(document), variables or {}).measure(name)[0]


def chain(levels: int) -> str:
    """Each fragment spreads the next one twice: 2 to the power of ``levels`` fields at its end."""
    links = [f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(levels)]
    return " ".join(["{ ...f0 }", *links, f"fragment f{levels} on Query {{ viewer {{ id }} }}"])


def test_a_chain_of_sixty_fragments_costs_no_more_than_twice_one_of_thirty() -> None:
    steps = {}
    for levels in (30, 60):
        guard = Guard(CORE, parse(chain(levels)), {})
        found, root_fields = guard.measure(None)
        assert found.fields == 2 ** (levels + 1)
        assert root_fields == 1
        steps[levels] = guard.steps
    assert steps[60] <= 2 * steps[30]


def test_a_circle_of_fragments_comes_to_an_end() -> None:
    assert measured("{ ...a } fragment a on Query { viewer { id } ...b } fragment b on Query { ...a }").fields == 2
    assert measured("{ ...a } fragment a on Query { ...a }").fields == 0


NESTED = {
    "fields": ("{ folder { ...f0 } }", "fragment f%d on Folder { %s }", "parent { "),
    "inline fragments": ("{ ...f0 }", "fragment f%d on Query { %s }", "... { "),
}


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("pieces", [2, 6])
async def test_fragments_do_not_nest_deeper_than_can_be_followed(kind: str, pieces: int) -> None:
    """Each is one that the parser takes, and all together are few enough tokens."""
    start, fragment, step = NESTED[kind]
    parts = [fragment % (n, step * 100 + f"...f{n + 1}" + " }" * 100) for n in range(pieces)]
    document = " ".join([start, *parts, fragment % (pieces, "__typename __schema { queryType { name } }")])
    for principal in (ALICE, ANONYMOUS):
        assert codes(await ask(document, as_=principal)) == ["DEPTH_LIMITED"]


def test_directives_count_wherever_they_stand() -> None:
    document = (
        "query ($a: Int @x) @x @x { viewer @x { id } ... @x { ...f } } fragment f on Query @x { viewer { id @x } }"
    )
    assert measured(document).directives == 7


def test_what_does_not_exist_counts_what_it_says() -> None:
    assert measured("{ ...nothing nothing { more { x } } ... on Nothing { y } }") == Measure(3, 0, 0, 4, 2)
    assert measured("query A { viewer { id } }", name="B") == Measure()


@pytest.mark.parametrize(
    ("document", "variables", "cost"),
    [
        ("{ viewer { id } }", {}, 1),
        ("{ files(first: 100) { nodes { signedUrl { url } } } }", {}, 1 + 100 * (1 + 1 + 1)),
        ("query ($n: Int) { files(first: $n) { nodes { id } } }", {"n": 30}, 1 + 30 * 2),
        ("query ($n: Int) { files(first: $n) { nodes { id } } }", {}, 1 + 20 * 2),
        ("query ($n: Int) { files(first: $n) { nodes { id } } }", {"n": None}, 1 + 20 * 2),
        ("query ($n: Int) { files(first: $n) { nodes { id } } }", {"n": 30.0}, 1 + MAX_PAGE * 2),  # an Int all the same
        ("query ($n: Int = 30) { files(first: $n) { nodes { id } } }", {}, 1 + 30 * 2),
        ("query ($n: Int = 30) { files(first: $n) { nodes { id } } }", {"n": 3}, 1 + 3 * 2),
        ("query ($n: Int = 30) { ...f } fragment f on Query { files(first: $n) { nodes { id } } }", {}, 1 + 30 * 2),
        ("{ files { nodes { id } } }", {}, 1 + 20 * 2),
        ("{ files(last: 7) { nodes { id } } }", {}, 1 + 7 * 2),
        ("{ files(first: 99999999999) { nodes { id } } }", {}, 1 + MAX_PAGE * 2),
        ("{ files(first: -5) { nodes { id } } }", {}, 1),
        ('{ nodes(ids: ["a", "b", "c"]) { id } }', {}, 1 + 3),
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": list("abcd")}, 1 + 4),
        ('query ($ids: [ID!]! = ["a", "b", "c"]) { nodes(ids: $ids) { id } }', {}, 1 + 3),
        ("{ uploads(first: 3) { nodes { parts { partNumber } } } }", {}, 1 + 3 * (1 + 1 + 20 + 200)),
        ("{ files(first: 2) { totalCount totalCountIsExact } }", {}, 1 + 2 * 1 + 200 + 200),
        ("{ files(first: 100) { ...f } } fragment f on FileConnection { totalCount }", {}, 1 + 100 * 1 + 200),
        ("{ viewer { usage { downloads } } }", {}, 1 + 20 + 31),
        ('{ viewer { usage(since: "2026-01-01") { downloads } } }', {}, 1 + 20 + 366),
        ("{ viewer { usage(since: null) { downloads } } }", {}, 1 + 20 + 31),
        ('{ viewer { usage(since: "2026-01-01", interval: MONTH) { downloads } } }', {}, 1 + 20 + 13),
        (
            "query ($a: Date, $b: TrafficInterval) { viewer { usage(since: $a, interval: $b) { downloads } } }",
            {"a": "2026-01-01", "b": "DAY"},
            1 + 20 + 366,
        ),
        ("{ viewer { topFiles(first: 50) { downloads } } }", {}, 1 + 100 + 50),
    ],
)
def test_cost_is_pages_times_what_lies_in_them(document: str, variables: dict[str, Any], cost: int) -> None:
    assert measured(document, variables).cost == cost


def test_pages_within_pages_are_multiplied() -> None:
    one = measured("{ files(first: 50) { nodes { id } } }").cost
    both = measured("{ files(first: 50) { nodes { versions(first: 50) { nodes { id } } } } }").cost
    assert both > 50 * one / 2


def test_every_weight_is_of_a_field_that_there_is() -> None:
    mutations = [f"Mutation.{name}" for name in WORK]
    for name in (*WEIGHTS, *OF_PAGES, *LIST_SIZES, *AS_MANY_AS_ASKED, *BUCKETS, *META_SIZES, *mutations):
        kind, _, field = name.partition(".")
        assert field in CORE.type_map[kind].fields  # type: ignore[attr-defined]  # of an object type


SMALL = {
    "AccessPreviewLine.sample",  # ten
    "CreateSignedCookiesPayload.cookies",  # three for each path
    "MultipartUploadTarget.firstParts",  # ten
    "PutUploadTarget.headers",
    "Query.signingKeys",
    "SignedStoreRequest.headers",
    "UploadPartTarget.headers",
}


def test_of_every_list_that_is_no_page_it_is_known_how_long_it_may_be() -> None:
    unpaged = set()
    for name, kind in CORE.type_map.items():
        for field_name, field in getattr(kind, "fields", {}).items():
            type_ = getattr(field, "type", None)
            type_ = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
            if is_input_type(type_) or not isinstance(type_, GraphQLList) or is_leaf_type(get_named_type(type_)):
                continue
            is_page = {"first", "ids"} & set(field.args) or (
                name.endswith("Connection") and field_name in ("nodes", "edges")
            )
            if not is_page and field_name != "userErrors":
                unpaged.add(f"{name}.{field_name}")
    counted = {"__Schema.types", *LIST_SIZES, *AS_MANY_AS_ASKED, *BUCKETS, *META_SIZES}
    assert unpaged == SMALL | counted


def test_every_limit_has_a_code_and_says_its_number() -> None:
    limits = Limits(depth=1, aliases=1, directives=1, root_fields=1, fields=1, cost=1)
    assert faults_of(Measure(1, 1, 1, 1, 1), 1, limits) == []
    faults = faults_of(Measure(2, 2, 2, 2, 10**30), 2, limits)
    assert [code for code, _ in faults] == [
        "DEPTH_LIMITED",
        "ALIASES_LIMITED",
        "DIRECTIVES_LIMITED",
        "ROOT_FIELDS_LIMITED",
        "FIELDS_LIMITED",
        "COST_LIMITED",
    ]
    assert faults[0][1] == "The operation has 2 levels; 1 are possible."
    assert "more than a billion" in faults[-1][1]


LONGEST = get_introspection_query(
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
    experimental_directive_deprecation=True,
    one_of=True,
)
"""What GraphiQL, code generators and graphql-js itself ask for is this or less."""


@pytest.mark.parametrize("asked", [LONGEST, get_introspection_query(), get_introspection_query(type_depth=5)])
def test_what_tools_ask_for_fits(asked: str) -> None:
    guard = Guard(CORE, parse(asked), {})
    found, root_fields = guard.measure(None)
    assert faults_of(found, root_fields, Limits()) == []
    assert found.cost < Limits().cost / 2
    assert guard.introspects(None)


INNER = " ".join(f"b{n}: fields {{ name type {{ name kind ofType {{ name kind }} }} }}" for n in range(7))
TWISTED = f"fields {{ type {{ {INNER} }} }}"  # from all types, thrice, it would take seconds
DEEP = "fields { type { ofType { " * 3 + "fields { name }" + " } } }" * 3
BACK = "possibleTypes { interfaces { " * 4 + "name" + " } }" * 4
LARGE = {
    "aliases": f"{{ __schema {{ types {{ a: {TWISTED} b: {TWISTED} c: {TWISTED} }} }} }}",
    "from one type": f'{{ __type(name: "Query") {{ fields {{ type {{ fields {{ type {{ {TWISTED} }} }} }} }} }} }}',
    "fragments": f"""{{ __schema {{ types {{ ...f }} }} }} fragment f on __Type {{ ...g ...h }}
        fragment g on __Type {{ x: {TWISTED} }} fragment h on __Type {{ y: {TWISTED} }}""",
    "deep": f"{{ __schema {{ types {{ {DEEP} }} }} }}",
    "backwards": f"{{ __schema {{ types {{ {BACK} name }} }} }}",
}


@pytest.mark.parametrize("what", LARGE)
async def test_lists_of_the_schema_are_multiplied_like_others(what: str) -> None:
    assert codes(await ask(LARGE[what])) == ["COST_LIMITED"]


async def test_all_that_a_type_may_tell_is_told_of_those_that_wrap_another() -> None:
    result = await ask("{ __schema { types { fields { type { kind name isOneOf ofType { isOneOf } } } } } }")
    assert result.errors is None


def test_the_schema_costs_what_is_asked_of_it() -> None:
    assert measured("{ __schema { queryType { name } } }").cost == 1 + 1
    all_types = len(CORE.type_map)
    assert measured("{ __schema { types { name } } }").cost == 1 + -(-(1 + 2 * all_types) // 100)
    one = measured("{ __schema { types { fields { name } } } }").cost
    assert (
        measured("{ a: __schema { types { fields { name } } } b: __schema { types { fields { name } } } }").cost
        == 2 * one
    )


async def test_what_is_too_large_is_refused_before_it_is_validated() -> None:
    result = await ask(chain(60))
    assert codes(result) == ["FIELDS_LIMITED", "COST_LIMITED"]
    assert result.data is None
    aliases = " ".join(f"a{n}: __typename b{n}: nothing" for n in range(Limits().aliases + 1))
    assert codes(await ask(f"{{ {aliases} }}")) == ["ALIASES_LIMITED", "ROOT_FIELDS_LIMITED"]
    deep = "{ folder " + "{ parent " * 20 + "{ id }" + " }" * 20 + " }"
    assert codes(await ask(deep)) == ["DEPTH_LIMITED"]
    wide = (
        "{ folder { files(first: 100) { nodes { versions(first: 100) { nodes { file { name folder { id } } } } } } } }"
    )
    assert codes(await ask(wide)) == ["COST_LIMITED"]


DELETE = "mutation ($ids: [ID!]!) { deleteFiles(input: {fileIds: $ids}) { results { userErrors { code } } } }"
DELETED = 10 + 12  # points of one: to do it, and the result with a list of errors


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        (DELETE, {"ids": ["x"] * 90}),
        (DELETE.replace("$ids: [ID!]!", "$ids: [ID!]! = [" + '"x" ' * 90 + "]"), {}),
        (DELETE.replace("fileIds: $ids", "fileIds: [" + '"x" ' * 90 + "]"), {}),
        (
            "mutation ($in: DeleteFilesInput!) { ...d } fragment d on Mutation { "
            "deleteFiles(input: $in) { results { userErrors { code } } } }",
            {"in": {"fileIds": ["x"] * 90}},
        ),
    ],
    ids=["variable", "default", "document", "input object and fragment"],
)
def test_a_mutation_of_many_things_costs_as_many(document: str, variables: dict[str, Any]) -> None:
    assert measured(document, variables).cost == 20 + 1 + 90 * DELETED


@pytest.mark.parametrize("selected", ["__typename", "userErrors { code }"])
def test_a_mutation_costs_what_is_done_whatever_is_selected(selected: str) -> None:
    below = measured(f"mutation {{ renameFolder {{ {selected} }} }}").cost - 20
    for name, list_name, each in (
        ("createUploads", "uploads", 10),
        ("deleteFiles", "fileIds", 10),
        ("moveFiles", "fileIds", 20),
        ("signUploadParts", "parts", 1),
    ):
        document = f"mutation ($in: Input!) {{ {name}(input: $in) {{ {selected} }} }}"
        assert measured(document, {"in": {list_name: ["x"] * 100}}).cost == 20 + 100 * each + below
        twice = f"mutation ($in: Input!, $b: Input!) {{ a: {name}(input: $in) {{ {selected} }} "
        twice += f"b: {name}(input: $b) {{ {selected} }} }}"
        variables = {"in": {list_name: ["x"] * 100}, "b": {list_name: ["x"]}}
        assert measured(twice, variables).cost == 2 * 20 + 101 * each + 2 * below  # each what it is given itself
    for name in ("deleteFolder", "moveFolder"):
        assert measured(f'mutation {{ {name}(input: {{folderId: "x"}}) {{ {selected} }} }}').cost == 1_000 + below
    assert measured(f'mutation {{ createAccessRule(input: {{folderId: "x"}}) {{ {selected} }} }}').cost == 200 + below


def test_all_entries_of_bundles_count() -> None:
    document = "mutation ($in: CreateUploadsInput!) { createUploads(input: $in) { userErrors { code } } }"
    bundle = {"bundle": {"entries": [{"path": "x"}] * 500}}
    assert measured(document, {"in": {"uploads": [bundle]}}).cost == 20 + 501 * 10 + 11
    assert measured(document, {"in": {"uploads": [bundle] * 3}}).cost == 20 + (3 + 3 * 500) * 10 + 11


def test_a_long_list_is_looked_at_once_however_often_it_is_given() -> None:
    fields = " ".join(f"a{n}: deleteFiles(input: $in) {{ results {{ deletedFileId }} }}" for n in range(50))
    guard = Guard(CORE, parse(f"mutation ($in: DeleteFilesInput!) {{ {fields} }}"), {"in": {"fileIds": ["x"] * 10_000}})
    guard.measure(None)
    assert guard.steps < 11_000


async def test_what_it_costs_depends_on_the_variables_and_is_not_remembered() -> None:
    document = """query ($n: Int) { folder { files(first: $n) { nodes { versions(first: $n) { nodes {
        file { name folder { id } } } } } } } }"""
    assert codes(await ask(document, {"n": 100})) == ["COST_LIMITED"]
    assert "COST_LIMITED" not in codes(await ask(document, {"n": 1}))
    assert codes(await ask(document, {"n": 100})) == ["COST_LIMITED"]


@pytest.mark.parametrize("introspection", Introspection)
@pytest.mark.parametrize("principal", [ANONYMOUS, ALICE, ADMIN], ids=["anonymous", "signed in", "administrator"])
@pytest.mark.parametrize(
    "document",
    [
        "{ __schema { queryType { name } } }",
        '{ __type(name: "File") { name } }',
        "{ a: __schema { queryType { name } } }",
        "{ ... { ...f } } fragment f on Query { __schema { queryType { name } } }",
    ],
)
async def test_the_schema_is_shown_to_whom_the_setting_says(
    document: str, introspection: Introspection, principal: Principal
) -> None:
    allowed = {
        Introspection.EVERYBODY: [ANONYMOUS, ALICE, ADMIN],
        Introspection.SIGNED_IN: [ALICE, ADMIN],
        Introspection.ADMINISTRATORS: [ADMIN],
        Introspection.NOBODY: [],
    }[introspection]
    result = await ask(document, as_=principal, rules=GuardRules(introspection=introspection))
    assert codes(result) == ([] if principal in allowed else ["INTROSPECTION_DISABLED"])
    assert (result.data is not None) is (principal in allowed)


async def test_the_name_of_a_type_is_everybodys() -> None:
    result = await ask("{ __typename }", as_=ANONYMOUS, rules=GuardRules(introspection=Introspection.NOBODY))
    assert result.data == {"__typename": "Query"}


LEAKS = {
    "a field": ("{ viewr { id } }", {}),
    "an argument": ("{ files(frst: 1) { nodes { id } } }", {}),
    "a type": ("{ ... on Fil { id } }", {}),
    "a type of a variable": ("query ($a: Fil) { viewer { id } }", {}),
    "a word of an enum": ("{ files(orderBy: {field: NAM, direction: ASC}) { nodes { id } } }", {}),
    "a word of an enum in a variable": (
        "query ($order: FileOrder) { files(orderBy: $order) { nodes { id } } }",
        {"order": {"field": "NAM", "direction": "ASC"}},
    ),
    "a field of an input": ("{ files(filter: {folderIdd: 1}) { nodes { id } } }", {}),
    "a field of an input in a variable": (
        "query ($filter: FileFilter) { files(filter: $filter) { nodes { id } } }",
        {"filter": {"folderIdd": "1"}},
    ),
}


@pytest.mark.parametrize("leak", LEAKS)
async def test_names_are_suggested_to_those_who_may_ask_for_them_only(leak: str) -> None:
    document, variables = LEAKS[leak]
    for principal, is_told in ((ALICE, True), (ANONYMOUS, False), (ALICE, True)):
        result = await ask(document, variables, as_=principal)
        assert result.errors
        assert any("Did you mean" in error.message for error in result.errors) is is_told
        assert all(error.message.strip() for error in result.errors)


async def test_few_errors_are_reported() -> None:
    many = " ".join(f"nothing{n}" for n in range(20))
    result = await ask(f"{{ viewer {{ {many} }} }}")
    assert len(result.errors or ()) == MAX_ERRORS


def in_fragments(many: int, what: str) -> str:
    """As many fragments that select the same of the viewer."""
    fragments = " ".join(f"fragment f{n} on Viewer {{ {what} }}" for n in range(many))
    return f"{{ viewer {{ {' '.join(f'...f{n}' for n in range(many))} }} }} {fragments}"


SAME = {
    "leaves": f"{{ viewer {{ {'id ' * 900} }} }}",
    "objects": f"{{ viewer {{ {'user { id } ' * 450} }} }}",
    "objects in objects": f"{{ viewer {{ {'user { quota { user { id } } } ' * 180} }} }}",
    "leaves in fragments": in_fragments(100, "id " * 8),
    "fragments": in_fragments(200, "id"),
}


@pytest.mark.parametrize("what", SAME)
async def test_fields_of_one_name_are_compared_so_often_and_no_more(what: str) -> None:
    guard = Guard(CORE, parse(SAME[what]), {})
    assert faults_of(*guard.measure(None), Limits()) == []
    assert codes(await ask(SAME[what])) == ["COMPARISONS_LIMITED"]


async def test_parts_of_a_page_may_ask_for_the_same() -> None:
    fields = "id displayName isAdmin permissions " * 2
    result = await ask(in_fragments(50, fields).replace("viewer", "viewer @skip(if: true)", 1))
    assert (result.errors, result.data) == (None, {})


async def test_names_that_are_not_there_are_looked_for_no_oftener_than_is_told() -> None:
    looked_for = [0]

    class Counting(dict[str, Any]):
        def __iter__(self) -> Iterator[str]:
            looked_for[0] += 1
            return super().__iter__()

    schema = build_stock_schema()._schema
    schema.type_map = cast("Any", Counting(schema.type_map))
    unknown = " ".join(f"... on Nothing{n} {{ id }}" for n in range(90))
    assert len(_validate(schema, parse(f'{{ node(id: "x") {{ {unknown} }} }}'), None)) == MAX_ERRORS + 1
    assert looked_for[0] <= MAX_ERRORS + 1


async def test_what_it_costs_is_told_to_whoever_asks() -> None:
    context = Context(cast("Services", None), ALICE, client_address=None, request_id="req-1")
    for asked, told in (
        ({"cost": True}, {"cost": {"requested": 0, "maximum": Limits().cost}}),
        ({"cost": 1}, {}),
        (None, {}),
    ):
        result = await build_stock_schema().execute("{ __typename }", context_value=context, operation_extensions=asked)
        assert isinstance(result, strawberry.types.ExecutionResult)
        assert (result.extensions or {}) == told
