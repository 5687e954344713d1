"""Databases for machines, each of which makes many."""

import logging
import shutil
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.stateful.machine import Ground

if TYPE_CHECKING:
    from tests.postgres import MigratedDatabases


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


@pytest.fixture(params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Ground:
    caplog.set_level(logging.CRITICAL, "graphql_api")  # of a thousand refusals that are as they should be
    if request.param == "sqlite":
        return Files(request.getfixturevalue("sqlite_template"), tmp_path)
    databases: MigratedDatabases = request.getfixturevalue("migrated_databases")
    return databases
