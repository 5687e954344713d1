"""Uploads and files live through everything in any order as a naive model says, and leave nothing behind."""

import shutil
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import Ground, Lives

if TYPE_CHECKING:
    from tests.postgres import PostgresCluster

ALWAYS = settings(
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
SHORT = settings(ALWAYS, max_examples=25, stateful_step_count=30, derandomize=True)
LONG = settings(ALWAYS, max_examples=300, stateful_step_count=100, print_blob=True)


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
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Ground:
    if request.param == "sqlite":
        return Files(request.getfixturevalue("sqlite_template"), tmp_path)
    return Cluster(request.getfixturevalue("postgres"), request.getfixturevalue("postgres_template"))


def test_whatever_happens_in_whatever_order_comes_to_what_the_model_says(ground: Ground) -> None:
    run_state_machine_as_test(lambda: Lives(ground), settings=SHORT)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_whatever_happens_for_long_in_whatever_order_comes_to_what_the_model_says(ground: Ground) -> None:
    run_state_machine_as_test(lambda: Lives(ground), settings=LONG)
