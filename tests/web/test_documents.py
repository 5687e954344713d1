"""Documents that an operator trusts: named by id on every transport, and, if so wished, all there is."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from graphql_api.web.documents import Documents
from graphql_api.web.graphql_view import Edition
from graphql_api.web.media_types import EVENTS, JSON, RESULT
from tests.web.small_app import FewServices, app_around, client_of, running
from tests.web.socket_client import Socket, socket_at
from tests.web.test_persisted_queries import code, each_status_of_a_document_that_will_not_do, named
from tests.web.tokens import Clock

ECHO = "query Echo($text: String!) { echo(text: $text) }"
TOUCH = "mutation Touch { touch }"
COUNT = "subscription Count { count(to: 1) }"
OTHER = "{ viewer }"
SHA256 = hashlib.sha256(ECHO.encode()).hexdigest()
TRUSTED = {SHA256: ECHO, "touch": TOUCH, "count": COUNT}
SAID = {"text": "a"}
ANSWER = {"data": {"echo": "a"}}
NOT_TRUSTED = (403, "DOCUMENT_NOT_TRUSTED")


@pytest.fixture
async def free(services: FewServices, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """Of a service that trusts some documents and runs others as well."""
    async with client_of(app_around(services, clock, documents=Documents(TRUSTED))) as client:
        yield client


@pytest.fixture
async def strict(services: FewServices, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """Of a service that runs nothing else."""
    async with client_of(app_around(services, clock, documents=Documents(TRUSTED, only_trusted=True))) as client:
        yield client


@pytest.fixture(params=["free", "strict"])
def either(request: pytest.FixtureRequest) -> httpx.AsyncClient:
    client: httpx.AsyncClient = request.getfixturevalue(request.param)
    return client


NAMES: dict[str, dict[str, Any]] = {
    "its id": {"documentId": SHA256},
    "its hash": {"documentId": f"sha256:{SHA256}"},
    "Apollo's way": {"extensions": named(ECHO)},
    "its id, with the text": {"documentId": SHA256, "query": ECHO},
    "its id, with an empty text": {"documentId": SHA256, "query": ""},
    "Apollo's way, with the text": {"extensions": named(ECHO), "query": ECHO},
    "the text": {"query": ECHO},
    "the text, and null for an id": {"query": ECHO, "documentId": None},
}


@pytest.mark.parametrize("how", NAMES)
async def test_a_trusted_document_is_run_by_whatever_name(either: httpx.AsyncClient, how: str) -> None:
    answer = await either.post("/graphql", json={**NAMES[how], "variables": SAID})
    assert (answer.status_code, answer.json()) == (200, ANSWER)
    given = {name: value for name, value in NAMES[how].items() if value is not None}
    params = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    for accept in (JSON, "text/html,*/*;q=0.8"):  # a browser's address bar is given the answer, and not the console
        asked = {**params, "variables": json.dumps(SAID)}
        answer = await either.get("/graphql", params=asked, headers={"accept": accept})
        assert answer.json() == ANSWER


async def test_a_mutation_is_named_too_but_posted(either: httpx.AsyncClient) -> None:
    assert (await either.post("/graphql", json={"documentId": "touch"})).json() == {"data": {"touch": True}}
    answer = await either.get("/graphql", params={"documentId": "touch"})
    assert (code(answer), answer.headers["allow"]) == ((405, "METHOD_NOT_ALLOWED"), "POST")


async def test_a_subscription_is_named_and_streamed(either: httpx.AsyncClient) -> None:
    answer = await either.post("/graphql", json={"documentId": "count"}, headers={"accept": EVENTS})
    assert 'data: {"data":{"count":1}}' in answer.text
    assert code(await either.post("/graphql", json={"documentId": "count"})) == (406, "NOT_ACCEPTABLE")


MALFORMED: dict[str, dict[str, Any]] = {
    "another text": {"documentId": SHA256, "query": OTHER},
    "the same text with a line": {"documentId": SHA256, "query": ECHO + "\n"},
    "another text by its hash": {"extensions": named(ECHO), "query": OTHER},
    "the text by another hash": {"extensions": named(OTHER), "query": ECHO},
    "two names": {"documentId": SHA256, "extensions": named(ECHO)},
    "a number": {"documentId": 1},
    "an array": {"documentId": [SHA256]},
    "no document": {},
    "an empty document": {"query": ""},
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_what_does_not_fit_together_is_refused(either: httpx.AsyncClient, case: str) -> None:
    for accept in (JSON, EVENTS):
        sent = {**MALFORMED[case], "variables": SAID}
        answer = await either.post("/graphql", json=sent, headers={"accept": accept})
        assert code(answer) == (400, "BAD_REQUEST")


async def test_a_name_stands_in_an_address_once(either: httpx.AsyncClient) -> None:
    answer = await either.get("/graphql", params=[("documentId", "touch"), ("documentId", SHA256)])
    assert code(answer) == (400, "BAD_REQUEST")


UNKNOWN: dict[str, Any] = {
    "another id": "none",
    "upper case": SHA256.upper(),
    "another hash": "sha256:" + "0" * 64,
    "no hexadecimal digits": "sha256:" + "x" * 64,
    "a hash and a line": f"sha256:{SHA256}\n",
    "the prefix twice": f"sha256:sha256:{SHA256}",
    "another prefix": f"md5:{SHA256}",
    "a long one": "a" * 90_000,
    "an empty one": "",
}


@pytest.mark.parametrize("case", UNKNOWN)
@pytest.mark.parametrize("query", [OTHER, None], ids=["with a query", "alone"])
async def test_an_unknown_id_names_nothing(
    free: httpx.AsyncClient, strict: httpx.AsyncClient, case: str, query: str | None
) -> None:
    sent = {"documentId": UNKNOWN[case], "query": query}
    answer = await free.post("/graphql", json=sent)
    assert code(answer) == (200, "DOCUMENT_NOT_FOUND")
    assert len(answer.content) < 500
    assert code(await strict.post("/graphql", json=sent)) == NOT_TRUSTED


@each_status_of_a_document_that_will_not_do
async def test_an_unknown_id_has_the_status_of_a_document_that_will_not_do(
    services: FewServices, clock: Clock, accept: str, edition: Edition, status: int
) -> None:
    async with client_of(app_around(services, clock, edition=edition)) as client:
        answer = await client.post("/graphql", json={"documentId": "a"}, headers={"accept": accept})
    assert code(answer) == (status, "DOCUMENT_NOT_FOUND")


INTROSPECTION = "query IntrospectionQuery { __schema { queryType { name } } }"


@pytest.mark.parametrize("query", [OTHER, ECHO + " ", "{", INTROSPECTION], ids=["other", "blank", "broken", "schema"])
async def test_nothing_else_is_run_where_that_is_wished(strict: httpx.AsyncClient, query: str) -> None:
    for sent in ({"query": query}, {"query": query, "extensions": named(query)}, {"extensions": named(query)}):
        for accept in (JSON, RESULT, EVENTS):
            answer = await strict.post("/graphql", json=sent, headers={"accept": accept})
            assert code(answer) == NOT_TRUSTED
            assert "the operator has listed" in answer.json()["errors"][0]["message"]
    assert code(await strict.get("/graphql", params={"query": query})) == NOT_TRUSTED


async def test_what_is_trusted_does_not_keep_others_from_being_named(free: httpx.AsyncClient) -> None:
    sent = {"query": OTHER, "extensions": named(OTHER)}
    assert (await free.post("/graphql", json=sent)).json() == {"data": {"viewer": None}}
    assert (await free.post("/graphql", json={"extensions": named(OTHER)})).json() == {"data": {"viewer": None}}


@pytest.fixture(scope="module")
def strict_address() -> Iterator[str]:
    with running(app_around(FewServices(), Clock(), documents=Documents(TRUSTED, only_trusted=True))) as address:
        yield address


@pytest.fixture
def strict_socket(strict_address: str) -> Iterator[Socket]:
    with socket_at(strict_address) as socket:
        socket.begin()
        yield socket


def heard(socket: Socket, **payload: Any) -> list[Any]:
    """Results and errors, up to the end of the operation."""
    socket.say("subscribe", id="1", payload=payload)
    found = []
    while (message := socket.hear())["type"] == "next":
        found.append(message["payload"])
    if message["type"] == "error":
        found += [error["extensions"]["code"] for error in message["payload"]]
    return found


def test_a_socket_runs_what_is_trusted_by_whatever_name(strict_socket: Socket) -> None:
    assert heard(strict_socket, documentId="count") == [{"data": {"count": 1}}]
    for how in NAMES.values():
        assert heard(strict_socket, **how, variables=SAID) == [ANSWER]


def test_a_socket_runs_nothing_else_and_stays_open(strict_socket: Socket) -> None:
    for query in (OTHER, INTROSPECTION, "{"):
        assert heard(strict_socket, query=query) == ["DOCUMENT_NOT_TRUSTED"]
        assert heard(strict_socket, extensions=named(query)) == ["DOCUMENT_NOT_TRUSTED"]
    for id_ in UNKNOWN.values():
        assert heard(strict_socket, documentId=id_) == ["DOCUMENT_NOT_TRUSTED"]
    for case in ("another text", "two names", "an empty document"):
        assert heard(strict_socket, **MALFORMED[case]) == ["BAD_REQUEST"]
    assert heard(strict_socket, documentId="touch") == [{"data": {"touch": True}}]


@pytest.mark.parametrize("payload", [{}, {"documentId": 1}, {"extensions": {"cost": True}}], ids=repr)
def test_a_message_without_a_document_is_none(strict_socket: Socket, payload: dict[str, Any]) -> None:
    strict_socket.say("subscribe", id="1", payload=payload)
    assert strict_socket.close_code() == 4400
