"""MiniStack: S3 and SQS on this machine, with the notifications between the two as Amazon sends them.

It needs other versions of libraries than we do, so it lives in an environment of its own, which the first run makes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import httpx
import pytest

from graphql_api.localcloud import die_with_parent
from tests.cli.program import clean_environment, wait_for
from tests.only_one import only_one
from tests.store import free_port
from tests.web.conftest import missing

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

VERSION: Final = "1.5.33"
HOME: Final = Path(__file__).parent.parent / ".ministack" / VERSION
REGION: Final = "us-east-1"


@dataclass(frozen=True)
class MiniStack:
    """A server that is up, and the keys that it takes."""

    endpoint_url: str
    access_key_id: str = "AKIDMINISTACK"
    secret_access_key: str = "ministack-secret"
    region: str = REGION

    def session(self) -> boto3.Session:
        return boto3.Session(self.access_key_id, self.secret_access_key, region_name=self.region)

    def s3(self) -> "S3Client":
        return self.session().client("s3", endpoint_url=self.endpoint_url)

    def sqs(self) -> "SQSClient":
        return self.session().client("sqs", endpoint_url=self.endpoint_url)


def _program() -> Path:
    program = HOME / "bin" / "ministack"
    with only_one(HOME):
        if not program.exists():
            subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
            install = [str(HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", f"ministack=={VERSION}"]
            if subprocess.run(install, check=False, timeout=100).returncode != 0:
                missing("what pip needs to install MiniStack")
    return program


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    """One server for the whole run; every test uses buckets and queues of its own."""
    program, folder, port = _program(), tmp_path_factory.mktemp("ministack"), free_port()
    server = MiniStack(f"http://127.0.0.1:{port}")
    environ = clean_environment(
        AUTH="true",
        BIND_HOST="127.0.0.1",  # it would listen for everybody
        GATEWAY_PORT=str(port),
        AWS_ACCESS_KEY_ID=server.access_key_id,
        AWS_SECRET_ACCESS_KEY=server.secret_access_key,
        NO_PROXY=",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])),
    )
    with (folder / "log").open("wb") as log:
        # However this process ends, the server ends with it.
        command = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), str(program)]
        process = subprocess.Popen(command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_up() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return httpx.get(server.endpoint_url, trust_env=False).status_code < 500
        except httpx.TransportError:
            return False

    try:
        wait_for(is_up)
        yield server
    finally:
        process.terminate()
        process.wait(30)
