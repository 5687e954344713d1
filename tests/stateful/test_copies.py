"""Whatever happens to published files in whatever order, nobody reads a copy that not everybody may read."""

import pytest
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.copies import Copies
from tests.stateful.machine import Ground
from tests.stateful.test_lives import LONG, SHORT

FEW = settings(SHORT, max_examples=5, stateful_step_count=20)


def copies_on(its_ground: Ground) -> type[Copies]:
    class CopiesThere(Copies):
        ground = its_ground

    return CopiesThere


@pytest.mark.timeout(600)  # it takes seconds, but to make a failure small takes minutes
def test_after_a_workers_turn_there_is_a_copy_of_what_is_published_and_of_nothing_else(ground: Ground) -> None:
    run_state_machine_as_test(seed(type(ground).__name__)(copies_on(ground)), settings=FEW)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("_round", range(6))
def test_so_it_is_for_long(ground: Ground, _round: int) -> None:
    run_state_machine_as_test(copies_on(ground), settings=LONG)
