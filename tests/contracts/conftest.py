"""The stores that the contracts are tested on."""

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from graphql_api.localcloud.store import SeaweedStore
from graphql_api.storage.s3 import S3Store
from tests.store import BUCKET, s3_store


@pytest.fixture
def seaweed(store_server: SeaweedStore) -> Iterator[S3Store]:
    """The store that verifies signatures."""
    store = s3_store(store_server)
    yield store
    store.close()


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint_url = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="moto",
        aws_secret_access_key="moto",
    )
    client.create_bucket(Bucket=BUCKET)
    client.close()
    yield endpoint_url
    server.stop()


@pytest.fixture
def moto(moto_endpoint: str) -> Iterator[S3Store]:
    """A second implementation of the calls. It verifies nothing, so it proves nothing about signatures."""
    store = S3Store(
        bucket=BUCKET,
        region="us-east-1",
        endpoint_url=moto_endpoint,
        addressing_style="path",
        access_key_id="moto",
        secret_access_key="moto",
    )
    yield store
    store.close()
