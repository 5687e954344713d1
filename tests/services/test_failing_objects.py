"""Uploads at whose objects the store fails: they hold up no others, and end in time."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from graphql_api.db.engine import Database
from graphql_api.db.tables import UploadRow
from graphql_api.errors import Unavailable
from graphql_api.model.scan import Judge
from graphql_api.model.store_event import ScanResult, ScanVerdict
from graphql_api.model.stored_object import PromisedObject
from graphql_api.model.upload import UploadFailureCode, UploadMethod, UploadStatus
from graphql_api.services.lookout import HOPELESS_AFTER, IN_A_ROW
from tests.agreement import disagreements
from tests.services.stock import quota_of
from tests.services.stories import promised, sent
from tests.world import SCAN_PATIENCE, World


async def test_many_objects_of_which_the_store_cannot_tell_do_not_hold_up_other_uploads(sqlite_world: World) -> None:
    world = sqlite_world
    alice, lookout = await world.principal("alice"), world.services.lookout
    broken = [await sent(world, alice, f"broken {number}") for number in range(2 * IN_A_ROW)]
    world.store.broken = {upload.object_key for upload in broken}
    others = [await sent(world, alice, f"other {number}") for number in range(20)]
    world.clock.advance(minutes=5)
    for _ in range(3):  # a turn that ends early has put off as many as are too many in a row
        with suppress(Unavailable):
            await lookout.turn()
    found = await world.services.uploads.find(alice, [upload.id for upload in (*broken, *others)])
    assert {found[upload.id].status for upload in broken} == {UploadStatus.PENDING}
    assert {found[upload.id].status for upload in others} == {UploadStatus.COMPLETED}


async def test_uploads_that_were_not_looked_at_are_let_go_in_order_of_id(world: World) -> None:
    """Two who let go of the same ones would wait for each other."""
    alice = await world.principal("alice")
    sent_ = [await sent(world, alice, f"broken {number}") for number in range(2 * IN_A_ROW)]
    world.store.broken = {upload.object_key for upload in sent_}
    async with world.database.transaction() as connection:
        for number, upload in enumerate(reversed(sent_)):
            look_at = world.clock.now + timedelta(seconds=number)
            await connection.execute(update(UploadRow).where(UploadRow.id == upload.id).values(look_at=look_at))
    world.clock.advance(minutes=5)
    let_go: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        if statement.startswith("UPDATE uploads SET look_at=") and "RETURNING" not in statement:
            values = parameters.values() if isinstance(parameters, dict) else parameters
            let_go.extend(value for value in values if str(value).startswith("upload_"))

    engine = world.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    with pytest.raises(Unavailable):
        await world.services.lookout.turn()
    event.remove(engine, "before_cursor_execute", note)
    assert len(let_go) > 1
    assert let_go == sorted(let_go)


@pytest.mark.parametrize("method", [UploadMethod.PUT, UploadMethod.MULTIPART])
async def test_an_upload_whose_object_cannot_be_looked_at_expires_a_day_later(
    world: World, method: UploadMethod
) -> None:
    alice, lookout = await world.principal("alice"), world.services.lookout
    upload, other = [await promised(world, alice, name, method=method) for name in ("cat.txt", "dog.txt")]
    await world.services.uploads.abort(alice, other.id)
    world.store.put(PromisedObject(upload.object_key, 4, "text/plain", None), b"cats")
    world.store.broken = {upload.object_key}
    world.clock.now = upload.expires_at + HOPELESS_AFTER - timedelta(seconds=1)
    with pytest.raises(Unavailable):
        await lookout.look()
    world.clock.advance(minutes=5)
    world.store.is_up = False  # a store that is down altogether ends nothing
    with pytest.raises(Unavailable):
        await lookout.look()
    assert (await world.services.uploads.get(alice, upload.id)).status is UploadStatus.PENDING
    world.store.is_up = True
    world.clock.advance(minutes=5)
    assert await lookout.look() == 1
    assert (await world.services.uploads.get(alice, upload.id)).status is UploadStatus.EXPIRED
    assert (await quota_of(world, alice)).reserved == 0
    world.store.broken = set()
    world.clock.advance(days=2)
    await world.services.upkeep.sweep()
    assert world.store.objects == {}
    assert await disagreements(world) == []


async def test_bytes_that_were_called_clean_and_cannot_be_read_fail_a_day_later(database: Database) -> None:
    world = World(database, judge=Judge.EVENTS)
    alice = await world.principal("alice")
    upload = await sent(world, alice)
    waiting, _ = await world.services.completion.complete(alice, upload.id)
    world.store.broken = {upload.object_key}
    with pytest.raises(Unavailable):
        await world.verdicts.judged(ScanVerdict(upload.object_key, "etag", ScanResult.NO_THREATS_FOUND))
    world.clock.now = waiting.updated_at + SCAN_PATIENCE + HOPELESS_AFTER
    assert await world.services.lookout.look() == 1
    ended = await world.services.uploads.get(alice, upload.id)
    assert ended.failure is not None
    assert (ended.status, ended.failure.code) == (UploadStatus.FAILED, UploadFailureCode.NOT_SCANNED)
