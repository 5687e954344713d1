"""Jobs: one for each subject while open, held by one worker at a time, and never finished by one that lost it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from graphql_api.db import failed_events, jobs
from graphql_api.db.engine import Database
from graphql_api.db.tables import FailedEventRow, JobRow
from graphql_api.model.job import Job

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LEASE = timedelta(minutes=1)


async def enqueue(database: Database, subject: str = "one", **how: Any) -> None:
    async with database.transaction() as connection:
        await jobs.enqueue(connection, "test", subject, **{"now": NOW, **how})


async def claim(database: Database, *, now: datetime = NOW, limit: int = 10) -> Sequence[Job]:
    async with database.autocommit() as connection:
        return await jobs.claim(connection, ["test"], now=now, lease=LEASE, limit=limit)


async def rows(database: Database) -> Sequence[Any]:
    async with database.autocommit() as connection:
        return (await connection.execute(select(JobRow.__table__).order_by(JobRow.due_at))).all()


async def test_a_job_is_part_of_the_transaction_that_leaves_it(database: Database) -> None:
    try:
        async with database.transaction() as connection:
            await jobs.enqueue(connection, "test", "one", now=NOW)
            raise LookupError
    except LookupError:
        pass
    assert await rows(database) == []


async def test_asking_twice_is_one_job_with_the_newer_payload_and_the_earlier_time(database: Database) -> None:
    later, soon = NOW + timedelta(hours=1), NOW + timedelta(minutes=1)
    await enqueue(database, payload={"n": 1}, due_at=later)
    await enqueue(database, payload={"n": 2}, due_at=soon)
    await enqueue(database, payload={"n": 3}, due_at=later)
    await enqueue(database, "another", due_at=later)
    assert await claim(database) == ()
    [job] = await claim(database, now=soon)
    assert (job.kind, job.subject, job.payload, job.attempts) == ("test", "one", {"n": 3}, 1)
    assert len(await rows(database)) == 2


async def test_whoever_does_not_hurry_leaves_a_job_that_failed_to_its_time(database: Database) -> None:
    soon = NOW + timedelta(minutes=1)
    await enqueue(database, payload={"n": 1})
    [job] = await claim(database)
    async with database.autocommit() as connection:
        await jobs.postpone(connection, job, due_at=soon, error="TEST")
        await jobs.enqueue(connection, "test", "one", {"n": 2}, now=NOW, hurries=False)
    assert await claim(database) == ()
    [again] = await claim(database, now=soon)
    assert (again.payload, again.attempts) == ({"n": 2}, 2)


async def test_whoever_does_not_hurry_is_not_kept_waiting_by_a_job_that_is_to_come(database: Database) -> None:
    await enqueue(database, due_at=NOW + timedelta(hours=1))
    async with database.autocommit() as connection:
        await jobs.enqueue(connection, "test", "one", now=NOW, hurries=False)
    assert len(await claim(database)) == 1


async def test_many_ask_for_the_same_at_once_and_it_is_one_job(database: Database) -> None:
    await asyncio.gather(*(enqueue(database) for _ in range(8)))
    [row] = await rows(database)
    assert row.version == 8


async def test_what_is_asked_for_while_it_is_done_is_done_once_more(database: Database) -> None:
    await enqueue(database, payload={"n": 1})
    [job] = await claim(database)
    await enqueue(database, payload={"n": 2})
    assert await claim(database) == ()  # it is held
    async with database.autocommit() as connection:
        assert await jobs.finish(connection, job, now=NOW)
    [again] = await claim(database)
    assert (again.id, again.payload, again.attempts) == (job.id, {"n": 2}, 1)
    async with database.autocommit() as connection:
        assert await jobs.finish(connection, again, now=NOW)
    assert await rows(database) == []


async def test_the_longest_due_come_first_and_no_more_than_asked_for(database: Database) -> None:
    for number in (3, 1, 2):
        await enqueue(database, str(number), due_at=NOW - timedelta(minutes=number))
    assert {job.subject for job in await claim(database, limit=2)} == {"3", "2"}
    assert [job.subject for job in await claim(database, limit=2)] == ["1"]


async def test_other_kinds_are_left_alone(database: Database) -> None:
    async with database.transaction() as connection:
        await jobs.enqueue(connection, "newer", "one", now=NOW)
    assert await claim(database) == ()


async def test_of_many_workers_each_job_goes_to_one(database: Database) -> None:
    for number in range(40):
        await enqueue(database, str(number))
    taken = await asyncio.gather(*(claim(database, limit=7) for _ in range(8)))
    ids = [job.id for batch in taken for job in batch]
    while batch := await claim(database):  # on PostgreSQL one may have seen only rows that others had locked
        ids += [job.id for job in batch]
    assert len(ids) == len(set(ids)) == 40


async def test_a_lost_lease_finishes_nothing(database: Database) -> None:
    await enqueue(database)
    [first] = await claim(database)
    assert await claim(database, now=NOW + LEASE - timedelta(microseconds=1)) == ()
    [second] = await claim(database, now=NOW + LEASE)
    assert (second.id, second.attempts) == (first.id, 2)
    async with database.autocommit() as connection:
        assert not await jobs.finish(connection, first, now=NOW)
        assert not await jobs.postpone(connection, first, due_at=NOW, error="X")
        assert not await jobs.bury(connection, first, now=NOW, error="X")
        assert not await jobs.extend(connection, first, until=NOW + 9 * LEASE)
        assert await jobs.extend(connection, second, until=NOW + 3 * LEASE)
    assert await claim(database, now=NOW + 2 * LEASE) == ()
    async with database.autocommit() as connection:
        assert await jobs.finish(connection, second, now=NOW)
        assert not await jobs.finish(connection, second, now=NOW)
    assert await rows(database) == []


async def test_what_was_given_up_is_kept_and_stands_in_nobodys_way(database: Database) -> None:
    await enqueue(database)
    [job] = await claim(database)
    async with database.autocommit() as connection:
        assert await jobs.bury(connection, job, now=NOW, error="INTERNAL")
        assert await jobs.count_failed(connection) == 1
    assert await claim(database, now=NOW + timedelta(days=9)) == ()
    await enqueue(database)
    assert len(await claim(database)) == 1
    async with database.autocommit() as connection:
        assert await jobs.delete_failed_before(connection, NOW, 10) == 0
        assert await jobs.delete_failed_before(connection, NOW + timedelta(days=1), 10) == 1
    assert len(await rows(database)) == 1


async def test_a_failed_event_is_kept_once_and_only_its_beginning(database: Database) -> None:
    hostile = "\x00\ud800" + "é" * 10_000
    async with database.autocommit() as connection:
        for receives in (1, 2):
            await failed_events.record_failed_event(
                connection, "m-1", reason="json_invalid", receives=receives, body=hostile, now=NOW
            )
        [row] = await connection.execute(select(FailedEventRow.__table__))
        assert await failed_events.count_failed_events(connection) == 1
        assert await failed_events.delete_failed_events_before(connection, NOW + timedelta(days=1), 10) == 1
    assert (row.receives, row.body) == (1, "\ufffd?" + "é" * (failed_events.MAX_BODY - 2))
