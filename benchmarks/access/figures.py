"""What was measured of access rules, as a table for people and as JSON for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.report import Database

Milliseconds = Mapping[int, float]  # of wall time, by number of files


@dataclass(frozen=True, slots=True)
class Line:
    """``seen``: how many files the viewer sees, by number of files; ``short``: sizes at which the page was not filled
    in one go. Neither is there for what is no page.
    """

    name: str
    ours: Milliseconds
    naive: Milliseconds = field(default_factory=dict)
    floor: Milliseconds = field(default_factory=dict)
    rules: int | None = None
    seen: Mapping[int, int] = field(default_factory=dict)
    short: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ratio that should not be above ``at_most``."""

    what: str
    value: float
    at_most: float

    @property
    def is_met(self) -> bool:
        return self.value <= self.at_most

    def __str__(self) -> str:
        return f"{self.what} <= {self.at_most:g}: {'ok' if self.is_met else 'OVER'} ({self.value:.2f})"


@dataclass(frozen=True, slots=True)
class Memory:
    """Of remembered rules: what ``weight`` of at most ``bound`` rules and folders take."""

    books: int
    weight: int
    bound: int
    kilobytes: float


@dataclass(frozen=True, slots=True)
class Figures:
    """All about one database. ``sizes``: numbers of files, from small to large; ``load_seconds`` of each."""

    database: Database
    sizes: Sequence[int]
    rules: int
    load_seconds: Mapping[int, float]
    pages: Sequence[Line]
    changes: Sequence[Line]
    wanted: Sequence[Wanted]
    memory: Memory

    def as_json(self) -> dict[str, object]:
        return {
            "database": self.database,
            "files": list(self.sizes),
            "rules": self.rules,
            "load_seconds": self.load_seconds,
            "pages": [_line_as_json(line) for line in self.pages],
            "changes": [_line_as_json(line) for line in self.changes],
            "wanted": [{"what": one.what, "value": one.value, "is_met": one.is_met} for one in self.wanted],
            "memory": {
                "books": self.memory.books,
                "weight": self.memory.weight,
                "bound": self.memory.bound,
                "kilobytes": self.memory.kilobytes,
            },
        }


def _line_as_json(line: Line) -> dict[str, object]:
    return {
        "name": line.name,
        "rules": line.rules,
        "seen": line.seen,
        "short": sorted(line.short),
        "milliseconds": {"ours": line.ours, "naive": line.naive, "floor": line.floor},
    }


def table(figures: Figures) -> str:
    """The pages, the rest, what is wanted, and the memory."""
    sizes, largest = figures.sizes, figures.sizes[-1]
    shown = [f"{_short(size):>8}" for size in sizes]
    loaded = ", ".join(f"{_short(size)} in {seconds:.0f} s" for size, seconds in figures.load_seconds.items())
    lines = [
        f"{figures.database}: {figures.rules} rules; files loaded: {loaded}",
        f"{'page of a viewer who sees':<42} {'rules':>5} {'files':>8} | ours ms{''.join(shown)} | "
        f"naive ms{''.join(shown)} | floor {_short(largest):>5}",
    ]
    for line in figures.pages:
        ours, naive = (_cells(values, sizes) for values in (line.ours, line.naive))
        mark = " short page" if largest in line.short else ""
        lines.append(
            f"{line.name:<42} {line.rules or 0:>5} {line.seen[largest]:>8} |        {ours} |         {naive} | "
            f"{line.floor[largest]:>11.2f}{mark}"
        )
    lines += [f"{line.name:<57} |        {_cells(line.ours, sizes)} |" for line in figures.changes]
    lines += [str(one) for one in figures.wanted]
    memory = figures.memory
    lines.append(
        f"remembered rules: {memory.books} people's weigh {memory.weight} of at most {memory.bound} and take "
        f"{memory.kilobytes / 1000:.1f} MB, {memory.kilobytes * 1000 / memory.weight:.0f} bytes each"
    )
    return "\n".join(lines)


def _cells(values: Milliseconds, sizes: Sequence[int]) -> str:
    return "".join(f"{values[size]:>8.2f}" if size in values else " " * 8 for size in sizes)


def _short(number: int) -> str:
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if number % unit == 0:
            return f"{number // unit}{name}"
    return str(number)
