"""``graphql-api policies`` as an operator runs it: real processes on both databases, some of which die half-way."""

import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import func, select

from graphql_api.db.engine import Database
from graphql_api.db.tables import AccessRuleRow, AuditEventRow, GroupMemberRow, GroupRow, PolicyStateRow, UserRow
from graphql_api.policyfile import MAX_BYTES
from tests.cli.program import DIES, Outcome, Program, clean_environment, outcome, refusal
from tests.cli.warm import MODULE

ISSUER = "https://issuer.test"
FILE = """\
version: 1
groups:
  - name: editors
    members: [alice@example.com]
resources:
  - root: true
    rules:
      - {allow: [read], to: {group: editors}}
  - label: secret
    rules:
      - {deny: [read], to: {user: bob@example.com}}
"""


@pytest.fixture
def environ(database_url: str) -> Mapping[str, str]:
    return clean_environment(GRAPHQL_API_DATABASE_URL=database_url, GRAPHQL_API_AUTH_ISSUER=ISSUER)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policies.yaml"
    path.write_text(FILE)
    return path


def policies(*arguments: str | Path, folder: Path, environ: Mapping[str, str]) -> Outcome:
    return outcome(["policies", *arguments], folder, environ=environ)


def plan_of(path: Path, environ: Mapping[str, str]) -> str:
    """The plan's id."""
    ended = policies("plan", path, folder=path.parent, environ=environ)
    assert ended.status == 0, ended
    return ended.out.splitlines()[-1].split()[1].removesuffix(":")


def counts(url: str) -> tuple[int, ...]:
    """How much there is of everything that a file can change, and how often the policy was changed."""

    async def count() -> tuple[int, ...]:
        database = Database(url)
        async with database.autocommit() as connection:
            tables = (AccessRuleRow, AuditEventRow, GroupMemberRow, GroupRow, UserRow)
            numbers = [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]
            version = await connection.scalar(select(PolicyStateRow.version)) or 0
        await database.close()
        return (*numbers, version)

    return asyncio.run(count())


def test_a_file_is_planned_applied_and_exported(file: Path, environ: Mapping[str, str]) -> None:
    assert policies("plan", file, "--detailed-exitcode", folder=file.parent, environ=environ).status == 2
    id_ = plan_of(file, environ)
    done = policies("apply", file, "--plan", id_, folder=file.parent, environ=environ)
    assert (done.status, done.out, done.err) == (0, "Applied: 2 rules made, 0 removed; 1 group changed.\n", "")
    exported = policies("export", folder=file.parent, environ=environ)
    again = file.with_name("again.yaml")
    again.write_text(exported.out)
    planned = policies("plan", again, "--detailed-exitcode", folder=file.parent, environ=environ)
    assert (planned.status, planned.err) == (0, "")
    assert planned.out.splitlines()[-1].endswith(": no change.")
    done = policies("apply", again, "--yes", folder=file.parent, environ=environ)
    assert (done.status, done.out.splitlines()[-1]) == (0, "Nothing to apply: everything is as the file says.")


def test_what_changed_between_plan_and_apply_is_refused(
    file: Path, environ: Mapping[str, str], database_url: str
) -> None:
    id_ = plan_of(file, environ)
    empty = counts(database_url)
    file.write_text(FILE.replace("deny", "allow"))
    said = refusal(["policies", "apply", file, "--plan", id_], file.parent, environ=environ)
    assert said == "the file has been edited since that plan: plan again"
    file.write_text(FILE)
    assert counts(database_url) == empty
    other = file.with_name("other.yaml")
    other.write_text("version: 1\nresources: [{label: secret, rules: [{deny: [read], to: anyone}]}]")
    assert policies("apply", other, "--yes", folder=file.parent, environ=environ).status == 0
    before = counts(database_url)
    said = refusal(["policies", "apply", file, "--plan", id_], file.parent, environ=environ)
    assert said == "the rules, groups or people that the file names have changed since that plan: plan again"
    assert counts(database_url) == before


