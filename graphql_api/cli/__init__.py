"""The command line: ``graphql-api dev | serve | worker | migrate | keys | edge | policies | reconcile | upload | …``.

A failure is one clear line, or one for each fault, and exit code 1.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graphql_api.cli.edge import edge
from graphql_api.cli.ingest_logs import ingest_logs
from graphql_api.cli.keys import keys
from graphql_api.cli.policies import policies
from graphql_api.cli.reconcile import reconcile
from graphql_api.cli.transfer import download, upload
from graphql_api.errors import ConfigurationError, DeliveryError

if TYPE_CHECKING:
    from graphql_api.services.clock import Clock

DEFAULT_DATA = Path(".graphql-api")
DEFAULT_PORT = 8000
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _OneLineErrors(click.Group):
    """Translates expected failures for this face: a line on standard error for each fault, no traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except ConfigurationError as error:
            for fault in error.faults:
                click.echo(f"graphql-api: {fault}", err=True)
        except DeliveryError as error:
            click.echo(f"graphql-api: {error.message}", err=True)
        sys.exit(1)


def _leave(_number: int, _frame: object) -> None:
    """Unwind, stop what was started, and end well. KeyboardInterrupt would not do: Python may die of one it caught."""
    sys.exit(0)


def _leave_at_once(_number: int, _frame: object) -> None:
    """As long as modules are loaded nothing has been started, and an exception might come up where Python drops it."""
    os._exit(0)


def _on_signals(handler: Callable[[int, object], None]) -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, handler)


@contextmanager
def _clean_end_on_signals() -> Iterator[None]:
    _on_signals(_leave)
    try:
        yield
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # nothing is left to stop


@click.group(cls=_OneLineErrors)
@click.version_option(package_name="graphql-api")
def main() -> None:
    """Presigned upload targets and CDN-signed download links for private files."""
    # The context's object is the clock of commands that ask one; whoever calls ``main`` may bring another.


@main.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_533),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port of the API; the edge and the store take the next two. 0 takes three free ones.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, readable=False),
    default=DEFAULT_DATA,
    show_default=True,
    help="Folder for everything a run keeps: database, objects, keys, credentials.",
)
@click.option("--reset", is_flag=True, help="Empty that folder first.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when ready, for scripts.")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    help="Web origin whose pages may call the API, besides ports 3000, 4200, 5173, 8080 of this machine; repeatable.",
)
def dev(port: int, data: Path, reset: bool, as_json: bool, origins: tuple[str, ...]) -> None:
    """Run everything on this machine: API, database, an S3-speaking store, and an edge that verifies signatures."""
    _on_signals(_leave_at_once)
    from graphql_api.cli.dev import run  # what only `dev` needs is not loaded by `serve`

    with _clean_end_on_signals():
        run(data, port=port, reset=reset, as_json=as_json, origins=origins)


@main.command()
@click.option("--host", help="Address to listen on, instead of GRAPHQL_API_HOST.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on, instead of GRAPHQL_API_PORT.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
def serve(host: str | None, port: int | None, workers: int) -> None:
    """Run the API for real, as the environment says. Refuses to start on an old database schema."""
    import uvicorn

    from graphql_api.bootstrap import assemble
    from graphql_api.db.migration import require_newest_schema
    from graphql_api.running import graphql_face
    from graphql_api.settings import Settings
    from graphql_api.web.logs import configure_logging
    from graphql_api.web.server import OPTIONS

    settings = Settings.read(os.environ)
    configure_logging(settings.log_level, settings.log_format)

    async def check() -> None:
        assembly = assemble(settings)
        try:
            await require_newest_schema(assembly.database)
            await assembly.keys.keyring.start()
        finally:
            await assembly.close()

    asyncio.run(check())
    graphql_face(settings)
    _require_free(host or settings.host, port or settings.port)
    signal.signal(signal.SIGTERM, _leave)  # uvicorn hands the signal on once all requests are answered
    uvicorn.run(
        "graphql_api.asgi:app",
        host=host or settings.host,
        port=port or settings.port,
        workers=workers,
        **OPTIONS,
    )


def _require_free(host: str, port: int) -> None:
    """Say it in one line if the address cannot be used: uvicorn would say it among others, once it has started."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error.strerror}") from error


@main.command()
@click.option("--once", is_flag=True, help="Do what is due now, then end; exit code 1 if a part did not answer.")
@click.pass_obj
def worker(clock: "Clock | None", *, once: bool) -> None:
    """Take the store's events, sweep, and do the jobs that requests leave behind. Any number may run side by side."""
    from graphql_api.running import work
    from graphql_api.services.clock import utc_now
    from graphql_api.settings import Settings
    from graphql_api.web.logs import configure_logging

    settings = Settings.read(os.environ)
    configure_logging(settings.log_level, settings.log_format)
    if not asyncio.run(work(settings, once=once, clock=clock or utc_now)):
        logging.shutdown()
        os._exit(1 if once else 0)  # a thread that waits for a part that hangs would hold up the end


@main.command()
def migrate() -> None:
    """Bring the database to the schema that this version needs."""
    from graphql_api.db.engine import Database
    from graphql_api.db.migration import migrate as upgrade
    from graphql_api.db.migration import newest_revision
    from graphql_api.settings import Settings
    from graphql_api.web.logs import configure_logging

    settings = Settings.read(os.environ)
    configure_logging(settings.log_level, settings.log_format)

    async def bring_up() -> None:
        database = Database(settings.database_url.get_secret_value())
        try:
            await upgrade(database)
        finally:
            await database.close()

    asyncio.run(bring_up())
    click.echo(f"The database has schema {newest_revision()}.")


main.add_command(keys)
main.add_command(edge)
main.add_command(policies)
main.add_command(ingest_logs)
main.add_command(upload)
main.add_command(download)
main.add_command(reconcile)


@main.command()
def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    from graphql_api.schema import build_schema

    click.echo(build_schema().as_str())
