"""The commands in README and CONTRIBUTING are the ones that CI runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from graphql_api.cli import main
from tests.docs.markdown import ROOT, blocks, blocks_in, documents

README = ROOT / "README.md"
CI = (ROOT / ".ci" / "run").read_text()
CONTRIBUTING: dict[str, str] = dict(
    re.findall(r"^\| (install|check|test|develop) \| `(.*)` \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
)


def in_ci(command: str) -> bool:
    """Whether CI runs every part of ``command`` as a line of its own, in this order."""
    lines = iter(CI.splitlines())
    return all(part in lines for part in command.split(" && "))


def only_command(title: str) -> str:
    [block] = blocks_in(README, title, "sh")
    return block.text.strip()


def test_contributing_has_the_four_commands() -> None:
    assert list(CONTRIBUTING) == ["install", "check", "test", "develop"]


@pytest.mark.parametrize("task", ["install", "check", "test"])
def test_ci_runs_what_contributing_says(task: str) -> None:
    assert in_ci(CONTRIBUTING[task])


def test_the_readme_tests_with_what_ci_runs() -> None:
    command = only_command("Test it")
    assert command == f"{CONTRIBUTING['install']} && {CONTRIBUTING['test']}"
    assert in_ci(command)


def test_the_readme_runs_with_what_contributing_says() -> None:
    assert only_command("Run it").replace("pip install -e", "pip install -q -e") == (
        f"{CONTRIBUTING['install']} && {CONTRIBUTING['develop']}"
    )


def test_every_option_in_the_documents_exists() -> None:
    used = {
        (command, option)
        for path in documents()
        for command, options in re.findall(
            r"graphql-api (dev|serve|worker|migrate|reconcile|ingest-logs|schema|keys \w+)"
            r"(?: [A-Z]\w+)?((?: --?[\w-]+(?: [^-\s`]+)?)*)",
            path.read_text(),
        )
        for option in re.findall(r"--[\w-]+", options)
    }
    for command, option in used:
        assert option in CliRunner().invoke(main, [*command.split(), "--help"]).output, f"{command} {option}"


def test_the_way_to_a_new_migration_works(tmp_path: Path) -> None:
    block = next(block for block in blocks(ROOT / "CONTRIBUTING.md", "sh") if "alembic" in block.text)
    for name in ("graphql_api", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "console"))
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "alembic").symlink_to(Path(sys.executable).parent / "alembic")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run(["bash", "-e", "-c", block.text], cwd=tmp_path, env=environ, check=True, capture_output=True)
    ours = {path.name for path in (ROOT / "migrations" / "versions").glob("*.py")}
    [new] = [path for path in (tmp_path / "migrations" / "versions").glob("*.py") if path.name not in ours]
    assert new.read_text().count("    pass\n") == 2  # the tables have not changed
    assert not list(tmp_path.glob("dev.db*"))
