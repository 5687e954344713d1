"""``schema.graphql`` is the export, and it explains itself."""

from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    build_schema,
    specified_scalar_types,
)

from tests.world import SCHEMA

COMMITTED = Path(__file__).parent.parent.parent / "schema.graphql"


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
    schema = build_schema(COMMITTED.read_text())
    own = [
        type_
        for name, type_ in schema.type_map.items()
        if not name.startswith("__") and name not in specified_scalar_types
    ]
    assert len(own) > 50
    assert [name for type_ in own for name in undescribed(type_)] == []


def test_a_root_field_can_fail_alone() -> None:
    """``nodes`` is a list of nullable items, as clients of the Relay convention expect it."""
    schema = build_schema(COMMITTED.read_text())
    for root in (schema.query_type, schema.mutation_type):
        assert root is not None
        required = {name for name, field in root.fields.items() if str(field.type).endswith("!")}
        assert required <= {"nodes"}
