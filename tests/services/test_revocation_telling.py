"""The edge's store learns of every revocation, in order, whatever goes wrong, and forgets it when it may."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from graphql_api.db import revocations
from graphql_api.db.engine import Database
from graphql_api.db.tables import JobRow, LinkRevocationRow
from graphql_api.edge import MAX_CHANGES
from graphql_api.errors import Unavailable
from graphql_api.model.revocation import FOLDERS_NAMED, Mark, mark_of
from graphql_api.services.outbox import Outbox
from graphql_api.services.revocation_telling import MAX_LOST, RevocationTelling
from graphql_api.services.revocations import JOB, SKEW
from tests.memory_edge import MemoryEdge
from tests.services.revoking import DAY, Edge, link, nested
from tests.services.stories import filed
from tests.world import World

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.fixture
def world(database: Database) -> World:
    return World(database, revokes=True)


@pytest.fixture
def edge(world: World) -> Edge:
    return Edge(world)


async def jobs_of(world: World) -> list[tuple[int, Any]]:
    async with world.database.autocommit() as connection:
        return [tuple(row) for row in await connection.execute(select(JobRow.attempts, JobRow.failed_at))]  # type: ignore[misc]  # two columns


async def untold(world: World) -> int:
    async with world.database.autocommit() as connection:
        statement = select(func.count()).where(LinkRevocationRow.confirmed_at.is_(None))
        return await connection.scalar(statement) or 0


async def test_a_thousand_revocations_are_told_in_batches(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    files = [await filed(world, alice, f"{n}") for n in range(8)]
    urls = [await link(world, alice, file) for file in files]
    for number in range(1000):
        await world.services.revocations.revoke_file(alice, files[number % 8].id)
    await edge.told()
    assert edge.store.changes == [8]  # of each the newest number is enough
    assert all(map(edge.store.refuses, urls))
    assert await untold(world) == 0
    assert await jobs_of(world) == []


async def test_as_many_as_fit_into_a_request_go_together(world: World, edge: Edge) -> None:
    await put(world, named("file", 2 * MAX_CHANGES + 3))
    await edge.telling.tell("edge", {})
    assert edge.store.changes == [MAX_CHANGES, MAX_CHANGES, 3]
    assert await untold(world) == 0


class Attended(MemoryEdge):
    """``attend``: what happens during each change, before its end. ``order``: all that was told, the first first."""

    def __init__(self, attend: Callable[[Mapping[Mark, int]], Awaitable[None]] | None = None) -> None:
        super().__init__()
        self.order: list[Mark] = []
        self._attend = attend

    async def change(self, version: str, *, put: Mapping[Mark, int], remove: Collection[Mark] = ()) -> str | None:
        if self._attend is not None:
            await self._attend(put)
        self.order.extend(put)
        return await super().change(version, put=put, remove=remove)


async def put(world: World, targets: Iterable[str], relays: Collection[str] = (), *, by: str | None = None) -> None:
    """They were revoked one after the other, by an administrator if nobody is named."""
    async with world.database.transaction() as connection:
        for target in targets:
            number = await revocations.next_number(connection)
            now = world.clock()
            await revocations.put_revocations(
                connection, target, relays, number=number, now=now, links_end_by=now + DAY + SKEW, counted_for=by
            )


def named(kind: str, count: int) -> list[str]:
    return [f"{kind}_{n:026d}" for n in range(count)]


async def test_a_store_that_refuses_is_told_when_it_is_back(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    url = await link(world, alice, file)
    edge.store.is_up = False
    for _ in range(50):  # a crowd does not use up the attempts
        await world.services.revocations.revoke_file(alice, file.id)
        await edge.told()
    assert await jobs_of(world) == [(1, None)]
    edge.store.is_up = True
    await edge.told()
    assert not edge.store.refuses(url)  # it is not due yet
    found = (await world.services.revocations.of_files(alice, [file.id]))[file.id]
    assert found.confirmed_at is None
    world.clock.advance(seconds=2)
    await edge.told()
    assert edge.store.refuses(url)


async def test_after_a_long_failure_it_is_told_within_a_minute(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    edge.store.is_up = False
    await world.services.revocations.revoke_file(alice, file.id)
    for _ in range(30):
        await edge.told()
        world.clock.advance(minutes=1)
    edge.store.is_up = True
    await edge.told()
    assert await untold(world) == 0


async def test_what_was_given_up_is_begun_anew(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    edge.store.is_up = False
    impatient = Outbox(world.database, world.clock, {JOB: edge.telling.tell}, max_attempts=1)
    await world.services.revocations.revoke_file(alice, file.id)
    await impatient.turn()
    [(_, failed_at)] = await jobs_of(world)
    assert failed_at is not None
    edge.store.is_up = True
    await edge.telling.turn()
    await edge.told()
    assert await untold(world) == 0


async def test_after_a_restore_all_is_told_anew_as_the_operators_are_told_to_have_it(world: World, edge: Edge) -> None:
    await put(world, ["folder_1"], ["folder_2"])
    await edge.telling.tell("edge", {})
    [statement] = re.findall(r"^UPDATE link_revocations .*;$", OPERATIONS.read_text(), re.MULTILINE)
    async with world.database.transaction() as connection:
        await connection.execute(text(statement))
    edge.store.numbers.clear()
    await edge.telling.turn()
    await edge.told()
    assert edge.store.numbers == {mark_of("folder_1"): 1, mark_of("folder_2"): 1}
    assert await untold(world) == 0


async def test_who_loses_the_race_for_the_store_reads_again_before_the_next(world: World, edge: Edge) -> None:
    await put(world, ["file_1"])
    edge.store.before_change = edge.store.touch
    await edge.telling.tell("edge", {})
    assert edge.store.numbers == {mark_of("file_1"): 1}


async def test_who_loses_every_race_comes_back_later(world: World, edge: Edge) -> None:
    await put(world, ["file_1"])
    lost = 0

    def touch() -> None:
        nonlocal lost
        lost += 1
        edge.store.touch()
        edge.store.before_change = touch

    edge.store.before_change = touch
    with pytest.raises(Unavailable):
        await edge.telling.tell("edge", {})
    assert lost == MAX_LOST + 1
    assert await untold(world) == 1


async def test_an_old_number_never_takes_the_place_of_a_newer(world: World, edge: Edge) -> None:
    """Another worker, whose lease had run out, has read 1 and writes after 2 was told."""
    await put(world, ["file_1"])
    version = await edge.store.version()
    await put(world, ["file_1"])
    await edge.telling.tell("edge", {})
    assert await edge.store.change(version, put={mark_of("file_1"): 1}) is None
    assert edge.store.numbers == {mark_of("file_1"): 2}


async def test_what_is_revoked_again_while_it_is_told_is_told_again(world: World, edge: Edge) -> None:
    await put(world, ["file_1"])
    async with world.database.transaction() as connection:
        old = await revocations.list_untold(connection, limit=10)
    await put(world, ["file_1"])
    async with world.database.transaction() as connection:
        await revocations.confirm(connection, old, now=world.clock())
    assert await untold(world) == 1


async def test_a_folder_is_confirmed_after_its_relays_only(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    chain = await nested(world, alice, FOLDERS_NAMED + 1)
    await put(world, named("file", 2 * MAX_CHANGES), by="bob")
    await world.services.revocations.revoke_folder(alice, chain[0].id)
    await put(world, [chain[-1].id], by="bob")  # has much to be told before
    confirmed: list[set[str]] = []

    async def look(_put: Mapping[Mark, int]) -> None:
        found = await world.services.revocations.of_folders(alice, [chain[0].id, chain[-1].id])
        confirmed.append({id_ for id_, each in found.items() if each.confirmed_at is not None})

    store = Attended(look)
    await RevocationTelling(world.database, store, world.clock).tell("edge", {})
    assert store.order.index(mark_of(chain[0].id)) < MAX_CHANGES  # told at once
    assert confirmed == [set(), set(), set()]
    assert await untold(world) == 0


async def test_two_that_are_relays_of_each_other_are_confirmed(world: World, edge: Edge) -> None:
    """A folder was moved below one that had been below it."""
    await put(world, ["folder_1"], ["folder_2"])
    await put(world, ["folder_2"], ["folder_1"])
    await edge.telling.tell("edge", {})
    assert edge.store.changes == [2]
    assert await untold(world) == 0


async def test_nobody_waits_for_how_much_somebody_else_has_revoked(world: World) -> None:
    await put(world, ["folder_1"], named("folder", 4 * MAX_CHANGES), by="mallory")
    await put(world, ["file_1"], by="bob")
    store = Attended()
    await RevocationTelling(world.database, store, world.clock).tell("edge", {})
    assert store.order.index(mark_of("file_1")) < 2
    assert len(store.changes) == 5


@pytest.mark.parametrize("who", ["mallory", "bob"])
async def test_who_revokes_again_and_again_holds_up_nothing(world: World, who: str) -> None:
    relays = named("folder", 2 * MAX_CHANGES)
    await put(world, ["folder_1"], relays, by="mallory")
    await put(world, ["file_1"], by=who)

    async def again(_put: Mapping[Mark, int]) -> None:
        if len(store.changes) < 10:
            await put(world, ["folder_1"], relays, by="mallory")

    store = Attended(again)
    await RevocationTelling(world.database, store, world.clock).tell("edge", {})
    assert store.order.index(mark_of("file_1")) < 3 * MAX_CHANGES
    assert await untold(world) == 0


async def test_numbers_go_when_the_last_old_link_has_ended_by_itself(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    await world.services.revocations.revoke_file(alice, file.id)
    await edge.told()
    world.clock.advance(hours=24, minutes=10)
    assert await edge.swept() == 0
    world.clock.advance(seconds=1)
    assert await edge.swept() == 1
    assert edge.store.numbers == {}
    assert await world.services.revocations.of_files(alice, [file.id]) == {}
    assert await edge.swept() == 0


async def test_what_was_revoked_again_is_kept_for_as_long_anew(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    await world.services.revocations.revoke_file(alice, file.id)
    world.clock.advance(hours=23)
    await world.services.revocations.revoke_file(alice, file.id)
    await edge.told()
    world.clock.advance(hours=23)
    assert await edge.swept() == 0
    assert edge.store.numbers == {mark_of(file.id): 2}


async def test_a_number_is_not_forgotten_here_while_the_store_has_it(world: World, edge: Edge) -> None:
    await put(world, ["file_1"])
    await edge.telling.tell("edge", {})
    world.clock.advance(days=2)
    edge.store.is_up = False
    with pytest.raises(Unavailable):
        await edge.telling.turn()
    edge.store.is_up = True
    edge.store.before_change = edge.store.touch
    with pytest.raises(Unavailable):
        await edge.telling.turn()
    async with world.database.autocommit() as connection:
        assert await revocations.count_in_force(connection, None) == (1, 0, 1)
    assert await edge.swept() == 1


async def test_what_is_revoked_while_it_is_being_forgotten_stays(world: World, edge: Edge) -> None:
    await put(world, ["file_1"])
    await edge.telling.tell("edge", {})
    world.clock.advance(days=2)
    async with world.database.autocommit() as connection:
        ended = await revocations.list_ended(connection, now=world.clock(), limit=10)
    await put(world, ["file_1"])
    async with world.database.transaction() as connection:
        await revocations.forget(connection, ended)
        assert await revocations.count_in_force(connection, None) == (1, 0, 1)


async def test_many_may_revoke_and_tell_at_once(world: World, edge: Edge) -> None:
    alice = await world.principal("alice")
    files = [await filed(world, alice, f"{n}") for n in range(6)]
    urls = [await link(world, alice, file) for file in files]
    revoking = [world.services.revocations.revoke_file(alice, files[n % 6].id) for n in range(24)]
    telling = [edge.told() for _ in range(4)]
    results = await asyncio.gather(*revoking, *telling)
    numbers = sorted(result[1].number for result in results if result is not None and result[1] is not None)
    assert numbers == list(range(1, 25))
    world.clock.advance(seconds=timedelta(minutes=2).total_seconds())
    await edge.told()
    assert all(map(edge.store.refuses, urls))
    assert await untold(world) == 0
