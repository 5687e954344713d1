"""Revoked links at the edge of the running stack: the function that ships, told by the worker's own loop."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.cli.program import DevStack, wait_for
from tests.e2e.client import Client
from tests.e2e.test_links import ACCESS_DENIED, body_of_403, with_parameter

CONTENT = b"to be revoked"
REVOKE = """
mutation ($target: RevokeLinksInput!) {
  revokeLinks(input: $target) {
    file { id linkRevocation { propagation { pending } } } folder { id } user { displayName }
    revocation { revokedAt linksEndBy propagation { pending confirmedAt } }
    oldLinksExpireBy userErrors { code path }
  }
}
"""
FOLDER = """
mutation ($parent: ID!, $name: String!) {
  createFolder(input: {parentId: $parent, name: $name}) { folder { id } userErrors { code } }
}
"""
HOME = "{ viewer { topFolders { nodes { id } } } }"
PROPAGATION = "query ($id: ID!) { file(by: {id: $id}) { linkRevocation { propagation { pending confirmedAt } } } }"
PERSONAL = """
mutation ($file: ID!, $who: String!) {
  createAccessRule(input: {effect: ALLOW, permissions: [READ], subject: {tokenSubject: $who}, resource: {fileId: $file},
                           obligations: {personalLinks: true}}) {
    accessRule { obligations { personalLinks } } userErrors { code message }
  }
}
"""


def revoked(client: Client, **target: str) -> dict[str, Any]:
    payload: dict[str, Any] = client.ask(REVOKE, target=target)["revokeLinks"]
    assert payload["userErrors"] == []
    assert payload["revocation"]["propagation"]["pending"] is True
    assert payload["revocation"]["linksEndBy"] >= payload["oldLinksExpireBy"]
    return payload


def refused(client: Client, url: str) -> httpx.Response:
    """The answer, once the edge has been told."""

    def answer() -> httpx.Response | None:
        found = client.get(url)
        return found if found.status_code == 403 else None

    return wait_for(answer)


def opens(client: Client, url: str) -> bool:
    answer = client.get(url)
    return answer.status_code == 200 and answer.content == CONTENT


@pytest.fixture(scope="module")
def admin(dev_stack: DevStack) -> Iterator[Client]:
    client = Client(dev_stack.graphql, dev_stack.token("admin"))
    yield client
    client.close()


@pytest.fixture
def file(alice: Client) -> dict[str, Any]:
    return alice.upload("revoked.bin", "application/octet-stream", CONTENT)


def test_a_revoked_link_is_refused_and_a_new_one_opens(alice: Client, file: dict[str, Any]) -> None:
    other = alice.upload("untouched.bin", "application/octet-stream", CONTENT)["signedUrl"]["url"]
    old = alice.link(file["id"])
    assert opens(alice, old)
    payload = revoked(alice, fileId=file["id"])
    assert payload["file"]["linkRevocation"]["propagation"] == {"pending": True}
    new = alice.link(file["id"])
    assert new != old
    answer = refused(alice, old)
    assert b"<Code>LinkRevoked</Code>" in answer.content
    assert answer.headers["cache-control"] == "no-store"
    assert opens(alice, new)
    assert opens(alice, other)

    def confirmed() -> str | None:
        found = alice.ask(PROPAGATION, id=file["id"])["file"]["linkRevocation"]["propagation"]
        assert found["pending"] is (found["confirmedAt"] is None)
        return str(found["confirmedAt"] or "") or None

    assert wait_for(confirmed) >= payload["revocation"]["revokedAt"]


@pytest.mark.parametrize(
    "alter",
    [
        lambda rv: None,
        lambda rv: rv.replace("0.", "9999999999.", 1),
        lambda rv: rv + ".AAAAAAAAAAAA",
        lambda rv: rv.rpartition(".")[0],
        lambda rv: "9.AAAAAAAAAAAA",
        lambda rv: "",
    ],
    ids=["stripped", "raised", "one mark more", "one mark less", "another", "emptied"],
)
def test_an_altered_rv_breaks_the_signature(
    alice: Client, file: dict[str, Any], alter: Callable[[str], str | None]
) -> None:
    url = alice.link(file["id"])
    rv = httpx.URL(url).params["rv"]
    assert rv.count(".") >= 2
    assert body_of_403(alice, with_parameter(url, "rv", alter(rv))) == ACCESS_DENIED
    assert body_of_403(alice, f"{url}&rv={rv}") == ACCESS_DENIED


def test_a_folder_takes_all_below_along(alice: Client) -> None:
    home = alice.ask(HOME)["viewer"]["topFolders"]["nodes"][0]["id"]
    outer = alice.ask(FOLDER, parent=home, name="outer of revoked")["createFolder"]["folder"]["id"]
    inner = alice.ask(FOLDER, parent=outer, name="inner")["createFolder"]["folder"]["id"]
    target = alice.promise("deep.bin", "application/octet-stream", len(CONTENT), folderId=inner)
    assert alice.put(target, CONTENT).status_code == 200
    deep = alice.complete(target.upload_id)["file"]
    old = alice.link(deep["id"])
    assert opens(alice, old)
    assert revoked(alice, folderId=outer)["folder"] == {"id": outer}
    refused(alice, old)
    assert opens(alice, alice.link(deep["id"]))


def test_one_persons_links_end_and_not_those_of_others(
    alice: Client, bob: Client, admin: Client, file: dict[str, Any]
) -> None:
    made = alice.ask(PERSONAL, file=file["id"], who="bob")["createAccessRule"]
    assert made == {"accessRule": {"obligations": {"personalLinks": True}}, "userErrors": []}
    hers, his = alice.link(file["id"]), bob.link(file["id"])
    assert hers != his
    bobs_id = bob.ask("{ viewer { user { id } } }")["viewer"]["user"]["id"]
    assert revoked(admin, userId=bobs_id)["user"] == {"displayName": "Bob"}
    refused(bob, his)
    assert opens(alice, hers)
    assert opens(bob, bob.link(file["id"]))
