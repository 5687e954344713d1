"""What fails before any field is asked, such as an extension of the schema, says nothing of itself on any transport."""

import json
import logging
from collections.abc import Iterator
from typing import cast

import httpx
import pytest
import strawberry
from strawberry.extensions import SchemaExtension
from websockets.sync.client import connect

from graphql_api.services import Services
from graphql_api.web.app import create_app
from graphql_api.web.authentication import Authenticator
from tests.web.small_app import FewServices, _lifespan, running
from tests.web.tokens import Clock, secret_policy


@strawberry.type
class Query:
    is_there: bool = True


class Broken(SchemaExtension):
    def on_validate(self) -> Iterator[None]:
        raise RuntimeError("could not use hunter2")
        yield


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    schema = strawberry.Schema(Query, extensions=[Broken])
    authenticator = Authenticator(secret_policy(), clock=Clock())
    with running(create_app(cast("Services", FewServices()), schema, authenticator, lifespan=_lifespan)) as there:
        yield there


def over_http(address: str, accept: str) -> str:
    return httpx.post(f"{address}/graphql", json={"query": "{ isThere }"}, headers={"accept": accept}).text


def over_a_socket(address: str) -> str:
    with connect(address.replace("http", "ws") + "/graphql", subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]  # a NewType of str
        socket.send(json.dumps({"type": "connection_init"}))
        socket.recv()
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": "{ isThere }"}}))
        return str(socket.recv())


@pytest.mark.parametrize(
    "way", ["application/json", "application/graphql-response+json", "text/event-stream", "a socket"]
)
def test_it_is_hidden_told_and_logged(address: str, way: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        said = over_a_socket(address) if way == "a socket" else over_http(address, way)
    assert '"Internal error"' in said
    assert "INTERNAL_SERVER_ERROR" in said
    assert "requestId" in said
    assert "hunter2" not in said
    assert "could not use hunter2" in caplog.text


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
def test_its_status_is_no_fault_of_the_client(address: str, accept: str) -> None:
    answer = httpx.post(f"{address}/graphql", json={"query": "{ isThere }"}, headers={"accept": accept})
    assert (answer.status_code, "data" in answer.json()) == (500, False)
