"""The database crashes and comes back beneath a running service and a running worker."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from graphql_api.db.engine import Database
from graphql_api.db.migration import migrate
from tests.cli.program import wait_for
from tests.e2e.service import Surroundings
from tests.faults import Answer, HoldAnswer
from tests.faults.conftest import emptied
from tests.faults.locks import nothing_is_inserted_into_files
from tests.faults.place import Place, at, of
from tests.faults.sender import LARGE, SMALL, sender
from tests.postgres import PostgresCluster, database_name
from tests.workers.running import events, worker


@pytest.fixture
def own_place(own_postgres: PostgresCluster, stricken: Surroundings, tmp_path: Path) -> Iterator[Place]:
    database_url = own_postgres.create_database()

    async def prepare() -> None:
        database = Database(database_url)
        async with database.autocommit() as connection:  # what is committed survives, as it does outside of tests
            name = database_name(database_url)
            await connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = on"))
        await migrate(database)
        await database.close()

    asyncio.run(prepare())
    with emptied(stricken) as proxy:
        yield Place(stricken, proxy, database_url)


def test_a_database_that_crashes_is_said_and_the_same_processes_go_on_when_it_is_back(
    own_postgres: PostgresCluster, own_place: Place, tmp_path: Path
) -> None:
    place = own_place
    with (
        place.serving(tmp_path) as service,
        sender(service) as ada,
        sender(service, "grace") as grace,
        worker(place.around, place.database_url, tmp_path, SWEEP_SECONDS="1") as sweeping,
        ThreadPoolExecutor(2) as threads,
    ):
        looked_at, claimed, aborted = ada.sent(), grace.sent(), ada.sent("MULTIPART")
        promised = ada.promised(len(SMALL))
        target, hold = ada.look(promised)["target"], HoldAnswer()
        place.proxy.plan(hold, which=at(ada.key(looked_at), "HEAD"))
        first = threads.submit(ada.complete, looked_at)
        assert hold.reached.wait(60)
        with nothing_is_inserted_into_files(place.database_url) as waiting:
            second = threads.submit(grace.complete, claimed)
            wait_for(lambda: waiting() == 1)
            own_postgres.control("stop", "-m", "immediate")
            assert second.result(60).codes == ["UNAVAILABLE"]
        hold.go_on.set()
        assert first.result(60).codes == ["UNAVAILABLE"]
        assert ada.create(len(LARGE), "MULTIPART").codes == ["UNAVAILABLE"]
        assert ada.abort(aborted).codes == ["UNAVAILABLE"]
        assert ada.send(target, SMALL).status_code == 200  # the store needs no database
        wait_for(lambda: events(sweeping.err, "turn_postponed loop=objects code=UNAVAILABLE"))
        own_postgres.control("restart")
        for person, upload_id in ((ada, looked_at), (grace, claimed), (ada, promised)):
            assert person.look(upload_id)["status"] == "PENDING"
            assert person.completed(upload_id)["size"] == len(SMALL)
        place.proxy.plan(Answer(503), times=2, which=of("DELETE"))
        assert ada.abort(aborted).codes == []
        wait_for(lambda: events(sweeping.err, "turn loop=objects done=1"))
        assert sweeping.stop() == 0
        place.require_order()
