"""The stores that the contracts are tested on."""

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from graphql_api.localcloud.store import SeaweedStore
from graphql_api.services.clock import utc_now
from graphql_api.storage.bucket import upload_cors_rule
from graphql_api.storage.s3 import S3Store
from tests.contracts.queues import Watched, watched
from tests.memory_store import MemoryStore
from tests.ministack import REGION, MiniStack
from tests.store import BUCKET, s3_store


@pytest.fixture
def seaweed(store_server: SeaweedStore) -> Iterator[S3Store]:
    """The store that verifies signatures."""
    store = s3_store(store_server)
    yield store
    store.close()


@pytest.fixture
def memory() -> MemoryStore:
    """The store of the services' tests, which must be as honest as the others."""
    return MemoryStore(utc_now)


@pytest.fixture(scope="session")
def ministack_bucket(ministack: MiniStack, pages_port: int) -> str:
    client = ministack.s3()
    client.create_bucket(Bucket=BUCKET)
    rules = [upload_cors_rule([f"http://127.0.0.1:{pages_port}"])]
    client.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": rules})
    client.close()
    return BUCKET


@pytest.fixture
def mini(ministack: MiniStack, ministack_bucket: str) -> Iterator[S3Store]:
    """Another store that verifies signatures, strict in other places."""
    store = S3Store(
        bucket=ministack_bucket,
        region=ministack.region,
        endpoint_url=ministack.endpoint_url,
        addressing_style="path",
        access_key_id=ministack.access_key_id,
        secret_access_key=ministack.secret_access_key,
    )
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


@pytest.fixture
def ministack_watched(ministack: MiniStack) -> Iterator[Watched]:
    """Verifies who may send to the queue, and tells keys as Amazon does."""
    with watched(ministack.session(), ministack.endpoint_url, account="000000000000") as place:
        yield place


@pytest.fixture
def moto_watched(moto_endpoint: str) -> Iterator[Watched]:
    """A second implementation of the calls."""
    session = boto3.Session("moto", "moto", region_name=REGION)
    with watched(session, moto_endpoint, account="123456789012") as place:
        yield place
