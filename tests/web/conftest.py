"""Fixtures of this room."""

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.small_app import FewServices, app_around, client_of
from tests.web.tokens import Clock

CLIENTS = Path(__file__).parent.parent / "clients"


def missing(what: str) -> None:
    """A laptop may lack a tool; CI may not, or its tests would silently stop testing."""
    if os.environ.get("CI", "") not in ("", "0", "false"):
        pytest.fail(f"{what} is needed in CI")
    pytest.skip(f"{what} is not installed")


def tool(name: str) -> str:
    """A command-line program that a test compares us with."""
    if shutil.which(name) is None:
        missing(name)
    return name


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services() -> FewServices:
    return FewServices()


@pytest.fixture
async def client(services: FewServices, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_around(services, clock)) as client:
        yield client


def node_with_clients() -> str:
    """Node, to be run in ``CLIENTS``, where what ``package.json`` names is installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing("node with npm")
    wanted = json.loads((CLIENTS / "package.json").read_text())["dependencies"]
    if not all((CLIENTS / "node_modules" / name).exists() for name in wanted):
        subprocess.run([str(npm), "install", "--no-audit", "--no-fund"], cwd=CLIENTS, check=True, timeout=100)
    return str(node)


@dataclass
class Provider:
    """A real OpenID provider; see ``tests/clients/oidc_provider.mjs`` for what it can be told."""

    address: str

    def tell(self, what: str, **wish: object) -> Any:
        answer = httpx.post(f"{self.address}/control/{what}", json=wish)
        answer.raise_for_status()
        return answer.json()

    @property
    def jwks_url(self) -> str:
        return f"{self.address}/jwks"

    def token(self, kid: str, **parts: object) -> str:
        token: str = self.tell("token", kid=kid, **parts)["token"]
        return token

    def fetches(self) -> int:
        """How often the key set was asked for."""
        asked: list[str] = self.tell("requests")
        return asked.count("/jwks")


@pytest.fixture(scope="session")
def provider_process() -> Iterator[Provider]:
    with subprocess.Popen(
        [node_with_clients(), "oidc_provider.mjs"],
        cwd=CLIENTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Provider(process.stdout.readline().strip())
        process.stdin.close()


@pytest.fixture
def provider(provider_process: Provider) -> Provider:
    """Fresh for each test, and without keys."""
    provider_process.tell("provider", algorithms=[])
    return provider_process
