"""Apollo Client and urql against the running stack, as their documentation sets them up."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.program import DevStack
from tests.e2e.client import Client
from tests.web.conftest import CLIENTS, node_with_packages

RESULT = "application/graphql-response+json; charset=utf-8"
REFUSED = [{"__typename": "NotFoundError", "code": "NOT_FOUND"}]


@pytest.fixture(scope="module")
def alice(dev_stack: DevStack) -> Iterator[Client]:
    client = Client(dev_stack.graphql, dev_stack.token("alice"))
    yield client
    client.close()


def run(script: str, dev_stack: DevStack, upload_id: str) -> dict[str, Any]:
    command = [node_with_packages(), script, dev_stack.graphql, dev_stack.token("alice"), upload_id]
    ran = subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    seen: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return seen


def told(seen: dict[str, Any]) -> list[tuple[str, int]]:
    """Method and status of each request."""
    return [(method, status) for method, status, _ in seen["requests"]]


def test_apollo_client_persists_queries_caches_by_key_and_subscribes(dev_stack: DevStack, alice: Client) -> None:
    file = alice.upload("for apollo.txt", "text/plain", b"apollo")
    pending = alice.promise("to come for apollo.txt", "text/plain", 1)
    seen = run("apollo.mjs", dev_stack, pending.upload_id)
    # By hash, which is not known yet, with the document, by hash again; then a mutation, persisted too, but posted.
    assert told(seen)[:3] == [("GET", 400), ("POST", 200), ("GET", 200)]
    assert told(seen)[3:] == [("POST", 400), ("POST", 200)]
    assert {kind for _, _, kind in seen["requests"]} == {RESULT}
    assert file["name"] in seen["names"]
    assert seen["isEqual"]
    assert seen["cached"] == seen["keys"] == len(seen["names"])
    assert (seen["refused"], seen["event"]) == (REFUSED, "PENDING")


def test_urql_persists_queries_and_subscribes_by_events(dev_stack: DevStack, alice: Client) -> None:
    file = alice.upload("for urql.txt", "text/plain", b"urql")
    pending = alice.promise("to come for urql.txt", "text/plain", 1)
    seen = run("urql.mjs", dev_stack, pending.upload_id)
    assert seen["error"] is None
    # By hash, with the document in an address that is short enough, by hash again.
    assert told(seen) == [("GET", 400), ("GET", 200), ("GET", 200), ("POST", 200), ("POST", 200)]
    assert [kind for _, _, kind in seen["requests"]][-1] == "text/event-stream; charset=utf-8"
    assert file["name"] in seen["names"]
    assert seen["isEqual"]
    assert (seen["refused"], seen["event"]) == (REFUSED, "PENDING")
