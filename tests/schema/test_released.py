"""Clients of the last release go on working, but for what the changelog names before 1.0."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.schema.test_linters import LINTERS
from tests.schema.test_sdl import COMMITTED
from tests.web.conftest import node_with_packages

REPOSITORY = COMMITTED.parent
RELEASED = Path(__file__).parent / "released.graphql"  # before the first release: as it was when this test came


def breaking(before: Path, after: Path) -> dict[str, str]:
    """What breaks clients, by coordinate of the schema."""
    command = [node_with_packages(LINTERS), "breaking.mjs", str(before), str(after)]
    ran = subprocess.run(command, cwd=LINTERS, capture_output=True, text=True, timeout=60, check=True)
    return {change["path"]: change["message"] for change in json.loads(ran.stdout)}


def named(changelog: str, version: str) -> set[str]:
    """The coordinates that may break: those in backticks below "Breaking" of what is not released yet."""
    if int(version.partition(".")[0]) > 0:
        return set()
    unreleased = changelog.partition("## [Unreleased]")[2].partition("\n## ")[0]
    return set(re.findall(r"`([\w.]+)`", unreleased.partition("\n### Breaking\n")[2].partition("\n### ")[0]))


def test_only_what_the_changelog_names_breaks() -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    allowed = named((REPOSITORY / "CHANGELOG.md").read_text(), version)
    broken = breaking(RELEASED, COMMITTED)
    assert {path: message for path, message in broken.items() if path not in allowed} == {}


@pytest.mark.parametrize(
    ("was", "becomes", "path"),
    [
        ("  linkFault: String\n", "", "AccessDecision.linkFault"),
        ("    startsAt: DateTime\n", "", "Bundle.signedPrefix.startsAt"),
        ("  ifUnmodifiedSince: DateTime\n", "  ifUnmodifiedSince: DateTime!\n", "UpdateFileInput.ifUnmodifiedSince"),
        (" | Label\n", "\n", "AccessResource"),
        ("  file: File!\n", "  file: File\n", "TopFile.file"),
    ],
)
def test_what_clients_may_use_cannot_go(tmp_path: Path, was: str, becomes: str, path: str) -> None:
    text = RELEASED.read_text()
    start = text.index(was)
    if not becomes:  # its description goes with it
        start = text.rindex('"""', 0, text.rindex('"""', 0, start))
    changed = tmp_path / "schema.graphql"
    changed.write_text(text[:start] + becomes + text[text.index(was) + len(was) :])
    assert set(breaking(RELEASED, changed)) == {path}


def test_the_changelog_may_name_what_breaks_before_1_0_only() -> None:
    changelog = """
## [Unreleased]

### Added

- `File.color`

### Breaking

- `File.size` is a `ByteSize` now, and `Query.files.first`
  is needed.

### Known limits

- `Query.node`

## [0.1.0]

### Breaking

- `File.name`
"""
    assert named(changelog, "0.2.0") == {"File.size", "ByteSize", "Query.files.first"}
    assert named(changelog.replace("### Breaking", "### Changed"), "0.2.0") == set()
    assert named(changelog, "1.0.0") == set()
