"""The section of ``docs/operations.md`` about changing the key, walked through on ``graphql-api dev``: the key group is
its folder, where AWS's commands stand.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.cli.program import DevStack, clean_environment, running_dev, wait_for
from tests.docs.markdown import ROOT, blocks_in
from tests.docs.test_tour import matches
from tests.e2e.client import Client

OPERATIONS = ROOT / "docs" / "operations.md"
TITLE = "Changing the signing key"
NEW, OLD = "K1NEWEXAMPLE00", "K2JCJMDEHXQW5F"
FILES = "query { files(first: 1) { nodes { signedUrl { url keyPairId } } } }"

PAIR, AWS, ROTATION, LEAK = [block.text for block in blocks_in(OPERATIONS, TITLE, "sh")]
SAID, SAID_OF_A_LEAK = [block.text for block in blocks_in(OPERATIONS, TITLE, "text")]


@dataclass(frozen=True)
class Shell:
    """Where an operator sits, beside a run of their own with one file."""

    stack: DevStack
    folder: Path
    user: Client

    @property
    def group(self) -> Path:
        return self.stack.data / "key-group"

    @property
    def old(self) -> str:
        return str(self.stack.line["keyPairId"])

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """As the document says it, with the run's own key in the place of the document's."""
        given = f"set -a; . '{self.stack.data}/settings.env'; set +a\n{text.replace(OLD, self.old)}"
        return subprocess.run(
            ["bash", "-eu", "-c", given],
            cwd=self.folder,
            env=clean_environment(PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def must(self, text: str) -> str:
        done = self.run(text)
        assert done.returncode == 0, done.stderr
        return done.stdout.replace(self.old, OLD)

    def link(self) -> tuple[str, str]:
        """The address and the key of a file's link."""
        [node] = self.user.ask(FILES)["files"]["nodes"]
        return node["signedUrl"]["url"], node["signedUrl"]["keyPairId"]

    def link_by(self, key_pair_id: str) -> str:
        """Once links are signed by this key."""

        def url() -> str | None:
            found, signed_by = self.link()
            return found if signed_by == key_pair_id else None

        return wait_for(url)

    def opened(self, url: str) -> httpx.Response:
        return httpx.get(url, trust_env=False)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    folder = tmp_path / "desk"
    folder.mkdir()
    with running_dev(tmp_path) as stack:
        user = Client(stack.graphql, stack.token("alice"))
        user.upload("a.txt", "text/plain", b"hello")
        yield Shell(stack, folder, user)
        user.close()


def test_the_section_as_it_stands(shell: Shell) -> None:
    old, _ = shell.link()
    shell.must(PAIR)
    assert (shell.folder / "cdn-private-2.pem").stat().st_mode & 0o077 == 0
    too_early = shell.run(ROTATION)
    assert too_early.returncode == 1
    assert "403 InvalidKey Unknown Key" in too_early.stderr
    assert shell.link()[1] == shell.old

    assert "update-key-group" in AWS
    shutil.copy(shell.folder / "cdn-public-2.pem", shell.group / f"{NEW}.pem")
    activate = "".join(line + "\n" for line in ROTATION.splitlines() if "keys add" not in line)
    said = shell.must(activate)
    assert matches(SAID, said[: said.index("KEY ")])
    assert re.search(rf"^{NEW} +ACTIVE ", said, re.MULTILINE)
    assert re.search(rf"^{OLD} +RETIRING ", said, re.MULTILINE)

    new = shell.link_by(NEW)
    assert [shell.opened(url).text for url in (old, new)] == ["hello", "hello"]
    broken = shell.must(f"graphql-api keys retire {OLD} --now --reason 'it has leaked'")
    assert broken.startswith(f"{OLD} is RETIRED: take it from the edge. That breaks every link")
    assert shell.opened(old).text == "hello", "the edge still has it"
    (shell.group / f"{shell.old}.pem").unlink()
    assert (shell.opened(old).status_code, "InvalidKey" in shell.opened(old).text) == (403, True)
    assert shell.opened(new).text == "hello"


def test_a_key_that_has_leaked(shell: Shell) -> None:
    old, _ = shell.link()
    shell.must(PAIR)
    shutil.copy(shell.folder / "cdn-public-2.pem", shell.group / f"{NEW}.pem")
    shell.must(f"graphql-api keys add {NEW} --file cdn-private-2.pem")
    assert matches(SAID_OF_A_LEAK, shell.must(LEAK))
    (shell.group / f"{shell.old}.pem").unlink()
    assert shell.opened(old).status_code == 403
    assert shell.opened(shell.link_by(NEW)).text == "hello"
