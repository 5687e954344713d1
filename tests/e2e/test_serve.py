"""The service for real, from an installed wheel: schema, settings, journey, failures of its parts, end and log."""

import json
import re
import shutil
import signal
import socket
import subprocess
import zipfile
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from graphql_api.db.migration import newest_revision
from graphql_api.web.console import HASHES
from tests.cli.program import REPOSITORY, needs_proc, outcome, refusal, wait_for
from tests.contracts.samples import JPEG
from tests.e2e.client import CREATE, Client
from tests.e2e.service import CDN, Service, Surroundings, serving
from tests.postgres import PostgresCluster
from tests.web.conftest import missing


def test_the_wheel_brings_all_it_needs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"graphql_api/web/console/{name}" for name in HASHES} <= names
    assert {
        "graphql_api/edge/revocation.js",
        "graphql_api/py.typed",
        "graphql_api/cli/tour.txt",
        "graphql_api/migrations/env.py",
    } <= names
    versions = {path.name for path in (REPOSITORY / "migrations" / "versions").glob("*.py")}
    assert {f"graphql_api/migrations/versions/{name}" for name in versions} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests/", "migrations/"))]


def test_the_installed_program_prints_the_schema(installed: Path, tmp_path: Path) -> None:
    printed = outcome(["schema"], tmp_path, command=[installed])
    assert (printed.status, printed.err) == (0, "")
    assert printed.out == (REPOSITORY / "schema.graphql").read_text()


def test_the_installed_program_prints_the_edges_function(installed: Path, tmp_path: Path) -> None:
    printed = outcome(["edge", "function"], tmp_path, command=[installed])
    assert (printed.status, printed.err) == (0, "")
    assert printed.out == (REPOSITORY / "graphql_api" / "edge" / "revocation.js").read_text()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    return cluster.create_database()


def test_serve_wants_the_newest_schema_and_migrate_makes_it(
    installed: Path, surroundings: Surroundings, empty_database: str, tmp_path: Path
) -> None:
    environ = surroundings.environ(empty_database, LOG_LEVEL="WARNING")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    said = refusal(["serve"], folder, environ=environ, command=[installed])
    newest = newest_revision()
    assert said == f"the database schema is empty, this version needs {newest}: run `graphql-api migrate`"
    for _ in range(2):  # again is harmless
        migrated = outcome(["migrate"], folder, environ=environ, command=[installed])
        assert (migrated.status, migrated.out) == (0, f"The database has schema {newest}.\n"), migrated.err
    with serving(installed, folder, surroundings, environ) as running:
        assert httpx.get(f"{running.address}/readyz", trust_env=False).json() == {"status": "ok"}
        assert running.program.stop() == 0
        assert running.program.err == ""
    assert list(folder.glob("*.db")) == []


def test_serve_tells_every_wrong_setting_in_a_line(installed: Path, tmp_path: Path) -> None:
    environ = {
        "GRAPHQL_API_DATABASE_URL": "mysql://root:hunter2@host/db",
        "GRAPHQL_API_S3_BUCKET": "No Bucket",
        "GRAPHQL_API_CDN_BASE_URL": "ftp://cdn",
        "GRAPHQL_API_CORS_ORIGINS": "*",
        "GRAPHQL_API_PORT": "99999",
        "GRAPHQL_API_COLOUR": "red",
        "GRAPHQL_API_AUTH_HS256_SECRET": "hunter2",
    }
    ended = outcome(["serve"], tmp_path, environ=environ, command=[installed])
    assert (ended.status, ended.out) == (1, "")
    names = [re.fullmatch(r"graphql-api: (GRAPHQL_API_[A-Z0-9_]+): .+", line) for line in ended.err.splitlines()]
    assert None not in names, ended.err
    told = {match[1] for match in names if match}
    required = {"CDN_KEY_ID", "AUTH_ISSUER", "AUTH_AUDIENCE"}
    assert told >= environ.keys() | {f"GRAPHQL_API_{name}" for name in required}
    assert "hunter2" not in ended.err


def test_serve_names_a_database_that_does_not_answer(
    installed: Path, surroundings: Surroundings, tmp_path: Path
) -> None:
    environ = surroundings.environ("postgresql://user:hunter2@127.0.0.1:9/none", LOG_LEVEL="ERROR")
    said = refusal(["serve"], tmp_path, environ=environ, command=[installed])
    assert said.startswith("The database does not answer")


def test_serve_names_a_taken_port(installed: Path, service: Service, tmp_path: Path) -> None:
    environ = service.around.environ(f"sqlite:///{tmp_path / 'a.db'}", LOG_LEVEL="WARNING", LOG_FORMAT="text")
    assert outcome(["migrate"], tmp_path, environ=environ, command=[installed]).status == 0
    port = str(httpx.URL(service.address).port)
    for workers in ("1", "2"):
        command = ["serve", "--port", port, "--workers", workers]
        ended = outcome(command, tmp_path, environ=environ, command=[installed])
        assert ended.status != 0
        assert ended.err.count("\n") == 1, ended.err
        assert "address already in use" in ended.err.lower()


