"""Loops take turns: at once while there is more, later after a failure, and none after being told to stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from graphql_api.db.engine import Database
from graphql_api.errors import Unavailable
from graphql_api.model.ids import new_object_key
from graphql_api.model.store_event import ScanVerdict
from graphql_api.services.clock import utc_now
from graphql_api.services.store_events import StoreEvents
from graphql_api.services.turns import Backoff, Turn
from graphql_api.workers import Loop, Worker
from tests.contracts.queues import watched
from tests.ministack import MiniStack

NEVER, AT_ONCE = timedelta(days=1), timedelta()
NO_BACKOFF = Backoff(AT_ONCE, AT_ONCE)


class Turns:
    """Answers one turn after another, and is idle from then on. Errors are raised."""

    def __init__(self, *outcomes: Turn | Exception) -> None:
        self._outcomes = list(outcomes)
        self.taken = 0
        self.is_idle = asyncio.Event()

    async def __call__(self) -> Turn:
        self.taken += 1
        if not self._outcomes:
            self.is_idle.set()
            return Turn(0, is_more=False)
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Slow:
    """One turn that ends when told to."""

    def __init__(self) -> None:
        self.begun, self.may_end, self.taken, self.ended = asyncio.Event(), asyncio.Event(), 0, 0

    async def __call__(self) -> Turn:
        self.taken += 1
        self.begun.set()
        await self.may_end.wait()
        self.ended += 1
        return Turn(1, is_more=True)


def loop(turn: Callable[[], Awaitable[Turn]], interval: timedelta = NEVER, name: str = "test") -> Loop:
    return Loop(name, turn, interval)


async def test_turns_follow_at_once_while_there_is_more(caplog: pytest.LogCaptureFixture) -> None:
    turns, stop = Turns(Turn(3, is_more=True), Turn(0, is_more=True)), asyncio.Event()
    with caplog.at_level(logging.INFO):
        running = asyncio.create_task(Worker([loop(turns)]).run(stop))
        await turns.is_idle.wait()
        stop.set()
        assert await running
    assert turns.taken == 3
    assert caplog.messages == ["turn loop=test done=3"]


async def test_a_loop_that_fails_goes_on_and_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    failing = Turns(Unavailable("store"), RuntimeError("a bug"), Unavailable("store"))
    other, stop = Turns(Turn(1, is_more=False)), asyncio.Event()
    worker = Worker([loop(failing, name="bad"), loop(other, AT_ONCE, name="good")], backoff=NO_BACKOFF)
    running = asyncio.create_task(worker.run(stop))
    await failing.is_idle.wait()
    await other.is_idle.wait()
    stop.set()
    assert await running
    assert caplog.text.count("turn_postponed loop=bad code=UNAVAILABLE") == 2
    assert caplog.text.count("turn_failed loop=bad") == 1
    assert "good" not in caplog.text


async def test_after_a_failure_a_loop_waits() -> None:
    failing, stop = Turns(*[Unavailable("store")] * 9), asyncio.Event()
    other = Turns(*[Turn(0, is_more=True)] * 100)
    running = asyncio.create_task(
        Worker([loop(failing), loop(other)], backoff=Backoff(timedelta(hours=1), timedelta(hours=1))).run(stop)
    )
    await other.is_idle.wait()
    assert failing.taken == 1
    stop.set()
    assert await running


async def test_told_to_stop_what_is_under_way_is_finished_and_nothing_begun() -> None:
    slow, stop = Slow(), asyncio.Event()
    running = asyncio.create_task(Worker([loop(slow), loop(Turns())]).run(stop))
    await slow.begun.wait()
    stop.set()
    slow.may_end.set()
    assert await running
    assert (slow.taken, slow.ended) == (1, 1)


async def test_what_does_not_end_in_time_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    slow, stop = Slow(), asyncio.Event()
    running = asyncio.create_task(Worker([loop(slow), loop(Turns())], stop_deadline=AT_ONCE).run(stop))
    await slow.begun.wait()
    stop.set()
    assert not await running
    assert slow.ended == 0
    assert caplog.messages == ["worker_cut_off loops=1"]


async def test_a_worker_that_is_cancelled_leaves_nothing_running() -> None:
    slow, before = Slow(), asyncio.all_tasks()
    running = asyncio.create_task(Worker([loop(slow)]).run(asyncio.Event()))
    await slow.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == before


async def test_once_is_until_nothing_is_due() -> None:
    turns, other = Turns(Turn(1, is_more=True), Turn(0, is_more=True), Turn(1, is_more=False)), Turns()
    assert await Worker([loop(turns), loop(other)]).run_once(asyncio.Event())
    assert (turns.taken, other.taken) == (3, 1)


async def test_once_tells_when_a_loop_failed_and_does_the_others() -> None:
    failing, other = Turns(Turn(1, is_more=True), Unavailable("store")), Turns(Turn(1, is_more=True))
    assert not await Worker([loop(failing), loop(other)]).run_once(asyncio.Event())
    assert (failing.taken, other.taken) == (2, 2)


async def test_no_loops_are_no_work() -> None:
    assert await Worker([]).run_once(asyncio.Event())
    stop = asyncio.Event()
    running = asyncio.create_task(Worker([]).run(stop))
    stop.set()
    assert await running


async def test_uploads_that_arrive_are_told_to_one_of_two_workers(ministack: MiniStack, database: Database) -> None:
    """From a PUT to a bucket through its queue, with what a real bucket and a stranger send in between."""
    told: list[str] = []
    all_told, stop = asyncio.Event(), asyncio.Event()
    keys = {new_object_key(utc_now()) for _ in range(12)}

    async def arrived(key: str) -> str:
        told.append(key)
        if set(told) == keys:
            all_told.set()
        return key

    async def judged(verdict: ScanVerdict) -> None:
        raise AssertionError(verdict)

    with watched(ministack.session(), ministack.endpoint_url, account="000000000000") as place:
        place.send("poison")
        for key in keys:
            place.s3.put_object(Bucket=place.bucket, Key=key, Body=b"x")
        events = StoreEvents(database, place.source, utc_now, arrived=arrived, judged=judged)
        workers = [Worker([loop(events.turn, AT_ONCE)]) for _ in range(2)]
        running = [asyncio.create_task(worker.run(stop)) for worker in workers]
        await all_told.wait()
        stop.set()
        assert await asyncio.gather(*running) == [True, True]
        left = place.sqs.get_queue_attributes(QueueUrl=place.queue_url, AttributeNames=["All"])["Attributes"]
    assert sorted(told) == sorted(keys)
    assert left["ApproximateNumberOfMessagesNotVisible"] == "0"
