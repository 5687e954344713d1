"""An S3-speaking store on loopback: SeaweedFS, as ``dev`` and the tests run it.

It verifies presigned requests (signature, expiry, signed headers, exact length, checksum, create-once) as S3 does.
Three identities, so that no part can do more here than it may in a cloud: the admin sets the bucket up, ``api`` writes
and reads it, ``edge`` only reads.

Source: ``weed mini -h`` and ``weed -h`` of SeaweedFS 4.48.
"""

import fcntl
import json
import os
import random
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TextIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from graphql_api.errors import ConfigurationError
from graphql_api.localcloud import die_with_parent

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef, LifecycleRuleTypeDef

HOST: Final = "127.0.0.1"
REGION: Final = "us-east-1"  # SeaweedFS takes any; S3 clients need one to sign with

START_DEADLINE: Final = 30.0  # seconds; it takes about one
STOP_DEADLINE: Final = 5.0  # seconds; it takes one, but half a minute after a download that was broken off
POLL_INTERVAL: Final = 0.05  # seconds

VOLUME_SIZE_LIMIT: Final = 256  # MiB per volume file; the default reserves 1 GiB, too coarse for a small disk
VACUUM_INTERVAL: Final = 60  # seconds until deleted bytes may leave the disk; the default is 14 minutes
MEMORY_LIMIT: Final = "384MiB"  # soft, of the Go runtime; else the 1.2 GiB that a GET of 1 GiB takes are kept

GRPC_OFFSET: Final = 10_000  # what parts of weed assume, whatever the .grpc flags say
INNER_PORTS: Final = range(20_000, 22_700)  # these and those GRPC_OFFSET above lie below Linux's ephemeral ports

NOT_INSTALLED: Final = "The local store needs the program `weed`, which is missing: pip install 'graphql-api[dev]'"

_GLOG_PREFIX: Final = re.compile(r"^([IWEF])\d{4} [\d:.]+ +\S+:\d+ ")  # severity, date, time, source line


@dataclass(frozen=True, slots=True)
class StoreCredentials:
    """One identity's S3 access key."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


def find_weed(scripts: Path) -> Path:
    """The ``weed`` program in the ``scripts`` folder, else on PATH.

    Raises: ConfigurationError: in neither.
    """
    found = shutil.which("weed", path=str(scripts)) or shutil.which("weed")
    if found is None:
        raise ConfigurationError(NOT_INSTALLED)
    return Path(found)


def connect(endpoint_url: str, credentials: StoreCredentials) -> "S3Client":
    """A client of the store that never asks twice; the operator's own AWS keys and proxies stay out of it."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            proxies={},  # loopback is never behind one, whatever HTTP_PROXY says
            max_pool_connections=64,
            response_checksum_validation="when_required",
        ),
    )


