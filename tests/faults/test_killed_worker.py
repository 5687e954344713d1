"""A worker is killed in the middle of a sweep and of a look, with the store in between."""

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from graphql_api.db.tables import UploadRow
from graphql_api.services.lookout import LEASE as LOOK_LEASE
from graphql_api.services.upkeep import LEASE as SWEEP_LEASE
from tests.faults import Answer, Hold, HoldAnswer
from tests.faults.place import Place, at, of
from tests.faults.sender import Sender
from tests.workers.running import worker

NOW = timedelta()


async def turns(place: Place, ahead: timedelta) -> tuple[int, int]:
    """Of another worker: how many uploads moved on, and how many objects went."""
    async with place.assembled(ahead=ahead) as parts:
        return await parts.services.lookout.look(), await parts.services.upkeep.sweep()


async def make_due(place: Place, upload_id: str) -> None:
    """Five minutes have passed, and its client has said nothing."""
    async with place.assembled() as parts, parts.database.autocommit() as connection:
        statement = update(UploadRow).where(UploadRow.id == upload_id)
        await connection.execute(statement.values(look_at=UploadRow.created_at))


@pytest.mark.parametrize("is_removed", [False, True], ids=["before the store", "after the store"])
def test_what_a_killed_worker_was_doing_is_done_by_another_after_its_lease(
    served_ada: Sender, place: Place, tmp_path: Path, is_removed: bool
) -> None:
    ada = served_ada
    silent, aborted, in_parts = ada.sent(), ada.sent(), ada.sent("MULTIPART")
    keys = {upload_id: ada.key(upload_id) for upload_id in (silent, aborted, in_parts)}
    place.proxy.plan(Answer(503), times=4, which=lambda request: request.method in ("POST", "DELETE"))
    for upload_id in (aborted, in_parts):
        assert ada.abort(upload_id).codes == []
    asyncio.run(make_due(place, silent))
    removing, looking = HoldAnswer() if is_removed else Hold(), HoldAnswer()
    place.proxy.plan(removing, which=of("POST", having="delete"))
    place.proxy.plan(looking, which=at(keys[silent], "HEAD"))
    through = {"S3_ENDPOINT_URL": place.proxy.address, "SWEEP_SECONDS": "1"}
    with worker(place.around, place.database_url, tmp_path, **through) as program:
        assert removing.reached.wait(60)
        assert looking.reached.wait(60)
        program.tell(signal.SIGKILL)
        assert program.end() == -signal.SIGKILL
    looking.go_on.set()
    if isinstance(removing, Hold):
        removing.lose()
    removing.go_on.set()
    assert (keys[aborted] in place.stored()) is not is_removed
    assert asyncio.run(turns(place, NOW)) == (0, 0)
    assert ada.look(silent)["status"] == "PENDING"
    assert asyncio.run(turns(place, max(LOOK_LEASE, SWEEP_LEASE))) == (1, 2)
    assert ada.look(silent)["status"] == "COMPLETED"
    assert place.stored() & set(keys.values()) == {keys[silent]}
    place.require_order()