def test_the_whole_journey(service: Service, tmp_path: Path) -> None:
    with service.user("ada") as ada:
        file = ada.upload("cat.jpg", "image/jpeg", JPEG, with_checksum=True)
        assert (file["path"], file["size"]) == ("/Ada/cat.jpg", len(JPEG))
        [listed] = ada.ask("{ files { nodes { id signedUrl { url } } } }")["files"]["nodes"]
    assert listed["id"] == file["id"]
    assert listed["signedUrl"]["url"].startswith(f"{CDN}/")
    assert_openssl_agrees(listed["signedUrl"]["url"], service.around, tmp_path)


def assert_openssl_agrees(url: str, around: Surroundings, folder: Path) -> None:
    """A canned policy is rebuilt from the address, as a CDN does."""
    openssl = shutil.which("openssl")
    if openssl is None:
        missing("openssl")
    values = dict(parse_qsl(urlsplit(url).query))
    resource = re.sub(r"[?&](Expires|Signature|Key-Pair-Id|Hash-Algorithm)=[^&]*", "", url)
    before = {"DateLessThan": {"AWS:EpochTime": int(values["Expires"])}}
    policy = {"Statement": [{"Resource": resource, "Condition": before}]}
    (folder / "policy").write_text(json.dumps(policy, separators=(",", ":")))
    (folder / "signature").write_bytes(b64decode(values["Signature"].translate(str.maketrans("-_~", "+=/"))))
    public = around.cdn_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "public.pem").write_bytes(public)
    command = [str(openssl), "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "policy"]
    verified = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert verified.stdout == "Verified OK\n", verified.stderr


def test_the_first_admin_is_named_by_a_setting(service: Service) -> None:
    query = "{ viewer { isAdmin } folder { name subfolders { nodes { name } } } }"
    with service.user("grace") as grace, service.user("root") as root:
        seen = grace.ask(query)
        assert seen["viewer"] == {"isAdmin": False}
        assert seen["folder"] is None
        seen = root.ask(query)
    assert seen["viewer"] == {"isAdmin": True}
    assert seen["folder"]["name"] == ""
    assert {"name": "Grace"} in seen["folder"]["subfolders"]["nodes"]


def test_a_store_that_is_down_changes_nothing_and_all_works_when_it_is_back(service: Service) -> None:
    with service.user("ada") as ada:
        target = ada.promise("patience.txt", "text/plain", 5)
        assert ada.put(target, b"hello").status_code == 200
        service.around.store.stop()
        try:
            ready = httpx.get(f"{service.address}/readyz", trust_env=False)
            assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "failing": ["store"]})
            assert httpx.get(f"{service.address}/healthz", trust_env=False).status_code == 200
            [error] = ada.complete(target.upload_id)["userErrors"]
            assert (error["__typename"], error["code"]) == ("UnavailableError", "UNAVAILABLE")
            pending = ada.ask("{ uploads(first: 1) { nodes { status target { expiresAt } } } }")["uploads"]["nodes"][0]
            assert pending["status"] == "PENDING"
            assert pending["target"]
        finally:
            service.around.store.start()
        assert httpx.get(f"{service.address}/readyz", trust_env=False).status_code == 200
        assert ada.complete(target.upload_id)["userErrors"] == []


def test_a_browser_is_shown_the_console_from_our_own_files(service: Service) -> None:
    page = httpx.get(f"{service.address}/graphql", headers={"Accept": "text/html"}, trust_env=False)
    assert page.status_code == 200
    for address in re.findall(r'(?:src|href)="(graphql/[^"]+)"', page.text):
        assert httpx.get(f"{service.address}/{address}", trust_env=False).status_code == 200


@needs_proc
def test_several_workers_serve_and_end_together(
    installed: Path, surroundings: Surroundings, postgres: PostgresCluster, postgres_template: str, tmp_path: Path
) -> None:
    environ = surroundings.environ(postgres.create_database(template=postgres_template))
    with serving(installed, tmp_path, surroundings, environ, "--workers", "2") as running:
        with running.user("ada") as ada:
            ada.upload("cat.jpg", "image/jpeg", JPEG)
            for _ in range(20):
                ada.api.headers["Connection"] = "close"  # a new connection may come to the other worker
                assert len(ada.ask("{ files { nodes { id } } }")["files"]["nodes"]) == 1
        processes = running.program.processes()
        assert len(processes) >= 3
        assert running.program.stop(signal.SIGTERM) == 0
        wait_for(lambda: not [it for it in processes if it.is_alive])
        lines = [json.loads(line) for line in running.program.err.splitlines()]
    assert not [line for line in lines if line["level"] not in ("INFO", "DEBUG")]


