"""Databases for machines, each of which makes many."""

import logging
import shutil
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stateful.machine import Ground

if TYPE_CHECKING:
    from tests.postgres import PostgresCluster


class Files:
    """SQLite: a file each."""

    def __init__(self, template: Path, folder: Path) -> None:
        self._template, self._folder, self._numbers = template, folder, count(1)

    def make(self) -> str:
        path = self._folder / f"{next(self._numbers)}.db"
        shutil.copyfile(self._template, path)
        return f"sqlite:///{path}"

    def remove(self, url: str) -> None:
        Path(url.removeprefix("sqlite:///")).unlink()


class Cluster:
    def __init__(self, cluster: "PostgresCluster", template: str) -> None:
        self._cluster, self._template = cluster, template

    def make(self) -> str:
        return self._cluster.create_database(template=self._template)

    def remove(self, url: str) -> None:
        self._cluster.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Ground:
    caplog.set_level(logging.CRITICAL, "graphql_api")  # of a thousand refusals that are as they should be
    if request.param == "sqlite":
        return Files(request.getfixturevalue("sqlite_template"), tmp_path)
    return Cluster(request.getfixturevalue("postgres"), request.getfixturevalue("postgres_template"))
