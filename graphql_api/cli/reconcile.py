"""``graphql-api reconcile``: compares the store with the database, and puts right what can be.

Exit code 0: everything agrees, does now, or will by upkeep's next sweep.
2: something does not, as listed. 1 stands for every failure, mistyped
options and a run that was stopped included.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from graphql_api.cli.policies import usage_is_a_failure
from graphql_api.errors import ConfigurationError, Conflict
from graphql_api.model.finding import Finding, FindingKind, Remedy
from graphql_api.model.ids import BUNDLES_PREFIX, OBJECT_PREFIX, PUBLISHED_PREFIX

if TYPE_CHECKING:  # what only this command needs is not loaded by `serve`
    from graphql_api.services.clock import Clock
    from graphql_api.services.reconciling import Reconciling, Step

WRONG: Final = 2  # exit code
DEFAULT_SAFE_AGE: Final = 24  # hours
DEFAULT_MAX_REMOVALS: Final = 100
PLAIN_EVERY: Final = 100  # pages between two lines of progress where there is no terminal

_REMEDIES: Final = {  # "would be" without --fix; with it this was done, or "will be"
    FindingKind.ORPHAN: "removed",
    FindingKind.STRAY: "aborted",
    FindingKind.WITHHELD: "given again",
    FindingKind.MISCOUNTED: "counted anew",
    FindingKind.LOST: "copied again",
}
_LEFT: Final = "left as it is"


class _Reconcile(click.Command):
    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        with usage_is_a_failure():
            return super().parse_args(context, arguments)


@dataclass
class _Run:
    """What is kept of a run, so that another can go on with it."""

    prefix: str
    fix: bool
    safe_age: int  # hours
    check: str | None = None
    after: str | None = None
    examined: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    fixed: int = 0
    scheduled: int = 0

    @property
    def wrong(self) -> int:
        return self.found.total() - self.fixed - self.scheduled

    def advance(self, step: "Step") -> None:
        self.examined[step.check] += step.page.examined
        self.found.update(str(finding.kind) for finding in step.page.findings)
        remedies = Counter(step.fixed.values())
        self.fixed += remedies[Remedy.DONE]
        self.scheduled += remedies[Remedy.SCHEDULED]
        if step.place is not None:
            self.check, self.after = step.place.check, step.place.after


@click.command(cls=_Reconcile)
@click.option("--fix", is_flag=True, help="Put right what can be; without it nothing is changed.")
@click.option(
    "--prefix",
    default=OBJECT_PREFIX,
    show_default=True,
    help="Compare only keys that begin so; bundles are below b/.",
)
@click.option(
    "--safe-age",
    type=click.IntRange(1, 24 * 365),
    default=DEFAULT_SAFE_AGE,
    show_default=True,
    metavar="HOURS",
    help="Leave alone what is younger in the store.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the position in this file, and go on from there if it is there; removed at the end.",
)
@click.option(
    "--max-removals",
    type=click.IntRange(0),
    default=DEFAULT_MAX_REMOVALS,
    show_default=True,
    metavar="NUMBER",
    help="With --fix: stop before more than this is removed from the store.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each finding and the sum as a line of JSON.")
@click.pass_obj
def reconcile(
    clock: "Clock | None",
    *,
    fix: bool,
    prefix: str,
    safe_age: int,
    state: Path | None,
    max_removals: int,
    as_json: bool,
) -> None:
    """Compare the store with the database, both ways: bytes without a file, files without their bytes; and counters
    with what they count.
    """
    ours = (OBJECT_PREFIX, BUNDLES_PREFIX, PUBLISHED_PREFIX)
    if not (prefix.startswith(ours) and prefix.isascii() and prefix.isprintable()):
        raise ConfigurationError(f"the prefix must begin with {', '.join(ours)}: what else a bucket holds is not ours")
    run = _Run(prefix, fix, safe_age)
    if state is not None and state.exists():
        run = _taken_up(state, run)
    try:
        asyncio.run(_reconcile(run, state, clock, max_removals=max_removals, as_json=as_json))
    except asyncio.CancelledError:
        hint = "nothing of it is kept" if state is None else "the same command goes on from here"
        raise ConfigurationError(f"stopped: {hint}") from None
    except Conflict as refusal:
        hint = "is this the database of this bucket? If so, allow it with --max-removals"
        raise ConfigurationError(f"stopped: {refusal.message}: {hint}") from None
    if state is not None:
        state.unlink(missing_ok=True)
    _tell_sum(run, as_json=as_json)
    if run.wrong:
        sys.exit(WRONG)


async def _reconcile(run: _Run, state: Path | None, clock: "Clock | None", *, max_removals: int, as_json: bool) -> None:
    """To the end, or until SIGTERM or SIGINT; a page that was begun then is done again by whoever goes on."""
    from graphql_api.bootstrap import assemble, reconciling
    from graphql_api.db.migration import require_newest_schema
    from graphql_api.services.clock import utc_now
    from graphql_api.settings import Settings
    from graphql_api.web.logs import configure_logging

    settings = Settings.read(os.environ)
    configure_logging(settings.log_level, settings.log_format)
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    assembly = assemble(settings, clock=clock or utc_now)
    try:
        await require_newest_schema(assembly.database)
        checks = reconciling(
            assembly.database,
            assembly.store,
            assembly.services,
            assembly.clock,
            prefix=run.prefix,
            safe_age=timedelta(hours=run.safe_age),
            max_removals=max_removals,
        )
        await _walk(checks, run, state, as_json=as_json)
    finally:
        await assembly.close()


async def _walk(checks: "Reconciling", run: _Run, state: Path | None, *, as_json: bool) -> None:
    from graphql_api.services.reconciling import Place

    start = None if run.check is None else Place(run.check, run.after)
    progress = _Progress()
    async for step in checks.run(fix=run.fix, start=start):
        run.advance(step)
        progress.clear()
        for finding in step.page.findings:
            _tell(finding, run, done=step.fixed.get(finding), as_json=as_json)
        if state is not None and step.place is not None:
            _keep(state, run)
        progress.show(run, step)


class _Progress:
    """One line that is written over at a terminal; elsewhere a line now and then. On standard error."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._steps = 0

    def clear(self) -> None:
        if self._is_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)

    def show(self, run: _Run, step: "Step") -> None:
        self._steps += 1
        if step.place is None:
            return
        line = f"{_examined(run)} examined, {run.found.total():,} found; at {step.page.last or step.place.check}"
        if self._is_terminal:
            click.echo(line, nl=False, err=True)
        elif self._steps % PLAIN_EVERY == 0:
            click.echo(line, err=True)


