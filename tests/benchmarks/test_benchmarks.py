"""The benchmarks run and compare like with like. How long anything takes is never asserted: machines differ."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks import floor, site
from benchmarks.checks import Unequal, check_link, check_pages, check_put
from benchmarks.report import Bound, Measurement, table
from graphql_api.localcloud.refusal import AccessDenied
from graphql_api.localcloud.signature import SignatureVerifier

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(300)  # for all measurements together, on a busy machine


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    """What a quick run writes as JSON; it stops with an error if the variants' answers are not equal."""
    written = folder / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", "--json", str(written), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    found = json.loads(written.read_text())
    assert all(one["name"] in done.stdout for one in found["measurements"])
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run of all: each needs the archive and both databases, which take longer than a quick measurement."""
    return run(tmp_path_factory.mktemp("everything"))


def test_nothing_is_left_out(everything: dict[str, Any]) -> None:
    assert everything["skipped"] == []
    assert everything["versions"].keys() > {"python", "strawberry-graphql", "SQLAlchemy"}
    assert all(set(wanted) == {"bound", "is_met"} for one in everything["measurements"] for wanted in one["wanted"])


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", ["files", "revocable", "list", "upload"])
def test_requests_are_compared_on_both_databases(everything: dict[str, Any], name: str, database: str) -> None:
    one = measured(everything, name, database)
    assert {what for what, value in one["milliseconds"].items() if value} == {"ours", "naive", "floor"}
    assert set(one["ratios"]) == {"naive/ours", "ours/floor"}
    assert one["wanted"]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_face_is_measured_apart_from_the_executor(everything: dict[str, Any], database: str) -> None:
    measurements = [measured(everything, name, database) for name in ("guard", "view", "face", "lists")]
    guard, view, face, _ = measurements
    assert face["milliseconds"]["ours"] == guard["milliseconds"]["ours"] + view["milliseconds"]["ours"]
    assert all(set(one["ratios"]) == {"executor/ours"} for one in measurements)
    assert [len(one["wanted"]) for one in measurements] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "ratios"),
    [
        ("presign", {"naive/ours"}),
        ("parts", {"naive/ours"}),
        ("link", {"naive/ours", "ours/floor"}),
        ("links", {"cold/ours"}),
        ("links-rsa", {"cold/ours"}),
    ],
)
def test_signatures_are_compared_without_a_database(everything: dict[str, Any], name: str, ratios: set[str]) -> None:
    one = measured(everything, name, None)
    assert set(one["ratios"]) == ratios
    assert len(one["wanted"]) == 1


def test_one_may_be_asked_for(tmp_path: Path) -> None:
    found = run(tmp_path, "list", "--database", "sqlite")
    assert [(one["name"], one["database"]) for one in found["measurements"]] == [("list", "sqlite")]


def measured(found: dict[str, Any], name: str, database: str | None) -> dict[str, Any]:
    (one,) = (one for one in found["measurements"] if (one["name"], one["database"]) == (name, database))
    assert isinstance(one, dict)
    return one


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    return tmp_path / "key.pem"


def test_a_link_to_another_file_is_refused(key_path: Path) -> None:
    key = site.new_key(key_path)
    place = site.Site("sqlite:////unused.db", key, key_path, "user_0", "folder_0")
    verifier = SignatureVerifier({site.CDN_KEY_ID: place.public_pem})
    expires = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())
    url = floor.link(key, "o/1", "a b.pdf", expires)
    check_link(url, verifier)
    with pytest.raises(AccessDenied):
        check_link(url.replace("/o/1", "/o/2"), verifier)


def test_a_put_with_another_length_is_refused() -> None:
    headers = {"Content-Type": "text/plain"}
    url = floor.put_url("https://store.example.com/o/1", headers, 10, datetime.now(UTC))
    check_put(url, {**headers, "content-length": "10"})
    with pytest.raises(Unequal):
        check_put(url, {**headers, "content-length": "11"})


def test_pages_with_other_files_are_not_compared(key_path: Path) -> None:
    place = site.Site("sqlite:////unused.db", site.new_key(key_path), key_path, "user_0", "folder_0")

    def page(id_: str) -> bytes:
        node = {"id": id_, "name": "a", "size": 1, "contentType": "b/c", "createdAt": "2026-11-22T12:00:00Z"}
        info = {"endCursor": "e", "hasNextPage": True}
        return json.dumps({"data": {"files": {"nodes": [node], "pageInfo": info}}}).encode()

    verifier = SignatureVerifier({site.CDN_KEY_ID: place.public_pem})
    check_pages({"ours": page("1"), "floor": page("1")}, verifier, has_links=False, size=1)
    with pytest.raises(Unequal):
        check_pages({"ours": page("1"), "floor": page("2")}, verifier, has_links=False, size=1)
    with pytest.raises(Unequal):
        check_pages({"ours": page("1"), "floor": page("1")}, verifier, has_links=False, size=2)


def test_the_table_says_what_is_over() -> None:
    bounds = [Bound("naive/ours", at_least=8), Bound("ours/floor", at_most=20)]
    shown = table([Measurement("files", "sqlite", ours=2.0, naive=20.0, floor=0.05, bounds=bounds)])
    assert "naive/ours >= 8: ok, ours/floor <= 20: OVER" in shown
