"""The client as a program and as a library, with a proxy between it and everything else."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from graphql_api.client.patience import Patience
from graphql_api.client.progress import Outcome
from graphql_api.client.transfer import Client as ClientOfOurs
from graphql_api.client.transfer import connected
from tests.cli.program import DevStack, Program, clean_environment
from tests.cli.program import Outcome as Ended
from tests.cli.program import outcome as run_to_the_end
from tests.e2e.client import Client
from tests.faults import FaultyProxy


@dataclass
class Remembered:
    """A ``Progress`` that keeps what it is told."""

    expected: int = 0
    moved: int = 0
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def expect(self, size: int) -> None:
        self.expected += size

    def advance(self, size: int) -> None:
        self.moved += size

    def arrived(self, name: str, outcome: Outcome) -> None:
        self.outcomes[name] = outcome

    def failed(self, name: str, reason: str) -> None:
        self.failures[name] = reason


@pytest.fixture
def progress() -> Remembered:
    return Remembered()


@pytest.fixture
def proxy() -> Iterator[FaultyProxy]:
    with FaultyProxy() as running:
        yield running


@dataclass(frozen=True)
class Shell:
    """Runs the client's commands as a user, in a folder of their own."""

    stack: DevStack
    folder: Path
    user: str
    proxy: FaultyProxy

    def environ(self, **changes: str) -> Mapping[str, str]:
        ours = {
            "GRAPHQL_API_URL": self.stack.graphql,
            "GRAPHQL_API_TOKEN": self.stack.token(self.user),
            "http_proxy": self.proxy.address,
            "no_proxy": "",
        }
        return clean_environment(**(ours | changes))

    def run(self, *arguments: str | Path, **changes: str) -> Ended:
        """A command that is waited for."""
        return run_to_the_end(arguments, self.folder, environ=self.environ(**changes))

    def start(self, command: Sequence[str | Path], **changes: str) -> Program:
        return Program(command, self.folder, cwd=self.folder, environ=self.environ(**changes))


@pytest.fixture
def shell(dev_stack: DevStack, tmp_path: Path, proxy: FaultyProxy) -> Shell:
    return Shell(dev_stack, tmp_path, "alice", proxy)


@pytest.fixture
def alice(dev_stack: DevStack) -> Iterator[Client]:
    """To look at what came of it, past the proxy."""
    client = Client(dev_stack.graphql, dev_stack.token("alice"))
    yield client
    client.close()


@pytest.fixture
def remote() -> str:
    """A folder of alice's that no other test uses; made by the first upload."""
    return f"/Alice/{secrets.token_hex(8)}"


FilesOf = Callable[[str], dict[str, dict[str, Any]]]


@pytest.fixture
def files_of(alice: Client) -> FilesOf:
    """The files directly in a remote folder, by name."""

    def find(path: str) -> dict[str, dict[str, Any]]:
        found = alice.ask(
            "query { viewer { homeFolder { subfolders(first: 50) { nodes { path files(first: 100) {"
            " nodes { id name size sha256 contentType integrity { algorithm value evidence } } } } } } } }"
        )
        folders = found["viewer"]["homeFolder"]["subfolders"]["nodes"]
        nodes = [node for folder in folders if folder["path"] == path for node in folder["files"]["nodes"]]
        return {node["name"]: node for node in nodes}

    return find


Connect = Callable[..., AbstractAsyncContextManager[ClientOfOurs]]


@pytest.fixture
def connect(dev_stack: DevStack, proxy: FaultyProxy, progress: Remembered, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Alice's client in this process, which tries again without a pause worth the name."""
    monkeypatch.setenv("http_proxy", proxy.address)
    monkeypatch.setenv("no_proxy", "")
    patience = Patience(tries=4, first=0.001, longest=0.001)
    return partial(connected, dev_stack.graphql, dev_stack.token("alice"), progress, jobs=2, patience=patience)
