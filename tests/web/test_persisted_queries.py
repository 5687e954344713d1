"""Queries that are named by their hash, as Apollo's and urql's clients do."""

import hashlib
import json
from typing import Any

import httpx
import pytest

from graphql_api.web.documents import Documents
from graphql_api.web.graphql_view import Edition
from graphql_api.web.media_types import JSON, RESULT
from graphql_api.web.persisted_queries import PersistedQueries, UnknownHash, hash_in, sha256_of
from tests.web.small_app import FewServices, app_around, client_of
from tests.web.tokens import Clock

QUERY = 'query ($text: String!) { echo(text: $text) whence: __typename unused: echo(text: "Zürich") }'
ANSWER = {"data": {"echo": "a", "whence": "Query", "unused": "Zürich"}}


each_status_of_a_document_that_will_not_do = pytest.mark.parametrize(
    ("accept", "edition", "status"),
    [(JSON, Edition.WIDESPREAD, 200), (RESULT, Edition.WIDESPREAD, 400), (JSON, Edition.SEPTEMBER_2026, 422)],
    ids=["json", "result", "first edition"],
)


def named(query: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(query.encode()).hexdigest()}}


def in_address(query: str, **more: str) -> dict[str, str]:
    return {"extensions": json.dumps(named(query)), **more}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["extensions"]["code"]


async def test_a_document_is_sent_once_and_then_named(client: httpx.AsyncClient) -> None:
    params = in_address(QUERY, variables='{"text": "a"}')
    answer = await client.get("/graphql", params=params)
    assert code(answer) == (200, "PERSISTED_QUERY_NOT_FOUND")
    assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound"  # what older clients look for
    sent = {"query": QUERY, "variables": {"text": "a"}, "extensions": named(QUERY)}
    assert (await client.post("/graphql", json=sent)).json() == ANSWER
    answer = await client.get("/graphql", params=params)
    assert (answer.status_code, answer.json()) == (200, ANSWER)
    assert "no-store" in answer.headers["cache-control"]
    del sent["query"]
    assert (await client.post("/graphql", json=sent)).json() == ANSWER


@each_status_of_a_document_that_will_not_do
async def test_an_unknown_hash_has_the_status_of_a_document_that_will_not_do(
    services: FewServices, clock: Clock, accept: str, edition: Edition, status: int
) -> None:
    async with client_of(app_around(services, clock, edition=edition)) as client:
        answer = await client.get("/graphql", params=in_address(QUERY), headers={"accept": accept})
    assert code(answer) == (status, "PERSISTED_QUERY_NOT_FOUND")


async def test_a_mutation_stays_a_post_though_it_is_known(client: httpx.AsyncClient) -> None:
    sent = {"query": "mutation { touch }", "extensions": named("mutation { touch }")}
    assert (await client.post("/graphql", json=sent)).json() == {"data": {"touch": True}}
    answer = await client.get("/graphql", params=in_address("mutation { touch }"))
    assert (code(answer), answer.headers["allow"]) == ((405, "METHOD_NOT_ALLOWED"), "POST")


async def test_a_hash_names_nothing_but_what_has_it(client: httpx.AsyncClient) -> None:
    sent = {"query": "{ requestId }", "extensions": named("{ viewer }")}
    assert code(await client.post("/graphql", json=sent)) == (400, "BAD_REQUEST")
    answer = await client.get("/graphql", params=in_address("{ viewer }"))
    assert code(answer) == (200, "PERSISTED_QUERY_NOT_FOUND")


HASH = named("{ viewer }")["persistedQuery"]["sha256Hash"]
MALFORMED: dict[str, Any] = {
    "a number": 1,
    "an array": [HASH],
    "nothing": {},
    "no version": {"sha256Hash": HASH},
    "another version": {"version": 2, "sha256Hash": HASH},
    "a version that only equals 1": {"version": True, "sha256Hash": HASH},
    "no hash": {"version": 1},
    "a hash of another type": {"version": 1, "sha256Hash": [HASH]},
    "a short hash": {"version": 1, "sha256Hash": HASH[:-1]},
    "a hash and a line": {"version": 1, "sha256Hash": HASH + "\n"},
    "no hexadecimal digits": {"version": 1, "sha256Hash": "x" * 64},
    "upper case": {"version": 1, "sha256Hash": HASH.upper()},
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("query", ["{ viewer }", None], ids=["with a query", "alone"])
async def test_what_is_malformed_is_refused(client: httpx.AsyncClient, case: str, query: str | None) -> None:
    sent = {"query": query, "extensions": {"persistedQuery": MALFORMED[case]}}
    assert code(await client.post("/graphql", json=sent)) == (400, "BAD_REQUEST")


def is_kept(queries: PersistedQueries, query: str) -> bool:
    try:
        return queries.document(None, sha256_of(query)) == query
    except UnknownHash:
        return False


def test_the_longest_unused_leave_first() -> None:
    queries = PersistedQueries(documents=2)
    for query in ("{ a }", "{ b }"):
        queries.keep(sha256_of(query), query)
    assert is_kept(queries, "{ a }")  # and used last
    queries.keep(sha256_of("{ c }"), "{ c }")
    assert [is_kept(queries, query) for query in ("{ a }", "{ b }", "{ c }")] == [True, False, True]


def test_few_long_ones_are_as_many_as_many_short_ones() -> None:
    queries = PersistedQueries(characters=100)
    queries.keep(sha256_of("{ a }"), "{ a }")
    for query in ("#" * 60, "#" * 60, "#" * 61):  # the first one twice: it is kept once
        queries.keep(sha256_of(query), query)
    assert [is_kept(queries, query) for query in ("{ a }", "#" * 60, "#" * 61)] == [False, False, True]
    queries.keep(sha256_of("#" * 101), "#" * 101)
    assert not is_kept(queries, "#" * 101)


def test_what_is_not_named_is_not_kept() -> None:
    documents = Documents()
    for extensions in ({"other": 1}, None):
        assert hash_in(extensions) is None
        documents.remember("{ a }", extensions)
    with pytest.raises(UnknownHash):
        documents.wanted(None, None, named("{ a }"))


@pytest.mark.parametrize(
    "query",
    ["{", "{ nothing }", 'query ($a: Int!) { echo(text: "x") }', "{ a " * 20 + "}" * 20],
    ids=["no GraphQL", "no such field", "no such variable", "too deep"],
)
async def test_what_would_not_do_is_not_kept(client: httpx.AsyncClient, query: str) -> None:
    """Else whoever is refused could push out what others have sent."""
    answer = await client.post("/graphql", json={"query": query, "extensions": named(query)})
    assert answer.json()["errors"]
    assert code(await client.get("/graphql", params=in_address(query)))[1] == "PERSISTED_QUERY_NOT_FOUND"
