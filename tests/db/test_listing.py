"""Lists of files are what a naive reading of the rules says, on both databases, whatever the way they are found."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.access.standing import Standing
from graphql_api.db.engine import Database
from graphql_api.db.files import find_files
from graphql_api.db.listing import LIMITS, Limits, count_files, list_files
from graphql_api.model.file import File
from graphql_api.model.listing import FileFilter, FileOrder, FileOrderField, OrderDirection
from graphql_api.model.names import name_key, name_words
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import Address, Principal
from tests.access import reference
from tests.access.worlds import BEGINNING, LABELS, RuledWorld, addresses, moments, principals, worlds
from tests.db.stocked import stock
from tests.world import CURSOR_SEAL

# Searches that end after a few candidates, sets that are never small, scopes that are always many, and all in between.
NARROW: Final = (
    LIMITS,
    Limits(many=1),
    Limits(many=0),
    Limits(steps=(2, 3), small=0, many=1),
    Limits(steps=(1,), small=0),
    Limits(steps=(3, 50), small=4),
)
ORDERS: Final = [FileOrder(field, direction) for field in FileOrderField for direction in OrderDirection]


class Bench:
    """A database for a test that many examples run through, each by itself: hypothesis knows no event loop."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.database = Database(url)
        self._runner = runner

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self._runner.run(work)


@pytest.fixture
def bench(database_url: str) -> Iterator[Bench]:
    with asyncio.Runner() as runner:
        bench = Bench(database_url, runner)
        yield bench
        bench.run(bench.database.close())


def filters(world: RuledWorld) -> st.SearchStrategy[FileFilter]:
    """A folder, labels, one condition, or much at once."""
    folders = [folder.id for folder in world.folders]
    labelled = st.builds(FileFilter, labels=st.sampled_from([LABELS[:1], LABELS[:2], LABELS[1:], ("absent",)]))
    alone = st.sampled_from(
        [
            FileFilter(created_since=BEGINNING + timedelta(minutes=2)),
            FileFilter(created_before=BEGINNING + timedelta(minutes=3)),
            FileFilter(min_size=800),
            FileFilter(max_size=800),
            FileFilter(name_prefix="apple"),
            FileFilter(words=("app", "t")),
            FileFilter(content_types=("text/*",)),
        ]
    )
    places = st.builds(FileFilter, folder_id=st.sampled_from(folders), is_recursive=st.booleans())
    much = st.builds(
        FileFilter,
        folder_id=st.sampled_from([None, None, *folders]),
        is_recursive=st.booleans(),
        content_types=st.sampled_from([(), (), (), ("text/*",), ("text/plain", "image/png"), ("image/*",)]),
        min_size=st.sampled_from([None, None, None, 800]),
        max_size=st.sampled_from([None, None, None, 900]),
        created_since=st.sampled_from([None, None, None, BEGINNING + timedelta(minutes=2)]),
        created_before=st.sampled_from([None, None, None, BEGINNING + timedelta(minutes=4)]),
        labels=st.sampled_from([(), (), (), (), LABELS[:1], LABELS[:2], ("absent",)]),
        name_prefix=st.sampled_from([None, None, None, "", "a", "apple 3", "zebra", "\U0010ffff", "zzz"]),
        words=st.sampled_from([(), (), (), (), ("app",), ("t", "zeb"), ("3",), ("ple",)]),
    )
    return st.one_of(places, labelled, alone, much)


def passes(world: RuledWorld, file: File, wanted: FileFilter) -> bool:
    above = world.chains[file.id]
    return (
        (wanted.folder_id is None or wanted.folder_id in (above if wanted.is_recursive else above[1:2]))
        and (not wanted.content_types or any(kind.startswith("text/") for kind in wanted.content_types))
        and (wanted.min_size is None or file.size >= wanted.min_size)
        and (wanted.max_size is None or file.size <= wanted.max_size)
        and (wanted.created_since is None or file.created_at >= wanted.created_since)
        and (wanted.created_before is None or file.created_at < wanted.created_before)
        and set(wanted.labels) <= world.labels[file.id]
        and name_key(file.name).startswith(wanted.name_prefix or "")
        and all(any(its.startswith(word) for its in name_words(file.name)) for word in wanted.words)
    )


def in_order(files: Sequence[File], order: FileOrder) -> list[File]:
    keys: dict[FileOrderField, Callable[[File], Any]] = {
        FileOrderField.CREATED_AT: lambda file: (file.created_at, file.id),
        FileOrderField.NAME: lambda file: (name_key(file.name), file.id),
        FileOrderField.SIZE: lambda file: (file.size, file.id),
    }
    return sorted(files, key=keys[order.field], reverse=order.direction is OrderDirection.DESC)


async def walked(
    connection: AsyncConnection,
    standing: Standing,
    wanted: FileFilter,
    order: FileOrder,
    *,
    size: int,
    is_backward: bool,
    limits: Limits,
) -> list[File]:
    """All pages, in list order."""
    seen: list[File] = []
    cursor = None
    while True:
        page = await list_files(
            connection, standing, wanted, order, PageRequest(size, cursor, is_backward), CURSOR_SEAL, limits
        )
        nodes = list(page.nodes)
        seen = nodes + seen if is_backward else seen + nodes
        goes_on = page.has_previous_page if is_backward else page.has_next_page
        assert len(nodes) <= size
        assert (page.has_next_page if is_backward else page.has_previous_page) == (cursor is not None)
        assert goes_on or page.resume is None
        if not goes_on:
            return seen
        assert len(nodes) == size or page.resume is not None
        cursor = page.resume or page.cursor_of(nodes[0] if is_backward else nodes[-1])


@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), world=worlds(), principal=principals(), now=moments(), address=addresses())
def test_pages_counts_and_finds_are_what_a_naive_reading_says(
    bench: Bench, data: st.DataObject, world: RuledWorld, principal: Principal, now: datetime, address: Address | None
) -> None:
    bench.run(_compare(bench.database, data, world, principal, now, address))


async def _compare(
    database: Database,
    data: st.DataObject,
    world: RuledWorld,
    principal: Principal,
    now: datetime,
    address: Address | None,
) -> None:
    standing = world.rulebook(principal).standing(now, address)
    visible = reference.visible(world, principal, now, address)
    terms = {file.id: reference.terms(world, principal, file, now, address) for file in world.files}
    async with database.transaction() as connection:
        await stock(connection, world)
        for is_bare in (True, False, False):
            wanted = FileFilter() if is_bare else data.draw(filters(world))
            order = data.draw(st.sampled_from(ORDERS[:2] if is_bare else ORDERS))
            limits = data.draw(st.sampled_from(NARROW))
            size, is_backward = data.draw(st.sampled_from([1, 2, 3, 100])), data.draw(st.booleans())
            expected = in_order(
                [file for file in world.files if file.id in visible and passes(world, file, wanted)], order
            )
            seen = await walked(connection, standing, wanted, order, size=size, is_backward=is_backward, limits=limits)
            assert [file.id for file in seen] == [file.id for file in expected]
            assert {file.id: file.terms for file in seen} == {file.id: terms[file.id] for file in expected}
            count = await count_files(connection, standing, wanted, limits)
            assert count.number == len(expected) if count.is_exact else count.number <= len(expected)
        found = await find_files(connection, standing, [file.id for file in world.files])
        assert {id_: file.terms for id_, file in found.items()} == {id_: terms[id_] for id_ in visible}
        assert (await count_files(connection, standing, FileFilter())).is_exact
