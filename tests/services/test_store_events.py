"""Events do no harm: told twice, too early, about nothing of ours, unreadable, or met by a bug of ours."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from graphql_api.db import reservations, usage
from graphql_api.db.engine import Database
from graphql_api.db.tables import FailedEventRow
from graphql_api.errors import Unavailable
from graphql_api.events import Delivery
from graphql_api.model.ids import new_file_id, new_object_key, new_upload_id
from graphql_api.model.store_event import ObjectArrived, ScanResult, ScanVerdict
from graphql_api.model.upload import UploadStatus
from graphql_api.services.store_events import MAX_RECEIVES, UNKNOWN_RECEIVES, StoreEvents
from graphql_api.services.turns import Turn
from tests.agreement import assert_in_agreement
from tests.memory_queue import MemoryQueue
from tests.services.stories import promised, send
from tests.world import START, Clock, World


@dataclass
class Ours:
    """What of ours takes the events: known keys, and failures to come."""

    known: set[str] = field(default_factory=lambda: {"o/known"})
    told: list[object] = field(default_factory=list)
    failure: Exception | None = None

    async def arrived(self, key: str) -> str | None:
        return self._tell(key, key)

    async def judged(self, verdict: ScanVerdict) -> str | None:
        return self._tell(verdict, verdict.key)

    def _tell(self, what: object, key: str) -> str | None:
        if self.failure is not None:
            raise self.failure
        self.told.append(what)
        return key if key in self.known else None


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue()


@pytest.fixture
def ours() -> Ours:
    return Ours()


@pytest.fixture
def events(database: Database, queue: MemoryQueue, ours: Ours) -> StoreEvents:
    return StoreEvents(database, queue, Clock(), arrived=ours.arrived, judged=ours.judged)


def arrival(key: str = "o/known") -> ObjectArrived:
    return ObjectArrived(key, 1, "etag")


async def failed(database: Database) -> list[Any]:
    async with database.autocommit() as connection:
        return list(await connection.execute(select(FailedEventRow.__table__)))


async def test_an_arrival_is_told_and_acknowledged(events: StoreEvents, queue: MemoryQueue, ours: Ours) -> None:
    queue.put(arrival())
    queue.put()  # the store's test
    queue.put(verdict := ScanVerdict("o/known", "etag", ScanResult.THREATS_FOUND, ("EICAR",)))
    queue.put(arrival(), arrival())  # twice in one message, which makes three
    assert await events.turn() == Turn(4, is_more=True)
    assert await events.turn() == Turn(0, is_more=False)
    assert sorted(map(str, ours.told)) == sorted(map(str, ["o/known"] * 3 + [verdict]))
    assert len(queue.acknowledged) == 4


async def test_an_event_before_its_upload_waits_for_it(events: StoreEvents, queue: MemoryQueue, ours: Ours) -> None:
    queue.put(arrival("o/early"), arrival())
    await events.turn()
    [(_, delay)] = queue.hidden.values()
    assert timedelta(seconds=1) <= delay <= timedelta(seconds=2)
    ours.known.add("o/early")
    queue.come_back()
    await events.turn()
    assert queue.acknowledged == ["m-0"]
    assert ours.told == ["o/early", "o/known"] * 2


async def test_a_key_that_stays_unknown_is_dropped(
    events: StoreEvents, queue: MemoryQueue, ours: Ours, database: Database
) -> None:
    queue.put(arrival("others/thing"))
    for _ in range(UNKNOWN_RECEIVES):
        queue.come_back()
        await events.turn()
    assert queue.acknowledged == ["m-0"]
    assert len(ours.told) == UNKNOWN_RECEIVES
    assert await failed(database) == []


@pytest.mark.parametrize("key", ["o/\x00", "o/é", "o/\ud800", "o/a\nb"])
async def test_a_key_that_cannot_be_ours_asks_no_database(
    events: StoreEvents, queue: MemoryQueue, ours: Ours, key: str
) -> None:
    queue.put(arrival(key))
    await events.turn()
    assert (queue.acknowledged, ours.told) == (["m-0"], [])


async def test_what_cannot_be_read_is_kept_and_leaves_the_queue(
    events: StoreEvents, queue: MemoryQueue, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    queue.put(fault="json_invalid")
    queue.put(arrival())
    with caplog.at_level(logging.ERROR):
        assert await events.turn() == Turn(2, is_more=True)
    [row] = await failed(database)
    assert (row.message_id, row.reason, row.body) == ("m-0", "json_invalid", "the body")
    assert set(queue.acknowledged) == {"m-0", "m-1"}
    assert "store_event_given_up message=m-0 reason=json_invalid" in caplog.text
    assert "the body" not in caplog.text


async def test_a_poison_message_is_tried_some_times_and_then_kept(
    events: StoreEvents, queue: MemoryQueue, ours: Ours, database: Database
) -> None:
    ours.failure = RuntimeError("a bug")
    queue.put(arrival())
    for _ in range(MAX_RECEIVES):
        assert await failed(database) == []
        assert await events.turn() == Turn(1, is_more=True)
        queue.come_back()
    [row] = await failed(database)
    assert (row.reason, row.receives) == ("failed", MAX_RECEIVES)
    assert queue.acknowledged == ["m-0"]


async def test_while_a_part_is_down_messages_stay_and_nothing_counts_as_poison(
    events: StoreEvents, queue: MemoryQueue, ours: Ours, database: Database
) -> None:
    ours.failure = Unavailable("store")
    queue.put(arrival(), receives=MAX_RECEIVES + 5)
    queue.put(fault="json_invalid")
    with pytest.raises(Unavailable, match="store"):
        await events.turn()
    assert queue.acknowledged == ["m-1"]
    [(_, delay)] = queue.hidden.values()
    assert delay > timedelta(minutes=5)
    ours.failure = None
    queue.come_back()
    await events.turn()
    assert queue.acknowledged == ["m-1", "m-0"]
    assert len(await failed(database)) == 1


async def test_a_queue_that_is_down_is_said_so(events: StoreEvents, queue: MemoryQueue) -> None:
    queue.is_up = False
    with pytest.raises(Unavailable, match="queue"):
        await events.turn()


async def test_what_is_told_but_not_acknowledged_comes_again(
    database: Database, queue: MemoryQueue, ours: Ours
) -> None:
    async def arrived(key: str) -> str | None:
        found = await ours.arrived(key)
        queue.is_up = len(ours.told) > 1
        return found

    events = StoreEvents(database, queue, Clock(), arrived=arrived, judged=ours.judged)
    queue.put(arrival())
    with pytest.raises(Unavailable):
        await events.turn()
    queue.is_up = True
    queue.come_back()
    await events.turn()
    assert (ours.told, queue.acknowledged) == (["o/known"] * 2, ["m-0"])


async def test_what_takes_long_is_not_handed_to_others_meanwhile(database: Database, ours: Ours) -> None:
    extended, lease = asyncio.Event(), timedelta(milliseconds=60)

    class Watched(MemoryQueue):
        async def hide(self, deliveries: Sequence[Delivery], *, lasting: timedelta) -> None:
            assert ([each.message_id for each in deliveries], lasting) == (["m-0"], lease)
            extended.set()

    async def arrived(key: str) -> str | None:
        await extended.wait()
        return await ours.arrived(key)

    queue = Watched()
    queue.put(arrival())
    events = StoreEvents(database, queue, Clock(), arrived=arrived, judged=ours.judged, lease=lease)
    assert await events.turn() == Turn(1, is_more=True)
    assert queue.acknowledged == ["m-0"]


async def test_an_event_before_the_commit_of_its_upload_completes_it_afterwards(
    world: World, queue: MemoryQueue, ours: Ours
) -> None:
    alice = await world.principal("alice")
    assert alice.user_id is not None
    like = await promised(world, alice)
    upload = replace(
        like,
        id=new_upload_id(START),
        file_id=new_file_id(START),
        object_key=new_object_key(START),
        filename="early.txt",
    )
    events = StoreEvents(
        world.database, queue, world.clock, arrived=world.services.completion.arrived, judged=ours.judged
    )
    queue.put(ObjectArrived(upload.object_key, upload.size, "etag"))
    async with world.database.transaction() as connection:
        await reservations.insert_upload(connection, upload, look_at=upload.expires_at)
        await usage.count(connection, usage.Change(alice.user_id, upload.folder_id, reserved=upload.size))
        send(world, upload)
        await events.turn()
        assert queue.hidden
    queue.come_back()
    await events.turn()
    assert queue.acknowledged == ["m-0"]
    assert (await world.services.uploads.get(alice, upload.id)).status is UploadStatus.COMPLETED
    await assert_in_agreement(world)
