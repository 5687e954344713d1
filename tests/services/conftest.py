"""A world for facts that no database has a part in."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copyfile

import pytest

from graphql_api.db.engine import Database
from tests.world import World


@pytest.fixture
async def sqlite_world(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[World]:
    copyfile(sqlite_template, tmp_path / "test.db")
    database = Database(f"sqlite:///{tmp_path}/test.db")
    yield World(database)
    await database.close()
