"""A part that hangs, locks or goes away while the service runs: said in one typed answer, and over when it is back."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from tests.cli.program import DevStack, frozen, needs_proc
from tests.e2e.client import CREATE, Client
from tests.e2e.service import Surroundings, serving
from tests.postgres import PostgresCluster, database_name

WISH = {"filename": "later.txt", "size": 5, "contentType": "text/plain", "onConflict": "RENAME"}


def readiness(api: str) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{api}/readyz", trust_env=False, timeout=30)
    return answer.status_code, answer.json()


READY = (200, {"status": "ok"})


def unready(part: str) -> tuple[int, dict[str, Any]]:
    return 503, {"status": "unavailable", "failing": [part]}


def created(client: Client) -> dict[str, Any]:
    payload: dict[str, Any] = client.ask(CREATE, input=WISH)["createUpload"]
    return payload


@needs_proc
def test_a_store_that_hangs_makes_the_service_unready_until_it_goes_on(dev_stack: DevStack, alice: Client) -> None:
    with frozen(dev_stack.weed.pid):
        assert readiness(dev_stack.api) == unready("store")
        target = alice.promise("frozen.txt", "text/plain", 5)  # arithmetic needs no store
    assert readiness(dev_stack.api) == READY
    assert alice.put(target, b"hello").status_code == 200
    assert alice.complete(target.upload_id)["userErrors"] == []


def test_a_database_that_is_locked_is_said_and_over_when_it_is_free(dev_stack: DevStack, alice: Client) -> None:
    with closing(sqlite3.connect(dev_stack.data / "api.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        [error] = created(alice)["userErrors"]
        assert (error["__typename"], error["code"]) == ("UnavailableError", "UNAVAILABLE")
        assert readiness(dev_stack.api) == READY  # it can still be read
        other.execute("ROLLBACK")
    assert created(alice)["userErrors"] == []


def test_a_database_that_goes_away_is_said(installed: Path, surroundings: Surroundings, tmp_path: Path) -> None:
    with PostgresCluster() as cluster:
        environ = surroundings.environ(cluster.create_database())
        subprocess.run([installed, "migrate"], cwd=tmp_path, env=environ, check=True, capture_output=True)
        with serving(installed, tmp_path, surroundings, environ) as running, running.user("ada") as ada:
            assert created(ada)["userErrors"] == []
            end_connections(cluster, environ["GRAPHQL_API_DATABASE_URL"])
            assert created(ada)["userErrors"] == []  # on new connections
            cluster.stop()
            assert readiness(running.address) == unready("database")
            [error] = created(ada)["userErrors"]
            assert error["__typename"] == "UnavailableError"
            with running.user("grace") as newcomer:  # nobody knows yet who that is
                answer = newcomer.api.post(newcomer.graphql, json={"query": "{ viewer { id } }"})
            assert answer.status_code == 503
            assert answer.json()["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
            assert httpx.get(f"{running.address}/healthz", trust_env=False).status_code == 200
            assert running.program.stop() == 0


def end_connections(cluster: PostgresCluster, database_url: str) -> None:
    ending = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "  # returns when they are gone
        "WHERE datname IS NOT NULL AND pid <> pg_backend_pid()"
    )
    where = [f"--host={cluster.folder}", "--port=5432", "--username=postgres", database_name(database_url)]
    subprocess.run(
        [cluster.binaries / "psql", "--quiet", f"--command={ending}", *where], check=True, capture_output=True
    )
