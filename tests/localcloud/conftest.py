"""One store for all tests of this room; each test uses keys of its own."""

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from graphql_api.localcloud.store import SeaweedStore

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef, LifecycleRuleTypeDef

BUCKET = "files"
CORS_RULES: "list[CORSRuleTypeDef]" = [
    {"AllowedMethods": ["PUT"], "AllowedOrigins": ["http://127.0.0.1:8000"], "AllowedHeaders": ["*"]}
]
LIFECYCLE_RULES: "list[LifecycleRuleTypeDef]" = [
    {
        "ID": "abort-incomplete",
        "Filter": {"Prefix": ""},
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 8},
    }
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedStore]:
    with SeaweedStore(tmp_path_factory.mktemp("store"), port=free_port(), bucket=BUCKET) as running:
        running.create_bucket(CORS_RULES, LIFECYCLE_RULES)
        yield running