def _tell(finding: Finding, run: _Run, *, done: Remedy | None, as_json: bool) -> None:
    remedy = _REMEDIES.get(finding.kind)
    if as_json:
        line = asdict(finding) | {
            "canBeFixed": remedy is not None,
            "fixed": done is Remedy.DONE,
            "scheduled": done is Remedy.SCHEDULED,
        }
        line["storeUploadId"] = line.pop("store_upload_id")
        click.echo(json.dumps(line))
        return
    what = _LEFT
    if remedy is not None and (done is not None or not run.fix):
        what = {None: "would be ", Remedy.DONE: "", Remedy.SCHEDULED: "will be "}[done] + remedy
    click.echo(f"{finding.kind.lower().replace('_', ' ')}: {finding.subject}: {finding.detail}: {what}")


def _tell_sum(run: _Run, *, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps({"examined": run.examined, "found": run.found, "fixed": run.fixed, "scheduled": run.scheduled})
        )
        return
    kinds = ", ".join(f"{number:,} {kind.lower().replace('_', ' ')}" for kind, number in sorted(run.found.items()))
    later = f", {run.scheduled:,} will be" if run.scheduled else ""
    found = f"found {kinds}; {run.fixed:,} put right{later}" if kinds else "everything agrees"
    click.echo(f"{_examined(run)} examined: {found}.")


def _examined(run: _Run) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in run.examined.items())


def _taken_up(state: Path, wanted: _Run) -> _Run:
    """What another run has left. Raises: ConfigurationError: it was about something else, or is no such file."""
    try:
        kept: dict[str, Any] = json.loads(state.read_text())
        for name in ("examined", "found"):
            kept[name] = Counter(kept[name])
        run = _Run(**kept)
    except (OSError, ValueError, TypeError, KeyError):
        raise ConfigurationError(f"{state}: is no state of this command") from None
    if (run.prefix, run.fix, run.safe_age) != (wanted.prefix, wanted.fix, wanted.safe_age):
        raise ConfigurationError(f"{state}: is of a run with other options: repeat those, or remove it")
    return run


def _keep(state: Path, run: _Run) -> None:
    """Whole or not at all."""
    beside = state.with_name(state.name + ".new")
    try:
        beside.write_text(json.dumps(vars(run)))  # `asdict` makes other counters of counters
        beside.replace(state)
    except OSError as error:
        raise ConfigurationError(f"{state}: cannot be written: {error.strerror}") from None
