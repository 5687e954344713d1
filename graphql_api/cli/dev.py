"""``graphql-api dev``: the whole product on one machine, in one process and the store's."""

import asyncio
import json
import os
import secrets
import signal
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import click
import jwt
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from graphql_api.cli import STOP_SIGNALS
from graphql_api.cli.state import Kept, kept_secrets, key_group, state_folder, write_settings
from graphql_api.cli.tour import tour
from graphql_api.db.engine import Database
from graphql_api.db.migration import migrate
from graphql_api.edge.function import presentation_function, revocation_function
from graphql_api.errors import ConfigurationError
from graphql_api.localcloud.access_log import AccessLog, LoggedEdge
from graphql_api.localcloud.cache import Cache
from graphql_api.localcloud.edge import create_edge
from graphql_api.localcloud.function import EdgeFunction, ResponseFunction
from graphql_api.localcloud.invalidation import create_invalidation_api
from graphql_api.localcloud.key_group import KeyGroupFolder
from graphql_api.localcloud.key_value_store import KeyValueStore, create_key_value_store_api
from graphql_api.localcloud.origin import S3Origin
from graphql_api.localcloud.store import SeaweedStore
from graphql_api.running import application
from graphql_api.services.clock import utc_now
from graphql_api.settings import PREFIX, Settings
from graphql_api.signing.keyring import SigningKey
from graphql_api.storage.bucket import lifecycle_rules, upload_cors_rule
from graphql_api.web.logs import configure_logging
from graphql_api.web.server import OPTIONS

HOST: Final = "127.0.0.1"
EDGE_LOGS: Final = "edge-logs"  # below the folder of data
BUCKET: Final = "private-files"
EDGE_STORE_ARN: Final = "arn:aws:cloudfront::000000000000:key-value-store/dev"
EDGE_DISTRIBUTION_ID: Final = "EDEV"
ISSUER: Final = "graphql-api-dev"
DEMO_USERS: Final = {"alice": "Alice", "bob": "Bob", "admin": "Admin"}
TOKEN_LIFETIME: Final = timedelta(days=30)
STOP_DEADLINE: Final = 5.0  # seconds for requests under way when it is told to stop
LAST_DEADLINE: Final = 10  # seconds until a request is given up that does not notice that its connection was cut
WATCH_INTERVAL: Final = 0.2  # seconds until a store that ended by itself is noticed

PAGE_ORIGINS: Final = tuple(
    f"http://{host}:{port}" for host in ("localhost", HOST) for port in (3000, 4200, 5173, 8080)
)
"""Where the development servers of web pages usually answer: Next.js and others, Angular, Vite, webpack."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is ready."""

    graphql: str
    edge: str
    store: str
    bucket: str
    data: str
    key_pair_id: str
    tokens: dict[str, str]

    def as_json(self) -> str:
        """One line; names are written as in GraphQL."""
        return json.dumps(
            {
                "graphql": self.graphql,
                "edge": self.edge,
                "store": self.store,
                "bucket": self.bucket,
                "data": self.data,
                "keyPairId": self.key_pair_id,
                "tokens": self.tokens,
            }
        )

    def as_tour(self) -> str:
        """For people."""
        values = {"graphql": self.graphql, "edge": self.edge, "store": self.store, "data": self.data}
        return tour(values | self.tokens)


