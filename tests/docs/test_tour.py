"""The README's five minutes, run as they stand against ``graphql-api dev``."""

import re
import subprocess
import sys
from itertools import pairwise

import pytest

from graphql_api.cli.tour import tour
from tests.cli.program import DevStack, clean_environment
from tests.docs.markdown import ROOT, Block, blocks_in

README = ROOT / "README.md"
STEPS = blocks_in(README, "Five minutes", "bash")
ANSWERS = {
    before.line: after.text
    for before, after in pairwise(blocks_in(README, "Five minutes"))
    if (before.language, after.language) == ("bash", "text")
}
AS_IN_README = {
    "graphql": "http://127.0.0.1:8000/graphql",
    "edge": "http://127.0.0.1:8001",
    "store": "http://127.0.0.1:8002",
}
FENCE = "=== end of step"


def printed(**values: str) -> str:
    """What ``dev`` prints when it is ready."""
    return tour({"data": "some/folder", "alice": "a", "bob": "b", "admin": "c"} | values)


def matches(expected: str, actual: str) -> bool:
    """Equal, where ``…`` stands for anything within a line."""
    return re.fullmatch(".*".join(re.escape(part) for part in expected.split("…")), actual) is not None


@pytest.fixture(scope="module")
def answers(dev: DevStack, tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What each step printed, by the line of its block; addresses as the README has them."""
    text = printed(graphql=dev.graphql, edge=dev.edge, store=dev.store, **dev.line["tokens"])
    functions = text[text.index("export ALICE") : text.index("# 1.")]
    steps = "\n".join(f"{block.text}\necho '{FENCE}'" for block in STEPS)
    folder = tmp_path_factory.mktemp("tour")
    (folder / ".venv").symlink_to(sys.prefix)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{functions}\n{steps}"],
        cwd=folder,
        env=clean_environment(no_proxy="127.0.0.1"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    output = ran.stdout
    for name, address in AS_IN_README.items():
        output = output.replace(getattr(dev, name), address)
    return dict(zip((block.line for block in STEPS), output.split(f"{FENCE}\n"), strict=False))


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_step_of_the_tour_answers_what_the_readme_shows(step: Block, answers: dict[int, str]) -> None:
    expected = ANSWERS.get(step.line, "").splitlines()
    actual = answers[step.line].splitlines()
    assert len(actual) == len(expected), answers[step.line]
    for wanted, line in zip(expected, actual, strict=True):
        assert matches(wanted, line), f"{line!r} is not {wanted!r}"


def test_the_readme_shows_what_dev_prints_when_it_is_ready() -> None:
    shown = next(block.text for block in blocks_in(README, "Five minutes", "text"))
    head = printed(**AS_IN_README).partition("\n\nCopy and paste")[0]
    for wanted, line in zip(shown.splitlines(), head.splitlines(), strict=True):
        assert matches(wanted, line)


def test_the_readme_has_every_command_that_dev_prints() -> None:
    steps = printed(**AS_IN_README).partition("# 1.")[2]
    ours = {line for block in STEPS for line in block.text.splitlines()}
    commands = {line for line in steps.splitlines()[1:] if line and not line.startswith("#")}
    assert commands <= ours, commands - ours


def test_an_ellipsis_stands_for_part_of_a_line_and_nothing_else_does() -> None:
    assert matches("id: upload_…,", "id: upload_01,")
    assert not matches("id: upload_….", "id: upload_01,")
    assert not matches("…", "two\nlines")
