"""Starts of ``graphql-api`` from a process that has imported it already, which saves two seconds each.

A command is a fork of that process, and for the rest as from a shell: a process with its own folder, environment,
output, signals and exit status. Starts from nothing have tests of their own: the installed wheel in
``tests/e2e/test_serve.py``, the documents' scripts, and ``tests/cli/test_dev.py``.
"""

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

MODULE: Final = (sys.executable, "-m", "graphql_api")
FROM_NOTHING: Final = (sys.executable, "-u", "-m", "graphql_api")  # the same, but never as a fork
PROGRAM: Final = str(Path(sys.executable).with_name("graphql-api"))

MAX_MESSAGE: Final = 200_000  # bytes: arguments, a folder and an environment
_OF_THE_INTERPRETER: Final = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "OPENSSL_")  # looked at once, when it starts


class Process(Protocol):
    """What tests use of ``subprocess.Popen``."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...


def arguments_of(command: Sequence[str]) -> Sequence[str] | None:
    """What follows the program's name; None: it is another program."""
    if tuple(command[:3]) == MODULE:
        return command[3:]
    return command[1:] if command[0] == PROGRAM else None


def start(command: Sequence[str], cwd: Path, environ: Mapping[str, str], out: int, err: int) -> Process:
    """As ``subprocess.Popen`` would, without standard input; ``out`` and ``err`` are file descriptors."""
    arguments = arguments_of(command)
    if sys.platform != "linux" or arguments is None or not _is_for_our_interpreter(environ):
        return subprocess.Popen(command, cwd=cwd, env=dict(environ), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    return _nursery().start(arguments, cwd, environ, out, err)


def _is_for_our_interpreter(environ: Mapping[str, str]) -> bool:
    names = {name for name in {*environ, *os.environ} if name.startswith(_OF_THE_INTERPRETER)}
    return all(environ.get(name) == os.environ.get(name) for name in names)


class Nursery:
    """The process that forks, seen from the tests. Several threads may use it."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            self._process = subprocess.Popen(
                command, cwd=Path(__file__).parents[2], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        self._lock = Lock()
        self._ended: dict[int, int] = {}

    def start(self, arguments: Sequence[str], cwd: Path, environ: Mapping[str, str], out: int, err: int) -> "Forked":
        """Raises: EOFError: it is gone."""
        told = json.dumps({"arguments": arguments, "cwd": str(cwd), "environ": dict(environ)}).encode()
        with self._lock:
            socket.send_fds(self._connection, [told], [out, err])
            while "started" not in (said := self._hear()):
                self._note(said)
        return Forked(self, said["started"])

    def status_of(self, pid: int, timeout: float) -> int | None:
        """None: it is still running after so many seconds."""
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                try:
                    while pid not in self._ended:
                        self._note(self._hear(socket.MSG_DONTWAIT))
                    return self._ended[pid]
                except BlockingIOError:
                    pass
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.005)

    def close(self) -> None:
        """What was started goes on."""
        self._connection.close()
        self._process.wait()

    def _hear(self, flags: int = 0) -> dict[str, int]:
        said = self._connection.recv(MAX_MESSAGE, flags)
        if not said:
            raise EOFError("whoever forks has ended")
        heard: dict[str, int] = json.loads(said)
        return heard

    def _note(self, said: Mapping[str, int]) -> None:
        self._ended[said["ended"]] = said["status"]


class Forked:
    """A ``Process``."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.status_of(self.pid, 0)
        return self.returncode

    def wait(self, timeout: float) -> int:
        if self.returncode is None:
            self.returncode = self._nursery.status_of(self.pid, timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(["graphql-api"], timeout)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended just now
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def _nursery() -> Nursery:
    nursery = Nursery()
    atexit.register(nursery.close)
    return nursery


def fork_when_told(connection: socket.socket) -> Sequence[str] | None:
    """Returns the command's arguments in each process that was forked; None where there is nobody any more to tell."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not connection:
                    pid = key.data
                    _, status = os.waitpid(pid, 0)
                    selector.unregister(key.fileobj)
                    os.close(key.fd)
                    _tell(connection, {"ended": pid, "status": os.waitstatus_to_exitcode(status)})
                    continue
                told, fds, _, _ = socket.recv_fds(connection, MAX_MESSAGE, 2)
                if not told:
                    return None
                wanted = json.loads(told)
                pid = os.fork()
                if pid == 0:
                    _close(key.fd for key in selector.get_map().values() if key.fileobj is not connection)
                    _become(connection, wanted["cwd"], wanted["environ"], fds)
                    return list(wanted["arguments"])
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                _close(fds)
                _tell(connection, {"started": pid})


def _become(connection: socket.socket, cwd: str, environ: Mapping[str, str], outputs: Sequence[int]) -> None:
    connection.close()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for theirs, ours in zip((nothing, *outputs), range(3), strict=True):
        os.dup2(theirs, ours)
    _close([nothing, *outputs])
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


def _tell(connection: socket.socket, what: Mapping[str, int]) -> None:
    with suppress(BrokenPipeError):  # the tests have ended
        connection.send(json.dumps(what).encode())


if __name__ == "__main__":
    import graphql_api.cli.dev
    import graphql_api.cli.transfer
    import graphql_api.running
    import graphql_api.web.server  # noqa: F401 -- what is imported here need not be imported by each command

    gc.freeze()  # so that the pages stay shared
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        arguments = fork_when_told(connection)
    if arguments is not None:
        sys.argv = ["graphql-api", *arguments]
        sys.path[0] = os.getcwd()
        runpy.run_module("graphql_api", run_name="__main__", alter_sys=True)
