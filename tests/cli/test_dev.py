"""``graphql-api dev``: one line when ready, one line when it cannot, and nothing left behind."""

import asyncio
import os
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from graphql_api.cli.dev import _listen
from graphql_api.localcloud.store import NOT_INSTALLED
from tests.cli.program import (
    REPOSITORY,
    DevStack,
    Program,
    clean_environment,
    needs_proc,
    outcome,
    refusal,
    running_dev,
    wait_for,
)
from tests.cli.warm import FROM_NOTHING, MODULE
from tests.e2e.client import Client
from tests.web.conftest import missing


def is_ready(stack: DevStack) -> bool:
    return httpx.get(f"{stack.api}/readyz", trust_env=False).status_code == 200


@contextmanager
def occupied(port: int = 0) -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", port))
        bound.listen()
        yield bound.getsockname()[1]


def three_free_ports() -> int:
    """The first of three in a row that nobody listens on."""
    while True:
        first = 23_000 + secrets.randbelow(6_000)  # below Linux's ephemeral ports, and not what the store uses inside
        try:
            with occupied(first), occupied(first + 1), occupied(first + 2):
                return first
        except OSError:
            continue


def test_the_line_of_a_ready_run_tells_a_script_all_it_needs(dev_stack: DevStack) -> None:
    line = dev_stack.line
    assert list(line) == ["graphql", "edge", "store", "bucket", "data", "keyPairId", "tokens"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/graphql", line["graphql"])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", line["edge"])
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", line["store"])
    assert line["bucket"] == "private-files"
    assert re.fullmatch(r"K[A-Z0-9]{13}", line["keyPairId"])
    assert list(line["tokens"]) == ["alice", "bob", "admin"]
    assert is_ready(dev_stack)


def test_the_line_is_all_that_a_run_prints(dev_stack: DevStack) -> None:
    assert dev_stack.program.out.count("\n") == 1
    assert dev_stack.program.err == ""
    kept = [dev_stack.data / "secrets.json", dev_stack.data / "signing-key.pem", dev_stack.data / "store/run/s3.json"]
    hidden = {word for path in kept for word in re.findall(r"[A-Za-z0-9_+/=-]{30,}", path.read_text())}
    assert len(hidden) >= 5
    assert not [word for word in hidden if word in dev_stack.program.out]


@pytest.mark.parametrize(("user", "is_admin"), [("alice", False), ("bob", False), ("admin", True)])
def test_each_token_is_a_users(dev_stack: DevStack, user: str, is_admin: bool) -> None:
    client = Client(dev_stack.graphql, dev_stack.token(user))
    viewer = client.ask("{ viewer { displayName isAdmin homeFolder { path } } }")["viewer"]
    client.close()
    assert (viewer["displayName"], viewer["isAdmin"]) == (user.capitalize(), is_admin)


def test_only_the_owner_can_read_what_a_run_keeps(dev_stack: DevStack) -> None:
    assert stat.S_IMODE(dev_stack.data.stat().st_mode) == 0o700
    # SeaweedFS opens some of its files to all, in folders that nobody else can enter.
    kept = [path for path in dev_stack.data.rglob("*") if path.is_dir() or path.suffix != ".vif"]
    assert [path for path in kept if path.lstat().st_mode & 0o077] == []
    assert stat.S_IMODE((dev_stack.data / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((dev_stack.data / "signing-key.pem").stat().st_mode) == 0o600


@needs_proc
def test_only_loopback_is_spoken_to(dev_stack: DevStack) -> None:
    client = Client(dev_stack.graphql, dev_stack.token("alice"))
    client.get(client.upload("loopback.txt", "text/plain", b"loopback")["signedUrl"]["url"]).raise_for_status()
    client.close()
    addresses = [address for it in dev_stack.program.processes() for address in socket_addresses(it.pid)]
    assert len(addresses) > 6
    assert set(addresses) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1", "no peer"}


# Runs a command where the network ends at the loopback interface, which it has to switch on: SIOCSIFFLAGS, IFF_UP.
LONELY = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 1))
os.execv(sys.argv[1], sys.argv[1:])
"""


@needs_proc
def test_no_network_is_needed(tmp_path: Path) -> None:
    lonely = ["unshare", "--net", "--map-root-user", sys.executable, "-c", LONELY]
    if shutil.which("unshare") is None or subprocess.run([*lonely, "/bin/true"], capture_output=True).returncode != 0:
        missing("the right to make a network namespace")
    command = [*lonely, *MODULE, "dev", "--json", "--data", "data"]  # at the usual ports, which are free there
    with Program(command, tmp_path, cwd=tmp_path) as program:
        stack = DevStack(program)
        assert (stack.port, stack.edge, stack.store) == (8000, "http://127.0.0.1:8001", "http://127.0.0.1:8002")
        assert program.stop() == 0
        assert program.err == ""


def socket_addresses(pid: int) -> list[str]:
    """Both ends of every TCP and UDP socket of a process."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except FileNotFoundError:
            continue
        inodes.update(re.findall(r"^socket:\[(\d+)\]$", target))
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for row in (Path(f"/proc/{pid}/net") / table).read_text().splitlines()[1:]:
            _, local, peer, *_, inode = row.split()[:10]
            if inode in inodes:
                found.append(readable(local))
                found.append("no peer" if set(peer) <= set("0:") else readable(peer))
    return found


