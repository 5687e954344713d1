"""The launcher: what it starts, what it lets in, and that nothing of it stays behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from graphql_api.errors import ConfigurationError
from graphql_api.localcloud.store import NOT_INSTALLED, SeaweedStore, StoreCredentials, connect, find_weed
from tests.localcloud.conftest import BUCKET, CORS_RULES, LIFECYCLE_RULES, free_port

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, or needs prctl")


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def listening_addresses(pid: int) -> set[str]:
    """Local addresses, as the kernel's hexadecimal, of the process's own listening TCP sockets."""
    sockets = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(fd))
        except FileNotFoundError:  # closed meanwhile
            continue
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}  # 0A is LISTEN


def is_running(pid: int) -> bool:
    """A process that ended but was not yet waited for does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_named_weed() -> list[int]:
    me = os.getpid()
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name == "weed" and int(rest.split()[1]) == me:
            found.append(int(stat.parent.name))
    return found


def put(store: SeaweedStore, key: str, body: bytes) -> None:
    with closing(connect(store.endpoint_url, store.api)) as client:
        client.put_object(Bucket=BUCKET, Key=key, Body=body)


def get(store: SeaweedStore, key: str) -> bytes:
    with (
        closing(connect(store.endpoint_url, store.edge)) as client,
        client.get_object(Bucket=BUCKET, Key=key)["Body"] as body,
    ):
        return body.read()


@on_linux
def test_telemetry_is_off(store: SeaweedStore) -> None:
    assert store.pid
    assert "-master.telemetry=false" in command_line(store.pid)


@on_linux
def test_it_listens_on_loopback_only(store: SeaweedStore) -> None:
    assert store.pid
    addresses = listening_addresses(store.pid)
    assert len(addresses) >= 9  # S3 and four more parts, most with gRPC: else the test looked at the wrong process
    assert {address.partition(":")[0] for address in addresses} == {"0100007F"}
    assert f"0100007F:{store.port:04X}" in addresses


@on_linux
def test_it_reads_no_credentials_of_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-operator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    with SeaweedStore(tmp_path, port=free_port(), bucket=BUCKET) as store:
        assert "of-the-operator" not in Path(f"/proc/{store.pid}/environ").read_text()
        foreign = connect(store.endpoint_url, StoreCredentials("of-the-operator", "very-secret"))
        with closing(foreign), pytest.raises(ClientError, match="InvalidAccessKeyId"):
            foreign.list_buckets()


def test_secrets_do_not_show(store: SeaweedStore) -> None:
    assert store.api.secret_access_key not in repr(store.api)
    assert (store.folder / "run" / "s3.json").stat().st_mode & 0o077 == 0


def test_the_bucket_can_be_created_again(store: SeaweedStore) -> None:
    store.create_bucket(CORS_RULES, LIFECYCLE_RULES)
    store.create_bucket([{**CORS_RULES[0], "AllowedOrigins": ["http://other.example"]}], LIFECYCLE_RULES)
    with closing(connect(store.endpoint_url, store.admin)) as client:
        assert client.get_bucket_cors(Bucket=BUCKET)["CORSRules"][0]["AllowedOrigins"] == ["http://other.example"]
        assert client.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"] == LIFECYCLE_RULES
        assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == [BUCKET]
    store.create_bucket(CORS_RULES, LIFECYCLE_RULES)


def test_the_edge_reads_and_nothing_else(store: SeaweedStore) -> None:
    put(store, "o/read-only", b"bytes")
    assert get(store, "o/read-only") == b"bytes"
    with closing(connect(store.endpoint_url, store.edge)) as client:
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket=BUCKET, Key="o/read-only", Body=b"")
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket=BUCKET, Key="o/read-only")
        with pytest.raises(ClientError, match="AccessDenied"):
            client.list_objects_v2(Bucket=BUCKET)


def test_the_api_has_its_one_bucket_only(store: SeaweedStore) -> None:
    with closing(connect(store.endpoint_url, store.api)) as client:
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket="another-bucket", Key="o/1", Body=b"")
        with pytest.raises(ClientError, match="AccessDenied"):
            client.create_bucket(Bucket="another-bucket")


def test_objects_stay_over_a_restart(tmp_path: Path) -> None:
    with SeaweedStore(tmp_path, port=free_port(), bucket=BUCKET) as first:
        first.create_bucket(CORS_RULES, LIFECYCLE_RULES)
        put(first, "o/kept", b"a" * 300_000)
    with SeaweedStore(tmp_path, port=free_port(), bucket=BUCKET) as second:
        assert get(second, "o/kept") == b"a" * 300_000
        put(second, "o/new", b"b")
        assert get(second, "o/kept") == b"a" * 300_000
    assert not list((tmp_path / "objects").glob("m[0-9]*"))


@on_linux
def test_a_taken_port_is_one_clear_line_and_leaves_no_process(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        before = children_named_weed()
        with pytest.raises(ConfigurationError) as raised:
            SeaweedStore(tmp_path, port=port, bucket=BUCKET).start()
        assert children_named_weed() == before
    assert raised.value.message == (
        f"Port {port} is taken by another program: stop that, or choose another port for the local store."
    )


@on_linux
def test_a_store_that_dies_early_tells_why_in_one_line_and_leaves_no_process(tmp_path: Path) -> None:
    before = children_named_weed()
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "filerldb2").write_text("not a folder")
    with pytest.raises(ConfigurationError) as raised:
        SeaweedStore(tmp_path, port=free_port(), bucket=BUCKET).start()
    assert "\n" not in raised.value.message
    assert raised.value.message.startswith("The local store ended while starting: ")
    assert "Not a valid folder" in raised.value.message
    assert children_named_weed() == before


def test_one_folder_serves_one_store(store: SeaweedStore) -> None:
    with pytest.raises(ConfigurationError, match="Another local store is running on the folder"):
        SeaweedStore(store.folder, port=free_port(), bucket=BUCKET).start()
    put(store, "o/undisturbed", b"1")


def test_a_missing_program_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError) as raised:
        find_weed(tmp_path)
    assert raised.value.message == NOT_INSTALLED


def test_the_program_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "weed"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_weed(tmp_path / "elsewhere") == program


HOLDS_A_STORE = """
import sys, threading
from pathlib import Path
from graphql_api.localcloud.store import SeaweedStore
store = SeaweedStore(Path(sys.argv[1]), port=int(sys.argv[2]), bucket="files")
starter = threading.Thread(target=store.start)  # a thread that ends long before the store
starter.start()
starter.join()
print(store.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDS_A_STORE, str(tmp_path), str(free_port())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@on_linux
def test_a_killed_parent_leaves_no_store_behind(holder: subprocess.Popen[str]) -> None:
    assert holder.stdout
    pid = int(holder.stdout.readline())
    time.sleep(0.5)
    assert is_running(pid)  # although the thread that called start() is gone
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(pid)
