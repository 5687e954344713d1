"""Relay and graphql-codegen, as their documentation sets them up, against a service that runs nothing but what their
builds have written down.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.program import DevStack, refusal, serving
from tests.cli.warm import MODULE
from tests.docs.markdown import ROOT
from tests.e2e.client import Client
from tests.web.conftest import CLIENTS, node_with_packages


@pytest.fixture(scope="module")
def alice(dev_stack: DevStack) -> Iterator[Client]:
    client = Client(dev_stack.graphql, dev_stack.token("alice"))
    yield client
    client.close()


def ran(folder: Path, *command: str) -> str:
    """What a command prints that is run in ``folder`` and is to end well."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of both clients, compiled; the one in the repository stays as it is."""
    folder = tmp_path_factory.mktemp("clients")
    shutil.copy(CLIENTS / "package.json", folder)
    (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
    for name in ("relay", "codegen"):
        shutil.copytree(CLIENTS / name, folder / name)
        shutil.copy(ROOT / "schema.graphql", folder / name)
    node_with_packages()
    programs = CLIENTS / "node_modules" / ".bin"
    ran(folder / "relay", f"{programs}/relay-compiler")
    bundle = ("--bundle", "--packages=external", "--format=esm", "--outfile=bundled.mjs")  # imports lack extensions
    ran(folder / "relay", f"{programs}/esbuild", "check.mjs", *bundle)
    ran(folder / "codegen", f"{programs}/graphql-codegen", "--config", "codegen.ts")
    ran(folder / "codegen", f"{programs}/tsc")
    return folder


MANIFESTS = ("relay/documents.json", "codegen/src/gql/persisted-documents.json")


@pytest.fixture(scope="module")
def environ(dev_stack: DevStack) -> dict[str, str]:
    """Of another process of the running stack, which runs only what it trusts."""
    return dev_stack.environment(GRAPHQL_API_DOCUMENTS="trusted", GRAPHQL_API_LOG_LEVEL="WARNING")


@pytest.fixture(scope="module")
def strict(built: Path, environ: dict[str, str]) -> Iterator[str]:
    """Where that process answers. It trusts the documents of both clients."""
    manifest = built / "documents.json"
    manifest.write_text(json.dumps({id_: text for name in MANIFESTS for id_, text in documents(built / name).items()}))
    with serving(MODULE, built, environ | {"GRAPHQL_API_TRUSTED_DOCUMENTS_FILE": str(manifest)}) as (_, address):
        yield f"{address}/graphql"


def documents(manifest: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(manifest.read_text())
    return found


def last_line(printed: str) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return seen


def test_relay_pages_fetches_again_moves_edges_and_subscribes(
    built: Path, strict: str, dev_stack: DevStack, alice: Client
) -> None:
    for name in ("!!! 0 relay.txt", "!!! 1 relay.txt", "!!! 2 relay.txt"):
        alice.upload(name, "text/plain", name.encode())
    pending = alice.promise("to come for relay.txt", "text/plain", 1)
    seen = last_line(ran(built / "relay", "node", "bundled.mjs", strict, dev_stack.token("alice"), pending.upload_id))
    first, both = seen["pages"]
    assert first == both[:2] == ["!!! 0 relay.txt", "!!! 1 relay.txt"]
    assert both[2] == "!!! 2 relay.txt"
    assert (seen["size"], seen["hasLink"]) == (15, True)
    assert seen["rules"][1] == ["READ", *seen["rules"][0]]
    assert seen["rules"][2] == seen["rules"][0]
    assert seen["event"] == "PENDING"


def test_the_types_of_graphql_codegen_send_a_file(built: Path, strict: str, dev_stack: DevStack) -> None:
    token = dev_stack.token("alice")
    seen = last_line(ran(built / "codegen", "node", "check.mjs", strict, token, "codegen.txt"))
    assert seen["first"] == "/Alice/codegen.txt has 9 bytes"
    assert seen["second"].startswith("taken by file_")


def test_what_no_build_has_written_down_is_refused(strict: str, dev_stack: DevStack) -> None:
    client = httpx.Client(headers={"authorization": f"Bearer {dev_stack.token('alice')}"}, trust_env=False)
    for query in ("{ viewer { id } }", "{ __schema { queryType { name } } }"):
        answer = client.post(strict, json={"query": query})
        [error] = answer.json()["errors"]
        assert (answer.status_code, error["extensions"]["code"]) == (403, "DOCUMENT_NOT_TRUSTED")
    client.close()


def test_each_build_writes_a_manifest_that_serve_takes_as_it_is(
    built: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    """Taken as it is, it has one fault: what is added here. ``serve`` ends before it listens, whatever else it runs."""
    for name in MANIFESTS:
        manifest = tmp_path / "documents.json"
        manifest.write_text(json.dumps({**documents(built / name), "old": "{ files { gone } }"}))
        wrong = environ | {"GRAPHQL_API_TRUSTED_DOCUMENTS_FILE": str(manifest)}
        said = refusal(["serve", "--workers", "2"], tmp_path, environ=wrong)
        assert said == "trusted document 'old': Cannot query field 'gone' on type 'FileConnection'."
