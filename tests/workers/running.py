"""``graphql-api worker`` as an operator runs it, and what it logs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.program import Program, wait_for
from tests.cli.warm import MODULE
from tests.e2e.service import Surroundings


@contextmanager
def worker(around: Surroundings, url: str, folder: Path, **changes: str) -> Iterator[Program]:
    """One that has begun to work."""
    environ = around.environ(url, **changes)
    with Program([*MODULE, "worker"], folder, cwd=folder, environ=environ) as program:
        wait_for(lambda: events(program.err, "worker_started") or program.process.poll() is not None)
        assert program.process.poll() is None, program.err
        yield program


def events(log: str, name: str) -> list[str]:
    """Lines of this event, in a log of JSON."""
    messages = [str(json.loads(line)["message"]) for line in log.splitlines()]
    return [message for message in messages if message.startswith(name)]