@pytest.mark.parametrize("statement", ["INSERT INTO groups", "INSERT INTO access_rules", "INSERT INTO audit_events"])
def test_a_process_that_is_killed_half_way_leaves_nothing(
    file: Path, environ: Mapping[str, str], database_url: str, statement: str
) -> None:
    before = counts(database_url)
    command = [sys.executable, "-c", DIES, statement]
    died = outcome(["policies", "apply", file, "--yes"], file.parent, environ=environ, command=command)
    assert died.status == -signal.SIGKILL
    assert counts(database_url) == before
    assert policies("apply", file, "--yes", folder=file.parent, environ=environ).status == 0


def test_of_two_processes_that_apply_at_once_one_wins(
    file: Path, environ: Mapping[str, str], database_url: str
) -> None:
    other = file.with_name("other.yaml")
    other.write_text(FILE.replace("alice", "eve").replace("deny", "allow"))
    plans = {path: plan_of(path, environ) for path in (file, other)}
    programs = [
        Program([*MODULE, "policies", "apply", path, "--plan", id_], file.parent, cwd=file.parent, environ=environ)
        for path, id_ in plans.items()
    ]
    ends = [program.end() for program in programs]
    assert sorted(ends) == [0, 1]
    [loser] = [program for program, status in zip(programs, ends, strict=True) if status]
    assert loser.err.startswith("graphql-api: the rules, groups or people")
    assert counts(database_url)[:4] == (2, 6, 1, 1)  # one file's rules, with one event for each change
    winner = list(plans)[ends.index(0)]
    ended = policies("plan", winner, "--detailed-exitcode", folder=file.parent, environ=environ)
    assert ended.status == 0


def test_a_file_that_is_no_good_is_refused_in_a_line_for_each_fault(file: Path) -> None:
    environ = clean_environment(GRAPHQL_API_DATABASE_URL="sqlite:///none.db", GRAPHQL_API_AUTH_ISSUER=ISSUER)
    file.write_text("version: 1\nresources:\n- {root: yes}\n- {folder: a, rules: []}\n")
    for command, *options in (["plan"], ["apply", "--yes"], ["plan", "--detailed-exitcode"]):
        ended = policies(command, file, *options, folder=file.parent, environ=environ)
        assert (ended.status, ended.out) == (1, "")
        assert ended.err.splitlines() == [
            f"graphql-api: {file}:3: resources[0].rules: is required",
            f"graphql-api: {file}:4: resources[1].folder: should be a path that begins with / and does not end with it",
        ]
    assert not file.with_name("none.db").exists()


@pytest.mark.parametrize(
    ("path", "said"),
    [("none.yaml", "cannot be read: No such file or directory"), (".", "cannot be read: Is a directory")],
)
def test_a_file_that_cannot_be_read_is_said_in_a_line(tmp_path: Path, path: str, said: str) -> None:
    assert refusal(["policies", "plan", path], tmp_path, environ=clean_environment()) == f"{path}: {said}"


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    said = refusal(["policies", "plan", "/dev/zero"], tmp_path, environ=clean_environment())
    assert said == f"/dev/zero: is larger than {MAX_BYTES // 1024**2} MiB"


def test_only_database_and_issuer_need_to_be_set(tmp_path: Path) -> None:
    ended = policies("export", folder=tmp_path, environ=clean_environment(GRAPHQL_API_PORT="never read"))
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == (
        "graphql-api: GRAPHQL_API_DATABASE_URL: is required\ngraphql-api: GRAPHQL_API_AUTH_ISSUER: is required\n"
    )


def test_an_old_schema_is_said_in_a_line(tmp_path: Path) -> None:
    environ = clean_environment(GRAPHQL_API_DATABASE_URL="sqlite:///old.db", GRAPHQL_API_AUTH_ISSUER=ISSUER)
    assert "graphql-api migrate" in refusal(["policies", "export"], tmp_path, environ=environ)


@pytest.mark.parametrize(
    "arguments", [["plan"], ["plan", "x", "--detailed-exitcod"], ["apply", "x"], ["--no-such-option"], ["nothing"]]
)
def test_a_mistyped_command_never_looks_like_changes(tmp_path: Path, arguments: list[str]) -> None:
    ended = policies(*arguments, folder=tmp_path, environ=clean_environment())
    assert (ended.status, ended.out) == (1, "")
    assert "Error: " in ended.err