def run(data: Path, *, port: int, reset: bool, as_json: bool, origins: Sequence[str] = ()) -> None:
    """Start everything, say so, and stop everything on SIGINT or SIGTERM; before and after, those are the caller's.

    Raises: ConfigurationError: a port is taken, the store's program is missing or ends, or the folder cannot be used.
    """
    configure_logging("WARNING")
    os.umask(0o077)  # what the store and the database write is for nobody else
    with _plain_faults(data), ExitStack() as stack:
        api_socket = stack.enter_context(_listen(port))
        edge_socket = stack.enter_context(_listen(port and port + 1))
        control_socket = stack.enter_context(_listen(0))  # of the edge; nobody but this process has its key
        store_port = port + 2 if port else _free_port()
        with _listen(store_port):
            pass  # before anything is made, with the same words as for the others
        folder = stack.enter_context(state_folder(data, reset=reset))
        kept = kept_secrets(folder)
        store = SeaweedStore(folder / "store", port=store_port, bucket=BUCKET)
        control_key = secrets.token_hex(16)
        edge_url = _address(edge_socket)
        environ = _environ(
            folder,
            store,
            kept,
            api_url=_address(api_socket),
            edge_url=edge_url,
            edge_control=(_address(control_socket), control_key),
            origins=origins,
        )
        settings = Settings.read(environ)
        write_settings(folder, environ)
        stack.enter_context(store)
        store.create_bucket([upload_cors_rule(["*"])], lifecycle_rules())
        key = SigningKey.from_pem(kept.key_pair_id, settings.cdn_private_key_pem.get_secret_value())
        origin = stack.enter_context(closing(S3Origin(store.endpoint_url, store.bucket, store.edge)))
        access_log = stack.enter_context(closing(AccessLog(folder / EDGE_LOGS, utc_now)))
        group = KeyGroupFolder(key_group(folder, key.key_id, key.public_pem()))
        revoked = KeyValueStore(folder / "revocations.json")
        function = EdgeFunction(revocation_function(failure=settings.edge_store_failure), revoked)
        presentation = ResponseFunction(presentation_function())
        cache = Cache()
        distribution = create_edge(
            edge_url,
            group,
            origin,
            utc_now,
            function,
            presentation,
            cache,
            cookie_origins=settings.cors_origins,
        )
        edge = LoggedEdge(distribution, access_log)
        control = _control(
            create_key_value_store_api(revoked, EDGE_STORE_ARN, control_key),
            create_invalidation_api(cache, EDGE_DISTRIBUTION_ID, control_key, utc_now),
        )
        ready = Run(
            graphql=f"{_address(api_socket)}/graphql",
            edge=edge_url,
            store=store.endpoint_url,
            bucket=store.bucket,
            data=str(folder),
            key_pair_id=key.key_id,
            tokens={subject: _token(subject, kept.token_secret) for subject in DEMO_USERS},
        )
        said = ready.as_json() if as_json else ready.as_tour()
        handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
        try:
            apps: dict[socket.socket, ASGIApp] = {
                api_socket: application(settings),
                edge_socket: edge,
                control_socket: control,
            }
            asyncio.run(_serve(settings, store, apps, said))
        finally:
            for number, handler in handlers.items():  # the loop put back Python's own
                signal.signal(number, handler)