def test_a_request_under_way_is_answered_before_the_end(
    installed: Path, surroundings: Surroundings, postgres: PostgresCluster, postgres_template: str, tmp_path: Path
) -> None:
    environ = surroundings.environ(postgres.create_database(template=postgres_template))
    with serving(installed, tmp_path, surroundings, environ) as running:
        body = b'{"query": "{ viewer { isAdmin } }"}'
        url = httpx.URL(running.address)
        with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
            head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:10])
            wait_for(lambda: is_answered(running.address))
            running.program.tell(signal.SIGTERM)
            wait_for(lambda: not is_answered(running.address))
            connection.sendall(body[10:])
            with connection.makefile("rb") as stream:
                answer = stream.read()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b'{"viewer":null}' in answer
        assert running.program.end() == 0


def is_answered(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_the_log_tells_each_request_and_no_secret(service: Service) -> None:
    """At DEBUG, after all that went well and badly in the tests above and here."""
    around, issuer = service.around, service.around.issuer
    answers: list[httpx.Response] = []
    secrets = {around.store.api.secret_access_key}
    secrets |= set(re.findall(r"[A-Za-z0-9+/]{40,}", around.environ("")["GRAPHQL_API_CDN_PRIVATE_KEY"]))

    def send(client: Client, document: str, **variables: Any) -> httpx.Response:
        answers.append(client.api.post(client.graphql, json={"query": document, "variables": variables}))
        return answers[-1]

    tokens = {
        "good": issuer.token("eve"),
        "expired": issuer.token("eve", exp=1),
        "foreign": issuer.token("eve", aud="others"),
        "broken": issuer.token("eve")[:-9],
    }
    secrets |= {part for token in tokens.values() for part in token.split(".")[1:]}
    clients = {name: Client(f"{service.address}/graphql", token) for name, token in tokens.items()}
    good = clients["good"]
    wish = {"filename": "secret.bin", "size": 9, "contentType": "image/png"}
    created = send(good, CREATE, input=wish).json()["data"]["createUpload"]["upload"]
    target = created["target"]["url"]
    secrets |= {parse_qs(urlsplit(target).query)["X-Amz-Signature"][0]}
    complete = "mutation ($id: ID!) { completeUpload(input: {uploadId: $id}) { file { id } userErrors { code } } }"
    send(good, complete, id=created["id"])
    good.plain.put(target, content=b"%PDF-1.4\n", headers={"Content-Type": "image/png", "If-None-Match": "*"})
    send(good, complete, id=created["id"])  # a lie
    send(good, complete, id=target)  # a secret where an id should be
    file = good.upload("well.txt", "text/plain", b"well")
    link = send(good, '{ files { nodes { signedUrl(ipAddress: "192.0.2.1") { url } } } }')
    url = link.json()["data"]["files"]["nodes"][0]["signedUrl"]["url"]
    for signed in (url, file["signedUrl"]["url"]):
        values = parse_qs(urlsplit(signed).query)
        secrets |= {value for name in ("Signature", "Policy") for value in values.get(name, ())}
    send(good, f'{{ node(id: "{url}") {{ id }} }}')  # a link inside a document
    send(good, f"{{ {tokens['good']} }}")  # a document that cannot be read
    send(good, "query ($id: ID!) { node(id: $id) { id } }", id={"token": tokens["good"]})  # a variable that cannot
    for bad in ("expired", "foreign", "broken"):
        assert send(clients[bad], "{ viewer { id } }").status_code == 401
    for address in (f"/graphql?query={{viewer{{id}}}}&token={tokens['good']}", f"/{tokens['good']}/x?{url}"):
        answers.append(good.api.get(f"{service.address}{address}"))
    share = """mutation ($id: ID!) { createShareLink(input: {resource: {fileId: $id}, password: "hunter2 hunter2"}) {
      url token } }"""
    made = send(good, share, id=file["id"]).json()["data"]["createShareLink"]
    assert made["url"] is None  # the service was not told its own address
    for password in ("hunter3 hunter3", "hunter2 hunter2"):
        answers.append(good.plain.post(f"{service.address}/s/{made['token']}", data={"password": password}))
    answers.append(good.plain.get(f"{service.address}//s//{made['token']}x"))
    answers.append(good.api.post(f"{service.address}/f/session"))
    secrets |= {made["token"], "hunter", answers[-1].headers["set-cookie"].split(";")[0].partition("=")[2]}
    assert [answer.status_code for answer in answers[-4:]] == [403, 303, 404, 200]
    for client in clients.values():
        client.close()

    def whole_log() -> str:
        return service.program.out + service.program.err

    def requests(request_id: str) -> list[dict[str, Any]]:
        lines = map(json.loads, whole_log().splitlines())
        return [it for it in lines if it["request_id"] == request_id and it["message"].startswith("request method=")]

    last = answers[-1].headers["x-request-id"]
    wait_for(lambda: requests(last))
    for answer in answers:
        [line] = requests(answer.headers["x-request-id"])
        assert f"status={answer.status_code} " in line["message"]
    log = whole_log()
    assert len(secrets) > 10
    assert sorted(secret for secret in secrets if secret in log) == []
    for entry in map(json.loads, log.splitlines()):
        assert entry.keys() >= {"time", "level", "logger", "request_id", "message"}
        assert entry["level"] in ("DEBUG", "INFO", "WARNING"), entry  # mistakes of clients are no errors of ours
