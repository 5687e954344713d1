"""Uploads and files live through everything in any order as a naive model says, and leave nothing behind."""

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.bundle_lives import BundleLives
from tests.stateful.machine import Ground, Lives

# Of so few examples hypothesis neither makes small ones first nor variations of what it had: all are chosen freely.
FREELY = settings(max_examples=9, deadline=None, database=None, suppress_health_check=list(HealthCheck))
SHORT = settings(FREELY, stateful_step_count=30)
BRIEF = settings(SHORT, max_examples=2)
LONG = settings(FREELY, stateful_step_count=150, print_blob=True)


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
