"""A store whose answers a test writes."""

from collections.abc import Iterator
from threading import Thread

import pytest

from graphql_api.storage.s3 import S3Store
from tests.storage.answer import Answer, store_at


@pytest.fixture
def answer() -> Iterator[Answer]:
    with Answer() as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def store(answer: Answer) -> Iterator[S3Store]:
    connected = store_at(answer.url)
    yield connected
    connected.close()
