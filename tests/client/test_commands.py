"""``graphql-api upload`` and ``download`` as a shell runs them: what they say, how they end, how they are killed."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from graphql_api.cli.transfer import Shown
from graphql_api.model.finding import Finding
from tests.agreement import disagreements
from tests.cli.program import DevStack, refusal
from tests.cli.warm import MODULE
from tests.client.conftest import FilesOf, Shell
from tests.client.test_upload import MIB, SIZE, content, part_numbers
from tests.e2e.inside import inside
from tests.faults import FaultyProxy, Hold, Request, is_put
from tests.store import free_port

GROWTH = 32  # MiB that a command may take more for a large file than for a small one


@pytest.fixture
def large(shell: Shell) -> Path:
    path = shell.folder / "large.bin"
    path.write_bytes(content(7, SIZE))
    return path


def test_each_file_has_a_line_and_the_end_a_sum(shell: Shell, remote: str) -> None:
    (shell.folder / "one.txt").write_text("1")
    (shell.folder / "two\n\x1b[2J.txt").write_text("2")
    sent = shell.run("upload", "one.txt", "--to", remote)
    assert (sent.status, sent.out, sent.err) == (0, "one.txt: sent\n1 file in place.\n", "")
    again = shell.run("upload", "one.txt", "two\n\x1b[2J.txt", "--to", remote)
    assert again.status == 1
    assert again.out == "one.txt: was there already\n1 file in place, 1 failed.\n"
    assert again.err == "graphql-api: two��[2J.txt: a name may not contain control characters\n"
    fetched = shell.run("download", f"{remote}/one.txt", "--to", "new/folder", "--quiet")
    assert (fetched.status, fetched.out, fetched.err) == (0, "", "")
    assert (shell.folder / "new" / "folder" / "one.txt").read_text() == "1"


async def disagreements_of(stack: DevStack) -> Sequence[Finding]:
    async with inside(stack, shift=timedelta()) as parts:
        return await disagreements(parts)


def upload_in_parts(shell: Shell, large: Path, remote: str) -> list[str | Path]:
    return ["upload", large, "--to", remote, "--parts-above", "1", "--jobs", "1"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_client_that_is_stopped_in_a_part_sends_only_the_missing_ones_the_next_time(
    shell: Shell, proxy: FaultyProxy, files_of: FilesOf, large: Path, remote: str, number: signal.Signals
) -> None:
    def is_second_part(request: Request) -> bool:
        return is_put(request) and "partNumber=2&" in f"{request.query}&"

    hold = Hold(after=MIB)
    proxy.plan(hold, which=is_second_part)
    command = upload_in_parts(shell, large, remote)
    with shell.start([*MODULE, *command]) as program:
        assert hold.reached.wait(60)
        program.tell(number)
        status = program.end()
    hold.go_on.set()
    if number is signal.SIGINT:
        assert status == 130
        assert program.err == "graphql-api: interrupted; run the same command again to go on\n"
    assert files_of(remote) == {}
    assert part_numbers(proxy) == [1, 2]
    assert asyncio.run(disagreements_of(shell.stack)) == []
    ended = shell.run(*command)
    assert (ended.status, ended.err) == (0, "")
    assert part_numbers(proxy) == [1, 2, 2, 3]
    assert files_of(remote)["large.bin"]["size"] == SIZE
    assert asyncio.run(disagreements_of(shell.stack)) == []


def test_without_a_token_nothing_is_tried(shell: Shell) -> None:
    said = refusal(["upload", "x", "--to", "/Alice"], shell.folder, environ=shell.environ(GRAPHQL_API_TOKEN=""))
    assert said == "GRAPHQL_API_TOKEN is not set: it should have the token that the API is to be sent"


def test_a_token_that_is_not_accepted_is_said_once(shell: Shell) -> None:
    for name in ("a", "b"):
        (shell.folder / name).touch()
    environ = shell.environ(GRAPHQL_API_TOKEN="expired")
    said = refusal(["upload", "a", "b", "--to", "/Alice"], shell.folder, environ=environ)
    assert said == "the API does not accept the token: it may have expired"


def test_an_api_that_is_not_there_is_said_at_once(shell: Shell) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/graphql"
    environ = shell.environ(http_proxy="")
    said = refusal(["download", "/a", "--api", nowhere], shell.folder, environ=environ)
    assert said == "the API cannot be reached at this address"


def test_what_is_no_api_is_said(shell: Shell) -> None:
    said = refusal(["download", "/a", "--api", shell.stack.store], shell.folder, environ=shell.environ())
    assert said.startswith("what answers at this address is not the API (status ")


def test_a_token_does_not_travel_in_the_clear(shell: Shell) -> None:
    environ = shell.environ(GRAPHQL_API_URL="http://api.example.com/graphql")
    said = refusal(["download", "/a"], shell.folder, environ=environ)
    assert said == "the API's address should begin with https:// (plain http is for this machine only)"


def test_the_token_goes_to_the_api_and_to_nobody_else(shell: Shell, remote: str) -> None:
    (shell.folder / "one.txt").write_text("1")
    assert shell.run("upload", "one.txt", "--to", remote).status == 0
    assert shell.run("download", f"{remote}/one.txt", "--to", "back").status == 0
    api = httpx.URL(shell.stack.graphql).netloc.decode()
    told = {request.host for request in shell.proxy.requests if request.has_token}
    assert told == {api}
    assert {request.host for request in shell.proxy.requests} > told


def test_a_terminal_is_shown_a_bar(shell: Shell, large: Path, remote: str) -> None:
    (shell.folder / "bad\x1bname").touch()
    ours, theirs = pty.openpty()
    command: list[str | Path] = [*MODULE, "upload", large, "bad\x1bname", "--to", remote]
    running = subprocess.Popen(command, cwd=shell.folder, env=shell.environ(), stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # how Linux says that nobody has the other end any more
        while piece := os.read(ours, 4096):
            seen += piece
    os.close(ours)
    out, _ = running.communicate()
    assert (running.returncode, out) == (1, b"1 file in place, 1 failed.\n")
    assert b"Transferring" in seen
    assert b"100%" in seen
    assert "graphql-api: bad�name: a name may not contain control characters\r\n".encode() in seen


@pytest.mark.nightly
def test_a_hundred_megabytes_go_in_parts_there_and_back_in_bounded_memory(shell: Shell, remote: str) -> None:
    for name, size in (("small.bin", 1000), ("large.bin", 100_000_000)):
        (shell.folder / name).write_bytes(os.urandom(size))
    commands: list[list[str]] = [
        [verb, path, "--to", to]
        for name in ("small.bin", "large.bin")
        for verb, path, to in (("upload", name, remote), ("download", f"{remote}/{name}", "back"))
    ]
    up_small, down_small, up_large, down_large = (peak(shell, command) for command in commands)
    assert (shell.folder / "back" / "large.bin").read_bytes() == (shell.folder / "large.bin").read_bytes()
    assert part_numbers(shell.proxy)[-1] > 1
    assert up_large < up_small + GROWTH
    assert down_large < down_small + GROWTH


def peak(shell: Shell, arguments: list[str]) -> int:
    """The most memory that the command took, in MiB."""
    meter = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    with shell.start([sys.executable, "-c", meter, *MODULE, *arguments]) as program:
        assert program.end() == 0, program.err
        return int(program.out)


def test_names_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Shown(quiet=False)
    shown.arrived("a\x1b]0;b\r\n\u202ec\udce9", "sent")
    assert capsys.readouterr().out == "a�]0;b���c�: sent\n"
