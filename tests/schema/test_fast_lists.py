"""Lists by column are what graphql-core makes of them, byte for byte, whoever asks for whatever."""

import asyncio
import gc
import json
from collections.abc import Mapping
from itertools import product
from typing import Any, Final

import pytest
import strawberry
from graphql import build_schema as read_schema
from graphql import get_named_type, is_leaf_type

from graphql_api.model.principal import Principal
from graphql_api.schema import Context, build_stock_schema
from graphql_api.schema.layouts import Layouts
from graphql_api.schema.shortcuts import take_shortcuts
from graphql_api.signing.cloudfront import CloudFrontSigner
from graphql_api.signing.keyring import Keyring
from tests.schema.both_ways import ENDLESS, BothWays, Watched, answer_of
from tests.schema.pages_of_files import MIXED, PLACES, PLAIN, SWITCHES, peopled
from tests.schema.test_walk import settle
from tests.schema.walk import Asker, ways
from tests.services.stories import filed
from tests.world import CDN, KEY, World

WISHES: Final = [
    ("192.0.2.7", "INLINE"),
    ("198.51.100.0/24", "ATTACHMENT"),
    ("2001:db8::1", "INLINE"),
    ("nonsense", "INLINE"),
]


@pytest.fixture(scope="module")
def both() -> BothWays:
    return BothWays()


@pytest.mark.parametrize(
    ("place", "revokes"), [(place, False) for place in PLACES] + [("a CDN", True), ("a key elsewhere", True)]
)
async def test_whoever_asks_for_whatever_is_answered_alike(
    sqlite_world: World, both: BothWays, place: str, revokes: bool
) -> None:
    world = World(sqlite_world.database, revokes=revokes)
    people = await peopled(world)
    PLACES[place](world)
    ids = [file["id"] for file in (await world.data("{ files { nodes { id } } }", as_=people[0]))["files"]["nodes"]]
    both.watched.counted()
    for as_ in people if place == "a CDN" else people[:3]:
        for document in (PLAIN | MIXED).values():
            await both.answer(world, document, {"ids": ids} if "$ids" in document else None, as_=as_)
        for ip, how in WISHES:
            given = {"ip": ip, "seconds": 2**31 - 1, "how": how, "name": 'naïve "x".txt'}
            await both.answer(world, PLAIN["wishes"], given, as_=as_)
    by_column, given_back = both.watched.counted()
    assert by_column > 50
    assert given_back > 10  # wishes that some of the files' terms forbid, and links that have to be awaited


@pytest.mark.parametrize("document", PLAIN)
async def test_these_are_completed_by_column(sqlite_world: World, both: BothWays, document: str) -> None:
    owner, *_ = await peopled(sqlite_world)
    both.watched.counted()
    await both.answer(sqlite_world, PLAIN[document], as_=owner)
    by_column, given_back = both.watched.counted()
    assert by_column >= 2  # the second time and the third
    assert given_back == 0


async def test_what_is_selected_can_depend_on_variables(sqlite_world: World, both: BothWays) -> None:
    owner, *_ = await peopled(sqlite_world)
    both.watched.counted()
    answers = set()
    absent: Mapping[str, Any] = {}
    for _ in range(2):
        for a, b, c in product(
            [{"a": True}, {"a": False}],
            [absent, {"b": True}, {"b": False}, {"b": None}],
            [absent, {"c": True}],
        ):
            data, errors = await both.answer(sqlite_world, SWITCHES, {**a, **b, **c}, as_=owner)
            assert bool(errors) == (b == {"b": None})  # which nobody can decide by
            answers.add(data)
    assert len(answers) == 2 * 2 * 2 + 1
    assert both.watched.counted()[0] > 20


async def test_every_way_through_the_schema_leads_to_the_same(sqlite_world: World, both: BothWays) -> None:
    world = World(sqlite_world.database, revokes=True)
    admin, owner, reader = [
        await world.principal(name, is_admin=name == "admin") for name in ("admin", "owner", "reader")
    ]
    things = await settle(world, owner, admin, "some", reader=reader)
    core = read_schema(both.fast.as_str())
    both.watched.counted()
    for way in ways(core):
        if not is_leaf_type(get_named_type(way.field.type)):  # those are in the selections of the others
            document, variables = Asker(core, things, {"tag": "none"}).document(way, depth=1)
            await both.answer(world, document, variables, as_=owner)
    assert both.watched.counted()[0] > 20


