"""``python -m benchmarks [NAME] [--json FILE]``: measure, print a table, and exit 0 even when something is too slow."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvloop

from benchmarks import requests, signatures, site
from benchmarks.measure import Effort
from benchmarks.report import Database, Measurement, document, table
from benchmarks.site import Population
from tests.postgres import PostgresCluster

FULL: Final = Population(files=10_000, owners=20, asker_files=500)
QUICK: Final = Population(files=300, owners=3, asker_files=150)
BLOCK_SECONDS: Final = 0.4  # CPU time


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios of CPU time.")
    parser.add_argument("name", nargs="?", choices=[*requests.NAMES, *signatures.NAMES], help="all if not given")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=7, help="blocks of each variant; the fastest counts")
    parser.add_argument("--quick", action="store_true", help="few rows, one call a block: only to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    asked = parser.parse_args()
    names = [asked.name] if asked.name else [*requests.NAMES, *signatures.NAMES]
    effort = Effort(asked.rounds, 0.0 if asked.quick else BLOCK_SECONDS)
    population = QUICK if asked.quick else FULL
    databases: list[Database] = ["sqlite", "postgresql"] if asked.database == "both" else [asked.database]
    measurements: list[Measurement] = []
    skipped: list[str] = []
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for database in databases if set(names) & set(requests.NAMES) else []:
            try:
                with database_url(database, Path(folder)) as url:
                    measurements += runner.run(_requests(names, database, url, population, Path(folder), effort))
            except NoPostgres as error:
                skipped.append(f"postgresql: {error}")
        measurements += runner.run(_signatures(names, Path(folder), effort))
    print(table(measurements))
    for note in skipped:
        print(f"not measured: {note}", file=sys.stderr)
    if asked.json:
        asked.json.write_text(json.dumps(document(measurements, skipped), indent=2) + "\n")
    return 1 if skipped and asked.database == "postgresql" else 0


class NoPostgres(Exception):
    """None could be started here."""


@contextmanager
def database_url(database: Database, folder: Path) -> Iterator[str]:
    """A new database; for PostgreSQL on a private server that ends with the block."""
    if database == "sqlite":
        yield f"sqlite:///{folder / 'benchmark.db'}"
        return
    try:
        cluster = PostgresCluster()
        cluster.start()
    except (RuntimeError, OSError) as error:
        raise NoPostgres(error) from error
    try:
        yield cluster.create_database()
    finally:
        cluster.stop()


async def _requests(
    names: list[str], database: Database, url: str, population: Population, folder: Path, effort: Effort
) -> list[Measurement]:
    key_path = folder / "key.pem"
    place = await site.build(url, population, site.new_key(key_path), key_path)
    async with requests.contest(place, database) as contest:
        return [await contest.measure(name, effort) for name in requests.NAMES if name in names]


async def _signatures(names: list[str], folder: Path, effort: Effort) -> list[Measurement]:
    key_path = folder / "key.pem"
    place = site.Site(f"sqlite:///{folder / 'unused.db'}", site.new_key(key_path), key_path, "user_0", "folder_0")
    return [await signatures.measure(name, place, effort) for name in signatures.NAMES if name in names]


if __name__ == "__main__":
    sys.exit(main())
