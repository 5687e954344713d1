"""docs/policies.md, run as it stands on both databases."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from graphql_api.cli import main
from graphql_api.db.engine import Database
from graphql_api.db.folders import claim_name, insert_folder
from graphql_api.db.users import insert_user
from graphql_api.model.file import Folder
from graphql_api.model.ids import ROOT_FOLDER_ID, new_folder_id, new_user_id
from graphql_api.model.principal import Identity
from graphql_api.policyfile import MAX_BYTES, read
from graphql_api.policyfile.shapes import GroupShape, LinkShape, ResourceShape, RuleShape, Top
from tests.cli.program import clean_environment
from tests.docs.markdown import ROOT, Block, blocks

ISSUER = "https://issuer.test"
POLICIES = ROOT / "docs" / "policies.md"
TEXT = POLICIES.read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w.]+)`:\n\n```yaml\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL))
STEPS = blocks(POLICIES, "bash")
ANSWERS = {
    before.line: after.text
    for before, after in pairwise(blocks(POLICIES))
    if (before.language, after.language) == ("bash", "text")
}


def matches(expected: str, actual: str) -> bool:
    """Equal, where ``…`` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), actual, re.DOTALL) is not None


@pytest.fixture
async def folder(database: Database, tmp_path: Path) -> Path:
    """Where a reader works, who has a folder called team, knows Carol and has saved the files of the document."""
    now = datetime.now(UTC)
    team = Folder(new_folder_id(now), ROOT_FOLDER_ID, None, "team", now, now)
    async with database.transaction() as connection:
        assert await claim_name(connection, ROOT_FOLDER_ID, team.name, team.id)
        await insert_folder(connection, team)
        carol = Identity(ISSUER, "carol", "Carol", "carol@example.com")
        assert await insert_user(connection, new_user_id(now), carol, now=now)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(step: Block, folder: Path, url: str) -> str:
    """What a step prints, on both streams."""
    environ = clean_environment(
        GRAPHQL_API_DATABASE_URL=url,
        GRAPHQL_API_AUTH_ISSUER=ISSUER,
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    )
    state = "[ ! -e .state ] || . ./.state\n"
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{state}{step.text}\ndeclare -p PLAN > .state 2> /dev/null || true"],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, f"{step}: {ran.stdout}"
    return ran.stdout


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # on both: tests/cli/test_policies.py
async def test_every_step_answers_what_the_document_shows(folder: Path, database_url: str) -> None:
    for step in STEPS:
        expected, printed = ANSWERS.get(step.line, ""), run(step, folder, database_url)
        assert matches(expected, printed), f"{step}:\n{printed}"


def test_the_example_has_every_key_that_there_is() -> None:
    assert read(FILES["policies.yaml"].encode(), "policies.yaml").document.sections
    for shape in (Top, GroupShape, ResourceShape, RuleShape, LinkShape):
        for name, field in shape.model_fields.items():
            assert f"`{field.alias or name}" in TEXT, name


def test_the_limit_is_the_one_that_counts() -> None:
    assert f"at most {MAX_BYTES // 1024**2} MiB" in TEXT


def test_every_option_is_told() -> None:
    for command in ("export", "plan", "apply"):
        shown = CliRunner().invoke(main, ["policies", command, "--help"]).output
        for option in set(re.findall(r"--[\w-]+", shown)) - {"--help"}:
            assert option in TEXT, option