async def test_people_who_ask_at_once_get_what_is_theirs(sqlite_world: World, both: BothWays) -> None:
    people = await peopled(sqlite_world)

    async def ask(schema: strawberry.Schema, as_: Principal, seconds: int) -> Any:
        context = Context(sqlite_world.services, as_, client_address="192.0.2.1", request_id="req-1")
        return await answer_of(schema, PLAIN["wishes"], context, {"seconds": seconds})

    asked = [(as_, seconds) for as_ in people for seconds in (60, 4_000, 70_000)]
    alone = [await ask(both.stock, *each) for each in asked]
    assert len({json.dumps(each) for each in alone}) > len(people)
    both.watched.counted()
    assert await asyncio.gather(*[ask(both.fast, *each) for each in asked * 3]) == alone * 3
    assert both.watched.counted()[0] > len(asked)


class Counting(CloudFrontSigner):
    count = 0

    def sign(self, *what: Any, **how: Any) -> Any:
        self.count += 1
        return super().sign(*what, **how)


async def test_no_link_is_signed_twice_when_a_list_is_given_back(sqlite_world: World, both: BothWays) -> None:
    owner = await sqlite_world.principal("owner")
    for number in range(5):
        await filed(sqlite_world, owner, f"{number}.txt")
    document = '{ files { nodes { good: signedUrl { url } bad: signedUrl(ipAddress: "nonsense") { url } } } }'
    signer = Counting(CDN, Keyring([KEY]))
    sqlite_world.in_use.use(signer, until=None)
    context = Context(sqlite_world.services, owner, client_address=None, request_id="req-1")
    await answer_of(both.fast, document, context)
    sqlite_world.clock.advance(days=2)  # nothing that is remembered counts any longer
    both.watched.counted()
    signer.count = 0
    _, errors = await answer_of(both.fast, document, context)
    assert both.watched.counted() == (0, 1)
    assert len(errors) == 5
    assert signer.count == 5 + 5 + 1  # once for each, and what cannot be signed each time that it is tried


def fast_schema(watched: Watched, documents: int) -> strawberry.Schema:
    return take_shortcuts(build_stock_schema(rules=ENDLESS, documents=documents, executor=watched.executor))


async def test_no_more_is_remembered_than_so_much(sqlite_world: World) -> None:
    owner, *_ = await peopled(sqlite_world)
    watched = Watched(Layouts(max_size=60))
    schema, context = fast_schema(watched, 512), Context(sqlite_world.services, owner, None, "req-1")
    for number in range(100):
        document = f"query a{number} {{ files {{ nodes {{ id name signedUrl {{ url }} }} edges {{ cursor }} }} }}"
        for _ in range(1 + number % 3):
            await answer_of(schema, document, context)
            assert watched.layouts.size <= 60
    assert watched.by_column > 0
    assert watched.layouts.size > 40
    flags = ", ".join(f"$f{number}: Boolean! = true" for number in range(8))
    parts = " ".join(f"a{number}: name @include(if: $f{number})" for number in range(8))
    for number in range(200):
        chosen = {f"f{bit}": bool(number >> bit & 1) for bit in range(8)}
        for _ in range(2):
            await answer_of(schema, f"query ({flags}) {{ files {{ nodes {{ {parts} id }} }} }}", context, chosen)
            assert watched.layouts.size <= 60


async def test_what_belongs_to_a_document_goes_with_it(sqlite_world: World) -> None:
    owner, *_ = await peopled(sqlite_world)
    watched = Watched()
    schema, context = fast_schema(watched, 3), Context(sqlite_world.services, owner, None, "req-1")
    for number in range(20):
        for _ in range(2):
            await answer_of(schema, f"query b{number} {{ files {{ nodes {{ id name }} }} }}", context)
    assert watched.by_column == 20
    gc.collect()
    assert watched.layouts.size == 3 * 3  # a list of two columns, for each document that is remembered
