"""The folder of ``dev``: its own, one run's at a time, and nobody else's to read."""

import stat
from pathlib import Path

import pytest

from graphql_api.cli.state import kept_secrets, state_folder
from graphql_api.errors import ConfigurationError
from tests.cli.program import needs_proc


def fault(path: Path, *, reset: bool = False) -> str:
    with pytest.raises(ConfigurationError) as raised, state_folder(path, reset=reset):
        pass
    return str(raised.value)


def test_a_new_folder_is_private_and_kept_out_of_git(tmp_path: Path) -> None:
    with state_folder(tmp_path / "new" / "data", reset=False) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (folder / ".gitignore").read_text() == "*\n"


def test_an_empty_folder_becomes_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with state_folder(tmp_path, reset=False):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.parametrize("reset", [False, True])
def test_a_folder_of_someone_else_is_left_as_it_is(tmp_path: Path, reset: bool) -> None:
    theirs = tmp_path / "thesis.txt"
    theirs.write_text("years of work")
    tmp_path.chmod(0o755)
    said = f"the folder {tmp_path} was not made by graphql-api dev: it is left as it is"
    assert fault(tmp_path, reset=reset) == said
    assert list(tmp_path.iterdir()) == [theirs]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("reset", [False, True])
def test_one_run_at_a_time(tmp_path: Path, reset: bool) -> None:
    path = tmp_path / "data"
    with state_folder(path, reset=False):
        kept = kept_secrets(path)
        assert fault(path, reset=reset) == f"another graphql-api dev uses the folder {path}: choose one with --data"
        assert kept_secrets(path) == kept
    with state_folder(path, reset=False):
        assert kept_secrets(path) == kept


def test_reset_empties_the_folder_and_nothing_that_a_link_in_it_leads_to(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.txt").touch()
    with state_folder(path, reset=False):
        kept = kept_secrets(path)
        (path / "store" / "below").mkdir(parents=True)
        (path / "linked").symlink_to(elsewhere)
    with state_folder(path, reset=True):
        assert {entry.name for entry in path.iterdir()} == {"dev.lock", ".gitignore"}
        assert kept_secrets(path) != kept
    assert (elsewhere / "thesis.txt").exists()


def test_secrets_are_private_and_not_shown(tmp_path: Path) -> None:
    kept = kept_secrets(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"secrets.json", "signing-key.pem"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    assert kept.token_secret not in repr(kept)


@pytest.mark.parametrize("content", ["", "[]", '{"key_pair_id": "K"}', '{"more": 1}'])
def test_damaged_secrets_are_named_with_the_remedy(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(ConfigurationError) as raised:
        kept_secrets(tmp_path)
    assert str(raised.value) == f"{tmp_path / 'secrets.json'} is damaged: start again from nothing with --reset"


@pytest.mark.parametrize(
    ("place", "reason"),
    [("a-file", "it is a file"), ("a-file/below", "Not a directory"), ("wh?t", "its name has a question mark")],
)
def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "a-file").touch()
    assert fault(tmp_path / place) == f"the folder {tmp_path / place} cannot be used: {reason}"


@needs_proc
def test_a_folder_that_nobody_can_make_is_named() -> None:
    assert fault(Path("/proc/nowhere")).startswith("the folder /proc/nowhere cannot be used: ")
