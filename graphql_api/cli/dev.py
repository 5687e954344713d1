"""``graphql-api dev``: the whole product on one machine, in one process and the store's.

Everything it keeps lies in one folder: ``api.db``, ``store/``, ``signing-key.pem``, ``secrets.json``.
"""

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import click
import jwt
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.types import ASGIApp

from graphql_api.bootstrap import application
from graphql_api.cli.tour import tour
from graphql_api.db.engine import Database
from graphql_api.db.migration import migrate
from graphql_api.errors import ConfigurationError
from graphql_api.localcloud.edge import create_edge
from graphql_api.localcloud.origin import S3Origin
from graphql_api.localcloud.store import SeaweedStore
from graphql_api.services.clock import utc_now
from graphql_api.settings import PREFIX, Settings
from graphql_api.signing.keyring import SigningKey
from graphql_api.storage.cors import upload_cors_rule
from graphql_api.web.logs import configure_logging

HOST: Final = "127.0.0.1"
BUCKET: Final = "private-files"
ISSUER: Final = "graphql-api-dev"
DEMO_USERS: Final = {"alice": "Alice", "bob": "Bob", "admin": "Admin"}
TOKEN_LIFETIME: Final = timedelta(days=30)
STOP_DEADLINE: Final = 10.0  # seconds for requests under way when it is told to stop


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a script needs to drive a run; ``dev --json`` prints it."""

    graphql: str
    edge: str
    store: str
    bucket: str
    tokens: dict[str, str]
    key_pair_id: str
    data: str


def run(data: Path, *, port: int, reset: bool, as_json: bool) -> None:
    """Start everything, say so, and stop everything on SIGINT or SIGTERM.

    Raises: ConfigurationError: a port is taken, the store's program is missing, or the folder cannot be used.
    """
    configure_logging("WARNING")
    with ExitStack() as stack:
        _open_folder(data, reset=reset)
        api_socket = stack.enter_context(_listen(port))
        edge_socket = stack.enter_context(_listen(port and port + 1))
        store_port = port + 2 if port else _free_port()
        store = SeaweedStore(data / "store", port=store_port, bucket=BUCKET)
        stack.enter_context(_terminable())
        stack.enter_context(store)
        store.create_bucket([upload_cors_rule(["*"])])
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(data.absolute(), store, api_socket, edge_socket, as_json=as_json))


async def _serve(
    data: Path, store: SeaweedStore, api_socket: socket.socket, edge_socket: socket.socket, *, as_json: bool
) -> None:
    api_url, edge_url = (f"http://{HOST}:{bound.getsockname()[1]}" for bound in (api_socket, edge_socket))
    kept = _kept_secrets(data)
    key = SigningKey.from_pem(kept["key_pair_id"], (data / "signing-key.pem").read_text())
    settings = Settings.read(
        {
            f"{PREFIX}DATABASE_URL": f"sqlite:///{data / 'api.db'}",
            f"{PREFIX}S3_BUCKET": store.bucket,
            f"{PREFIX}S3_ENDPOINT_URL": store.endpoint_url,
            f"{PREFIX}S3_ADDRESSING_STYLE": "path",
            f"{PREFIX}S3_ACCESS_KEY_ID": store.api.access_key_id,
            f"{PREFIX}S3_SECRET_ACCESS_KEY": store.api.secret_access_key,
            f"{PREFIX}CDN_BASE_URL": edge_url,
            f"{PREFIX}CDN_KEY_ID": key.key_id,
            f"{PREFIX}CDN_PRIVATE_KEY_FILE": str(data / "signing-key.pem"),
            f"{PREFIX}AUTH_HS256_SECRET": kept["token_secret"],
            f"{PREFIX}AUTH_ISSUER": ISSUER,
            f"{PREFIX}AUTH_AUDIENCE": ISSUER,
            f"{PREFIX}ADMIN_SUBJECTS": "admin",
        }
    )
    database = Database(settings.database_url.get_secret_value())
    try:
        await migrate(database)
    finally:
        await database.close()
    origin = S3Origin(store.endpoint_url, store.bucket, store.edge)
    edge = create_edge(edge_url, {key.key_id: key.public_pem()}, origin, utc_now)
    servers = {_server(application(settings)): api_socket, _server(edge, lifespan="off"): edge_socket}
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    running = [asyncio.create_task(server.serve([bound])) for server, bound in servers.items()]
    while not all(server.started for server in servers) and not any(task.done() for task in running):  # noqa: ASYNC110 -- see below
        await asyncio.sleep(0.02)  # uvicorn says that it has started in an attribute only
    if all(server.started for server in servers):
        addresses = Addresses(
            graphql=f"{api_url}/graphql",
            edge=edge_url,
            store=store.endpoint_url,
            bucket=store.bucket,
            tokens={subject: _token(subject, kept["token_secret"]) for subject in DEMO_USERS},
            key_pair_id=key.key_id,
            data=str(data),
        )
        values = asdict(addresses)
        click.echo(json.dumps(values) if as_json else tour(values | addresses.tokens))
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    stop()  # one without the other is no product
    await asyncio.gather(*running)
    origin.close()


class _Server(uvicorn.Server):
    """Leaves signals to ``_serve``, which stops both servers."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]  # a context manager either way
        return nullcontext()


def _server(app: ASGIApp, *, lifespan: str = "on") -> _Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan=lifespan,  # type: ignore[arg-type]  # a Literal in uvicorn
        timeout_graceful_shutdown=int(STOP_DEADLINE),
    )
    return _Server(config)


def _open_folder(data: Path, *, reset: bool) -> None:
    """An empty or kept folder that only its owner can read."""
    try:
        if reset and data.exists():
            if any(data.iterdir()) and not (data / "secrets.json").exists():
                raise ConfigurationError(f"{data} was not made by graphql-api dev: it is left as it is")
            shutil.rmtree(data)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / ".gitignore").write_text("*\n")
    except OSError as error:
        raise ConfigurationError(f"the folder {data} cannot be used: {error.strerror}") from error


def _kept_secrets(data: Path) -> Mapping[str, str]:
    """The secrets of earlier runs, or new ones for the first."""
    path = data / "secrets.json"
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write_private(data / "signing-key.pem", pem)
        new = {
            "key_pair_id": "K" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") for _ in range(13)),
            "token_secret": secrets.token_urlsafe(48),
        }
        _write_private(path, json.dumps(new).encode())
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _token(subject: str, secret: str) -> str:
    now = utc_now()
    claims = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": subject,
        "name": DEMO_USERS[subject],
        "iat": now,
        "exp": now + TOKEN_LIFETIME,
    }
    return jwt.encode(claims, secret, algorithm="HS256")


@contextmanager
def _listen(port: int) -> Iterator[socket.socket]:
    """A socket that is bound before anything is started, so that a taken port costs nothing."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(f"port {port} is taken ({error.strerror}): choose another with --port") from error
        yield bound


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind like Ctrl-C while the store starts; later the event loop handles both."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
