"""``python -m benchmarks [NAME] [--json FILE]``: measure, print a table, and exit 0 even when something is too slow.

``python -m benchmarks access`` loads archives of up to a million files, so it runs only when it is asked for by name.
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvloop

from benchmarks import requests, signatures, site
from benchmarks.access import contest, figures
from benchmarks.access.archive import Extent
from benchmarks.access.figures import Figures
from benchmarks.measure import Effort
from benchmarks.report import Database, Measurement, document, table
from benchmarks.site import Population
from tests.postgres import PostgresCluster

NAMES: Final = [*requests.NAMES, *signatures.NAMES]
FULL: Final = Population(files=10_000, owners=20, asker_files=500)
QUICK: Final = Population(files=300, owners=3, asker_files=150)
BLOCK_SECONDS: Final = 0.4  # CPU time

ACCESS: Final = "access"
FILES: Final = (10_000, 100_000, 1_000_000)
QUICK_FILES: Final = (300, 600)
ACCESS_BLOCK_SECONDS: Final = 0.05  # wall time
SMALL_SERVER: Final = "32MB"  # of shared buffers
LARGE_SERVER: Final = "1GB"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios of CPU time.")
    parser.add_argument("name", nargs="?", choices=[*NAMES, ACCESS], help=f"all but {ACCESS} if not given")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=7, help="blocks of each variant; the fastest counts")
    parser.add_argument("--files", type=_numbers, help=f"for {ACCESS}: how many, such as 10000,1000000")
    parser.add_argument("--quick", action="store_true", help="few rows, one call a block: only to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    asked = parser.parse_args()
    databases: list[Database] = ["sqlite", "postgresql"] if asked.database == "both" else [asked.database]
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run = _access if asked.name == ACCESS else _ratios
        shown, written, skipped = run(asked, databases, runner, Path(folder))
    print(shown)
    for note in skipped:
        print(f"not measured: {note}", file=sys.stderr)
    if asked.json:
        asked.json.write_text(json.dumps(written, indent=2) + "\n")
    return 1 if skipped and asked.database == "postgresql" else 0


Report = tuple[str, dict[str, object], list[str]]  # for people, for programs, what could not be measured


def _ratios(asked: argparse.Namespace, databases: Sequence[Database], runner: asyncio.Runner, folder: Path) -> Report:
    names = [asked.name] if asked.name else NAMES
    effort = Effort(asked.rounds, 0.0 if asked.quick else BLOCK_SECONDS)
    population = QUICK if asked.quick else FULL
    measurements: list[Measurement] = []
    skipped: list[str] = []
    for database in databases if set(names) & set(requests.NAMES) else []:
        try:
            with server(database, folder) as new_database:
                measurements += runner.run(_requests(names, database, new_database(), population, folder, effort))
        except NoPostgres as error:
            skipped.append(f"postgresql: {error}")
    measurements += runner.run(_signatures(names, folder, effort))
    return table(measurements), document(measurements, skipped), skipped


def _access(asked: argparse.Namespace, databases: Sequence[Database], runner: asyncio.Runner, folder: Path) -> Report:
    effort = Effort(asked.rounds, 0.0 if asked.quick else ACCESS_BLOCK_SECONDS)
    sizes = sorted(asked.files or (QUICK_FILES if asked.quick else FILES))
    extents = [Extent.quick(files) if asked.quick else Extent(files) for files in sizes]
    found: list[Figures] = []
    skipped: list[str] = []
    for database in databases:
        try:
            with server(database, folder, shared_buffers=SMALL_SERVER if asked.quick else LARGE_SERVER) as new_database:
                found.append(runner.run(contest.measure(database, new_database, extents, folder / "key.pem", effort)))
        except NoPostgres as error:
            skipped.append(f"postgresql: {error}")
    shown = "\n\n".join(figures.table(one) for one in found)
    return shown, document([], skipped) | {ACCESS: [one.as_json() for one in found]}, skipped


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


class NoPostgres(Exception):
    """None could be started here."""


@contextmanager
def server(database: Database, folder: Path, *, shared_buffers: str = SMALL_SERVER) -> Iterator[Callable[[], str]]:
    """What makes a new database and gives its address; PostgreSQL is a private server that ends with the block."""
    if database == "sqlite":
        numbers = itertools.count(1)
        yield lambda: f"sqlite:///{folder / f'benchmark-{next(numbers)}.db'}"
        return
    try:
        cluster = PostgresCluster(shared_buffers=shared_buffers)
        cluster.start()
    except (RuntimeError, OSError) as error:
        raise NoPostgres(error) from error
    try:
        yield cluster.create_database
    finally:
        cluster.stop()


async def _requests(
    names: list[str], database: Database, url: str, population: Population, folder: Path, effort: Effort
) -> list[Measurement]:
    key_path = folder / "key.pem"
    place = await site.build(url, population, site.new_key(key_path), key_path)
    async with requests.contest(place, database) as contest:
        return [one for name in requests.NAMES if name in names for one in await contest.measure(name, effort)]


async def _signatures(names: list[str], folder: Path, effort: Effort) -> list[Measurement]:
    key_path = folder / "key.pem"
    place = site.Site(f"sqlite:///{folder / 'unused.db'}", site.new_key(key_path), key_path, "user_0", "folder_0")
    return [await signatures.measure(name, place, effort) for name in signatures.NAMES if name in names]


if __name__ == "__main__":
    sys.exit(main())
