"""Made-up lists of real things are what graphql-core makes of them."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from graphql import GraphQLObjectType, GraphQLSchema
from hypothesis import HealthCheck, Phase, given, settings

from graphql_api.model.principal import Principal
from graphql_api.schema.shortcuts import PAGE_RESOLVERS, attribute_of
from tests.fuzz.documents import valid_documents
from tests.fuzz.stock import Stock
from tests.schema.both_ways import BothWays
from tests.schema.pages_of_files import peopled
from tests.schema.test_sdl import committed
from tests.schema.test_walk import settle
from tests.services.conftest import sqlite_world
from tests.world import World

__all__ = ["sqlite_world"]

BOTH: Final = BothWays(waits_for_many=True)
LISTS: Final = {"files", "accessRules"}
LOADED: Final = {"path", "owner"}
FREELY = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    max_examples=30,
)


def schema_of_lists() -> GraphQLSchema:
    """Nothing but lists at the root, and most of what things have is only read."""
    schema, ours = committed(), BOTH.fast._schema
    for type_ in schema.type_map.values():
        own = ours.type_map[type_.name]
        if not isinstance(type_, GraphQLObjectType) or not isinstance(own, GraphQLObjectType):
            continue
        kept = {name for name, field in own.fields.items() if attribute_of(field) is not None}
        kept |= {name for owner, name in PAGE_RESOLVERS if owner == type_.name} | LOADED
        if type_ is schema.query_type:
            kept = LISTS
        elif type_.name.endswith("Connection"):
            kept = set(type_.fields)
        type_.fields = {name: field for name, field in type_.fields.items() if name in kept} or type_.fields
    schema.mutation_type = schema.query_type
    return schema


@dataclass
class Peopled:
    world: World
    people: Sequence[Principal]
    stock: Stock


@pytest.fixture
async def peopled_world(sqlite_world: World) -> AsyncIterator[Peopled]:
    """One for all examples. Whatever they were, many lists have been completed by column."""
    world = World(sqlite_world.database, revokes=True)
    owner, bob, _, _, admin, _ = await peopled(world)
    stock = Stock()
    stock.learn(json.dumps(await settle(world, owner, admin, "some", reader=bob)))
    BOTH.watched.counted()
    yield Peopled(world, [owner, bob], stock)
    assert BOTH.watched.counted()[0] > 100


@FREELY
@given(valid_documents(schema_of_lists()))
async def test_made_up_lists_are_answered_alike(peopled_world: Peopled, text: str) -> None:
    document = peopled_world.stock.filled_in(text.replace("mutation", "query", 1))
    for as_ in peopled_world.people:
        await BOTH.answer(peopled_world.world, document, as_=as_)
