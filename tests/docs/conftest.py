"""The product as a reader of the documentation starts it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.store import free_port

STOP_SECONDS = 30


@dataclass(frozen=True)
class DevStack:
    """A running ``graphql-api dev``: what it printed with ``--json``."""

    graphql: str
    edge: str
    store: str
    tokens: dict[str, str]
    data: str
    pages_port: int  # where a test serves pages that may call the API


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    data = tmp_path_factory.mktemp("dev") / "data"
    pages_port = free_port()
    command = [sys.executable, "-m", "graphql_api", "dev", "--json", "--port", "0", "--data", str(data)]
    command += ["--origin", f"http://127.0.0.1:{pages_port}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRAPHQL_API_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert line, "dev ended before it was ready"
        said: dict[str, Any] = json.loads(line)
        parts = {name: said[name] for name in ("graphql", "edge", "store", "tokens", "data")}
        yield DevStack(**parts, pages_port=pages_port)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=STOP_SECONDS)
