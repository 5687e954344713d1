"""``graphql-api policies export | plan | apply``: access rules that are kept in git.

Exit code 1 stands for every failure, mistyped options included, so that 2 can mean "there are changes" only.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from graphql_api.errors import ConfigurationError

if TYPE_CHECKING:  # what only these commands need is not loaded by `serve`
    from graphql_api.policyfile import PolicyFile
    from graphql_api.services.policy_files import PolicyFiles

T = TypeVar("T")

CHANGES = 2  # exit code


class _Policies(click.Group):
    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        with usage_is_a_failure():
            return super().parse_args(context, arguments)

    def invoke(self, context: click.Context) -> Any:
        with usage_is_a_failure():
            return super().invoke(context)


@contextmanager
def usage_is_a_failure() -> Iterator[None]:
    """Options that click does not take end with 1, so that 2 is free to mean something else."""
    try:
        yield
    except click.UsageError as error:
        error.show()
        raise click.exceptions.Exit(1) from None


@click.group(cls=_Policies)
def policies() -> None:
    """Keep access rules in git: export them, see what a file would change, apply it."""


@policies.command()
@click.option(
    "--all", "with_homes", is_flag=True, help="Also home folders that have only the rule they were made with."
)
def export(*, with_homes: bool) -> None:
    """Print all groups and rules as a file in which `plan` finds no change."""
    from graphql_api.policyfile import MAX_BYTES, write

    document = _run(lambda files: files.export(with_homes=with_homes))
    text = write(document).encode()
    if len(text) > MAX_BYTES:
        raise ConfigurationError(f"the rules make a file of more than {MAX_BYTES // 1024**2} MiB, which is too large")
    sys.stdout.buffer.write(text)  # UTF-8 wherever it goes


@policies.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes, 0 when there are none.")
def plan(path: Path, *, detailed_exitcode: bool) -> None:
    """Show what applying FILE would change, and for whom. Nothing is written."""
    from graphql_api.cli.policy_report import report

    file = _read(path)
    planned = _run(lambda files: files.plan(file))
    click.echo("\n".join(report(planned)))
    if detailed_exitcode and planned.changes_anything:
        sys.exit(CHANGES)


@policies.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--plan", "plan_id", metavar="ID", help="Apply only what this plan showed.")
@click.option("--yes", is_flag=True, help="Plan, and apply that without asking.")
@click.option("--allow-no-administrator", is_flag=True, help="Even if no rule makes anybody an administrator any more.")
def apply(path: Path, *, plan_id: str | None, yes: bool, allow_no_administrator: bool) -> None:
    """Make groups and rules as FILE says: everything or nothing."""
    from graphql_api.cli.policy_report import applied, report

    if plan_id is None and not yes:
        raise click.UsageError("say which plan with --plan ID, or --yes for whatever it would be")
    file = _read(path)
    if plan_id is None:
        planned = _run(lambda files: files.plan(file))
        click.echo("\n".join(report(planned)))
        plan_id = planned.id
    known = plan_id
    done = _run(lambda files: files.apply(file, known, may_leave_no_admin=allow_no_administrator))
    click.echo(applied(done))


def _read(path: Path) -> "PolicyFile":
    """Raises: ConfigurationError: a line for each fault."""
    from graphql_api.policyfile import MAX_BYTES, read

    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file can be called so"
        raise ConfigurationError(f"{path}: cannot be read: {reason}") from None
    return read(content, str(path))


def _run(work: "Callable[[PolicyFiles], Awaitable[T]]") -> T:
    """What ``work`` comes to, on the database that the environment names."""
    from graphql_api.db.engine import Database
    from graphql_api.db.migration import require_newest_schema
    from graphql_api.services.clock import utc_now
    from graphql_api.services.policy_files import PolicyFiles
    from graphql_api.settings import Settings
    from graphql_api.web.logs import configure_logging

    names = ("database_url", "auth_issuer", "link_max_lifetime", "delivery", "log_level", "log_format")
    settings = Settings.read_some(os.environ, *names)
    configure_logging(settings["log_level"], settings["log_format"])

    async def run() -> T:
        database = Database(settings["database_url"].get_secret_value())
        try:
            await require_newest_schema(database)
            return await work(
                PolicyFiles(
                    database,
                    utc_now,
                    issuer=settings["auth_issuer"],
                    link_max_lifetime=settings["link_max_lifetime"],
                    binds_links=settings["delivery"] == "cdn",
                )
            )
        finally:
            await database.close()

    return asyncio.run(run())
