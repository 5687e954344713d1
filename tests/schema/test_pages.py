"""What pages of the schema tell of how to go on, and what they cost."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from graphql_api.db.engine import Database
from graphql_api.model.page import Page
from graphql_api.schema.connections import PageInfo
from tests.services.stories import filed
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
