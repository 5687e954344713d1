"""Users of one running stack; each test uploads files of its own."""

from collections.abc import Iterator

import pytest

from tests.cli.program import DevStack
from tests.e2e.client import Client


def _client(dev_stack: DevStack, user: str) -> Iterator[Client]:
    client = Client(dev_stack.graphql, dev_stack.token(user))
    yield client
    client.close()


@pytest.fixture(scope="session")
def alice(dev_stack: DevStack) -> Iterator[Client]:
    yield from _client(dev_stack, "alice")


@pytest.fixture(scope="session")
def bob(dev_stack: DevStack) -> Iterator[Client]:
    yield from _client(dev_stack, "bob")
