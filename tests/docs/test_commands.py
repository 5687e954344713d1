"""The commands in README and CONTRIBUTING are the ones that CI runs."""

import re

import pytest
from click.testing import CliRunner

from graphql_api.cli import main
from tests.docs.markdown import ROOT, blocks_in, documents

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
            r"graphql-api (dev|serve|migrate|schema)((?: --?[\w-]+(?: [^-\s`]+)?)*)", path.read_text()
        )
        for option in re.findall(r"--[\w-]+", options)
    }
    for command, option in used:
        assert option in CliRunner().invoke(main, [command, "--help"]).output, f"{command} {option}"
