"""graphql-transport-ws, strictly: a raw client says what it should and what it should not.

Source: graphql-ws PROTOCOL.md.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from graphql_api.web.graphql_view import MAX_BODY_SIZE
from tests.cli.program import wait_for
from tests.web.small_app import FewServices, app_around, running, watching
from tests.web.socket_client import PAGE, PATIENCE, Socket, socket_at
from tests.web.tokens import Clock, bearer


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def address(clock: Clock) -> Iterator[str]:
    with running(app_around(FewServices(), clock, cors_origins=[PAGE])) as address:
        yield address


@pytest.fixture
def socket(address: str) -> Iterator[Socket]:
    with socket_at(address) as opened:
        assert opened.connection.subprotocol == "graphql-transport-ws"
        yield opened


@pytest.fixture
def begun(socket: Socket) -> Socket:
    socket.begin()
    return socket


def test_a_subscription_is_told_event_by_event_and_completes(begun: Socket) -> None:
    begun.subscribe("subscription ($to: Int!) { count(to: $to) }", variables={"to": 3})
    for number in (1, 2, 3):
        assert begun.hear() == {"type": "next", "id": "1", "payload": {"data": {"count": number}}}
    assert begun.hear() == {"type": "complete", "id": "1"}


def test_queries_and_mutations_are_answered_too(begun: Socket) -> None:
    for query, data in (('{ echo(text: "ü") }', {"echo": "ü"}), ("mutation { touch }", {"touch": True})):
        begun.subscribe(query)
        assert begun.hear() == {"type": "next", "id": "1", "payload": {"data": data}}
        assert begun.hear() == {"type": "complete", "id": "1"}


def test_the_named_operation_of_several_is_run(begun: Socket) -> None:
    begun.subscribe('subscription A { count(to: 1) } query B { echo(text: "b") }', operationName="B")
    assert begun.hear()["payload"] == {"data": {"echo": "b"}}
    assert begun.hear()["type"] == "complete"


def test_operations_run_beside_each_other_and_end_alone(begun: Socket) -> None:
    begun.subscribe("subscription { forever }", "a")
    assert begun.hear()["id"] == "a"
    begun.subscribe("subscription { count(to: 1) }", "b")
    assert [begun.hear()["type"] for _ in range(2)] == ["next", "complete"]
    assert watching.now == 1
    begun.say("complete", id="a")
    wait_for(lambda: watching.now == 0)
    begun.subscribe("subscription { count(to: 1) }", "a")  # the id is free again
    assert begun.hear() == {"type": "next", "id": "a", "payload": {"data": {"count": 1}}}


def test_completing_what_is_not_under_way_is_no_matter(begun: Socket) -> None:
    begun.say("complete", id="unknown")
    begun.say("pong")
    begun.say("ping")
    assert begun.hear() == {"type": "pong"}


def test_a_ping_is_answered_with_what_it_brought_before_and_after_the_beginning(socket: Socket) -> None:
    socket.say("ping", payload={"a": 1})
    assert socket.hear() == {"type": "pong", "payload": {"a": 1}}
    socket.begin()
    socket.say("ping")
    assert socket.hear() == {"type": "pong"}


@pytest.mark.parametrize("query", ["subscription {", "{ nonsense }", ""])
def test_a_faulty_document_ends_its_operation_only(begun: Socket, query: str) -> None:
    begun.subscribe(query)
    said = begun.hear()
    assert (said["type"], said["id"]) == ("error", "1")
    for error in said["payload"]:
        assert error["message"]
        assert error["extensions"]["code"]
        assert error["extensions"]["requestId"]
    begun.subscribe("{ viewer }")
    assert begun.hear()["type"] == "next"


def test_a_variable_that_does_not_fit_ends_its_operation_only(begun: Socket) -> None:
    begun.subscribe("subscription ($to: Int!) { count(to: $to) }", variables={"to": "x"})
    said = begun.hear()
    assert said["type"] == "error"
    assert [error["extensions"]["code"] for error in said["payload"]] == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    "payload",
    [
        {"query": "query A { viewer } query B { viewer }"},
        {"query": "query A { viewer }", "operationName": "B"},
        {"query": "fragment A on Query { viewer }"},
    ],
    ids=["several", "another", "none"],
)
def test_who_names_no_operation_is_told_so(
    begun: Socket, payload: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    begun.subscribe(**payload)
    said = begun.hear()
    assert (said["type"], said["id"]) == ("error", "1")
    assert [error["extensions"]["code"] for error in said["payload"]] == ["BAD_REQUEST"]
    assert [record for record in caplog.records if record.name.startswith("graphql_api.schema")] == []


def test_what_is_hidden_is_an_error_with_its_code(begun: Socket) -> None:
    begun.subscribe("subscription { hidden }")
    said = begun.hear()
    assert said["type"] == "error"
    assert [error["extensions"]["code"] for error in said["payload"]] == ["NOT_FOUND"]


@pytest.mark.parametrize(
    "query", ["{ bug(text: $t) }", "subscription { bugAtOnce(text: $t) }", "subscription { bugLater(text: $t) }"]
)
def test_a_bug_says_nothing_of_itself(begun: Socket, query: str) -> None:
    kind, _, rest = query.rpartition("{")
    begun.subscribe(f"{kind or 'query'} ($t: String!) {{{rest}", variables={"t": "hunter2"})
    heard = [begun.hear()]
    while heard[-1]["type"] == "next":
        heard.append(begun.hear())
    said = json.dumps(heard)
    assert "Internal error" in said
    assert "INTERNAL_SERVER_ERROR" in said
    assert "hunter2" not in said
    assert "could not" not in said


INIT = '{"type": "connection_init"}'


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "1",
        "null",
        '"ping"',
        "[]",
        "{",
        "{}",
        "NaN",
        "[" * 5000 + "]" * 5000,
        '{"type": 1}',
        '{"type": "next", "id": "1", "payload": {}}',
        '{"type": "connection_ack"}',
        '{"type": "start", "id": "1", "payload": {"query": "{ viewer }"}}',
        '{"type": "ping", "payload": 1}',
        '{"type": "pong", "payload": "x"}',
        '{"type": "complete"}',
        '{"type": "complete", "id": 1}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ viewer }"}}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{ viewer }"}}',
        '{"type": "subscribe", "id": "%s", "payload": {"query": "{ viewer }"}}' % ("x" * 257),
        '{"type": "subscribe", "id": "1", "payload": "{ viewer }"}',
        '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": null}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ viewer }", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ viewer }", "extensions": 1}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ viewer }", "operationName": {}}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "\\ud800"}}',
    ],
    ids=lambda frame: repr(frame[:60]),
)
def test_a_malformed_message_closes_the_socket(begun: Socket, frame: str) -> None:
    begun.connection.send(frame)
    assert begun.close_code() == 4400


def test_a_binary_message_closes_the_socket(begun: Socket) -> None:
    begun.connection.send(INIT.encode())
    assert begun.close_code() == 4400


def test_a_message_that_is_too_long_closes_the_socket(begun: Socket) -> None:
    begun.connection.send("x" * (MAX_BODY_SIZE + 1))
    assert begun.close_code() == 1009  # RFC 6455 section 7.4.1


def test_a_second_beginning_closes_the_socket(begun: Socket) -> None:
    begun.connection.send(INIT)
    assert begun.close_code() == 4429


def test_who_subscribes_before_the_beginning_is_sent_away(socket: Socket) -> None:
    socket.subscribe("{ viewer }")
    assert socket.close_code() == 4401


def test_an_id_that_is_in_use_closes_the_socket_and_frees_all(begun: Socket) -> None:
    begun.subscribe("subscription { forever }")
    assert begun.hear()["type"] == "next"
    begun.subscribe("subscription { forever }")
    assert begun.close_code() == 4409
    wait_for(lambda: watching.now == 0)


@pytest.mark.parametrize("protocol", [None, "graphql-ws", "graphql-transport-wss"])
def test_other_subprotocols_are_not_spoken(address: str, protocol: str | None) -> None:
    with socket_at(address, protocol) as opened:
        assert opened.close_code() == 4406


def test_a_client_that_leaves_frees_everything(address: str) -> None:
    ways: tuple[Callable[[Socket], None], ...] = (
        lambda it: it.connection.close(),
        lambda it: it.connection.socket.close(),
    )
    for leaves in ways:
        with socket_at(address) as opened:
            opened.begin()
            for number in range(10):
                opened.subscribe("subscription { forever }", str(number))
                assert opened.hear()["type"] == "next"
            assert watching.now == 10
            leaves(opened)
            wait_for(lambda: watching.now == 0)


def test_a_client_that_does_not_read_is_not_written_for(address: str) -> None:
    """Its operation waits, and others are served."""
    with socket_at(address, max_queue=1) as slow, socket_at(address) as other:
        slow.begin()
        slow.subscribe("subscription { flood(size: 1000) }")
        wait_for(lambda: watching.now == 1)
        other.begin()
        other.subscribe("{ viewer }")
        assert other.hear()["type"] == "next"
        slow.connection.socket.close()
        wait_for(lambda: watching.now == 0)


def test_pages_elsewhere_may_open_a_socket_only_if_they_are_named(address: str) -> None:
    host = address.removeprefix("http://")
    for origin in (PAGE, f"http://{host}", None):
        with socket_at(address, origin=origin and Origin(origin)) as opened:
            opened.begin()
    for origin in ("https://evil.example.com", "null", f"{PAGE}.evil.com", "http://[", f"http://{host}.evil.com"):
        with pytest.raises(InvalidStatus) as refused, socket_at(address, origin=Origin(origin)):
            pass
        assert refused.value.response.status_code == 403
        assert json.loads(refused.value.response.body or b"")["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def viewer(socket: Socket) -> str | None:
    socket.subscribe("subscription { viewer }")
    said: str | None = socket.hear()["payload"]["data"]["viewer"]
    assert socket.hear()["type"] == "complete"
    return said


def test_the_token_comes_with_the_first_message_or_the_handshake(address: str, clock: Clock) -> None:
    ada, bob = bearer(clock), bearer(clock, sub="bob")
    for name in ("authorization", "Authorization"):
        with socket_at(address) as opened:
            opened.begin(**{name: ada})
            assert viewer(opened) == "user_ada"
    with socket_at(address, additional_headers={"Authorization": bob}) as opened:
        opened.begin()
        assert viewer(opened) == "user_bob"
    with socket_at(address, additional_headers={"Authorization": bob}) as opened:
        opened.begin(authorization=ada)
        assert viewer(opened) == "user_ada"
    with socket_at(address) as opened:
        opened.begin(authorization=None, other=1)
        assert viewer(opened) is None


@pytest.mark.parametrize(
    "payload",
    [
        {"authorization": "Bearer nonsense"},
        {"authorization": "Basic eDp5"},
        {"authorization": ""},
        {"authorization": 1},
        {"authorization": ["Bearer x"]},
        {"authorization": "Bearer a", "Authorization": "Bearer a"},
    ],
    ids=str,
)
def test_a_bad_token_is_forbidden(socket: Socket, payload: dict[str, Any]) -> None:
    socket.say("connection_init", payload=payload)
    assert socket.close_code() == 4403


def test_a_payload_that_is_no_object_is_malformed(socket: Socket) -> None:
    socket.say("connection_init", payload="Bearer x")
    assert socket.close_code() == 4400


def test_a_database_that_does_not_answer_asks_to_come_later(clock: Clock) -> None:
    services = FewServices()
    services.accounts.is_down = True
    with running(app_around(services, clock)) as address, socket_at(address) as opened:
        opened.say("connection_init", payload={"authorization": bearer(clock)})
        assert opened.close_code() == 1013


def test_a_bug_while_beginning_closes_the_socket_and_says_nothing(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    services = FewServices()
    services.accounts.error = RuntimeError("hunter2")
    with running(app_around(services, clock)) as address, socket_at(address) as opened:
        opened.say("connection_init", payload={"authorization": bearer(clock)})
        with pytest.raises(ConnectionClosed) as caught:
            opened.connection.recv(PATIENCE)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1011, "Internal error")
    assert "socket_failed" in caplog.text


def test_a_server_that_stops_does_not_wait_for_sockets(clock: Clock) -> None:
    with ExitStack() as client:
        with running(app_around(FewServices(), clock)) as address:
            opened = client.enter_context(socket_at(address))
            opened.begin()
            opened.subscribe("subscription { forever }")
            assert opened.hear()["type"] == "next"
        assert opened.close_code() == 1012
    assert watching.now == 0


def test_other_paths_have_no_socket(address: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(address.replace("http", "ws", 1) + "/healthz", proxy=None):
        pass
    assert refused.value.response.status_code == 403
    assert httpx.get(f"{address}/healthz", trust_env=False).status_code == 200


def test_the_log_has_a_line_for_a_socket_and_none_of_its_secrets(
    address: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with socket_at(address) as opened:
        opened.begin(authorization=bearer(clock))
        opened.say("complete")
        assert opened.close_code() == 4400
    wait_for(lambda: re.search(r"request method=WEBSOCKET path=/graphql status=4400 ms=\S+ client=", caplog.text))
    assert bearer(clock) not in caplog.text
