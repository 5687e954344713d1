"""Statuses and media types of GraphQL over HTTP, in both of its editions."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest

from graphql_api.web.graphql_view import MAX_URL_SIZE, Edition
from graphql_api.web.media_types import JSON, RESULT
from tests.web.small_app import FewServices, app_around, client_of
from tests.web.tokens import Clock

# What is sent, whether anything was executed, and the status: to JSON, to RESULT, and in the first edition.
REQUESTS: dict[str, tuple[dict[str, Any], bool, tuple[int, int, int]]] = {
    "a query": ({"query": "{ viewer }"}, True, (200, 200, 200)),
    "a field that fails": ({"query": '{ viewer bug(text: "x") }'}, True, (200, 200, 294)),
    "a field that may not be null fails": ({"query": "{ deep }"}, True, (200, 200, 294)),
    "no GraphQL": ({"query": "{"}, False, (200, 400, 400)),
    "an unknown field": ({"query": "{ nothing }"}, False, (200, 400, 422)),
    "a variable of another type": (
        {"query": "query ($text: String!) { echo(text: $text) }", "variables": {"text": [1]}},
        False,
        (200, 400, 422),
    ),
    "a variable that is missing": ({"query": "query ($text: String!) { echo(text: $text) }"}, False, (200, 400, 422)),
    "no query": ({"qeury": "{ viewer }"}, False, (400, 400, 422)),
    "a query of another type": ({"query": 7}, False, (400, 400, 422)),
    "several operations and no name": ({"query": "query A { viewer } query B { viewer }"}, False, (400, 400, 422)),
    "one without a name among several": ({"query": "{ viewer } query B { viewer }"}, False, (400, 400, 422)),
    "the name of none": ({"query": "query A { viewer }", "operationName": "B"}, False, (400, 400, 422)),
}


@pytest.mark.parametrize("case", REQUESTS)
@pytest.mark.parametrize(
    ("place", "accept", "edition"),
    [(0, JSON, Edition.WIDESPREAD), (1, RESULT, Edition.WIDESPREAD), (2, JSON, Edition.SEPTEMBER_2026)],
    ids=["json", "result", "first edition"],
)
async def test_the_status_says_what_became_of_it(
    services: FewServices, clock: Clock, case: str, place: int, accept: str, edition: Edition
) -> None:
    sent, is_executed, statuses = REQUESTS[case]
    async with client_of(app_around(services, clock, edition=edition)) as client:
        answer = await client.post("/graphql", json=sent, headers={"accept": accept})
    assert answer.status_code == statuses[place]
    kind = RESULT if edition is Edition.SEPTEMBER_2026 else accept
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.headers["vary"] == "Accept, Origin"
    assert ("data" in answer.json()) is is_executed
    assert all(error["extensions"]["code"] for error in answer.json().get("errors", ()))


@pytest.mark.parametrize("edition", Edition)
async def test_what_is_no_json_is_a_bad_request_in_both(services: FewServices, clock: Clock, edition: Edition) -> None:
    async with client_of(app_around(services, clock, edition=edition)) as client:
        answer = await client.post("/graphql", content=b"{", headers={"content-type": JSON})
    assert answer.status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/xml", "application/json;q=0"])
async def test_whoever_accepts_no_answer_gets_none(client: httpx.AsyncClient, method: str, accept: str) -> None:
    request: dict[str, Any] = {"params": {"query": "{ viewer }"}}
    if method == "POST":
        request = {"json": {"query": "mutation { touch }"}}
    answer = await client.request(method, "/graphql", headers={"accept": accept}, **request)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (406, "NOT_ACCEPTABLE")


async def test_a_parameter_of_an_address_stands_there_once(client: httpx.AsyncClient) -> None:
    for name in ("query", "variables", "operationName", "extensions"):
        answer = await client.get(f"/graphql?query={quote('{ viewer }')}&{name}=%7B%7D&{name}=%7B%7D")
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")
    answer = await client.get(f"/graphql?query={quote('{ viewer }')}&other=1&other=2")
    assert answer.json()["data"] == {"viewer": None}


async def test_an_empty_parameter_of_an_address_is_none(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/graphql?query={quote('{ viewer }')}&operationName=&variables=&extensions=")
    assert (answer.status_code, answer.json()) == (200, {"data": {"viewer": None}})


async def test_an_address_has_a_length_that_it_may_have(client: httpx.AsyncClient) -> None:
    start = f"/graphql?query={quote('{ viewer }')}&other="
    longest = start + "x" * (MAX_URL_SIZE + 1 - len(start))  # the question mark is of neither part
    assert (await client.get(longest)).status_code == 200
    answer = await client.get(longest + "x")
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (414, "URI_TOO_LONG")


async def test_an_operation_that_takes_too_long_is_given_up(services: FewServices, clock: Clock) -> None:
    async with client_of(app_around(services, clock, time_limit=timedelta(milliseconds=50))) as client:
        answer = await client.post("/graphql", json={"query": "{ slow }"})
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (503, "OPERATION_TIMEOUT")
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.post("/graphql", json={"query": "{ viewer }"})).status_code == 200


async def test_a_body_that_does_not_come_is_given_up(services: FewServices, clock: Clock) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"query": '
        await anyio.sleep_forever()

    async with client_of(app_around(services, clock, time_limit=timedelta(milliseconds=50))) as client:
        answer = await client.post("/graphql", content=slowly(), headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (503, "OPERATION_TIMEOUT")
