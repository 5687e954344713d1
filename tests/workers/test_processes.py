"""Worker processes as an operator runs them: told to stop, killed, and with parts that do not answer."""

import json
import signal
import socket
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from graphql_api.db import deletions, failed_events, jobs
from graphql_api.db.engine import Database
from graphql_api.db.tables import FailedEventRow, JobRow, ObjectDeletionRow
from graphql_api.model.parts import Remains
from graphql_api.services.clock import utc_now
from graphql_api.services.outbox import LEASE, Outbox
from graphql_api.services.turns import Turn
from graphql_api.services.upkeep import LEASE as SWEEP_LEASE
from graphql_api.services.upkeep import Upkeep
from graphql_api.storage.s3 import S3Store
from tests.cli.program import REPOSITORY, Program, outcome, refusal, wait_for
from tests.cli.warm import MODULE
from tests.contracts.queues import watched
from tests.contracts.samples import SAMPLES
from tests.e2e.service import Surroundings
from tests.memory_store import MemoryStore
from tests.ministack import MiniStack
from tests.store import free_port, s3_store
from tests.workers.running import events, worker

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # a fact of processes, not of databases


@pytest.fixture
def store(surroundings: Surroundings) -> Iterator[S3Store]:
    opened = s3_store(surroundings.store)
    yield opened
    opened.close()


async def stored(store: S3Store) -> str:
    """The key of an object in the bucket."""
    sample = SAMPLES["pdf"]
    promise = sample.promise()
    target = await store.presign_put(promise, now=utc_now(), lifetime=timedelta(minutes=5))
    async with httpx.AsyncClient(trust_env=False) as client:
        sent = await client.put(target.url, headers=dict(target.headers), content=sample.content)
        sent.raise_for_status()
    return promise.key


async def schedule(database: Database, keys: Collection[str]) -> None:
    now = utc_now()
    async with database.transaction() as connection:
        await deletions.schedule_deletions(connection, [Remains(key) for key in keys], due_at=now, final_at=now)


async def deletion_rows(database: Database) -> Sequence[Any]:
    async with database.autocommit() as connection:
        return (await connection.execute(select(ObjectDeletionRow.__table__))).all()


async def test_once_does_what_is_due_and_ends(
    database: Database, database_url: str, surroundings: Surroundings, store: S3Store, tmp_path: Path
) -> None:
    key = await stored(store)
    await schedule(database, [key])
    async with database.autocommit() as connection:
        await failed_events.record_failed_event(
            connection, "m-1", reason="json_invalid", receives=1, body="x", now=utc_now()
        )
    ended = outcome(["worker", "--once"], tmp_path, environ=surroundings.environ(database_url))
    assert (ended.status, ended.out) == (0, ""), ended.err
    assert events(ended.err, "turn ") == ["turn loop=objects done=1"]
    assert events(ended.err, "dead_letters") == ["dead_letters jobs=0 store_events=1"]
    assert await store.find(key) is None
    assert await deletion_rows(database) == []


