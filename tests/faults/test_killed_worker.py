"""A worker is killed in the middle of a sweep and of a look, with the store in between."""

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from graphql_api.db.tables import UploadRow
from graphql_api.model.ids import PUBLISHED_PREFIX
from graphql_api.services.lookout import LEASE as LOOK_LEASE
from graphql_api.services.outbox import LEASE as JOB_LEASE
from graphql_api.services.upkeep import LEASE as SWEEP_LEASE
from tests.faults import Answer, Hold, HoldAnswer
from tests.faults.place import Place, at, of
from tests.faults.sender import Sender
from tests.workers.running import worker

NOW = timedelta()
SHOW = """
mutation ($id: ID!) {
  createAccessRule(input: {effect: ALLOW, permissions: [READ], subject: {anyone: true}, resource: {fileId: $id}}) {
    userErrors { code }
  }
}
"""
PUBLISH = "mutation ($id: ID!) { publish(input: {fileId: $id}) { userErrors { code } } }"
UNPUBLISH = "mutation ($id: ID!) { unpublish(input: {fileId: $id}) { userErrors { code } } }"
ADDRESS = "query ($id: ID!) { file(by: {id: $id}) { publicUrl } }"


async def turns(place: Place, ahead: timedelta) -> tuple[int, int]:
    """Of another worker: how many uploads moved on, and how many objects went."""
    async with place.assembled(ahead=ahead) as parts:
        return await parts.services.lookout.look(), await parts.services.upkeep.sweep()


def published(place: Place) -> set[str]:
    return {key for key in place.stored() if key.startswith(PUBLISHED_PREFIX)}


async def publishing_turns(place: Place) -> None:
    """Of another worker, when the lease of the first is over."""
    async with place.assembled(ahead=2 * JOB_LEASE) as parts:
        for turn in (parts.publishing.turn, parts.copies.turn, parts.outbox.turn):
            while (await turn()).is_more:
                pass


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


@pytest.mark.parametrize("is_withdrawn", [False, True], ids=["still public", "withdrawn meanwhile"])
def test_a_copy_that_a_killed_worker_had_asked_for_is_found_by_another(
    served_ada: Sender, place: Place, tmp_path: Path, is_withdrawn: bool
) -> None:
    """The store has made it, and nobody was told."""
    ada, before = served_ada, published(place)
    file_id = ada.completed(ada.sent())["id"]
    assert ada.ask(SHOW, id=file_id).codes == []
    assert ada.ask(PUBLISH, id=file_id).codes == []
    copying = HoldAnswer()
    place.proxy.plan(copying, which=lambda request: request.method == "PUT" and PUBLISHED_PREFIX in request.path)
    with worker(place.around, place.database_url, tmp_path, S3_ENDPOINT_URL=place.proxy.address) as program:
        assert copying.reached.wait(60)
        if is_withdrawn:
            assert ada.ask(UNPUBLISH, id=file_id).codes == []
        program.tell(signal.SIGKILL)
        assert program.end() == -signal.SIGKILL
    copying.go_on.set()
    asyncio.run(publishing_turns(place))
    copies = published(place) - before
    url = ada.ask(ADDRESS, id=file_id).payload["publicUrl"]
    assert len(copies) == (0 if is_withdrawn else 1)
    assert (url is None) == is_withdrawn
    assert all(url.endswith(f"/{key}") for key in copies)
    place.require_order()
