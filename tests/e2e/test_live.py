"""Live events of the installed service: from any process to every other, as long as one may know, until it stops."""

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from graphql_api.db.engine import Database
from graphql_api.db.tables import UploadRow
from tests.cli.program import outcome, wait_for
from tests.contracts.samples import JPEG
from tests.e2e.client import Client
from tests.e2e.service import Service, Surroundings, serving
from tests.postgres import PostgresCluster

PATIENCE = 60.0  # seconds
UPLOAD = """subscription ($id: ID!) {
  uploadStatusChanged(uploadId: $id) { previousStatus upload { status file { name } } } }"""
FOLDER = """subscription ($id: ID!) {
  folderContentsChanged(folderId: $id) { action file { name } subfolder { name } } }"""
SHARE = """mutation ($with: ID!, $folder: ID!) {
  createAccessRule(input: {subject: {userId: $with}, permissions: [READ], resource: {folderId: $folder}}) {
    accessRule { id version } userErrors { code } } }"""
UNSHARE = """mutation ($rule: ID!, $version: Int!) {
  deleteAccessRule(input: {ruleId: $rule, version: $version}) { userErrors { code } } }"""
MAKE = """mutation ($in: ID!, $name: String!) {
  createFolder(input: {parentId: $in, name: $name}) { folder { id } userErrors { code } } }"""
DELETE = "mutation ($id: ID!) { deleteFolder(input: {folderId: $id, isRecursive: true}) { userErrors { code } } }"
LISTENING = "datname = current_database() AND query LIKE 'LISTEN%'"
T = TypeVar("T")


