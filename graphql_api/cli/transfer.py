"""``graphql-api upload`` and ``graphql-api download``: the client on the command line.

Exit code 0 says that everything arrived, 1 that something did not, 130 that it was interrupted.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from graphql_api.errors import ConfigurationError

if TYPE_CHECKING:  # what only these commands need is not loaded by `serve`
    from graphql_api.client.transfer import Client

URL: Final = "GRAPHQL_API_URL"
TOKEN: Final = "GRAPHQL_API_TOKEN"
INTERRUPTED: Final = 130  # exit code, as shells have it

_api = click.option("--api", "url", metavar="URL", envvar=URL, help=f"Address of the API; else {URL} says it.")
_jobs = click.option(
    "--jobs", type=click.IntRange(1, 32), default=4, show_default=True, help="Requests at a time, of all files."
)
_tries = click.option(
    "--tries", type=click.IntRange(1, 100), default=10, show_default=True, help="How often a request is tried."
)
_quiet = click.option("--quiet", is_flag=True, help="Say only what failed.")


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", required=True, metavar="FOLDER", help="Remote folder, as a path or an id; made if it is missing.")
@click.option(
    "--on-conflict",
    type=click.Choice(["fail", "rename", "skip"]),
    default="fail",
    show_default=True,
    help="What to do when another file has the name. One with the same bytes is left alone and counts as arrived.",
)
@click.option(
    "--parts-above",
    metavar="MIB",
    type=click.IntRange(0, 5 * 1024),
    default=64,
    show_default=True,
    help="Send larger files in parts, of which an interruption costs one.",
)
@_api
@_jobs
@_tries
@_quiet
def upload(
    paths: tuple[Path, ...],
    to: str,
    on_conflict: str,
    parts_above: int,
    url: str | None,
    jobs: int,
    tries: int,
    *,
    quiet: bool,
) -> None:
    """Upload files, and folders with all below. The token is taken from GRAPHQL_API_TOKEN.

    Run the same command again after an interruption: what has arrived is not sent again.
    """

    async def work(client: "Client") -> None:
        await client.upload(
            paths,
            to,
            on_conflict="RENAME" if on_conflict == "rename" else "FAIL",
            skips_taken=on_conflict == "skip",
            parts_above=parts_above * 1024**2,
        )

    _run(work, url=url, jobs=jobs, tries=tries, quiet=quiet)


@click.command()
@click.argument("names", metavar="REMOTE...", nargs=-1, required=True)
@click.option(
    "--to",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Local folder; the current one if not given.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that have the names here.")
@_api
@_jobs
@_tries
@_quiet
def download(
    names: tuple[str, ...], to: Path, url: str | None, jobs: int, tries: int, *, overwrite: bool, quiet: bool
) -> None:
    """Download files, and folders with all below, by path or id. The token is taken from GRAPHQL_API_TOKEN.

    Run the same command again after an interruption: what has arrived is not fetched again.
    """

    async def work(client: "Client") -> None:
        await client.download(names, to, overwrites=overwrite)

    _run(work, url=url, jobs=jobs, tries=tries, quiet=quiet)


def _run(work: "Callable[[Client], Awaitable[None]]", *, url: str | None, jobs: int, tries: int, quiet: bool) -> None:
    import anyio

    from graphql_api.client.errors import ClientError
    from graphql_api.client.patience import Patience
    from graphql_api.client.transfer import connected

    address, token = _address(url), _token()
    shown = Shown(quiet=quiet)

    async def run() -> None:
        async with connected(address, token, shown, jobs=jobs, patience=Patience(tries)) as client:
            await work(client)

    try:
        with shown:
            anyio.run(run)
    except KeyboardInterrupt:
        shown.say("interrupted; run the same command again to go on")
        sys.exit(INTERRUPTED)
    except ClientError as error:
        raise ConfigurationError(error.message) from None
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from None
    shown.conclude()
    if shown.failures:
        sys.exit(1)


def _address(url: str | None) -> str:
    if not url:
        raise ConfigurationError(f"say where the API is with --api or {URL}, such as https://example.com/graphql")
    parts = urlsplit(url)
    is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise ConfigurationError("the API's address should begin with https:// (plain http is for this machine only)")
    return url


def _token() -> str:
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise ConfigurationError(f"{TOKEN} is not set: it should have the token that the API is to be sent")
    if not token.isascii() or not token.isprintable():
        raise ConfigurationError(f"{TOKEN}: is no token")
    return token


class Shown:
    """A ``Progress`` for people: a bar on a terminal, else a line for each file; failures on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._says_each = not quiet and not sys.stderr.isatty()
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            self._bar = click.progressbar(length=0, label="Transferring", file=sys.stderr)
        self._is_quiet = quiet
        self.arrivals = 0
        self.failures = 0

    def __enter__(self) -> None:
        if self._bar:
            self._bar.__enter__()

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.__exit__(None, None, None)

    def expect(self, size: int) -> None:
        if self._bar:
            self._bar.length += size

    def advance(self, size: int) -> None:
        if self._bar:
            self._bar.update(size)

    def arrived(self, name: str, outcome: str) -> None:
        self.arrivals += 1
        if self._says_each:
            click.echo(f"{_printable(name)}: {outcome}")

    def failed(self, name: str, reason: str) -> None:
        self.failures += 1
        self.say(f"{_printable(name)}: {reason}")

    def say(self, line: str) -> None:
        """On standard error, on a line of its own."""
        over_the_bar = "\r\x1b[K" if self._bar else ""
        click.echo(f"{over_the_bar}graphql-api: {line}", err=True)

    def conclude(self) -> None:
        if not self._is_quiet:
            files = "1 file" if self.arrivals == 1 else f"{self.arrivals:,} files"
            failed = f", {self.failures:,} failed" if self.failures else ""
            click.echo(f"{files} in place{failed}.")


def _printable(name: str) -> str:
    """Names are other people's text: nothing in them may move the cursor or be no text at all."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
