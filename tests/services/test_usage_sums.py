"""The sums of a page of users cost what these users have, not what all have."""

from typing import Any

from sqlalchemy import event

from graphql_api.db import usage_sums
from tests.services.stock import administrator
from tests.services.stories import filed, promised
from tests.world import World


async def test_what_users_have_reserved_is_looked_up_by_user(sqlite_world: World) -> None:
    world = sqlite_world
    alice, bob = await world.principal("alice"), await world.principal("bob")
    assert alice.user_id is not None
    await promised(world, alice, "new")
    file = await filed(world, alice, "old")
    await promised(world, alice, "newer", replaces=file.id)
    await promised(world, await administrator(world), "by another", replaces=file.id)
    await promised(world, bob, "of another")
    ran: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        ran.append((statement, parameters))

    engine = world.database._engine.sync_engine
    async with world.database.autocommit() as connection:
        event.listen(engine, "before_cursor_execute", note)
        sums = await usage_sums.sums_of_users(connection, [alice.user_id])
        event.remove(engine, "before_cursor_execute", note)
        plans = [
            (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).mappings().all()
            for statement, parameters in ran
        ]
    assert sums == {alice.user_id: (5, 15)}
    of_uploads = [row["detail"] for plan in plans for row in plan if " uploads " in row["detail"]]
    assert len(of_uploads) == 2
    assert all(line.startswith("SEARCH uploads USING INDEX") for line in of_uploads)
    assert ["owner_id=?" in of_uploads[0], "replaces=?" in of_uploads[1]] == [True, True]
