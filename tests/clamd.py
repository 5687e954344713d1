"""A real clamd whose only signatures are two of ours, which match nothing that exists but what tests send."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store import free_port
from tests.web.conftest import missing

HARMLESS_THREAT = b"graphql-api: a harmless text that the tests' own signature finds"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"  # https://www.eicar.org
STREAM_LIMIT = 2 * 1024**2  # bytes
FILE_LIMIT = 1024**2  # bytes
LIMITS = f"StreamMaxLength {STREAM_LIMIT}\nMaxFileSize {FILE_LIMIT}\nAlertExceedsMax yes\n"
START_DEADLINE = 30.0  # seconds


def clamd_program() -> str:
    """Debian puts it where only root looks."""
    found = shutil.which("clamd") or shutil.which("clamd", path="/usr/local/sbin:/usr/sbin")
    if found is None:
        missing("clamd")
    return str(found)


class Clamd:
    """One process, on a TCP port and a Unix socket, in a folder of its own. ``limits`` are lines of clamd.conf(5)."""

    def __init__(self, folder: Path, limits: str = LIMITS) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.tcp_address = f"tcp://127.0.0.1:{self._port}"
        self.unix_address = f"unix://{folder}/clamd.sock"
        signatures = folder / "signatures"
        signatures.mkdir()
        (signatures / "local.ndb").write_text(  # name, any type of file, anywhere in it, bytes
            f"Test.Harmless:0:*:{HARMLESS_THREAT.hex()}\nTest.Eicar:0:*:{EICAR.hex()}\n"
        )
        (folder / "clamd.conf").write_text(
            f"""\
Foreground yes
DatabaseDirectory {signatures}
LocalSocket {folder}/clamd.sock
TCPSocket {self._port}
TCPAddr 127.0.0.1
TemporaryDirectory {folder}
{limits}"""
        )

    def start(self) -> None:
        """Return once it answers."""
        program = self._folder / "clamd"
        shutil.copy(clamd_program(), program)  # AppArmor, where it is on, keeps the one in /usr/sbin out of our folder
        with (self._folder / "clamd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, "--config-file", self._folder / "clamd.conf"], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_DEADLINE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail((self._folder / "clamd.log").read_text())
            time.sleep(0.02)

    def freeze(self) -> None:
        """The kernel still takes connections for it, and bytes."""
        assert self._process
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Return once it is gone. Idempotent."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as probe:
                probe.sendall(b"zPING\0")
                return probe.recv(16) == b"PONG\0"
        except OSError:
            return False


@pytest.fixture(scope="session")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    """The one that tests share."""
    running = Clamd(tmp_path_factory.mktemp("clamd"))
    running.start()
    yield running
    running.kill()


@pytest.fixture
def own_clamd(tmp_path: Path) -> Iterator[Clamd]:
    """One to freeze and to kill."""
    running = Clamd(tmp_path)
    running.start()
    yield running
    running.kill()
