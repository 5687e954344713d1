"""Jobs are done at least once: again when they fail, by another when a worker dies, and set aside in the end."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from graphql_api.db import jobs
from graphql_api.db.engine import Database
from graphql_api.db.tables import JobRow
from graphql_api.errors import Unavailable
from graphql_api.services.dead_letters import KEPT, DeadLetters
from graphql_api.services.outbox import BATCH, LEASE, Handler, Outbox
from graphql_api.services.turns import Backoff, Turn
from tests.docs.markdown import ROOT, blocks_in
from tests.world import Clock

BACKOFF = Backoff(timedelta(seconds=4), timedelta(seconds=30))


async def enqueue(database: Database, clock: Clock, subject: str = "one", kind: str = "test") -> None:
    async with database.transaction() as connection:
        await jobs.enqueue(connection, kind, subject, {"of": subject}, now=clock())


async def rows(database: Database) -> list[Any]:
    async with database.autocommit() as connection:
        return list(await connection.execute(select(JobRow.__table__)))


class Done:
    """A handler that notes what it is asked to do, and fails at the subject "one" as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.subjects: list[str] = []
        self._failures = list(failures)

    async def __call__(self, subject: str, payload: Mapping[str, Any]) -> None:
        assert payload == {"of": subject}
        self.subjects.append(subject)
        if subject == "one" and self._failures:
            raise self._failures.pop(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def outbox(database: Database, clock: Clock, handler: Handler, **how: Any) -> Outbox:
    return Outbox(database, clock, {"test": handler}, **{"backoff": BACKOFF, **how})


async def test_each_job_is_done_once_and_then_gone(database: Database, clock: Clock) -> None:
    done = Done()
    for number in range(BATCH + 1):
        await enqueue(database, clock, str(number))
    await enqueue(database, clock, "unknown", kind="newer")
    box = outbox(database, clock, done)
    assert await box.turn() == Turn(BATCH, is_more=True)
    assert await box.turn() == Turn(1, is_more=False)
    assert await box.turn() == Turn(0, is_more=False)
    assert sorted(done.subjects) == sorted(str(number) for number in range(BATCH + 1))
    assert [row.kind for row in await rows(database)] == ["newer"]


async def test_workers_side_by_side_do_each_job_once(database: Database, clock: Clock) -> None:
    done = Done()
    for number in range(30):
        await enqueue(database, clock, str(number))

    async def work() -> None:
        box = outbox(database, clock, done)
        while await rows(database):
            await box.turn()

    await asyncio.gather(work(), work(), work())
    assert len(done.subjects) == len(set(done.subjects)) == 30


async def test_a_failure_is_tried_again_after_a_while_and_stops_no_other(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    done = Done(Unavailable("store"), RuntimeError("a bug"))
    await enqueue(database, clock)
    box = outbox(database, clock, done)
    with caplog.at_level(logging.WARNING):
        assert await box.turn() == Turn(0, is_more=False)
        [row] = await rows(database)
        assert (row.attempts, row.last_error, row.lease) == (1, "UNAVAILABLE", None)
        assert timedelta(seconds=2) <= row.due_at - clock() <= timedelta(seconds=4)
        await enqueue(database, clock, "other")
        assert await box.turn() == Turn(1, is_more=False)
        clock.advance(seconds=4)
        assert await box.turn() == Turn(0, is_more=False)
    [row] = await rows(database)
    assert (row.attempts, row.last_error) == (2, "INTERNAL")
    clock.advance(seconds=8)
    assert await box.turn() == Turn(1, is_more=False)
    assert done.subjects == ["one", "other", "one", "one"]
    assert "job_failed kind=test" in caplog.text


async def test_a_job_that_always_fails_is_given_up_and_counted(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    done = Done(*[Unavailable("store")] * 3)
    await enqueue(database, clock)
    box, letters = outbox(database, clock, done, max_attempts=3), DeadLetters(database, clock)
    assert await letters.count() == (0, 0)
    assert "dead_letters" not in caplog.text
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            await box.turn()
            clock.advance(minutes=1)
        assert await letters.count() == (1, 0)
    assert "job_given_up kind=test" in caplog.text
    assert "dead_letters jobs=1 store_events=0" in caplog.text
    assert len(done.subjects) == 3
    assert await letters.turn() == Turn(0, is_more=False)
    clock.advance(days=KEPT.days)
    assert await letters.turn() == Turn(1, is_more=False)
    assert await rows(database) == []


async def test_a_job_of_which_workers_die_is_given_up_too(database: Database, clock: Clock) -> None:
    done = Done()
    await enqueue(database, clock)
    for _ in range(3):
        async with database.autocommit() as connection:  # taken, and never heard of again
            assert await jobs.claim(connection, ["test"], now=clock(), lease=LEASE, limit=1)
        clock.advance(minutes=1)
    await outbox(database, clock, done, max_attempts=3).turn()
    [row] = await rows(database)
    assert (row.last_error, done.subjects) == ("LEASE_LOST", [])
    assert row.failed_at is not None


async def test_a_long_job_keeps_its_lease(database: Database, clock: Clock) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(_subject: str, _payload: Mapping[str, Any]) -> None:
        begun.set()
        await may_end.wait()

    await enqueue(database, clock)
    box = outbox(database, clock, slow, lease=timedelta(milliseconds=60))
    turn = asyncio.create_task(box.turn())
    await begun.wait()
    [first] = await rows(database)
    clock.advance(hours=1)
    while (await rows(database))[0].leased_until == first.leased_until:
        pass  # asking takes long enough
    assert await outbox(database, clock, Done()).turn() == Turn(0, is_more=False)
    may_end.set()
    assert await turn == Turn(1, is_more=False)


async def test_whoever_has_lost_its_job_stops_and_does_not_count_it(database: Database, clock: Clock) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def stuck(_subject: str, _payload: Mapping[str, Any]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await enqueue(database, clock)
    turn = asyncio.create_task(outbox(database, clock, stuck, lease=timedelta(milliseconds=60)).turn())
    await begun.wait()
    async with database.autocommit() as connection:  # as another worker does, whose clock runs ahead
        await connection.execute(update(JobRow).values(lease="another's"))
    assert await turn == Turn(0, is_more=False)
    assert cancelled.is_set()
    [row] = await rows(database)
    assert row.lease == "another's"


async def test_the_documented_statement_opens_what_was_given_up(database: Database, clock: Clock) -> None:
    done = Done(Unavailable("store"))
    await enqueue(database, clock)
    box = outbox(database, clock, done, max_attempts=1)
    await box.turn()
    [block] = blocks_in(ROOT / "docs" / "operations.md", "What was given up", "sql")
    async with database.autocommit() as connection:
        await connection.exec_driver_sql(block.text)
    assert await box.turn() == Turn(1, is_more=False)


def test_waits_grow_to_a_limit_and_differ() -> None:
    backoff = Backoff(timedelta(seconds=1), timedelta(minutes=1))
    for failures, whole in ((1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (10_000, 60)):
        waits = {backoff.after(failures) for _ in range(50)}
        assert timedelta(seconds=whole / 2) <= min(waits) < max(waits) <= timedelta(seconds=whole)
