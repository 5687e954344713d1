"""What ``dev`` prints for people is run as it stands."""

import json
import shutil
import subprocess
from pathlib import Path

from graphql_api.cli.tour import tour
from tests.cli.program import DevStack, Program, clean_environment
from tests.cli.warm import MODULE
from tests.web.conftest import missing


def commands(text: str) -> str:
    """From the first line to paste on."""
    before, line, after = text.partition("\nexport ALICE=")
    assert line, before
    return line + after


def test_the_tour_does_what_it_promises(dev_stack: DevStack, tmp_path: Path) -> None:
    bash = shutil.which("bash")
    for program in ("bash", "curl", "python3"):
        if shutil.which(program) is None:
            missing(program)
    values = {name: dev_stack.line[name] for name in ("graphql", "edge", "store", "data")}
    script = commands(tour(values | dev_stack.line["tokens"]))
    ended = subprocess.run(
        [str(bash), "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    completed, content, changed, unsigned, shared, seen = ended.stdout.splitlines()
    assert json.loads(completed)["data"]["completeUpload"] == {
        "file": {"name": "hello.txt", "path": "/Alice/hello.txt", "size": 12},
        "userErrors": [],
    }
    assert content == "Hello, edge."
    assert "<Code>AccessDenied</Code>" in changed
    assert "<Code>MissingKey</Code>" in unsigned
    assert json.loads(shared)["data"]["createAccessRule"] == {"accessRule": {"version": 1}, "userErrors": []}
    file, *_ = json.loads(seen)["data"]["files"]["nodes"]  # the newest; other tests share files with bob, too
    assert (file["path"], file["access"]["isAllowed"]) == ("/hello.txt", False)
    assert file["signedUrl"] is not None
    assert (tmp_path / "hello.txt").read_text() == "Hello, edge."


def test_a_run_for_people_prints_the_tour_and_no_secret(tmp_path: Path) -> None:
    command = [*MODULE, "dev", "--data", "data", "--port", "0"]
    with Program(command, tmp_path, cwd=tmp_path) as program:
        assert program.line() == f"Ready. Ctrl-C stops everything; the state stays in {tmp_path / 'data'}"
        assert "@" not in commands(program.out).replace('"$@"', "").replace("@hello.txt", "")
        kept = json.loads((tmp_path / "data" / "secrets.json").read_text())
        assert kept["token_secret"] not in program.out
