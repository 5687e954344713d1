"""Who has asked for too much is told so before anything is executed, on every transport, and when to come back."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

import anyio.lowlevel
import httpx
import pytest

from graphql_api.limits.memory import MemoryRates
from graphql_api.model.rate import Allowance
from graphql_api.services.rates import BASE_COST, RateLimits, Rates
from graphql_api.web.socket import SocketLimits
from tests.web.small_app import FewServices, app_around, client_of, executed, running
from tests.web.socket_client import PAGE, socket_at
from tests.web.test_event_stream import EVENTS, streaming
from tests.web.tokens import Clock, bearer

MINUTE = timedelta(minutes=1)
LIMITS = RateLimits(per_viewer=5 * BASE_COST, per_address=3 * BASE_COST, window=MINUTE)
QUERY = {"query": '{ echo(text: "counted") }'}
UNKNOWN_HASH = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}


class Elsewhere(MemoryRates):
    """Takes its time, as what asks a database does."""

    async def charge(self, key: str, points: int, allowance: Allowance, *, now: datetime) -> datetime:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        return await super().charge(key, points, allowance, now=now)


def services_of(clock: Clock, limits: RateLimits = LIMITS) -> FewServices:
    return FewServices(rates=Rates(Elsewhere(), clock, limits))


@pytest.fixture
async def http(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """Behind a proxy whose word about addresses counts, as that of this machine."""
    app = app_around(services_of(clock), clock, trusted_proxies=[ip_network("127.0.0.1")])
    async with client_of(app, client=("127.0.0.1", 1)) as client:
        yield client


def refusal(answer: httpx.Response) -> tuple[int, str, str, int]:
    """Status, header, code and the wait that the body tells."""
    [error] = answer.json()["errors"]
    extensions = error["extensions"]
    assert extensions["requestId"] == answer.headers["x-request-id"]
    return answer.status_code, answer.headers["retry-after"], extensions["code"], extensions["retryAfter"]


async def test_what_is_too_much_is_not_executed_and_may_be_asked_again_later(
    http: httpx.AsyncClient, clock: Clock
) -> None:
    executed.clear()
    for _ in range(3):
        assert (await http.post("/graphql", json=QUERY)).status_code == 200
    clock.advance(timedelta(seconds=0.5))
    answer = await http.post("/graphql", json=QUERY)
    assert refusal(answer) == (429, "20", "RATE_LIMITED", 20)
    assert "data" not in answer.json()
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["vary"] == "Accept, Origin"
    clock.advance(timedelta(seconds=19.4))
    assert refusal(await http.get("/graphql", params=QUERY)) == (429, "1", "RATE_LIMITED", 1)
    assert len(executed) == 3
    clock.advance(timedelta(seconds=0.1))
    assert (await http.get("/graphql", params=QUERY)).json() == {"data": {"echo": "counted"}}


async def test_viewers_and_addresses_have_points_of_their_own(http: httpx.AsyncClient, clock: Clock) -> None:
    async def asked(address: str, **headers: str) -> list[int]:
        headers["x-forwarded-for"] = address
        return [(await http.post("/graphql", json=QUERY, headers=headers)).status_code for _ in range(6)]

    limited = [200, 200, 200, 429, 429, 429]
    assert await asked("192.0.2.1") == limited
    assert await asked("192.0.2.2") == limited
    assert await asked("2001:db8::1") == limited
    assert await asked("2001:db8::2") == [429] * 6  # of the same network
    assert await asked("2001:db8:0:1::1") == limited
    assert await asked("192.0.2.1", authorization=bearer(clock)) == [200] * 5 + [429]
    assert await asked("192.0.2.9", authorization=bearer(clock)) == [429] * 6
    assert await asked("192.0.2.1", authorization=bearer(clock, sub="bea")) == [200] * 5 + [429]


REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "no JSON": ({"content": "{", "headers": {"content-type": "application/json"}}, 400),
    "no request": ({"json": [QUERY]}, 400),
    "no document": ({"json": {}}, 400),
    "an unknown hash": ({"json": {"extensions": UNKNOWN_HASH}}, 200),
    "a wrong hash": ({"json": {**QUERY, "extensions": UNKNOWN_HASH}}, 400),
    "no GraphQL": ({"json": {"query": "{"}}, 200),
    "no such operation": ({"json": {**QUERY, "operationName": "Other"}}, 400),
    "no such field": ({"json": {"query": "{ nothing }"}}, 200),
    "too deep": ({"json": {"query": "{ a " * 20 + "}" * 20}}, 200),
    "no such variable": ({"json": {"query": "query ($a: Int!) { echo(text: \"x\") }"}}, 200),
    "a subscription": ({"json": {"query": "subscription { count(to: 1) }"}}, 406),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_refused_is_not_free(http: httpx.AsyncClient, what: str) -> None:
    request, status = REFUSED[what]
    answers = [await http.post("/graphql", **request) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [status, status, status, 429]
    assert refusal(answers[-1]) == (429, "20", "RATE_LIMITED", 20)


async def test_bad_tokens_are_counted_by_address(http: httpx.AsyncClient, clock: Clock) -> None:
    bad = {"authorization": "Bearer x.y.z"}
    statuses = [(await http.post("/graphql", json=QUERY, headers=bad)).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    assert (await http.post("/graphql", json=QUERY)).status_code == 429
    good = {"authorization": bearer(clock)}
    assert (await http.post("/graphql", json=QUERY, headers=good)).status_code == 200


async def test_a_document_that_is_only_named_costs_the_same(http: httpx.AsyncClient) -> None:
    sha256 = hashlib.sha256(QUERY["query"].encode()).hexdigest()
    named = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256}}}
    parameters = {"extensions": json.dumps(named["extensions"])}
    assert (await http.post("/graphql", json={**QUERY, **named})).status_code == 200
    assert (await http.post("/graphql", json=named)).status_code == 200
    assert (await http.get("/graphql", params=parameters)).status_code == 200
    assert (await http.get("/graphql", params=parameters)).status_code == 429


async def test_nobody_counts_where_the_limit_is_nought(clock: Clock) -> None:
    app = app_around(services_of(clock, RateLimits(per_viewer=0, per_address=0, window=MINUTE)), clock)
    async with client_of(app) as http:
        assert {(await http.post("/graphql", json=QUERY)).status_code for _ in range(50)} == {200}


async def test_pages_of_named_origins_may_read_when_to_come_back(clock: Clock) -> None:
    async with client_of(app_around(services_of(clock), clock, cors_origins=[PAGE])) as http:
        answers = [await http.post("/graphql", json=QUERY, headers={"origin": PAGE}) for _ in range(4)]
    assert refusal(answers[-1])[0] == 429
    assert answers[-1].headers["access-control-allow-origin"] == PAGE
    assert "retry-after" in answers[-1].headers["access-control-expose-headers"].split(", ")


@pytest.fixture(scope="module")
def standing() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def address(standing: Clock) -> Iterator[str]:
    with running(app_around(services_of(standing), standing)) as address:
        yield address


@pytest.fixture
def fresh(address: str, standing: Clock) -> str:
    """The server's address, after a while in which nobody asked it anything."""
    standing.advance(MINUTE)
    return address


