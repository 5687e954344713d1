"""The S3-speaking store that tests share: the same launcher as ``dev``, which verifies what S3 verifies."""

import socket
from collections.abc import Iterator

import pytest

from graphql_api.localcloud.store import REGION, SeaweedStore
from graphql_api.storage.bucket import lifecycle_rules, upload_cors_rule
from graphql_api.storage.s3 import S3Store

BUCKET = "files"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def s3_store(server: SeaweedStore) -> S3Store:
    """Our side of ``server``, as the API uses it: path style, because the address is an IP address."""
    return S3Store(
        bucket=server.bucket,
        region=REGION,
        endpoint_url=server.endpoint_url,
        addressing_style="path",
        access_key_id=server.api.access_key_id,
        secret_access_key=server.api.secret_access_key,
    )


@pytest.fixture(scope="session")
def pages_port() -> int:
    """Where a test serves the web pages that may upload: at ``http://127.0.0.1``; ``localhost`` is another origin."""
    return free_port()


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory, pages_port: int) -> Iterator[SeaweedStore]:
    """One server with one bucket for the whole run; every test uses keys of its own."""
    with SeaweedStore(tmp_path_factory.mktemp("store"), port=free_port(), bucket=BUCKET) as server:
        server.create_bucket([upload_cors_rule([f"http://127.0.0.1:{pages_port}"])], lifecycle_rules())
        yield server
