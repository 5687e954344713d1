"""A published file at the edge of the running stack: anybody opens its address, until it is withdrawn."""

import httpx

from tests.cli.program import wait_for
from tests.e2e.client import Client

CONTENT = b"<p>for everybody</p>"
VISIBILITY = """
mutation ($file: ID!) {
  createAccessRule(input: {effect: ALLOW, permissions: [READ], subject: {anyone: true}, resource: {fileId: $file}}) {
    accessRule { id version } userErrors { message }
  }
}
"""
HIDE = """
mutation ($rule: ID!, $version: Int!) {
  deleteAccessRule(input: {ruleId: $rule, version: $version}) { userErrors { message } }
}
"""
PUBLISH = "mutation ($id: ID!) { publish(input: {fileId: $id}) { userErrors { message } } }"
ADDRESS = "query ($id: ID!) { file(by: {id: $id}) { publicUrl } }"


def test_a_published_file_opens_without_a_signature_until_the_rule_goes(alice: Client) -> None:
    target = alice.promise("public.html", "text/html", len(CONTENT))
    assert alice.put(target, CONTENT).status_code == 200
    file = alice.complete(target.upload_id)["file"]["id"]
    rule = alice.ask(VISIBILITY, file=file)["createAccessRule"]["accessRule"]
    assert alice.ask(PUBLISH, id=file)["publish"] == {"userErrors": []}
    url: str = wait_for(lambda: alice.ask(ADDRESS, id=file)["file"]["publicUrl"])
    for attempt in range(2):
        answer = httpx.get(f"{url}?response-content-type=text/plain", trust_env=False)
        assert (answer.status_code, answer.content) == (200, CONTENT)
        assert answer.headers["content-type"] == "text/html"  # no query reaches the store
        assert answer.headers["content-disposition"] == 'attachment; filename="public.html"'
        assert answer.headers["cache-control"] == "public, max-age=3600"
        assert answer.headers["x-cache"].startswith("Hit" if attempt else "Miss")
    done = alice.ask(HIDE, rule=rule["id"], version=rule["version"])["deleteAccessRule"]
    assert done == {"userErrors": []}
    wait_for(lambda: httpx.get(url, trust_env=False).status_code in (403, 404))
    assert alice.ask(ADDRESS, id=file)["file"]["publicUrl"] is None
