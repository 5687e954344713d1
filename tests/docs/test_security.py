"""Each row of docs/security.md names a test, and the test is there; limits are those of the code."""

import re

import pytest

from graphql_api.schema.guard import Limits
from graphql_api.schema.guarding import MAX_COMPARISONS, MAX_ERRORS
from graphql_api.schema.trusted import MAX_TOKENS
from graphql_api.services.rates import BASE_COST
from graphql_api.settings import Settings
from graphql_api.web.graphql_view import MAX_BODY_SIZE, MAX_URL_SIZE
from graphql_api.web.persisted_queries import MAX_DOCUMENTS
from tests.docs.markdown import ROOT

SETTINGS = Settings.model_fields
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", TEXT)))


@pytest.mark.parametrize(("module", "test"), NAMED, ids=lambda name: name)
def test_a_test_that_is_named_is_there(module: str, test: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob(f"*/{module}")]
    assert any(f"def {test}(" in text or not test for text in texts)


def test_every_row_names_one() -> None:
    rows = [
        line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith(("| of |", "| topic |"))
    ]
    assert [row for row in rows if "test_" not in row] == []
    assert len(rows) > 25


def test_the_limits_are_those_of_the_code() -> None:
    limits = Limits()
    levels = [limits.depth, limits.aliases, limits.directives, limits.root_fields, limits.fields]
    for told in (
        f"| {MAX_BODY_SIZE:,} | 413 |",
        f"| {MAX_URL_SIZE:,} | 414 |",
        f"| {MAX_TOKENS:,} |",
        f"| {', '.join(f'{limit:,}' for limit in levels)} |",
        f"| {limits.cost:,} |",
        f"| {MAX_COMPARISONS:,} | `COMPARISONS_LIMITED` |",
        f"errors that are told | {MAX_ERRORS} |",
        f"| {MAX_DOCUMENTS:,} in a process |",
        f"{SETTINGS['rate_points_per_viewer'].default:,} a minute for a viewer",
        f"{SETTINGS['rate_points_per_address'].default:,} for an address",
        f"a request taking {BASE_COST} and its cost",
    ):
        assert told in TEXT
