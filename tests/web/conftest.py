"""Fixtures of this room."""

import io
import logging
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.only_one import only_one
from tests.services.conftest import sqlite_world
from tests.web.small_app import FewServices, app_around, client_of
from tests.web.tokens import Clock

__all__ = ["sqlite_world"]

TESTS = Path(__file__).parent.parent
CLIENTS = TESTS / "clients"


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


def node_with_packages(folder: Path = CLIENTS) -> str:
    """The path of ``node``, with what the ``package.json`` of the folder needs of npm installed there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing("node with npm")
    installed = folder / "node_modules" / ".package-lock.json"
    wanted = [folder / "package.json", *folder.glob("*/package.json")]
    with only_one(folder):
        if not installed.exists() or installed.stat().st_mtime < max(path.stat().st_mtime for path in wanted):
            command = [str(npm), "install", "--no-audit", "--no-fund", "--loglevel=error"]
            try:
                subprocess.run(command, cwd=folder, check=True, timeout=100)
            except subprocess.SubprocessError:
                missing(f"what npm installs in {folder.relative_to(TESTS)}")
            installed.touch()  # npm leaves it as it is when nothing was to be done
    return str(node)


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


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the configured handler writes; logging is as before afterwards."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield io.StringIO()
    logging.captureWarnings(False)
    logging.getLogger("strawberry.execution").disabled = False
    root.handlers[:], root.level = before


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
    command = [node_with_packages(), "oidc_provider.mjs"]
    with subprocess.Popen(command, cwd=CLIENTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Provider(process.stdout.readline().strip())
        process.stdin.close()


@pytest.fixture
def provider(provider_process: Provider) -> Provider:
    """Fresh for each test, and without keys."""
    provider_process.tell("provider", algorithms=[])
    return provider_process
