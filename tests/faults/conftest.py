"""Places where things go wrong: a store of their own, which holds nothing at the beginning, behind a proxy."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copyfile

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from graphql_api.localcloud.store import SeaweedStore, connect
from graphql_api.storage.bucket import lifecycle_rules, upload_cors_rule
from tests.e2e.service import Issuer, Surroundings
from tests.faults import FaultyProxy
from tests.faults.place import Place
from tests.faults.sender import Sender, sender
from tests.postgres import PostgresCluster
from tests.store import free_port


@pytest.fixture(scope="session")
def stricken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    with (
        Issuer() as issuer,
        SeaweedStore(tmp_path_factory.mktemp("stricken"), port=free_port(), bucket="stricken") as store,
    ):
        store.create_bucket([upload_cors_rule(["https://app.example.com"])], lifecycle_rules())
        yield Surroundings(store, issuer, ec.generate_private_key(ec.SECP256R1()))


@contextmanager
def emptied(around: Surroundings) -> Iterator[FaultyProxy]:
    """A proxy in front of the store, which holds nothing any more."""
    store = around.store
    with closing(connect(store.endpoint_url, store.admin)) as client:
        for begun in client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", ()):
            client.abort_multipart_upload(Bucket=store.bucket, Key=begun["Key"], UploadId=begun["UploadId"])
        for stored in client.list_objects_v2(Bucket=store.bucket).get("Contents", ()):
            client.delete_object(Bucket=store.bucket, Key=stored["Key"])
    with FaultyProxy(store.endpoint_url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def place(stricken: Surroundings, postgres: PostgresCluster, postgres_template: str) -> Iterator[Place]:
    """For all tests of a module, on PostgreSQL."""
    database_url = postgres.create_database(template=postgres_template)
    with emptied(stricken) as proxy:
        yield Place(stricken, proxy, database_url)
    postgres.drop_database(database_url)


@pytest.fixture(scope="module")
def served_ada(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    """A user of one service for all tests of a module."""
    with place.serving(tmp_path_factory.mktemp("serve")) as service, sender(service) as ada:
        yield ada


@pytest.fixture
def sqlite_place(stricken: Surroundings, sqlite_template: Path, tmp_path: Path) -> Iterator[Place]:
    """For one test, in a module without the other."""
    copyfile(sqlite_template, tmp_path / "test.db")
    with emptied(stricken) as proxy:
        yield Place(stricken, proxy, f"sqlite:///{tmp_path / 'test.db'}")