def readable(address: str) -> str:
    """The address in a row of /proc/net/tcp: words of 32 bits, each in the machine's byte order."""
    raw = bytes.fromhex(address.partition(":")[0])
    packed = b"".join(
        int.from_bytes(raw[at : at + 4], "big").to_bytes(4, sys.byteorder) for at in range(0, len(raw), 4)
    )
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def test_a_second_run_on_the_same_folder_is_refused(dev_stack: DevStack, tmp_path: Path) -> None:
    for more in ([], ["--reset"]):
        said = refusal(["dev", "--data", dev_stack.data, "--port", "0", *more], tmp_path)
        assert said == f"another graphql-api dev uses the folder {dev_stack.data}: choose one with --data"
    assert is_ready(dev_stack)
    assert (dev_stack.data / "secrets.json").exists()


@pytest.mark.parametrize("offset", [0, 1, 2], ids=["api", "edge", "store"])
def test_a_taken_port_is_named(tmp_path: Path, offset: int) -> None:
    first = three_free_ports()
    with occupied(first + offset) as taken:
        said = refusal(["dev", "--data", tmp_path / "data", "--port", str(first)], tmp_path)
    assert said == f"port {taken} cannot be used (Address already in use): choose three others with --port"
    assert not (tmp_path / "data").exists()


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with our packages and none of their programs beside it."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [site_packages] = folder.glob("lib/python*/site-packages")
    known = [REPOSITORY, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (site_packages / "known.pth").write_text("\n".join(map(str, known)))
    return folder / "bin" / "python"


def test_a_missing_store_program_is_named_with_its_remedy(bare_python: Path, tmp_path: Path) -> None:
    environ = clean_environment(PATH="/usr/bin:/bin")
    if shutil.which("weed", path=environ["PATH"]):
        pytest.skip("this machine has the store's program for everyone")
    command = [bare_python, "-m", "graphql_api"]
    assert refusal(["dev", "--port", "0"], tmp_path, environ=environ, command=command) == NOT_INSTALLED


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    said = refusal(["dev", "--data", "a-file/below", "--port", "0"], tmp_path)
    assert said == f"the folder {tmp_path / 'a-file' / 'below'} cannot be used: Not a directory"


@pytest.mark.parametrize("where", ["store", ".gitignore/x"])
def test_what_is_in_the_way_inside_the_folder_is_named(where: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / where).parent.mkdir(parents=True)
    (folder / where).touch()
    (folder / "dev.lock").touch()
    said = refusal(["dev", "--data", folder, "--port", "0"], tmp_path)
    assert said.startswith(f"the folder {folder} cannot be used: ")


def test_a_lost_key_is_told_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "dev.lock").touch()
    (tmp_path / "secrets.json").write_text('{"key_pair_id": "K1", "token_secret": "x"}')
    said = refusal(["dev", "--data", tmp_path, "--port", "0"], tmp_path)
    assert said == f"{tmp_path / 'secrets.json'} is damaged: start again from nothing with --reset"


def test_an_origin_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    said = refusal(["dev", "--data", "data", "--port", "0", "--origin", "*"], tmp_path)
    assert said.startswith('GRAPHQL_API_CORS_ORIGINS: entry 1 "*" would open the API')
    assert not (tmp_path / "data" / "store").exists()


@needs_proc
def test_a_restart_keeps_files_users_and_links_and_reset_empties(tmp_path: Path) -> None:
    """In a folder whose name is hard to put into an address."""
    folder = tmp_path / "50% 日本 #1 'a' & \"b\""
    folder.mkdir()
    port = str(three_free_ports())
    with running_dev(folder, "--port", port) as first:
        client = Client(first.graphql, first.token("alice"))
        link = client.upload("kept.txt", "text/plain", b"kept")["signedUrl"]["url"]
        viewer = client.ask("{ viewer { id } }")
        processes = first.program.processes()
        assert len(processes) == 2
        assert first.program.stop(signal.SIGINT) == 0
        assert first.program.err == ""
        assert not [it for it in processes if it.is_alive]
    with running_dev(folder, "--port", port) as second:
        assert client.get(link).content == b"kept"
        assert client.ask("{ viewer { id } }") == viewer  # with the token of the first run
        [file] = client.ask("{ files { nodes { signedUrl { url } } } }")["files"]["nodes"]
        assert client.get(file["signedUrl"]["url"]).content == b"kept"
        processes = second.program.processes()
        assert second.program.stop(signal.SIGTERM) == 0
        assert second.program.err == ""
        assert not [it for it in processes if it.is_alive]
    client.close()
    with running_dev(folder, "--port", port, "--reset") as third:
        assert third.line["keyPairId"] != second.line["keyPairId"]
        client = Client(third.graphql, third.token("alice"))
        assert client.ask("{ files { nodes { id } } }")["files"]["nodes"] == []
        assert "InvalidKey" in client.get(link).text
        client.close()


