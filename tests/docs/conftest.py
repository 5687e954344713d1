"""The product as a reader of the documentation starts it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 60
STOP_SECONDS = 30


@dataclass(frozen=True)
class DevStack:
    """A running ``graphql-api dev``: what it printed with ``--json``."""

    graphql: str
    edge: str
    store: str
    tokens: dict[str, str]
    data: str


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    data = tmp_path_factory.mktemp("dev")
    # A new folder inside, because a folder that somebody else made may be refused.
    command = [sys.executable, "-m", "graphql_api", "dev", "--json", "--port", "0", "--data", str(data / "data")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRAPHQL_API_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert line, "dev ended before it was ready"
        said: dict[str, Any] = json.loads(line)
        yield DevStack(**{name: said[name] for name in ("graphql", "edge", "store", "tokens", "data")})
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=STOP_SECONDS)


@pytest.fixture
def plain_environment(tmp_path: Path) -> dict[str, str]:
    """For programs that the documentation runs: no proxy between them and this machine, and no home of ours."""
    return {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