def test_a_stream_is_refused_before_it_begins(fresh: str) -> None:
    for query in ("subscription { count(to: 30) }", "{ nothing }", "{"):
        with streaming(fresh, query) as stream:
            assert stream.answer.status_code == 200
            assert stream.rest()[-1] == ("complete", None)
    for query in ("subscription { count(to: 1) }", "{ nothing }", "{"):
        answer = httpx.post(f"{fresh}/graphql", json={"query": query}, headers=EVENTS, trust_env=False)
        assert refusal(answer) == (429, "20", "RATE_LIMITED", 20)


def test_a_stream_that_is_admitted_begins_before_its_first_event(fresh: str, standing: Clock) -> None:
    with streaming(fresh, "subscription { never }") as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        standing.advance(timedelta(hours=2))


def test_what_has_no_place_is_not_free(clock: Clock) -> None:
    limits = SocketLimits(1000, operations=1)
    with running(app_around(services_of(clock), clock, socket_limits=limits)) as address, socket_at(address) as socket:
        socket.begin()
        socket.subscribe("subscription { forever }", "lasting")
        assert socket.hear()["type"] == "next"
        codes = []
        for _ in range(3):
            socket.subscribe(QUERY["query"])
            codes.append(socket.hear()["payload"][0]["extensions"]["code"])
    assert codes == ["TOO_MANY_OPERATIONS", "TOO_MANY_OPERATIONS", "RATE_LIMITED"]