class SeaweedStore:
    """One ``weed`` process that keeps one ``bucket`` in ``folder`` and listens on loopback only, S3 at ``port``.

    Objects stay over restarts; the credentials are new with every instance. Blocking: call it through a thread from
    async code. On Linux the process cannot outlive this one, however this one ends; elsewhere ``stop`` must be called.
    """

    def __init__(self, folder: Path, *, port: int, bucket: str) -> None:
        self.folder = folder.absolute()
        self.port = port
        self.bucket = bucket
        self.endpoint_url = f"http://{HOST}:{port}"
        self.log_file = self.folder / "store.log"
        self.admin = StoreCredentials("localcloud-admin", secrets.token_urlsafe(30))
        self.api = StoreCredentials("localcloud-api", secrets.token_urlsafe(30))
        self.edge = StoreCredentials("localcloud-edge", secrets.token_urlsafe(30))
        self._process: subprocess.Popen[bytes] | None = None
        self._spawner: ThreadPoolExecutor | None = None
        self._lock: TextIO | None = None
        self._leftovers: list[Path] = []

    @property
    def pid(self) -> int | None:
        """The process id of ``weed``; None while it does not run."""
        return self._process.pid if self._process else None

    def fault(self) -> str | None:
        """Why the process ended by itself, in one line; None while it runs and when nobody started it."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        return f"The local store ended with status {status}: {self._cause()}"

    def start(self) -> None:
        """Return once the store answers.

        Raises: ConfigurationError: not installed, ``port`` taken, ``folder`` in use, or it did not come up; one line
        with the cause.
        """
        try:
            self._start(find_weed(Path(sys.executable).parent))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, gently for ``STOP_DEADLINE`` seconds. Idempotent."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(STOP_DEADLINE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._spawner:
            self._spawner.shutdown()
            self._spawner = None
        for path in self._leftovers:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self._leftovers = []
        if self._lock:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def create_bucket(
        self, cors_rules: Sequence["CORSRuleTypeDef"], lifecycle_rules: Sequence["LifecycleRuleTypeDef"]
    ) -> None:
        """Create the bucket unless it exists, and replace its rules: at least one of each kind, in S3's form."""
        with closing(connect(self.endpoint_url, self.admin)) as client:
            try:
                client.create_bucket(Bucket=self.bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                    raise
            client.put_bucket_cors(Bucket=self.bucket, CORSConfiguration={"CORSRules": list(cors_rules)})
            client.put_bucket_lifecycle_configuration(
                Bucket=self.bucket, LifecycleConfiguration={"Rules": list(lifecycle_rules)}
            )

    def _start(self, weed: Path) -> None:
        if not _is_free(self.port):
            raise ConfigurationError(
                f"Port {self.port} is taken by another program: stop that, or choose another port for the local store."
            )
        objects, run = self.folder / "objects", self.folder / "run"
        objects.mkdir(parents=True, exist_ok=True)
        run.mkdir(exist_ok=True)
        self._lock = _lock_folder(self.folder)
        config = run / "s3.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps(self._identities()))
        master, volume, filer, admin, s3 = _inner_ports(5)
        # What weed leaves behind under the numbers of this run; all the master knows, the volumes tell the next one.
        self._leftovers = [objects / f"m{master}", *_grpc_sockets(master=master, volume=volume, filer=filer)]
        self._leftovers += _grpc_sockets(admin=admin, s3=s3)
        self._spawn(
            [
                *(str(weed), "-logtostderr=true", "mini", f"-dir={objects}", f"-ip={HOST}", f"-ip.bind={HOST}"),
                *(f"-s3.port={self.port}", f"-s3.port.grpc={s3 + GRPC_OFFSET}", f"-s3.config={config}"),
                *("-s3.iam=false", "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
                *(f"-master.port={master}", f"-master.port.grpc={master + GRPC_OFFSET}", "-master.telemetry=false"),
                *(f"-volume.port={volume}", f"-volume.port.grpc={volume + GRPC_OFFSET}", "-volume.preStopSeconds=0"),
                *(f"-filer.port={filer}", f"-filer.port.grpc={filer + GRPC_OFFSET}"),
                # without its UI the admin part still runs, and listens: it sends the vacuum its work
                *("-admin.ui=false", f"-admin.port={admin}", f"-admin.port.grpc={admin + GRPC_OFFSET}"),
                f"-master.vacuumIntervalSeconds={VACUUM_INTERVAL}",
                *("-webdav=false", f"-master.volumeSizeLimitMB={VOLUME_SIZE_LIMIT}"),
                # relative to `run`: a socket's path may have 107 bytes only
                *("-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"),
            ],
            run,
        )
        self._wait_until_ready()

    def _identities(self) -> dict[str, object]:
        def identity(credentials: StoreCredentials, *actions: str) -> dict[str, object]:
            key = {"accessKey": credentials.access_key_id, "secretKey": credentials.secret_access_key}
            return {"name": credentials.access_key_id, "credentials": [key], "actions": actions}

        bucket = self.bucket
        return {
            "identities": [
                identity(self.admin, "Admin", "Read", "Write", "List", "Tagging"),
                identity(self.api, f"Read:{bucket}", f"Write:{bucket}", f"List:{bucket}", f"Tagging:{bucket}"),
                identity(self.edge, f"Read:{bucket}"),
            ]
        }

    def _spawn(self, command: list[str], run: Path) -> None:
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), *command]
        # The operator's own AWS_* and WEED_* variables would add identities and options; HOME holds weed's files too.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "S3_", "WEED_"))}
        # The thread that starts the process must live as long as it: see die_with_parent.
        self._spawner = ThreadPoolExecutor(1, thread_name_prefix="local-store")
        with self.log_file.open("wb") as log:
            self._process = self._spawner.submit(
                subprocess.Popen[bytes],
                command,
                cwd=run,
                env={**inherited, "HOME": str(run), "GOMEMLIMIT": MEMORY_LIMIT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C goes to us alone, and we stop it when nobody needs it any more
            ).result()

    def _wait_until_ready(self) -> None:
        assert self._process
        deadline = time.monotonic() + START_DEADLINE
        with closing(connect(self.endpoint_url, self.admin)) as client:
            while True:
                try:
                    client.list_buckets()
                    return
                except (BotoCoreError, ClientError) as error:
                    last = error
                if self._process.poll() is not None:
                    raise ConfigurationError(f"The local store ended while starting: {self._cause()}")
                if time.monotonic() > deadline:
                    raise ConfigurationError(f"The local store did not answer within {START_DEADLINE:.0f} s: {last}")
                time.sleep(POLL_INTERVAL)

    def _cause(self) -> str:
        """The log's last error, else its last line."""
        lines = [line for line in self.log_file.read_text(errors="replace").splitlines() if line.strip()]
        faults = [line for line in lines if (match := _GLOG_PREFIX.match(line)) and match[1] in "EF"]
        last = (faults or lines or ["it wrote nothing"])[-1]
        return f"{_GLOG_PREFIX.sub('', last).strip()} (more in {self.log_file})"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the store does: closed connections are no bar
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _lock_folder(folder: Path) -> TextIO:
    """Hold ``folder`` until the file is closed; a killed process lets go too."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ConfigurationError(f"Another local store is running on the folder {folder}.") from None
    return lock


def _grpc_sockets(**ports: int) -> Iterator[Path]:
    """Where each part of weed puts its gRPC socket; no option moves it, and weed does not clear all of them away."""
    for part, port in ports.items():
        yield Path(f"/tmp/seaweedfs-{part}-grpc-{port + GRPC_OFFSET}.sock")


def _inner_ports(count: int) -> Iterator[int]:
    """Ports that are free together with their gRPC partners, from a random place on: stores may run side by side."""
    found = 0
    for port in random.sample(INNER_PORTS, len(INNER_PORTS)):
        if _is_free(port) and _is_free(port + GRPC_OFFSET):
            yield port
            found += 1
            if found == count:
                return
