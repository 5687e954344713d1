"""Two completions, an abort, the store's event and upkeep at once, on one upload: one of them wins, many times over."""

import asyncio
import time
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import update

from graphql_api.db.tables import UploadRow
from graphql_api.errors import DeliveryError, UploadStateConflict
from graphql_api.model.parts import PartsTarget
from graphql_api.model.principal import Principal
from graphql_api.model.upload import OnConflict, Upload, UploadMethod, UploadStatus
from tests.agreement import assert_in_agreement
from tests.faults.place import Place
from tests.faults.sender import sender
from tests.services.stories import CONTENT, promised, send
from tests.workers.running import worker
from tests.world import World

ROUNDS, MANY, PROCESS_ROUNDS = 10, 300, 60
PAUSES = (0, 0, 0.005, 0.02, 0.1)  # seconds: to give up takes less than to complete, and would nearly always be first


async def brought(world: World, alice: Principal, method: UploadMethod) -> Upload:
    """An upload whose bytes are there, and at which upkeep is about to look."""
    upload = await promised(world, alice, "same.txt", method=method, on_conflict=OnConflict.RENAME)
    if method is UploadMethod.PUT:
        send(world, upload)
    else:
        target = await world.services.upload_targets.target(upload)
        assert isinstance(target, PartsTarget)
        world.store.put_part(target.upload, 1, CONTENT)
    async with world.database.autocommit() as connection:
        due = update(UploadRow).where(UploadRow.id == upload.id).values(look_at=world.clock())
        await connection.execute(due)
    return upload


async def outcome(work: Awaitable[object]) -> object:
    try:
        return await work
    except DeliveryError as error:
        return error


async def later(work: Awaitable[object], seconds: float) -> object:
    await asyncio.sleep(seconds)
    return await work


async def one_round(world: World, alice: Principal, method: UploadMethod, random: Random) -> UploadStatus:
    upload, services = await brought(world, alice, method), world.services
    works: dict[str, Awaitable[object]] = {
        "complete": services.completion.complete(alice, upload.id),
        "again": services.completion.complete(alice, upload.id),
        "abort": services.uploads.abort(alice, upload.id),
        "event": services.completion.arrived(upload.object_key),
        "look": services.lookout.turn(),
        "sweep": services.upkeep.turn(),
    }
    names = random.sample(list(works), len(works))
    pauses = [random.choice(PAUSES) for _ in names]
    begun = (outcome(later(works[name], pause)) for name, pause in zip(names, pauses, strict=True))
    done = dict(zip(names, await asyncio.gather(*begun), strict=True))
    status = (await services.uploads.get(alice, upload.id)).status
    file = (await services.files.find(alice, [upload.file_id])).get(upload.file_id)
    if status is UploadStatus.COMPLETED:
        assert file is not None
        assert upload.object_key in world.store.objects
        assert [done[name] for name in ("complete", "again")] == [
            (await services.uploads.get(alice, upload.id), file)
        ] * 2
        assert isinstance(done["abort"], UploadStateConflict)
    else:
        assert (status, file) == (UploadStatus.ABORTED, None)
        assert all(isinstance(done[name], UploadStateConflict) for name in ("complete", "again"))
        assert isinstance(done["abort"], Upload)
    assert not [each for each in (done["event"], done["look"], done["sweep"]) if isinstance(each, DeliveryError)]
    return status


async def many_rounds(world: World, number: int) -> set[UploadStatus]:
    """How they ended."""
    alice, random = await world.principal("alice"), Random(number)
    methods = (UploadMethod.PUT, UploadMethod.MULTIPART)
    ends = {await one_round(world, alice, methods[turn % 2], random) for turn in range(number)}
    await assert_in_agreement(world)
    world.clock.advance(days=9)
    await assert_in_agreement(world)
    assert world.store.open == {}
    return ends


async def test_one_of_all_wins(world: World) -> None:
    await many_rounds(world, ROUNDS)


@pytest.mark.nightly
@pytest.mark.timeout(900)
async def test_one_of_all_wins_each_of_many_times(world: World) -> None:
    assert await many_rounds(world, MANY) == {UploadStatus.COMPLETED, UploadStatus.ABORTED}


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_one_of_all_wins_between_processes(place: Place, tmp_path: Path) -> None:
    with (
        place.serving(tmp_path) as one,
        place.serving(tmp_path) as two,
        worker(place.around, place.database_url, tmp_path, SWEEP_SECONDS="1"),
        sender(one) as ada,
        sender(two) as same,
        ThreadPoolExecutor(4) as threads,
    ):
        ends = set()
        for turn in range(PROCESS_ROUNDS):
            upload_id = ada.sent(("PUT", "MULTIPART")[turn % 2])
            completions = [threads.submit(each.complete, upload_id) for each in (ada, same, ada)]
            time.sleep(PAUSES[turn % len(PAUSES)])
            aborted = threads.submit(same.abort, upload_id).result(60)
            completed = [each.result(60) for each in completions]
            status = ada.look(upload_id)["status"]
            ends.add(status)
            lost = ["UPLOAD_STATE"]
            expected = ([], lost) if status == "COMPLETED" else (lost, [])
            assert status in ("COMPLETED", "ABORTED")
            assert ([each.codes for each in completed], aborted.codes) == ([expected[0]] * 3, expected[1])
    assert ends == {"COMPLETED", "ABORTED"}
    place.require_order()
