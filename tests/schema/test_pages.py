"""What pages of the schema tell of how to go on, and what they cost."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from graphql_api.db.engine import Database
from graphql_api.model.page import Page
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ANYONE
from graphql_api.schema.connections import PageInfo
from tests.services.bundled import bundled
from tests.services.stories import filed, foldered, ruled
from tests.world import World


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that run meanwhile."""
    ran: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        ran.append(statement)

    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield ran
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("nodes", [(), ("a", "b")])
@pytest.mark.parametrize("is_backward", [False, True])
def test_where_a_search_stopped_is_where_to_go_on(nodes: tuple[str, ...], is_backward: bool) -> None:
    page = Page(nodes, str.upper, has_next_page=True, has_previous_page=True, resume="here")
    info = PageInfo(page=page, is_backward=is_backward)
    first, last = ("A", "B") if nodes else (None, None)
    assert (info.start_cursor(), info.end_cursor()) == (("here", last) if is_backward else (first, "here"))


@pytest.mark.parametrize(
    "fields",
    [
        "name size signedUrl { url }",
        "labels metadata { key value } visibility owner { displayName } folder { name } path",
    ],
)
async def test_a_page_of_many_files_takes_as_many_statements_as_one_of_one(world: World, fields: str) -> None:
    alice = await world.principal("alice")
    for name in "abc":
        await filed(world, alice, name)
    numbers = []
    for size in (3, 1, 3):  # the first fills what is remembered
        with counted(world.database) as ran:
            await world.data(f"{{ files(first: {size}) {{ nodes {{ {fields} }} }} }}", as_=alice)
        numbers.append(len(ran))
    assert numbers[1] == numbers[2]


async def test_links_to_a_hundred_bundles_take_as_many_statements_as_one(sqlite_world: World) -> None:
    world = World(sqlite_world.database, revokes=True)
    alice = await world.principal("alice")
    for number in range(100):
        await bundled(world, alice, ["index.m3u8"], name=f"film {number}")
    fields = "nodes { signedUrl { url } bundle { linkFault signedPrefix { baseUrl query } } }"
    numbers = []
    for size in (1, 100, 1):  # the first fills what is remembered
        with counted(world.database) as ran:
            nodes = (await world.data(f"{{ files(first: {size}) {{ {fields} }} }}", as_=alice))["files"]["nodes"]
        numbers.append(len(ran))
        assert len({node["bundle"]["signedPrefix"]["baseUrl"] for node in nodes}) == size
    assert numbers[1] == numbers[2]


@pytest.mark.parametrize("things", ["files", "subfolders"])
@pytest.mark.parametrize("who", ["owner", "reader", "admin"])
async def test_rules_and_reasons_of_many_take_as_many_statements_as_those_of_one(
    world: World, things: str, who: str
) -> None:
    people = {name: await world.principal(name, is_admin=name == "admin") for name in ("owner", "reader", "admin")}
    owner, reader = people["owner"], people["reader"]
    folder = await foldered(world, owner, "shared")
    await ruled(world, reader, folder.id, Permission.READ)
    for name in "abc":
        file = await filed(world, owner, f"{name}.txt", folder_id=folder.id)
        below = await foldered(world, owner, name, folder.id)
        for thing in (file.id, below.id):
            await ruled(world, ANYONE, thing, Permission.READ)
            await ruled(world, reader, thing, Permission.WRITE)
    for fields in (
        "access { linkFault } write: access(action: WRITE) { decidingRule { id } consideredRules { rule { id } } }",
        "accessRules { tag nodes { madeBy { id } subject { __typename } resource { __typename } } }",
        "accessRules(last: 1) { pageInfo { startCursor } } others: accessRules(first: 2) { edges { cursor } }",
    ):
        numbers = []
        for size in (3, 1, 3):  # the first fills what is remembered
            query = f"query ($id: ID!) {{ folder(id: $id) {{ {things}(first: {size}) {{ nodes {{ {fields} }} }} }} }}"
            with counted(world.database) as ran:
                data = await world.data(query, {"id": folder.id}, as_=people[who])
            assert len(data["folder"][things]["nodes"]) == size
            numbers.append(len(ran))
        assert numbers[1] == numbers[2], fields


async def test_a_foreign_cursor_spoils_its_own_page_of_rules_only(world: World) -> None:
    alice = await world.principal("alice")
    query = """{ viewer {
      good: homeFolder { accessRules { nodes { version } } }
      bad: homeFolder { accessRules(after: "x") { nodes { version } } } } }"""
    result = await world.ask(query, as_=alice)
    assert [error.path for error in result.errors or ()] == [["viewer", "bad", "accessRules"]]
    assert result.data == {"viewer": {"good": {"accessRules": {"nodes": [{"version": 1}]}}, "bad": None}}