@needs_proc
def test_a_killed_run_takes_its_store_along_and_loses_nothing(tmp_path: Path) -> None:
    with running_dev(tmp_path) as stack:
        client = Client(stack.graphql, stack.token("alice"))
        file = client.upload("kept.txt", "text/plain", b"kept")
        client.close()
        processes = stack.program.processes()
        stack.program.stop(signal.SIGKILL)
        wait_for(lambda: not [it for it in processes if it.is_alive])
    with running_dev(tmp_path) as stack:
        client = Client(stack.graphql, stack.token("alice"))
        assert client.get(client.link(file["id"])).content == b"kept"
        client.close()


@needs_proc
def test_a_store_that_ends_ends_the_run_with_one_line(tmp_path: Path) -> None:
    with running_dev(tmp_path) as stack:
        os.kill(stack.weed.pid, signal.SIGKILL)
        assert stack.program.end() == 1
        *logged, line = stack.program.err.splitlines()
    assert line.startswith("graphql-api: The local store ended with status -9: ")
    # What asked the store just then has said so.
    assert [entry for entry in logged if "store_unavailable" not in entry and "turn_postponed" not in entry] == []


@needs_proc
@pytest.mark.parametrize(
    ("number", "sign"),
    [
        (signal.SIGTERM, "dev.lock"),
        (signal.SIGINT, "store/store.log"),
        (signal.SIGTERM, "store/store.log"),
        (signal.SIGTERM, "api.db"),
    ],
    ids=["the folder is taken", "Ctrl-C while the store starts", "the store starts", "the database is there"],
)
def test_a_signal_while_it_starts_is_a_clean_end_too(tmp_path: Path, number: signal.Signals, sign: str) -> None:
    with Program([*MODULE, "dev", "--json", "--data", "data", "--port", "0"], tmp_path, cwd=tmp_path) as program:
        wait_for((tmp_path / "data" / sign).exists)
        processes = program.processes()
        program.tell(number)
        assert program.end() == 0
        assert program.err == ""
        wait_for(lambda: not [it for it in processes if it.is_alive])


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_is_loaded_is_a_clean_end_too(tmp_path: Path, number: signal.Signals) -> None:
    with Program([*FROM_NOTHING, "dev", "--data", "data", "--port", "0"], tmp_path, cwd=tmp_path) as program:
        wait_for(lambda: "cryptography" in Path(f"/proc/{program.pid}/maps").read_text())
        program.tell(number)
        assert program.end() == 0
        assert program.out + program.err == ""
    assert list(tmp_path.glob("data/*")) == []


def test_told_twice_it_does_not_wait_for_a_viewer_who_stalls(tmp_path: Path) -> None:
    with running_dev(tmp_path) as stack:
        client = Client(stack.graphql, stack.token("alice"))
        content = bytes(64 * 1024 * 1024)  # more than the buffers between the two hold
        link = client.upload("long.bin", "application/octet-stream", content)["signedUrl"]["url"]
        with client.plain.stream("GET", link) as download:
            download.raise_for_status()
            stack.program.tell(signal.SIGTERM)
            wait_for(lambda: is_refused(stack.port))
            stack.program.tell(signal.SIGTERM)
            assert stack.program.end() == 0
        client.close()
        assert stack.program.err == ""


def is_refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def test_no_answer_waits_for_an_acknowledgement() -> None:
    """Nagle's algorithm is off in what asyncio accepts: with it each answer takes 40 ms longer."""
    accepted: asyncio.Queue[socket.socket] = asyncio.Queue()

    class Noted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.put_nowait(transport.get_extra_info("socket"))

    with _listen(0) as bound:
        server = await asyncio.get_running_loop().create_server(Noted, sock=bound)
        async with server:
            _, writer = await asyncio.open_connection(*bound.getsockname())
            assert (await accepted.get()).getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            writer.close()
            await writer.wait_closed()


def test_help_names_every_command(tmp_path: Path) -> None:
    ended = outcome(["--help"], tmp_path)
    assert ended.status == 0
    assert all(f"\n  {command} " in ended.out for command in ("dev", "serve", "migrate", "schema"))