def test_over_a_socket_each_operation_is_counted(fresh: str, standing: Clock) -> None:
    with socket_at(fresh) as socket:
        socket.begin()
        socket.subscribe("subscription { count(to: 30) }")
        assert [socket.hear()["type"] for _ in range(31)] == ["next"] * 30 + ["complete"]
        for query in ("{ nothing }", "{"):
            socket.subscribe(query)
            assert socket.hear()["payload"][0]["extensions"]["code"].startswith("GRAPHQL_")
        for query in (QUERY["query"], "subscription { count(to: 1) }", "{ nothing }", "{"):
            socket.subscribe(query)
            refused = socket.hear()
            assert (refused["type"], refused["id"]) == ("error", "1")
            [error] = refused["payload"]
            assert error["extensions"].pop("requestId")
            assert error["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 20}
        standing.advance(timedelta(seconds=20))
        socket.subscribe(QUERY["query"])
        assert [socket.hear()["type"] for _ in range(2)] == ["next", "complete"]


def told_until_refused(results: list[dict[str, Any]]) -> None:
    """As many as there were points for: the first comes with the request."""
    assert results[:-1] == [{"data": {"charged": {"number": 0}}}] * (LIMITS.per_address - BASE_COST)
    [error] = results[-1]["errors"]
    assert error["extensions"].pop("requestId")
    assert error["extensions"] == {"code": "RATE_LIMITED", "retryAfter": 1}
    assert "data" not in results[-1]


def test_a_subscription_ends_when_no_points_are_left_for_its_next_event(fresh: str, standing: Clock) -> None:
    with streaming(fresh, "subscription { charged { number } }") as stream:
        *results, end = stream.rest()
    assert end == ("complete", None)
    told_until_refused([result for _, result in results])
    standing.advance(MINUTE)
    with socket_at(fresh) as socket:
        socket.begin()
        socket.subscribe("subscription { charged { number } }")
        heard = [socket.hear()]
        while heard[-1]["type"] == "next":
            heard.append(socket.hear())
    assert heard.pop()["type"] == "complete"
    told_until_refused([message["payload"] for message in heard])


def test_over_a_socket_a_document_that_nobody_knows_is_not_free(fresh: str) -> None:
    codes = []
    with socket_at(fresh) as socket:
        socket.begin()
        for _ in range(4):
            socket.say("subscribe", id="1", payload={"extensions": UNKNOWN_HASH})
            codes.append(socket.hear()["payload"][0]["extensions"]["code"])
    assert codes == ["PERSISTED_QUERY_NOT_FOUND"] * 3 + ["RATE_LIMITED"]


def test_a_socket_with_a_bad_token_is_told_to_come_later_after_too_many(fresh: str) -> None:
    codes = []
    for _ in range(4):
        with socket_at(fresh) as socket:
            socket.say("connection_init", payload={"authorization": "Bearer x.y.z"})
            codes.append(socket.close_code())
    assert codes == [4403, 4403, 4403, 1013]
