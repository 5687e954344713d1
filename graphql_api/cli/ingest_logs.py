"""``graphql-api ingest-logs``: counts what the CDN's log files tell of, each file once.

Exit code 0: all that is there is counted. 2: but for the files that are listed. 1 stands for every failure, mistyped
options and a run that was stopped included; what it has counted by then stays counted.
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from graphql_api.cli.policies import usage_is_a_failure
from graphql_api.errors import ConfigurationError

if TYPE_CHECKING:  # what only this command needs is not loaded by `serve`
    from graphql_api.services.log_counting import LogReport
    from graphql_api.storage import ObjectReader

LEFT: Final = 2  # exit code
PLAIN_EVERY: Final = 1_000  # files between two lines of progress where there is no terminal

_BUCKET: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)


class _IngestLogs(click.Command):
    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        with usage_is_a_failure():
            return super().parse_args(context, arguments)


@dataclass
class _Totals:
    """Of a run."""

    files: Counter[str] = field(default_factory=Counter)  # by what became of them
    sums: Counter[str] = field(default_factory=Counter)  # of those that were counted

    def add(self, report: "LogReport") -> None:
        self.files[report.fate.lower()] += 1
        if report.sums is not None:
            self.sums.update(asdict(report.sums))


@click.command("ingest-logs", cls=_IngestLogs)
@click.argument("source")
@click.option("--region", help="Region of the logs' bucket, instead of GRAPHQL_API_S3_REGION.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each file that is new, and the sum.")
def ingest_logs(source: str, *, region: str | None, as_json: bool) -> None:
    """Count downloads and bytes from CloudFront's standard logs in SOURCE: a folder, or s3://BUCKET/PREFIX.

    Every file is counted once, however often this runs; run it as often as you like, such as every hour.
    """
    totals = _Totals()
    try:
        asyncio.run(_ingest(source, region, totals, as_json=as_json))
    except asyncio.CancelledError:
        raise ConfigurationError("stopped: what was counted stays, and the next run goes on from there") from None
    _tell_sum(totals, as_json=as_json)
    if totals.files["unreadable"]:
        sys.exit(LEFT)


async def _ingest(source: str, region: str | None, totals: _Totals, *, as_json: bool) -> None:
    """To the end, or until SIGTERM or SIGINT; a file that was begun then is left to the next run."""
    from graphql_api.db.engine import Database
    from graphql_api.db.migration import require_newest_schema
    from graphql_api.edge.cloudfront_logs import CloudFrontLogs
    from graphql_api.services.clock import utc_now
    from graphql_api.services.log_counting import LogCounting
    from graphql_api.settings import Settings
    from graphql_api.web.logs import configure_logging

    settings = Settings.read_some(os.environ, "database_url", "log_level", "log_format")
    configure_logging(settings["log_level"], settings["log_format"])
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    progress = _Progress()
    with _opened(source, region) as (reader, prefix):
        database = Database(settings["database_url"].get_secret_value())
        try:
            await require_newest_schema(database)
            async for report in LogCounting(database, reader, CloudFrontLogs(), utc_now).run(prefix):
                totals.add(report)
                progress.clear()
                _tell(report, as_json=as_json)
                progress.show(totals)
            progress.clear()
        finally:
            await database.close()


@contextmanager
def _opened(source: str, region: str | None) -> "Iterator[tuple[ObjectReader, str]]":
    """Where the logs lie, and the prefix below which. Raises: ConfigurationError: no bucket can be called so."""
    from graphql_api.storage.directory import Directory

    if not source.startswith("s3://"):
        yield Directory(Path(source)), ""
        return
    if (named := _BUCKET.fullmatch(source)) is None:
        raise ConfigurationError("a bucket is written as s3://BUCKET or s3://BUCKET/PREFIX")
    from graphql_api.settings import Settings
    from graphql_api.storage.s3 import S3Store

    names = ("region", "endpoint_url", "addressing_style", "access_key_id", "secret_access_key")
    settings = Settings.read_some(os.environ, *(f"s3_{name}" for name in names))
    secret = settings["s3_secret_access_key"]
    store = S3Store(
        bucket=named[1],
        region=region or settings["s3_region"],
        endpoint_url=settings["s3_endpoint_url"],
        addressing_style=settings["s3_addressing_style"],
        access_key_id=settings["s3_access_key_id"],
        secret_access_key=None if secret is None else secret.get_secret_value(),
    )
    try:
        yield store, named[2] or ""
    finally:
        store.close()


class _Progress:
    """One line that is written over at a terminal; elsewhere a line now and then. On standard error."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()

    def clear(self) -> None:
        if self._is_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)

    def show(self, totals: _Totals) -> None:
        line = f"{totals.files.total():,} files looked at, {totals.files['counted']:,} counted"
        if self._is_terminal:
            click.echo(line, nl=False, err=True)
        elif totals.files.total() % PLAIN_EVERY == 0:
            click.echo(line, err=True)


def _tell(report: "LogReport", *, as_json: bool) -> None:
    """What is new about a file; nothing of what stands in it."""
    if report.sums is None and report.reason is None:
        return
    if as_json:
        line: dict[str, Any] = {"name": report.name, "fate": report.fate}
        if report.sums is not None:
            line |= _json(asdict(report.sums))
        if report.reason is not None:
            line["reason"] = report.reason
        click.echo(json.dumps(line))
    elif report.sums is not None:
        click.echo(f"{report.name}: {_text(asdict(report.sums))}")
    else:
        click.echo(f"{report.name}: not counted: {report.reason}")


def _tell_sum(totals: _Totals, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"files": totals.files, **_json(totals.sums)}))
        return
    fates = {"counted": "counted", "known": "counted before", "unreadable": "not counted", "foreign": "no logs"}
    files = ", ".join(f"{totals.files[fate]:,} {text}" for fate, text in fates.items() if totals.files[fate])
    click.echo(f"{totals.files.total():,} files: {files}." if files else "There is no log.")
    if totals.files["counted"]:
        click.echo(f"In all {_text(totals.sums)}.")


def _text(sums: "Counter[str] | dict[str, int]") -> str:
    text = f"{sums['requests']:,} requests, {sums['downloads']:,} downloads, {sums['delivered_bytes']:,} bytes"
    if sums["unknown"]:
        text += f", {sums['unknown']:,} of no file"
    if sums["malformed"]:
        text += f", {sums['malformed']:,} lines that make no sense"
    return text


def _json(sums: "Counter[str] | dict[str, int]") -> dict[str, int]:
    names = {"requests", "downloads", "unknown", "malformed"}
    return {name: sums[name] for name in sorted(names)} | {"deliveredBytes": sums["delivered_bytes"]}
