"""What ``graphql-http`` asks of a server, of the running stack; and what its audits do not ask."""

import json
import subprocess

from tests.cli.program import DevStack
from tests.web.conftest import CLIENTS, node_with_packages

AUDITS = 61


def test_all_audits_pass_for_a_viewer_who_may_introspect(dev_stack: DevStack) -> None:
    command = [node_with_packages(), "audit.mjs", dev_stack.graphql, dev_stack.token("alice")]
    ran = subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, timeout=60, check=True)
    results = json.loads(ran.stdout)
    assert [each for each in results if each["status"] != "ok"] == []
    assert len(results) == AUDITS
