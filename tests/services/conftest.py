"""A world for facts that no database has a part in, and one with a keyring."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copyfile

import pytest

from graphql_api.db.engine import Database
from tests.services.rotating import House
from tests.services.stories import filed
from tests.world import World


@pytest.fixture
async def sqlite_world(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[World]:
    copyfile(sqlite_template, tmp_path / "test.db")
    database = Database(f"sqlite:///{tmp_path}/test.db")
    yield World(database)
    await database.close()


@pytest.fixture
async def house(world: World) -> House:
    """With one file, and K2 in the group."""
    house = await House.build(world)
    await filed(world, await world.principal("alice"), "a.txt")
    house.trust("K2", "/K2.pem")
    return house