@ON_SQLITE
async def test_once_says_that_a_part_did_not_answer(
    database: Database, database_url: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    await schedule(database, ["o/gone"])
    environ = surroundings.environ(database_url, S3_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    ended = outcome(["worker", "--once"], tmp_path, environ=environ)
    assert (ended.status, ended.out) == (1, "")
    assert sorted(events(ended.err, "turn_postponed")) == [
        "turn_postponed loop=objects code=UNAVAILABLE",
        "turn_postponed loop=strays code=UNAVAILABLE",
    ]
    assert len(await deletion_rows(database)) == 1


@ON_SQLITE
def test_a_worker_sweeps_nothing_when_told_so(database_url: str, surroundings: Surroundings, tmp_path: Path) -> None:
    ended = outcome(["worker", "--once"], tmp_path, environ=surroundings.environ(database_url, SWEEP_SECONDS="0"))
    assert ended.status == 0
    assert events(ended.err, "worker_started") == ["worker_started loops=jobs,copies,publications"]


def test_a_worker_wants_the_newest_schema(surroundings: Surroundings, tmp_path: Path) -> None:
    environ = surroundings.environ(f"sqlite:///{tmp_path / 'empty.db'}", LOG_LEVEL="ERROR")
    assert "run `graphql-api migrate`" in refusal(["worker"], tmp_path, environ=environ)


@ON_SQLITE
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_when_told_to(
    number: signal.Signals, database_url: str, surroundings: Surroundings, tmp_path: Path
) -> None:
    with worker(surroundings, database_url, tmp_path) as program:
        assert program.stop(number) == 0
        assert events(program.err, "worker_started") == [
            "worker_started loops=jobs,copies,publications,uploads,objects,strays,rechecks,keys,moves,records,"
            "share_links,rates,dead_letters"
        ]
        assert events(program.err, "worker_stopped") == ["worker_stopped"]
        levels = {json.loads(line)["level"] for line in program.err.splitlines()}
        assert levels == {"INFO"}


@pytest.fixture
def hanging_store() -> Iterator[socket.socket]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


async def test_what_a_killed_worker_was_sweeping_is_swept_by_another(
    database: Database, database_url: str, surroundings: Surroundings, hanging_store: socket.socket, tmp_path: Path
) -> None:
    await schedule(database, ["o/one", "o/two"])
    endpoint_url = f"http://127.0.0.1:{hanging_store.getsockname()[1]}"
    with worker(surroundings, database_url, tmp_path, S3_ENDPOINT_URL=endpoint_url) as program:
        connection, _ = hanging_store.accept()  # in the middle of a removal
        with connection:
            program.tell(signal.SIGKILL)
            assert program.end() == -signal.SIGKILL
    memory, ahead = MemoryStore(utc_now), timedelta()

    def upkeep() -> Upkeep:
        return Upkeep(
            database, memory, lambda: utc_now() + ahead, longest_target=timedelta(), transfer_grace=timedelta()
        )

    assert await upkeep().sweep() == 0  # it is leased
    ahead = SWEEP_LEASE
    assert await upkeep().sweep() == 2
    assert await deletion_rows(database) == []


@pytest.mark.nightly
@ON_SQLITE
async def test_a_worker_that_waits_for_a_store_that_hangs_ends_all_the_same(
    database: Database, database_url: str, surroundings: Surroundings, hanging_store: socket.socket, tmp_path: Path
) -> None:
    await schedule(database, ["o/one"])
    endpoint_url = f"http://127.0.0.1:{hanging_store.getsockname()[1]}"
    with worker(surroundings, database_url, tmp_path, S3_ENDPOINT_URL=endpoint_url) as program:
        connection, _ = hanging_store.accept()
        with connection:
            assert program.stop(signal.SIGTERM) == 0
    assert len(await deletion_rows(database)) == 1


@ON_SQLITE
async def test_a_worker_reads_the_queue_that_the_settings_name(
    database: Database, database_url: str, surroundings: Surroundings, ministack: MiniStack, tmp_path: Path
) -> None:
    with watched(ministack.session(), ministack.endpoint_url, account="000000000000") as place:
        place.send("no event")
        environ = surroundings.environ(
            database_url,
            EVENTS_QUEUE_URL=place.queue_url,
            EVENTS_ENDPOINT_URL=ministack.endpoint_url,
            EVENTS_ACCESS_KEY_ID=ministack.access_key_id,
            EVENTS_SECRET_ACCESS_KEY=ministack.secret_access_key,
        )
        ended = outcome(["worker", "--once"], tmp_path, environ=environ)
        assert await place.source.receive(lease=timedelta(minutes=1)) == []
    assert ended.status == 0, ended.err
    assert len(events(ended.err, "store_event_given_up")) == 1
    assert ministack.secret_access_key not in ended.err
    async with database.autocommit() as connection:
        assert await connection.scalar(select(FailedEventRow.body)) == "no event"


@contextmanager
def job_worker(url: str, folder: Path) -> Iterator[Program]:
    command = [sys.executable, "-m", "tests.workers.one_kind", url, str(folder)]
    with Program(command, folder, cwd=REPOSITORY) as program:
        yield program


async def enqueue(database: Database, subject: str) -> None:
    async with database.transaction() as connection:
        await jobs.enqueue(connection, "test", subject, now=utc_now())


async def open_jobs(database: Database) -> list[str]:
    async with database.autocommit() as connection:
        return list(await connection.scalars(select(JobRow.subject)))


async def test_the_job_of_a_killed_worker_is_done_by_another_after_its_lease(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    done: list[str] = []

    async def do(subject: str, _payload: Mapping[str, Any]) -> None:
        done.append(subject)

    await enqueue(database, "one")
    with job_worker(database_url, tmp_path) as program:
        wait_for((tmp_path / "begun-one").exists)
        assert await Outbox(database, utc_now, {"test": do}).turn() == Turn(0, is_more=False)
        program.tell(signal.SIGKILL)
        assert program.end() == -signal.SIGKILL
    assert await Outbox(database, utc_now, {"test": do}).turn() == Turn(0, is_more=False)
    later = Outbox(database, lambda: utc_now() + LEASE, {"test": do})
    assert await later.turn() == Turn(1, is_more=False)
    assert (done, await open_jobs(database)) == (["one"], [])


async def test_told_to_stop_a_worker_finishes_its_job_and_begins_no_other(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await enqueue(database, "one")
    with job_worker(database_url, tmp_path) as program:
        wait_for((tmp_path / "begun-one").exists)
        program.tell(signal.SIGTERM)
        await enqueue(database, "two")
        (tmp_path / "go").touch()
        assert program.end() == 0
    assert await open_jobs(database) == ["two"]


async def test_two_processes_share_the_jobs_and_do_each_once(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    subjects = [str(number) for number in range(20)]
    for subject in subjects:
        await enqueue(database, subject)
    with job_worker(database_url, tmp_path) as first, job_worker(database_url, tmp_path) as second:
        wait_for(lambda: all((tmp_path / f"begun-{subject}").exists() for subject in subjects))  # each holds a batch
        (tmp_path / "go").touch()
        assert [first.stop(), second.stop()] == [0, 0]
        for program in (first, second):
            assert program.err.count("job_done kind=test") == len(subjects) / 2
            assert program.err.count("attempt=1") == len(subjects) / 2
    assert await open_jobs(database) == []


@ON_SQLITE
async def test_serve_sweeps_beside_the_api_unless_told_not_to(
    database: Database, database_url: str, surroundings: Surroundings, store: S3Store, tmp_path: Path
) -> None:
    key = await stored(store)
    await schedule(database, [key])
    for sweep_seconds in ("0", "60"):
        port = free_port()
        environ = surroundings.environ(database_url, SWEEP_SECONDS=sweep_seconds)
        with Program([*MODULE, "serve", "--port", str(port)], tmp_path, cwd=tmp_path, environ=environ) as program:
            if sweep_seconds == "60":
                wait_for(lambda: events(program.err, "turn loop=objects"))
            else:
                wait_for(lambda: events(program.err, "Application startup complete"))
            assert program.stop() == 0
            assert bool(events(program.err, "turn ")) is (sweep_seconds == "60")
    assert await store.find(key) is None
