"""How much, how many and how long: what a socket may, and with which code it ends."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from graphql_api.web.socket import SocketLimits
from tests.cli.program import wait_for
from tests.web.small_app import FewServices, app_around, running, watching
from tests.web.socket_client import socket_at
from tests.web.tokens import Clock, bearer


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def address(clock: Clock) -> Iterator[str]:
    with running(app_around(FewServices(), clock)) as address:
        yield address


def test_the_size_of_a_message_is_counted_in_bytes() -> None:
    limits = SocketLimits(frame_size=200)  # smaller than what the server itself lets through
    with running(app_around(FewServices(), Clock(), socket_limits=limits)) as address:
        for letter, is_answered in (("e", True), ("é", False)):
            with socket_at(address) as socket:
                message = {"type": "connection_init", "payload": {"of": letter * 100}}
                socket.connection.send(json.dumps(message, ensure_ascii=False))
                if is_answered:
                    assert socket.hear() == {"type": "connection_ack"}
                else:
                    assert socket.close_code() == 4400


def test_the_socket_closes_when_the_token_ends() -> None:
    clock = Clock()
    with running(app_around(FewServices(), clock)) as address, socket_at(address) as opened:
        now = clock().timestamp()
        opened.begin(authorization=bearer(clock, exp=now - 29.5))  # 30 seconds are granted to clocks that differ
        opened.subscribe("subscription { forever }")
        assert opened.hear()["type"] == "next"
        clock.advance(timedelta(seconds=1))
        assert opened.close_code() == 4403
        wait_for(lambda: watching.now == 0)


def test_who_never_begins_is_sent_away_and_so_is_who_does_nothing() -> None:
    limits = SocketLimits(1000, init=timedelta(seconds=0.1), idle=timedelta(seconds=0.2))
    with running(app_around(FewServices(), Clock(), socket_limits=limits)) as address:
        with socket_at(address) as opened:
            assert opened.close_code() == 4408
        with socket_at(address) as opened:
            opened.say("connection_init")
            assert opened.close_code() == 1000


def test_a_socket_has_a_lifetime_however_busy_it_is() -> None:
    limits = SocketLimits(1000, init=timedelta(seconds=0.1), lifetime=timedelta(seconds=0.5))
    with running(app_around(FewServices(), Clock(), socket_limits=limits)) as address, socket_at(address) as opened:
        opened.begin()
        opened.subscribe("subscription { forever }")
        assert opened.close_code() == 1001


def test_what_is_answered_once_is_given_up_and_a_subscription_goes_on(clock: Clock) -> None:
    app = app_around(FewServices(), clock, time_limit=timedelta(milliseconds=100))
    with running(app) as address, socket_at(address) as socket:
        socket.begin()
        socket.subscribe("subscription { forever }", "lasting")
        assert socket.hear()["type"] == "next"
        socket.subscribe("{ slow }", "slow")
        said = socket.hear()
        assert (said["type"], said["id"]) == ("error", "slow")
        assert said["payload"][0]["extensions"]["code"] == "OPERATION_TIMEOUT"
        assert watching.now == 1


def test_operations_of_a_socket_and_of_a_viewer_are_limited(clock: Clock) -> None:
    with running(app_around(FewServices(), clock)) as address:
        with socket_at(address) as first, socket_at(address) as second, socket_at(address) as third:
            for socket in (first, second):
                socket.begin(authorization=bearer(clock))
                for number in range(50):
                    socket.subscribe("subscription { forever }", str(number))
                    assert socket.hear()["type"] == "next"
            first.subscribe("{ viewer }", "51st")
            assert first.hear()["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"
            third.begin(authorization=bearer(clock))
            third.subscribe("{ viewer }", "101st")
            said = third.hear()
            assert (said["type"], said["id"]) == ("error", "101st")
            assert said["payload"][0]["extensions"]["code"] == "TOO_MANY_OPERATIONS"
            first.say("complete", id="0")
            wait_for(lambda: watching.now == 99)
            third.subscribe("{ viewer }", "101st")
            assert third.hear()["type"] == "next"
        wait_for(lambda: watching.now == 0)


def test_sockets_of_a_viewer_are_limited(address: str, clock: Clock) -> None:
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket_at(address)).begin(authorization=bearer(clock, sub="eve"))
        with socket_at(address) as one_more:
            one_more.say("connection_init", payload={"authorization": bearer(clock, sub="eve")})
            assert one_more.close_code() == 1013
        with socket_at(address) as of_another:
            of_another.begin(authorization=bearer(clock, sub="bob"))


def test_sockets_on_which_nobody_said_who_they_are_are_limited(clock: Clock) -> None:
    with running(app_around(FewServices(), clock)) as address, ExitStack() as stack:
        opened = [stack.enter_context(socket_at(address)) for _ in range(30)]
        with socket_at(address) as one_more:
            assert one_more.close_code() == 1013
        opened[0].begin()
        with socket_at(address) as instead:
            instead.begin()
