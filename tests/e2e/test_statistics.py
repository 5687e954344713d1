"""From a download at the local edge to the numbers in the API, by way of the edge's own log."""

import gzip
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from graphql_api.edge.cloudfront_logs import FIELDS as READ
from graphql_api.localcloud.access_log import FIELDS as WRITTEN
from tests.cli.program import DevStack, clean_environment, outcome, running_dev, wait_for
from tests.e2e.client import Client

CONTENT = b"twelve bytes"
USAGE = """
query ($id: ID!) {
  file(by: {id: $id}) { usage { startsOn downloads deliveredBytes } }
  viewer {
    usage(interval: MONTH) { startsOn downloads deliveredBytes }
    topFiles { file { name } downloads deliveredBytes }
  }
}
"""


def logged(stack: DevStack) -> int:
    """Requests that the edge has written down."""
    texts = [gzip.decompress(path.read_bytes()).decode() for path in (stack.data / "edge-logs").glob("*.gz")]
    return sum(not line.startswith("#") for text in texts for line in text.splitlines())


def ingested(stack: DevStack, folder: Path) -> tuple[dict[str, Any], str]:
    """The sum that ``ingest-logs`` tells, and all that it says."""
    environ = clean_environment(GRAPHQL_API_DATABASE_URL=f"sqlite:///{stack.data / 'api.db'}")
    ended = outcome(["ingest-logs", stack.data / "edge-logs", "--json"], folder, environ=environ)
    assert ended.status == 0, ended
    return json.loads(ended.out.splitlines()[-1]), ended.out + ended.err


def test_a_download_at_the_local_edge_shows_as_one_and_nothing_else_does(tmp_path: Path) -> None:
    with running_dev(tmp_path) as stack:
        alice, bob = Client(stack.graphql, stack.token("alice")), Client(stack.graphql, stack.token("bob"))
        file = alice.upload("cat.txt", "text/plain", CONTENT)
        link = alice.link(file["id"])
        whole = alice.get(link)
        assert whole.content == CONTENT
        assert alice.get(link, Range="bytes=6-").content == CONTENT[6:]  # a download that goes on
        assert alice.plain.head(link).status_code == 200
        assert alice.get(link[:-1]).status_code == 403
        assert alice.get(f"{stack.edge}/o/nothing").status_code == 403
        wait_for(lambda: logged(stack) == 5)

        told, said = ingested(stack, tmp_path)
        assert (told["requests"], told["downloads"], told["unknown"], told["malformed"]) == (5, 1, 1, 0)
        assert told["deliveredBytes"] > 2 * len(CONTENT)
        assert ingested(stack, tmp_path)[0]["files"] == {"known": told["files"]["counted"]}

        seen = alice.ask(USAGE, id=file["id"])
        [day], [month], [top] = seen["file"]["usage"], seen["viewer"]["usage"], seen["viewer"]["topFiles"]
        assert day == {**month, "startsOn": day["startsOn"]}
        assert (day["downloads"], day["deliveredBytes"]) == (1, told["deliveredBytes"])
        assert top == {"file": {"name": "cat.txt"}, "downloads": 1, "deliveredBytes": told["deliveredBytes"]}
        assert bob.ask(USAGE, id=file["id"]) == {"file": None, "viewer": {"usage": [], "topFiles": []}}

        signature = re.findall(r"Signature=([^&]+)", link)[0]
        assert signature not in said
        with closing(sqlite3.connect(stack.data / "api.db")) as database:
            assert signature not in "\n".join(database.iterdump())
        assert alice.get(link).status_code == 200
        for client in (alice, bob):
            client.close()
    assert stack.program.err == ""
    assert ingested(stack, tmp_path)[0]["downloads"] == 1, "what had not been written was, when it stopped"


def test_what_is_read_of_a_log_is_what_the_edge_writes() -> None:
    assert set(READ) < set(WRITTEN)
