"""Server-sent events: asked for, framed, kept alive and ended as the protocol says.

Source: graphql-sse PROTOCOL.md, "Distinct connections mode".
"""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from graphql_api.web.media_types import accepts_events, prefers_events
from tests.cli.program import wait_for
from tests.web.small_app import FewServices, app_around, client_of, running, watching
from tests.web.tokens import Clock, bearer

EVENTS = {"accept": "text/event-stream"}
NAMES_NO_OPERATION = [
    {"query": "query A { viewer } query B { viewer }"},
    {"query": "query A { viewer }", "operationName": "B"},
    {"query": "fragment A on Query { viewer }"},
]
URQL = {
    "accept": "application/graphql-response+json, application/graphql+json, application/json, text/event-stream,"
    " multipart/mixed"
}


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def address(clock: Clock) -> Iterator[str]:
    with running(app_around(FewServices(), clock)) as address:
        yield address


def events_in(text: str) -> list[tuple[str, Any]]:
    """Split the way urql does it, comments left out."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(":", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            data = fields["data"].strip()
            found.append((fields["event"].strip(), json.loads(data) if data else None))
    return found


class Stream:
    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._chunks = answer.iter_text()
        self._text = ""

    def next(self) -> tuple[str, Any]:
        """The next event."""
        while True:
            block, end, rest = self._text.partition("\n\n")
            if not end:
                self._text += next(self._chunks)
                continue
            self._text = rest
            if found := events_in(block):
                return found[0]

    def rest(self) -> list[tuple[str, Any]]:
        """All until the end of the answer, which must come."""
        return events_in(self._text + "".join(self._chunks))


@contextmanager
def streaming(address: str, query: str, headers: dict[str, str] = EVENTS, **more: Any) -> Iterator[Stream]:
    request = {"json": {"query": query, **more}, "headers": headers, "timeout": 60}
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", f"{address}/graphql", **request) as answer,  # type: ignore[arg-type]  # one dict of many
    ):
        yield Stream(answer)


def test_a_subscription_is_told_event_by_event_and_completes(address: str) -> None:
    with streaming(address, "subscription ($n: Int!) { count(to: $n) }", variables={"n": 2}) as stream:
        assert stream.answer.status_code == 200
        headers = stream.answer.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "private, no-store, no-transform"
        assert headers["x-accel-buffering"] == "no"
        assert headers["x-request-id"]
        assert stream.rest() == [
            ("next", {"data": {"count": 1}}),
            ("next", {"data": {"count": 2}}),
            ("complete", None),
        ]


def test_lines_end_with_a_line_feed_alone_and_what_was_sent_keeps_its_own(address: str) -> None:
    with streaming(address, "query ($t: String!) { echo(text: $t) }", variables={"t": "a\r\nb\n\nc"}) as stream:
        raw = "".join(stream.answer.iter_text())
    assert "\r" not in raw
    assert events_in(raw) == [("next", {"data": {"echo": "a\r\nb\n\nc"}}), ("complete", None)]


async def test_a_query_is_answered_in_json_by_whoever_merely_mentions_events(clock: Clock) -> None:
    async with client_of(app_around(FewServices(), clock)) as client:
        answer = await client.post("/graphql", json={"query": "{ viewer }"}, headers=URQL)
        assert answer.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
        assert answer.json() == {"data": {"viewer": None}}


def test_a_subscription_is_streamed_to_whoever_merely_mentions_events(address: str) -> None:
    with streaming(address, "subscription { count(to: 1) }", URQL) as stream:
        assert stream.rest() == [("next", {"data": {"count": 1}}), ("complete", None)]


async def test_a_subscription_is_refused_to_who_takes_no_events(clock: Clock) -> None:
    async with client_of(app_around(FewServices(), clock)) as client:
        for headers in ({}, {"accept": "application/json"}, {"accept": "text/event-stream;q=0, */*"}):
            answer = await client.post("/graphql", json={"query": "subscription { forever }"}, headers=headers)
            assert answer.status_code == 406
            assert answer.json()["errors"][0]["extensions"]["code"] == "NOT_ACCEPTABLE"
        answer = await client.get("/graphql", params={"query": "subscription { forever }"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        answer = await client.get("/graphql", params={"query": "{ viewer }"}, headers=EVENTS)
        assert answer.status_code == 406  # events come in answer to POST


@pytest.mark.parametrize(
    ("accept", "accepts", "prefers"),
    [
        ("", False, False),
        ("*/*", False, False),
        ("text/event-stream", True, True),
        ("Text/Event-Stream ; charset=utf-8", True, True),
        ("text/event-stream, application/json", True, False),
        ("text/event-stream, application/json;q=0.5", True, True),
        ("text/event-stream;q=0.5, */*;q=0.1", True, True),
        ("text/event-stream;q=0.1, */*", True, False),
        ("text/event-stream;q=0", False, False),
        ("text/event-stream;q=x", False, False),
        ("text/event-streams", False, False),
        (URQL["accept"], True, False),
        ("," * 1000 + ";;;=", False, False),
    ],
)
def test_what_a_client_accepts(accept: str, accepts: bool, prefers: bool) -> None:
    assert (accepts_events(accept), prefers_events(accept)) == (accepts, prefers)


@pytest.mark.parametrize(
    "query", ["subscription {", "{ nonsense }", "subscription { hidden }", "subscription A { count }"]
)
def test_what_is_wrong_with_an_operation_is_an_event(address: str, query: str) -> None:
    with streaming(address, query) as stream:
        first, last = stream.rest()
    assert (first[0], last) == ("next", ("complete", None))
    for error in first[1]["errors"]:
        assert error["extensions"]["code"]
        assert error["extensions"]["requestId"] == stream.answer.headers["x-request-id"]


@pytest.mark.parametrize("request_", NAMES_NO_OPERATION, ids=["several", "another", "none"])
def test_who_names_no_operation_is_told_so(
    address: str, request_: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with streaming(address, **request_) as stream:
        (name, result), last = stream.rest()
    assert (name, last) == ("next", ("complete", None))
    assert [error["extensions"]["code"] for error in result["errors"]] == ["BAD_REQUEST"]
    assert [record for record in caplog.records if record.name.startswith("graphql_api.schema")] == []


@pytest.mark.parametrize("query", ["query", "subscription"])
def test_a_bug_says_nothing_of_itself(address: str, query: str) -> None:
    field = "bug" if query == "query" else "bugLater"
    with streaming(address, f'{query} {{ {field}(text: "hunter2") }}') as stream:
        said = json.dumps(stream.rest())
    assert "INTERNAL_SERVER_ERROR" in said
    assert "hunter2" not in said
    assert "could not" not in said


async def test_what_is_wrong_with_a_request_is_refused_as_ever(clock: Clock) -> None:
    async with client_of(app_around(FewServices(), clock)) as client:
        answer = await client.post("/graphql", content=b"{", headers={**EVENTS, "content-type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json; charset=utf-8")
        answer = await client.post(
            "/graphql", json={"query": "subscription { forever }"}, headers={**EVENTS, "authorization": "Bearer x"}
        )
        assert answer.status_code == 401


def test_a_client_that_leaves_frees_everything(address: str) -> None:
    with streaming(address, "subscription { forever }") as stream:
        assert stream.next() == ("next", {"data": {"forever": 0}})
        assert watching.now == 1
    wait_for(lambda: watching.now == 0)


def test_a_client_that_does_not_read_is_not_written_for(address: str) -> None:
    url = httpx.URL(address)
    body = json.dumps({"query": "subscription { flood(size: 10000) }"}).encode()
    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n"
    with socket.create_connection((url.host, url.port or 0), timeout=60) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_for(lambda: watching.now == 1)
        assert httpx.post(f"{address}/graphql", json={"query": "{ viewer }"}, trust_env=False).status_code == 200
    wait_for(lambda: watching.now == 0)


def test_a_silent_stream_is_kept_alive_from_the_start(address: str) -> None:
    """Comments, which clients pass over; headers alone are held back by some proxies."""
    with streaming(address, "subscription { forever }") as stream:
        seen = ""
        for chunk in stream.answer.iter_text():
            seen += chunk
            if ":\n\n" in seen and "next" in seen:
                break


def test_the_stream_ends_with_an_error_when_the_token_ends() -> None:
    clock = Clock()
    with running(app_around(FewServices(), clock)) as address:
        token = bearer(clock, exp=clock().timestamp() - 29.5)  # 30 seconds are granted to clocks that differ
        with streaming(address, "subscription { forever }", {**EVENTS, "authorization": token}) as stream:
            assert stream.next()[0] == "next"
            clock.advance(timedelta(seconds=1))
            [(kind, said), last] = stream.rest()
    assert (kind, last) == ("next", ("complete", None))
    assert [error["extensions"]["code"] for error in said["errors"]] == ["UNAUTHENTICATED"]
    assert watching.now == 0


def test_what_is_answered_once_is_given_up_and_a_subscription_goes_on(clock: Clock) -> None:
    app = app_around(FewServices(), clock, time_limit=timedelta(milliseconds=100))
    with running(app) as address, streaming(address, "subscription { forever }") as lasting:
        assert lasting.next() == ("next", {"data": {"forever": 0}})
        with streaming(address, "{ slow }") as stream:
            name, result = stream.next()
            assert (name, result["errors"][0]["extensions"]["code"]) == ("next", "OPERATION_TIMEOUT")
            assert stream.next() == ("complete", None)
        assert watching.now == 1


def test_streams_of_a_viewer_are_limited(clock: Clock) -> None:
    """Together with what they run over sockets."""
    ada, bob = ({**EVENTS, "authorization": bearer(clock, sub=name)} for name in ("ada", "bob"))
    with running(app_around(FewServices(), clock)) as address, ExitStack() as stack:
        query = "subscription { forever }"
        streams = [stack.enter_context(streaming(address, query, ada)) for _ in range(100)]
        for stream in streams:
            assert stream.next()[0] == "next"
        with streaming(address, "subscription { forever }", ada) as refused:
            assert refused.answer.status_code == 429
            assert refused.answer.headers["retry-after"] == "30"
            refused.answer.read()
            assert refused.answer.json()["errors"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"
        with streaming(address, "subscription { count(to: 1) }", bob) as other:
            assert other.next()[0] == "next"
    assert watching.now == 0


def test_a_server_that_stops_does_not_wait_for_streams_nor_says_that_they_are_complete(clock: Clock) -> None:
    with ExitStack() as client:
        with running(app_around(FewServices(), clock)) as address:
            stream = client.enter_context(streaming(address, "subscription { forever }"))
            assert stream.next()[0] == "next"
        assert stream.rest() == []
    assert watching.now == 0