def _control(revocations: ASGIApp, invalidations: ASGIApp) -> ASGIApp:
    """Both at one address, as ``invalidations`` are asked for below the version of CloudFront's API."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_about_cache = scope["type"] == "http" and scope["path"].startswith("/2020-05-31/")
        await (invalidations if is_about_cache else revocations)(scope, receive, send)

    return app


@contextmanager
def _plain_faults(data: Path) -> Iterator[None]:
    """One line for what the disk refuses anywhere below: a file where a folder should be, no space, no right."""
    try:
        yield
    except OSError as error:
        what = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
        raise ConfigurationError(f"the folder {data.absolute()} cannot be used: {what}") from error


async def _serve(
    settings: Settings, store: SeaweedStore, apps: Mapping[socket.socket, ASGIApp], said_when_ready: str
) -> None:
    """Until a signal, or until a part ends by itself. Raises: ConfigurationError: it did."""
    servers = {_server(app): bound for bound, app in apps.items()}
    told_to_stop, told_again = asyncio.Event(), asyncio.Event()

    def tell() -> None:
        (told_again if told_to_stop.is_set() else told_to_stop).set()

    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, tell)
    await _migrate(settings)  # to its end: cut off, the driver's thread would find its loop closed
    serving = [asyncio.create_task(server.serve([bound])) for server, bound in servers.items()]
    ends = [asyncio.create_task(told_to_stop.wait()), asyncio.create_task(_until_ended(store))]
    started = asyncio.create_task(_until_started(servers))
    await asyncio.wait([started, *ends, *serving], return_when=asyncio.FIRST_COMPLETED)
    if started.done():
        click.echo(said_when_ready)
        await asyncio.wait([*ends, *serving], return_when=asyncio.FIRST_COMPLETED)
    for server in servers:  # one without the others is no product
        server.should_exit = True
    cutting = asyncio.create_task(_cut_off(servers, told_again))
    await asyncio.gather(*serving)
    for task in (started, cutting, *ends):
        task.cancel()
    if not told_to_stop.is_set():
        raise ConfigurationError(store.fault() or "the API or the edge ended by itself")


async def _migrate(settings: Settings) -> None:
    database = Database(settings.database_url.get_secret_value())
    try:
        await migrate(database)
    finally:
        await database.close()


async def _until_started(servers: Iterable[uvicorn.Server]) -> None:
    while not all(server.started for server in servers):  # noqa: ASYNC110 -- uvicorn says it in an attribute only
        await asyncio.sleep(0.02)


async def _cut_off(servers: Iterable[uvicorn.Server], now: asyncio.Event) -> None:
    """End the requests that are still under way after a while, or ``now``."""
    with suppress(TimeoutError):
        await asyncio.wait_for(now.wait(), STOP_DEADLINE)
    for server in servers:
        for connection in server.server_state.connections:
            connection.transport.abort()


async def _until_ended(store: SeaweedStore) -> None:
    while store.fault() is None:  # noqa: ASYNC110 -- waiting for it in a thread would outlast a stop
        await asyncio.sleep(WATCH_INTERVAL)


def _environ(
    folder: Path,
    store: SeaweedStore,
    kept: Kept,
    *,
    api_url: str,
    edge_url: str,
    edge_control: tuple[str, str],
    origins: Sequence[str],
) -> dict[str, str]:
    """``edge_control``: where the edge's store is written to and its cache told to drop, and the key id it knows."""
    control_url, control_key = edge_control
    return {
        f"{PREFIX}DATABASE_URL": f"sqlite:///{folder / 'api.db'}",
        f"{PREFIX}S3_BUCKET": store.bucket,
        f"{PREFIX}S3_ENDPOINT_URL": store.endpoint_url,
        f"{PREFIX}S3_ADDRESSING_STYLE": "path",
        f"{PREFIX}S3_ACCESS_KEY_ID": store.api.access_key_id,
        f"{PREFIX}S3_SECRET_ACCESS_KEY": store.api.secret_access_key,
        f"{PREFIX}PUBLIC_URL": api_url,
        f"{PREFIX}CDN_BASE_URL": edge_url,
        f"{PREFIX}CDN_KEY_ID": kept.key_pair_id,
        f"{PREFIX}CDN_PRIVATE_KEY_FILE": str(folder / "signing-key.pem"),
        f"{PREFIX}EDGE_STORE_ARN": EDGE_STORE_ARN,
        f"{PREFIX}EDGE_STORE_ENDPOINT_URL": control_url,
        f"{PREFIX}EDGE_DISTRIBUTION_ID": EDGE_DISTRIBUTION_ID,
        f"{PREFIX}EDGE_CONTROL_ENDPOINT_URL": control_url,
        f"{PREFIX}EDGE_ACCESS_KEY_ID": control_key,
        f"{PREFIX}EDGE_SECRET_ACCESS_KEY": secrets.token_hex(16),
        f"{PREFIX}AUTH_HS256_SECRET": kept.token_secret,
        f"{PREFIX}AUTH_ISSUER": ISSUER,
        f"{PREFIX}AUTH_AUDIENCE": ISSUER,
        f"{PREFIX}ADMIN_SUBJECTS": "admin",
        f"{PREFIX}CORS_ORIGINS": ",".join([*origins, *PAGE_ORIGINS]),
    }


class _Server(uvicorn.Server):
    """Leaves signals to ``_serve``, which stops all servers."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]  # a context manager either way
        return nullcontext()


def _server(app: ASGIApp) -> _Server:
    return _Server(uvicorn.Config(app, timeout_graceful_shutdown=LAST_DEADLINE, **OPTIONS))


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
    """A socket that listens before anything is started, so that a taken port costs nothing.

    It says that it is of TCP: else asyncio leaves Nagle's algorithm on, and answers wait 40 ms for an acknowledgement.
    """
    with socket.socket(proto=socket.IPPROTO_TCP) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
            bound.listen()  # two may bind one port, but only one can listen
        except OSError as error:
            raise ConfigurationError(
                f"port {port} cannot be used ({error.strerror}): choose three others with --port"
            ) from error
        yield bound


def _address(bound: socket.socket) -> str:
    return f"http://{HOST}:{bound.getsockname()[1]}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
