"""``schema.graphql`` is the export, and it explains itself."""

import re
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    specified_scalar_types,
)

from tests.world import SCHEMA

COMMITTED = Path(__file__).parent.parent.parent / "schema.graphql"
PAGING = ["first", "after", "last", "before"]


def committed() -> GraphQLSchema:
    return build_schema(COMMITTED.read_text())


def objects() -> list[GraphQLObjectType]:
    kinds = committed().type_map.values()
    return [kind for kind in kinds if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__")]


def test_the_committed_schema_is_the_export() -> None:
    """After a change: ``graphql-api schema > schema.graphql``."""
    assert COMMITTED.read_text() == SCHEMA.as_str() + "\n"


def undescribed(type_: GraphQLNamedType) -> list[str]:
    """What has no description in ``type_``, itself included."""
    found = [] if type_.description else [type_.name]
    match type_:
        case GraphQLEnumType():
            found += [f"{type_.name}.{name}" for name, value in type_.values.items() if not value.description]
        case GraphQLInputObjectType():
            found += [f"{type_.name}.{name}" for name, field in type_.fields.items() if not field.description]
        case GraphQLObjectType() | GraphQLInterfaceType():
            for name, field in type_.fields.items():
                found += [] if field.description else [f"{type_.name}.{name}"]
                found += [f"{type_.name}.{name}({arg})" for arg, value in field.args.items() if not value.description]
    return found


def test_everything_is_described() -> None:
    schema = committed()
    own = [
        type_
        for name, type_ in schema.type_map.items()
        if not name.startswith("__") and name not in specified_scalar_types
    ]
    assert len(own) > 50
    assert [name for type_ in own for name in undescribed(type_)] == []


def test_a_root_field_can_fail_alone() -> None:
    """``nodes`` is a list of nullable items, as clients of the Relay convention expect it."""
    schema = committed()
    for root in (schema.query_type, schema.mutation_type):
        assert root is not None
        required = {name for name, field in root.fields.items() if str(field.type).endswith("!")}
        assert required <= {"nodes"}


def test_what_may_be_left_out_has_no_default_of_null() -> None:
    """Absent is not null, and generators of code would take the one for the other."""
    assert "= null" not in SCHEMA.as_str()


def test_pages_are_asked_for_alike_everywhere() -> None:
    paged: dict[str, GraphQLField] = {
        f"{kind.name}.{name}": field
        for kind in objects()
        for name, field in kind.fields.items()
        if get_named_type(field.type).name.endswith("Connection")
    }
    assert len(paged) > 10
    for coordinate, field in paged.items():
        assert [name for name in field.args if name in PAGING] == PAGING, coordinate
        assert [field.args[name].description for name in PAGING] == [
            "Forward page size, 1-100; 20 if neither is given.",
            "Start after this cursor.",
            "Backward page size, 1-100.",
            "End before this cursor.",
        ], coordinate


def test_what_has_an_id_can_be_fetched_by_it() -> None:
    for kind in objects():
        is_node = any(interface.name == "Node" for interface in kind.interfaces)
        assert is_node is ("id" in kind.fields), kind.name
        if kind.name.endswith("Edge") and kind.name != "BundleEntryEdge":  # entries have a path in their bundle
            assert "id" in get_named_type(kind.fields["node"].type).fields, kind.name


def test_nobody_can_have_us_fetch_an_address() -> None:
    """No input takes one: addresses are what we give out. ``ipAddress`` and the like are compared with, not called."""
    kinds = committed().type_map.values()
    inputs = [name for kind in kinds if isinstance(kind, GraphQLInputObjectType) for name in kind.fields]
    arguments = [name for kind in objects() for field in kind.fields.values() for name in field.args]
    assert len(inputs) > 100
    assert [name for name in inputs + arguments if re.search("url|uri|href|host|endpoint|webhook", name.lower())] == []
