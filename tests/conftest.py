"""Fixtures that every test may use. What asks for ``database`` or ``world`` runs on SQLite and on PostgreSQL."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from graphql_api.db.engine import Database
from graphql_api.db.migration import migrate
from tests.world import World

if TYPE_CHECKING:  # pytest imports the plugin itself, to rewrite its assertions
    from tests.postgres import MigratedDatabases, PostgresCluster

PATIENCE = 60.0  # seconds: what a service would call no answer is, in a run of all tests, a busy machine

# No test is about time. What else holds, such as what hypothesis does under CI, stays as it is.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")

# A run that was started in the background ignores Ctrl-C, and so would every program that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "tests.browser",
    "tests.postgres",
    "tests.store",
    "tests.cli.program",
    "tests.ministack",
    "tests.e2e.service",
    "tests.clamd",
    "tests.watching",
]


def pytest_xdist_auto_num_workers() -> int:
    """What ``-n auto`` means: one more than there are processors, because tests wait for processes of theirs a fifth of
    the time. Each worker starts a database and stores of its own, so more than four help nobody.
    """
    return min((os.cpu_count() or 1) + 1, 4)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def _migrated(url: str) -> str:
    async def bring_up() -> None:
        database = Database(url)
        await migrate(database)
        await database.close()

    asyncio.run(bring_up())
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to copy: migrating anew for each test would take most of the suite's time."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: "PostgresCluster") -> str:
    return _migrated(postgres.create_database())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of its own for one test."""
    if request.param == "sqlite":
        path = tmp_path / "test.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        databases: MigratedDatabases = request.getfixturevalue("migrated_databases")
        url = databases.make()
        yield url
        databases.remove(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, patience=PATIENCE)
    yield opened
    await opened.close()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)