@dataclass(frozen=True)
class Pair:
    """Two processes of one service, neither of which sweeps, and its database."""

    here: Service
    there: Service
    url: str

    def in_database(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        async def run() -> T:
            database = Database(self.url)
            async with database.autocommit() as connection:
                done = await work(connection)
            await database.close()
            return done

        return asyncio.run(run())

    def listening(self) -> int:
        """How many connections listen."""

        async def count(connection: AsyncConnection) -> int:
            found = await connection.scalar(text(f"SELECT count(*) FROM pg_stat_activity WHERE {LISTENING}"))
            return int(found or 0)

        return self.in_database(count)


@pytest.fixture(scope="module")
def pair(
    installed: Path,
    surroundings: Surroundings,
    postgres: PostgresCluster,
    postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    url, folder = postgres.create_database(template=postgres_template), tmp_path_factory.mktemp("pair")
    environ = surroundings.environ(url, LOG_LEVEL="DEBUG", SWEEP_SECONDS="0")
    with (
        serving(installed, folder, surroundings, environ) as here,
        serving(installed, folder, surroundings, environ) as there,
    ):
        yield Pair(here, there, url)
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


def frame(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(PATIENCE))


def hear(socket: ClientConnection) -> Any:
    """What the next event tells; None for the end."""
    message = frame(socket)
    assert message["type"] in ("next", "complete"), message
    return next(iter(message["payload"]["data"].values())) if message["type"] == "next" else None


def hear_status(socket: ClientConnection) -> tuple[str | None, str]:
    told = hear(socket)
    return told["previousStatus"], told["upload"]["status"]


def close_code(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(PATIENCE)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


@contextmanager
def stream_of(client: Client, query: str, id_: str) -> Iterator[Iterator[str]]:
    request = {"query": query, "variables": {"id": id_}}
    with client.api.stream("POST", client.graphql, json=request, headers={"accept": "text/event-stream"}) as answer:
        yield (line for line in answer.iter_lines() if line.startswith("data: "))


def home_of(client: Client) -> str:
    return str(client.ask("{ viewer { topFolders { nodes { id } } } }")["viewer"]["topFolders"]["nodes"][0]["id"])


def folder_in(client: Client, parent_id: str, name: str) -> str:
    return str(client.ask(MAKE, **{"in": parent_id, "name": name})["createFolder"]["folder"]["id"])


def test_what_happens_in_one_process_is_told_in_the_other(pair: Pair) -> None:
    with ExitStack() as stack:
        ada, ada_there = stack.enter_context(pair.here.user("ada")), stack.enter_context(pair.there.user("ada"))
        home = home_of(ada)
        target = ada.promise("cat.jpg", "image/jpeg", len(JPEG))
        at_upload, at_folder = [stack.enter_context(socket_of(pair.here, "ada")) for _ in range(2)]
        as_stream = stack.enter_context(stream_of(ada, FOLDER, home))
        subscribe(at_upload, UPLOAD, target.upload_id)
        subscribe(at_folder, FOLDER, home)
        assert hear(at_upload) == {"previousStatus": None, "upload": {"status": "PENDING", "file": None}}
        assert hear(at_folder)["action"] == "REFRESH"
        assert "REFRESH" in next(as_stream)
        ada_there.put(target, JPEG)
        ada_there.complete(target.upload_id)
        done = {"status": "COMPLETED", "file": {"name": "cat.jpg"}}
        assert hear(at_upload) == {"previousStatus": "PENDING", "upload": done}
        assert hear(at_upload) is None
        assert hear(at_folder) == {"action": "CREATED", "file": {"name": "cat.jpg"}, "subfolder": None}
        assert '"CREATED","file":{"name":"cat.jpg"}' in next(as_stream)
        folder_in(ada_there, home, "inner")
        assert hear(at_folder) == {"action": "CREATED", "file": None, "subfolder": {"name": "inner"}}
        assert '"CREATED","file":null,"subfolder":{"name":"inner"}' in next(as_stream)


def test_what_a_worker_completes_is_told_in_every_process(
    pair: Pair, surroundings: Surroundings, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        bea = stack.enter_context(pair.here.user("bea"))
        target = bea.promise("worked.jpg", "image/jpeg", len(JPEG))
        sockets = [stack.enter_context(socket_of(service, "bea")) for service in (pair.here, pair.there)]
        for socket in sockets:
            subscribe(socket, UPLOAD, target.upload_id)
            assert hear_status(socket) == (None, "PENDING")
        bea.put(target, JPEG)

        async def make_due(connection: AsyncConnection) -> None:
            is_it = UploadRow.id == target.upload_id
            await connection.execute(update(UploadRow).where(is_it).values(look_at=datetime.now(UTC)))

        pair.in_database(make_due)
        ended = outcome(["worker", "--once"], tmp_path, environ=surroundings.environ(pair.url))
        assert ended.status == 0, ended.err
        for socket in sockets:
            assert hear_status(socket) == ("PENDING", "COMPLETED")
            assert hear(socket) is None
        assert pair.listening() == 2  # one in each process that answers


def test_losing_access_and_the_end_of_the_folder_look_alike(pair: Pair) -> None:
    """Told by the process that did neither; and afterwards, too, the one is as absent as the other."""
    with ExitStack() as stack:
        cleo, dan = stack.enter_context(pair.here.user("cleo")), stack.enter_context(pair.there.user("dan"))
        dans_id = dan.ask("{ viewer { user { id } } }")["viewer"]["user"]["id"]
        folders = [folder_in(cleo, home_of(cleo), name) for name in ("kept", "deleted")]
        shared = [cleo.ask(SHARE, **{"with": dans_id, "folder": folder})["createAccessRule"] for folder in folders]
        sockets = [stack.enter_context(socket_of(pair.there, "dan")) for _ in folders]
        for socket, folder in zip(sockets, folders, strict=True):
            subscribe(socket, FOLDER, folder)
            assert hear(socket)["action"] == "REFRESH"
            folder_in(cleo, folder, "inner")
            assert hear(socket) == {"action": "CREATED", "file": None, "subfolder": {"name": "inner"}}
        kept, deleted = folders
        rule = shared[0]["accessRule"]
        withdrawn = cleo.ask(UNSHARE, rule=rule["id"], version=rule["version"])["deleteAccessRule"]
        assert withdrawn["userErrors"] == []
        folder_in(cleo, kept, "secret")
        assert cleo.ask(DELETE, id=deleted)["deleteFolder"]["userErrors"] == []
        ends = [frame(socket) for socket in sockets]
        assert ends == [{"type": "complete", "id": "1"}] * 2
        for socket, folder in zip(sockets, folders, strict=True):
            subscribe(socket, FOLDER, folder)
        refusals = [frame(socket) for socket in sockets]
        for refusal in refusals:
            for error in refusal["payload"]:
                del error["extensions"]["requestId"]
        assert refusals[0] == refusals[1]
        assert refusals[0]["payload"][0]["extensions"]["code"] == "NOT_FOUND"


def test_what_happens_while_nobody_listens_is_told_once_somebody_does_again(pair: Pair) -> None:
    with ExitStack() as stack:
        eli, eli_there = stack.enter_context(pair.here.user("eli")), stack.enter_context(pair.there.user("eli"))
        home = home_of(eli)
        target = eli.promise("missed.jpg", "image/jpeg", len(JPEG))
        at_upload, at_folder = [stack.enter_context(socket_of(pair.there, "eli")) for _ in range(2)]
        subscribe(at_upload, UPLOAD, target.upload_id)
        subscribe(at_folder, FOLDER, home)
        assert hear_status(at_upload) == (None, "PENDING")
        assert hear(at_folder)["action"] == "REFRESH"
        eli.put(target, JPEG)

        async def cut(connection: AsyncConnection) -> None:
            ended = f"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE {LISTENING}"
            assert list(await connection.scalars(text(ended))) == [True, True]

        pair.in_database(cut)
        eli.complete(target.upload_id)
        assert hear_status(at_upload) == ("PENDING", "COMPLETED")
        assert hear(at_folder)["action"] == "REFRESH"
        names = eli_there.ask("query ($id: ID!) { folder(id: $id) { files { nodes { name } } } }", id=home)
        assert names["folder"]["files"]["nodes"] == [{"name": "missed.jpg"}]
        wait_for(lambda: pair.listening() == 2)


def test_a_socket_and_a_stream_end_with_their_token(pair: Pair) -> None:
    """Clocks may differ by the leeway: the token has ended already, and is good for some seconds more."""
    ends = {"exp": datetime.now(UTC) - timedelta(seconds=24)}
    with pair.here.user("fay", **ends) as fay, socket_of(pair.here, "fay", **ends) as socket:
        target = fay.promise("never.jpg", "image/jpeg", 3)
        subscribe(socket, UPLOAD, target.upload_id)
        with stream_of(fay, UPLOAD, target.upload_id) as stream:
            assert "PENDING" in next(stream)
            assert hear_status(socket) == (None, "PENDING")
            assert "UNAUTHENTICATED" in next(stream)
            assert list(stream) == []
        assert close_code(socket) == 4403
    assert httpx.get(f"{pair.here.address}/healthz", trust_env=False).status_code == 200


def test_a_process_that_stops_sends_everybody_to_another_and_has_logged_nothing_of_theirs(
    pair: Pair,
    installed: Path,
    surroundings: Surroundings,
    postgres: PostgresCluster,
    postgres_template: str,
    tmp_path: Path,
) -> None:
    """It listens elsewhere, so that one sees where."""
    elsewhere = replace(pair, url=postgres.create_database(template=postgres_template))
    environ = surroundings.environ(pair.url, LOG_LEVEL="DEBUG", LISTEN_DATABASE_URL=elsewhere.url)
    with (
        serving(installed, tmp_path, surroundings, environ) as service,
        service.user("gus") as gus,
        socket_of(service, "gus") as socket,
    ):
        target = gus.promise("cat.jpg", "image/jpeg", len(JPEG))
        subscribe(socket, UPLOAD, target.upload_id)
        assert hear_status(socket) == (None, "PENDING")
        with stream_of(gus, FOLDER, home_of(gus)) as stream:
            assert "REFRESH" in next(stream)
            wait_for(lambda: elsewhere.listening() == 1)
            assert service.program.stop(signal.SIGTERM) == 0
            assert close_code(socket) == 1012
            assert list(stream) == []
        assert elsewhere.listening() == 0
        log = service.program.err
        for secret in (
            str(gus.api.headers["authorization"]).removeprefix("Bearer ").split(".")[1],
            "X-Amz-Signature=0",
        ):
            assert secret not in log
        assert "uploadStatusChanged" not in log  # what clients say is nothing for the log, at DEBUG neither
        assert not [line for line in map(json.loads, log.splitlines()) if line["level"] not in ("DEBUG", "INFO")]
    postgres.drop_database(elsewhere.url)
