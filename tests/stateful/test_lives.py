"""Uploads and files live through everything in any order as a naive model says, and leave nothing behind."""

import logging
import shutil
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.bundle_lives import BundleLives
from tests.stateful.machine import Ground, Lives

if TYPE_CHECKING:
    from tests.postgres import PostgresCluster

# Of so few examples hypothesis neither makes small ones first nor variations of what it had: all are chosen freely.
FREELY = settings(max_examples=9, deadline=None, database=None, suppress_health_check=list(HealthCheck))
SHORT = settings(FREELY, stateful_step_count=30)
BRIEF = settings(SHORT, max_examples=2)
LONG = settings(FREELY, stateful_step_count=150, print_blob=True)


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


def lives_on(its_ground: Ground) -> type[Lives]:
    class LivesThere(Lives):
        ground = its_ground

    return LivesThere


@pytest.mark.timeout(600)  # it takes seconds, but to make a failure small takes minutes
@pytest.mark.parametrize("number", range(2))
def test_whatever_happens_in_whatever_order_comes_to_what_the_model_says(ground: Ground, number: int) -> None:
    run_state_machine_as_test(seed(f"{type(ground).__name__} {number}")(lives_on(ground)), settings=SHORT)


def bundles_live_on(its_ground: Ground) -> type[BundleLives]:
    class BundlesLiveThere(BundleLives):
        ground = its_ground

    return BundlesLiveThere


@pytest.mark.timeout(600)
def test_whatever_happens_to_bundles_comes_to_what_the_model_says(ground: Ground) -> None:
    run_state_machine_as_test(seed(type(ground).__name__)(bundles_live_on(ground)), settings=BRIEF)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("_round", range(3))
def test_whatever_happens_to_bundles_for_long_comes_to_what_the_model_says(ground: Ground, _round: int) -> None:
    run_state_machine_as_test(bundles_live_on(ground), settings=LONG)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("_round", range(6))
def test_whatever_happens_for_long_comes_to_what_the_model_says(ground: Ground, _round: int) -> None:
    run_state_machine_as_test(lives_on(ground), settings=LONG)
