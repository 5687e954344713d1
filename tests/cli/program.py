"""Runs our commands as a shell would, and sees through /proc what becomes of their processes."""

import itertools
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import pytest

from tests.cli.warm import MODULE, start
from tests.store import free_port

PATIENCE = 60.0  # seconds until a test gives up on what must come
REPOSITORY = Path(__file__).parent.parent.parent

# Ends itself, as kill -9 would, when it is about to send a statement of this kind.
DIES = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine

@event.listens_for(Engine, "before_cursor_execute")
def die(connection, cursor, statement, *rest):
    if statement.startswith(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

from graphql_api.cli import main
main(sys.argv[2:])
"""

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
numbers = itertools.count(1)
T = TypeVar("T")


def wait_for(what: Callable[[], T | None], *, seconds: float = PATIENCE) -> T:
    """The first answer of ``what`` that is true."""
    deadline = time.monotonic() + seconds
    while True:
        if found := what():
            return found
        assert time.monotonic() < deadline, f"it did not come within {seconds:.0f} s"
        time.sleep(0.02)


def clean_environment(**changes: str) -> dict[str, str]:
    """Ours, without settings of this product or of a cloud."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GRAPHQL_API_", "AWS_"))}
    return inherited | changes


@dataclass(frozen=True)
class ProcessId:
    """A process for good: numbers are given again, but not with the same start."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """None if there is no such process, or only its exit status is left."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else cls(pid, fields[19])

    @property
    def is_alive(self) -> bool:
        return ProcessId.of(self.pid) == self


def descendants(pid: int) -> list[ProcessId]:
    """Every process below ``pid``, with its threads' children."""
    below: list[ProcessId] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            if found := ProcessId.of(int(child)):
                below += [found, *descendants(found.pid)]
    return below


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process does nothing meanwhile; its connections stay open."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Program:
    """One running command; standard output and error go to files, so that it can never wait for a reader."""

    def __init__(
        self, command: Sequence[str | Path], folder: Path, *, cwd: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        number = next(numbers)
        self._out, self._err = folder / f"{number}.out", folder / f"{number}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = start(
                [str(part) for part in command],
                cwd,
                environ if environ is not None else clean_environment(),
                out.fileno(),
                err.fileno(),
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def line(self) -> str:
        """Its first line of output, once it is whole."""

        def first_line() -> str | None:
            line, end, _ = self.out.partition("\n")
            assert end or self.process.poll() is None, f"it ended with {self.process.returncode}: {self.err}"
            return line if end else None

        return wait_for(first_line)

    def processes(self) -> list[ProcessId]:
        """It and all below."""
        own = ProcessId.of(self.pid)
        return [own, *descendants(self.pid)] if own else []

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Its exit status, once it has ended by itself."""
        return self.process.wait(PATIENCE)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.tell(number)
        return self.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.stop()
        finally:
            self.process.kill()  # without effect on one that has ended


@dataclass(frozen=True)
class Outcome:
    """What a command that has ended came to."""

    status: int
    out: str
    err: str


def outcome(
    arguments: Sequence[str | Path],
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    command: Sequence[str | Path] = MODULE,
) -> Outcome:
    """Run ``graphql-api ARGUMENTS`` to its end in ``folder``."""
    with Program([*command, *arguments], folder, cwd=folder, environ=environ) as program:
        return Outcome(program.end(), program.out, program.err)


def refusal(arguments: Sequence[str | Path], folder: Path, **how: Any) -> str:
    """What a command says that must fail: one line on standard error and nothing else."""
    ended = outcome(arguments, folder, **how)
    assert (ended.status, ended.out) == (1, ""), ended
    lines = ended.err.splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("graphql-api: ")
    return lines[0].removeprefix("graphql-api: ")


@contextmanager
def serving(
    program: Sequence[str | Path], folder: Path, environ: Mapping[str, str], *arguments: str
) -> Iterator[tuple[Program, str]]:
    """``serve`` in ``folder``, once it answers, and its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with Program([*program, "serve", "--port", str(port), *arguments], folder, cwd=folder, environ=environ) as running:

        def is_live() -> bool:
            assert running.process.poll() is None, running.err
            try:
                return httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        wait_for(is_live)
        yield running, address


class DevStack:
    """A ``graphql-api dev`` that is ready."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.line: dict[str, Any] = json.loads(program.line())

    @property
    def graphql(self) -> str:
        return str(self.line["graphql"])

    @property
    def api(self) -> str:
        return self.graphql.removesuffix("/graphql")

    @property
    def port(self) -> int:
        port = httpx.URL(self.graphql).port
        assert port
        return port

    @property
    def edge(self) -> str:
        return str(self.line["edge"])

    @property
    def store(self) -> str:
        return str(self.line["store"])

    @property
    def data(self) -> Path:
        return Path(self.line["data"])

    def environment(self, **changes: str) -> dict[str, str]:
        """Of another process of this stack, with some settings changed."""
        lines = shlex.split((self.data / "settings.env").read_text())
        return clean_environment(**dict(line.split("=", 1) for line in lines) | changes)

    def token(self, user: str) -> str:
        return str(self.line["tokens"][user])

    @property
    def weed(self) -> ProcessId:
        """The process of the store."""
        [found] = [it for it in self.program.processes() if Path(f"/proc/{it.pid}/exe").resolve().name == "weed"]
        return found


@contextmanager
def running_dev(folder: Path, *arguments: str | Path) -> Iterator[DevStack]:
    """``graphql-api dev --json --data FOLDER/data ARGUMENTS``, stopped at the end; three free ports unless told."""
    command = [*MODULE, "dev", "--json", "--data", folder / "data", *(arguments or ("--port", "0"))]
    with Program(command, folder, cwd=folder) as program:
        yield DevStack(program)


@pytest.fixture(scope="session")
def dev_stack(tmp_path_factory: pytest.TempPathFactory, pages_port: int) -> Iterator[DevStack]:
    """One run of ``graphql-api dev`` for all tests that leave it as it is."""
    origin = f"http://127.0.0.1:{pages_port}"
    with running_dev(tmp_path_factory.mktemp("dev"), "--port", "0", "--origin", origin) as stack:
        yield stack
