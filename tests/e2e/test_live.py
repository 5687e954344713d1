"""Live events of the installed service: from one process to another, and until it stops."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.contracts.samples import JPEG
from tests.e2e.client import Client
from tests.e2e.service import Service, Surroundings, serving
from tests.postgres import PostgresCluster

PATIENCE = 60.0  # seconds
UPLOAD = "subscription ($id: ID!) { uploadStatusChanged(uploadId: $id) { upload { status file { name } } } }"
FOLDER = "subscription ($id: ID!) { folderContentsChanged(folderId: $id) { action file { name } } }"


@contextmanager
def two_processes(
    installed: Path, around: Surroundings, postgres: PostgresCluster, template: str, folder: Path
) -> Iterator[tuple[Service, Service]]:
    url = postgres.create_database(template=template)
    environ = around.environ(url, LOG_LEVEL="DEBUG", AUTH_LEEWAY_SECONDS="0")
    with (
        serving(installed, folder, around, environ) as first,
        serving(installed, folder, around, environ) as second,
    ):
        yield first, second
    postgres.drop_database(url)


@contextmanager
def socket_of(service: Service, subject: str, **claims: Any) -> Iterator[ClientConnection]:
    url = service.address.replace("http", "ws", 1) + "/graphql"
    protocols = [Subprotocol("graphql-transport-ws")]
    with connect(url, subprotocols=protocols, proxy=None) as socket:
        authorization = f"Bearer {service.around.issuer.token(subject, **claims)}"
        socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": authorization}}))
        assert json.loads(socket.recv(PATIENCE)) == {"type": "connection_ack"}
        yield socket


def subscribe(socket: ClientConnection, query: str, id_: str) -> None:
    payload = {"query": query, "variables": {"id": id_}}
    socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))


def hear(socket: ClientConnection) -> Any:
    """What the next event tells; None for the end."""
    message = json.loads(socket.recv(PATIENCE))
    assert message["type"] in ("next", "complete"), message
    return next(iter(message["payload"]["data"].values())) if message["type"] == "next" else None


@contextmanager
def stream_of(client: Client, query: str, id_: str) -> Iterator[Iterator[str]]:
    request = {"query": query, "variables": {"id": id_}}
    with client.api.stream("POST", client.graphql, json=request, headers={"accept": "text/event-stream"}) as answer:
        yield (line for line in answer.iter_lines() if line.startswith("data: "))


def test_what_happens_in_one_process_is_told_in_the_other(
    installed: Path, surroundings: Surroundings, postgres: PostgresCluster, postgres_template: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        here, there = stack.enter_context(two_processes(installed, surroundings, postgres, postgres_template, tmp_path))
        ada, ada_there = stack.enter_context(here.user("ada")), stack.enter_context(there.user("ada"))
        home = ada.ask("{ viewer { topFolders { nodes { id } } } }")["viewer"]["topFolders"]["nodes"][0]["id"]
        target = ada.promise("cat.jpg", "image/jpeg", len(JPEG))
        at_upload = stack.enter_context(socket_of(here, "ada"))
        at_folder = stack.enter_context(socket_of(here, "ada"))
        as_stream = stack.enter_context(stream_of(ada, FOLDER, home))
        subscribe(at_upload, UPLOAD, target.upload_id)
        subscribe(at_folder, FOLDER, home)
        assert hear(at_upload)["upload"]["status"] == "PENDING"
        assert hear(at_folder)["action"] == "REFRESH"
        assert "REFRESH" in next(as_stream)
        ada_there.put(target, JPEG)
        ada_there.complete(target.upload_id)
        assert hear(at_upload)["upload"] == {"status": "COMPLETED", "file": {"name": "cat.jpg"}}
        assert hear(at_upload) is None
        assert hear(at_folder) == {"action": "CREATED", "file": {"name": "cat.jpg"}}
        assert "CREATED" in next(as_stream)

        assert here.program.stop(signal.SIGTERM) == 0  # with a socket and a stream open
        with pytest.raises(ConnectionClosed) as closed:
            at_folder.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert list(as_stream) == []
        log = here.program.err
        for secret in (
            str(ada.api.headers["authorization"]).removeprefix("Bearer ").split(".")[1],
            "X-Amz-Signature=0",
        ):
            assert secret not in log
        assert "uploadStatusChanged" not in log  # what clients say is nothing for the log, at DEBUG neither
        assert not [line for line in map(json.loads, log.splitlines()) if line["level"] not in ("DEBUG", "INFO")]


def test_a_socket_and_a_stream_end_with_their_token(service: Service) -> None:
    """Clocks may differ by the leeway: the token has ended already, and is good for four seconds more."""
    ends = {"exp": datetime.now(UTC) - timedelta(seconds=26)}
    with service.user("ada", **ends) as ada, socket_of(service, "ada", **ends) as socket:
        target = ada.promise("never.jpg", "image/jpeg", 3)
        subscribe(socket, UPLOAD, target.upload_id)
        with stream_of(ada, UPLOAD, target.upload_id) as stream:
            assert "PENDING" in next(stream)
            assert hear(socket)["upload"]["status"] == "PENDING"
            assert "UNAUTHENTICATED" in next(stream)
            assert list(stream) == []
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403
    assert httpx.get(f"{service.address}/healthz", trust_env=False).status_code == 200
