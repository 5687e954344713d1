"""``graphql-api keys``: the keyring from a shell, without an edge; with one, ``tests/docs/test_key_rotation.py``."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.cli.program import Outcome, clean_environment, outcome, refusal
from tests.cli.warm import MODULE
from tests.signing.conftest import pem_of


@dataclass(frozen=True)
class Desk:
    """Where an operator sits."""

    folder: Path
    environ: dict[str, str]

    def run(self, *arguments: str) -> Outcome:
        return outcome(["keys", *arguments], self.folder, environ=self.environ)

    def must(self, *arguments: str) -> str:
        ended = self.run(*arguments)
        assert ended.status == 0, ended.err
        return ended.out

    def refusal(self, *arguments: str) -> str:
        return refusal(["keys", *arguments], self.folder, environ=self.environ, command=MODULE)

    def statuses(self) -> dict[str, str]:
        rows = [line.split() for line in self.must("list").splitlines()[1:]]
        return {row[0]: row[1] for row in rows}


@pytest.fixture
def desk(tmp_path: Path, sqlite_template: Path) -> Desk:
    shutil.copyfile(sqlite_template, tmp_path / "api.db")
    for name in ("first", "second"):
        (tmp_path / f"{name}.pem").write_text(pem_of(ec.generate_private_key(ec.SECP256R1())))
    settings = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/api.db",
        "S3_BUCKET": "files",
        "S3_ACCESS_KEY_ID": "a",
        "S3_SECRET_ACCESS_KEY": "b",
        "CDN_BASE_URL": "https://cdn.test",
        "CDN_KEY_ID": "K1",
        "CDN_PRIVATE_KEY_FILE": str(tmp_path / "first.pem"),
        "AUTH_HS256_SECRET": "of no importance behind the front door",
        "AUTH_ISSUER": "issuer",
        "AUTH_AUDIENCE": "audience",
    }
    environ = {f"GRAPHQL_API_{name}": value for name, value in settings.items()}
    variable = {"LINKS_KEY": (tmp_path / "second.pem").read_text().replace("\n", "\\n")}
    return Desk(tmp_path, clean_environment(**environ, **variable))


def test_the_first_command_finds_the_key_of_the_settings(desk: Desk) -> None:
    listed = desk.must("list").splitlines()
    assert listed[0].split("  ")[0].strip() == "KEY"
    assert re.fullmatch(r"K1 +ACTIVE +\d{4}-\d\d-\d\dT[\d:]{8}Z +- +settings", listed[1])
    assert desk.statuses() == {"K1": "ACTIVE"}


def test_keys_come_from_files_and_variables_and_go(desk: Desk) -> None:
    said = desk.must("add", "K2", "--file", "second.pem")
    assert said.startswith("K2 is PENDING. Its public half, for the CDN:\n-----BEGIN PUBLIC KEY-----\n")
    desk.must("add", "K3", "--env", "LINKS_KEY", "--hash", "SHA1")
    assert desk.statuses() == {"K1": "ACTIVE", "K2": "PENDING", "K3": "PENDING"}
    listed = desk.must("list")
    assert f"file:{desk.folder / 'second.pem'}" in listed
    assert "environment:LINKS_KEY" in listed
    assert desk.must("retire", "K2") == "K2 is RETIRED: take it from the edge.\n"
    assert desk.statuses()["K2"] == "RETIRED"


def test_a_key_of_the_settings_that_goes_is_said_to_take_cookies_with_it(desk: Desk) -> None:
    desk.must("list")
    desk.environ["GRAPHQL_API_CDN_KEY_ID"] = "K2"
    desk.environ["GRAPHQL_API_CDN_PRIVATE_KEY_FILE"] = str(desk.folder / "second.pem")
    assert desk.statuses() == {"K1": "ACTIVE", "K2": "PENDING"}
    said = desk.must("retire", "K2")
    assert "Cookies of /f/ and of shared folders were sealed with it" in said
    assert "GRAPHQL_API_SHARED_SECRET" in said
    desk.environ["GRAPHQL_API_SHARED_SECRET"] = "s" * 32
    assert desk.must("retire", "K2") == "K2 is RETIRED: take it from the edge.\n"


def test_what_goes_wrong_is_said_in_a_line(desk: Desk) -> None:
    desk.must("add", "K2", "--file", "second.pem")
    assert "K2 has been added before" in desk.refusal("add", "K2", "--file", "second.pem")
    assert "no file to try the key on" in desk.refusal("activate", "K2")
    assert "there is no key K9" in desk.refusal("retire", "K9")
    assert "let another take over first" in desk.refusal("retire", "K1", "--now")
    assert "it is not set" in desk.refusal("add", "K4", "--env", "ABSENT")
    assert "ARN" in desk.refusal("add", "K4", "--kms", "alias/links")
    assert desk.statuses() == {"K1": "ACTIVE", "K2": "PENDING"}


@pytest.mark.parametrize("arguments", [[], ["--file", "second.pem", "--env", "LINKS_KEY"]])
def test_a_key_is_in_one_place(desk: Desk, arguments: list[str]) -> None:
    ended = desk.run("add", "K2", *arguments)
    assert ended.status == 2
    assert "--file, --env, --secret or --kms" in ended.err


@pytest.mark.parametrize("content", ["text", "rsa"])
def test_what_cannot_sign_is_refused_and_not_shown(desk: Desk, content: str) -> None:
    text = "hunter2" if content == "text" else pem_of(rsa.generate_private_key(65_537, 3072))
    (desk.folder / "bad.pem").write_text(text)
    said = desk.refusal("add", "K2", "--file", "bad.pem")
    assert "K2" in said
    assert not any(line in said for line in text.splitlines())
    assert desk.statuses() == {"K1": "ACTIVE"}
