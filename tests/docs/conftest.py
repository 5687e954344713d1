"""The product as a reader of the documentation starts it."""

from collections.abc import Iterator

import pytest

from tests.cli.program import DevStack, running_dev
from tests.store import free_port


@pytest.fixture(scope="session")
def recipes_port() -> int:
    """Where a test serves a page whose scripts may call the API."""
    return free_port()


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory, recipes_port: int) -> Iterator[DevStack]:
    """A run of its own: what the documents show is what a reader's first run answers."""
    origin = f"http://127.0.0.1:{recipes_port}"
    with running_dev(tmp_path_factory.mktemp("docs"), "--port", "0", "--origin", origin) as stack:
        yield stack
