"""``graphql-api edge`` as an operator runs it, whose shell has the settings or none."""

from pathlib import Path

import pytest

from graphql_api.edge.function import presentation_function, revocation_function
from tests.cli.program import clean_environment, outcome


def printed(folder: Path, **settings: str) -> tuple[int, str, str]:
    done = outcome(["edge", "function"], folder, environ=clean_environment(**settings))
    return done.status, done.out, done.err


def test_the_function_is_printed_as_it_is_to_be_deployed(tmp_path: Path) -> None:
    assert printed(tmp_path) == (0, revocation_function(failure="refuse"), "")


def test_what_it_does_without_its_store_is_a_setting(tmp_path: Path) -> None:
    said = printed(tmp_path, GRAPHQL_API_EDGE_STORE_FAILURE="allow", GRAPHQL_API_CDN_KEY_ID="", GRAPHQL_API_PORT="none")
    assert said == (0, revocation_function(failure="allow"), "")


@pytest.mark.parametrize("value", ["ignore", "Refuse"])
def test_another_way_is_a_fault_in_one_line(tmp_path: Path, value: str) -> None:
    status, out, err = printed(tmp_path, GRAPHQL_API_EDGE_STORE_FAILURE=value)
    assert (status, out) == (1, "")
    assert err == "graphql-api: GRAPHQL_API_EDGE_STORE_FAILURE: should be 'refuse' or 'allow'\n"


def test_the_one_for_responses_needs_no_settings(tmp_path: Path) -> None:
    done = outcome(["edge", "function", "--response"], tmp_path, environ=clean_environment())
    assert (done.status, done.out, done.err) == (0, presentation_function(), "")
