"""What was measured, as a table for people and as JSON for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from platform import python_version
from typing import Final, Literal, get_args

Database = Literal["sqlite", "postgresql"]
Ratio = Literal["naive/ours", "ours/floor", "cold/ours", "executor/ours"]

RATIOS: Final[tuple[Ratio, ...]] = get_args(Ratio)
LIBRARIES: Final = ("strawberry-graphql", "graphql-core", "SQLAlchemy", "asyncpg", "aiosqlite", "cryptography", "boto3")


@dataclass(frozen=True, slots=True)
class Bound:
    """What is wanted of a ratio."""

    ratio: Ratio
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, value: float) -> bool:
        return value >= (self.at_least or 0.0) and value <= (self.at_most or float("inf"))

    def __str__(self) -> str:
        return f"{self.ratio} {f'>= {self.at_least:g}' if self.at_least else f'<= {self.at_most:g}'}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """Milliseconds of CPU time for one benchmark on one database; ``database`` is None where there is none in it.

    ``cold``: ours, when nothing is remembered. ``executor``: what executing the operation takes.
    """

    name: str
    database: Database | None
    ours: float
    naive: float | None
    floor: float | None
    bounds: Sequence[Bound] = ()
    cold: float | None = None
    executor: float | None = None

    @property
    def ratios(self) -> dict[Ratio, float]:
        found: dict[Ratio, float] = {}
        if self.naive is not None:
            found["naive/ours"] = self.naive / self.ours
        if self.floor is not None:
            found["ours/floor"] = self.ours / self.floor
        if self.cold is not None:
            found["cold/ours"] = self.cold / self.ours
        if self.executor is not None:
            found["executor/ours"] = self.executor / self.ours
        return found

    def as_json(self) -> dict[str, object]:
        ratios = self.ratios
        return {
            "name": self.name,
            "database": self.database,
            "milliseconds": {
                "ours": self.ours,
                "naive": self.naive,
                "floor": self.floor,
                "cold": self.cold,
                "executor": self.executor,
            },
            "ratios": ratios,
            "wanted": [{"bound": str(bound), "is_met": bound.is_met(ratios[bound.ratio])} for bound in self.bounds],
        }


def document(measurements: Sequence[Measurement], skipped: Sequence[str]) -> dict[str, object]:
    """All of it; ``skipped`` says what could not be measured and why."""
    return {
        "versions": {"python": python_version(), **{name: version(name) for name in LIBRARIES}},
        "measurements": [measurement.as_json() for measurement in measurements],
        "skipped": list(skipped),
    }


def table(measurements: Sequence[Measurement]) -> str:
    """One line for each measurement, its bounds at the end."""
    lines = [f"{'name':<9} {'database':<10} {'ours ms':>9} {' '.join(f'{name:>13}' for name in RATIOS)}  wanted"]
    for one in measurements:
        ratios = [f"{one.ratios[name]:.1f}" if name in one.ratios else "-" for name in RATIOS]
        wanted = [f"{bound}: {'ok' if bound.is_met(one.ratios[bound.ratio]) else 'OVER'}" for bound in one.bounds]
        lines.append(
            f"{one.name:<9} {one.database or '-':<10} {one.ours:>9.3f} {' '.join(f'{ratio:>13}' for ratio in ratios)}  "
            f"{', '.join(wanted) or '-'}"
        )
    return "\n".join(lines)
