"""What is answered to whom: RFC 9110's ranges and weights."""

import pytest

from graphql_api.web.media_types import JSON, RESULT, answer_type


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/graphql-response+json", RESULT),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", RESULT),
        ("application/json, application/graphql-response+json", RESULT),
        ("application/graphql-response+json,application/json;q=0.9", RESULT),  # Apollo Client
        ("application/graphql-response+json, application/graphql+json, application/json, text/event-stream", RESULT),
        ("application/json, application/graphql-response+json;q=0.5", JSON),
        ("*/*, application/graphql-response+json;q=0.5", JSON),
        ("application/json;q=0, */*", RESULT),
        ("application/json;q=0", None),
        ("application/graphql-response+json;q=0", None),
        ("application/graphql-response+json;q=many", None),
        ("text/html", None),
        ("text/html, */*;q=0.1", JSON),
        ("text/*", None),
        ("text/event-stream", None),
        (",", None),
        ("application/json;q=7", JSON),
    ],
)
def test_the_most_specific_range_and_the_highest_weight_decide(accept: str, answer: str | None) -> None:
    assert answer_type(accept) == answer
