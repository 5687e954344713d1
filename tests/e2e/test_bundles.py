"""A bundle at the running stack: promised, sent, opened by cookies at the edge, and gone."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx

from graphql_api.model.bundle import bundle_of
from graphql_api.model.ids import FileId, bundle_prefix
from tests.cli.program import DevStack, wait_for
from tests.e2e.bundling import ENTRIES, bundled
from tests.e2e.client import Client
from tests.e2e.inside import inside

COOKIES = """
mutation ($id: ID!) {
  createSignedCookies(input: {fileId: $id}) {
    cookies { name value path domain isSecure } resourceUrl mainUrl userErrors { code path }
  }
}
"""
SHOW = """
query ($id: ID!) {
  file(by: {id: $id}) { name size signedUrl { url } bundle { entryCount signedPrefix { baseUrl query } } }
}
"""
REVOKE = "mutation ($id: ID!) { revokeLinks(input: {fileId: $id}) { revocation { linksEndBy } } }"
DELETE = "mutation ($id: ID!) { deleteFiles(input: {fileIds: [$id]}) { results { deletedFileId } } }"


def cookies_of(client: Client, file_id: str) -> tuple[str, dict[str, str]]:
    payload: dict[str, Any] = client.ask(COOKIES, id=file_id)["createSignedCookies"]
    assert payload["userErrors"] == []
    for cookie in payload["cookies"]:  # the edge of dev is reached over plain http, on the same host
        assert (cookie["domain"], cookie["isSecure"]) == (None, False)
    return payload["resourceUrl"], {cookie["name"]: cookie["value"] for cookie in payload["cookies"]}


def status(client: Client, url: str, cookies: dict[str, str]) -> int:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return client.get(url, cookie=header).status_code


def test_a_bundle_is_opened_by_its_own_cookies_and_leaves_nothing(
    dev_stack: DevStack, alice: Client, bob: Client
) -> None:
    file_id, other_id = bundled(alice, "film", ENTRIES), bundled(alice, "another film", ENTRIES)
    assert bob.ask(COOKIES, id=file_id)["createSignedCookies"]["userErrors"] == [
        {"code": "NOT_FOUND", "path": ["input", "fileId"]}
    ]
    base, cookies = cookies_of(alice, file_id)
    other_base, other_cookies = cookies_of(alice, other_id)
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    for path, (_, content) in ENTRIES.items():
        assert alice.get(base + path, cookie=header).content == content
        assert alice.get(base + path).status_code == 403
        assert status(alice, base + path, other_cookies) == status(alice, other_base + path, cookies) == 403

    file = alice.ask(SHOW, id=file_id)["file"]
    assert (file["size"], file["bundle"]["entryCount"]) == (sum(len(content) for _, content in ENTRIES.values()), 3)
    opened = file["bundle"]["signedPrefix"]
    assert alice.get(file["signedUrl"]["url"]).content == ENTRIES["index.m3u8"][1]
    assert alice.get(f"{opened['baseUrl']}low/1.ts?{opened['query']}").content == b"one"

    # A browser that follows the lasting address has the cookies for the next request, ports do not matter to them.
    with httpx.Client(trust_env=False) as browser:
        url = dev_stack.graphql.removesuffix("graphql") + f"f/{file_id}"
        answer = browser.get(url, headers=dict(alice.api.headers), follow_redirects=True)
        assert answer.content == ENTRIES["index.m3u8"][1]
        assert browser.get(base + "low/0.ts").content == b"zero"
        assert browser.get(other_base + "low/0.ts").status_code == 403

    alice.ask(REVOKE, id=other_id)  # by the function that ships, which reads from the path what the link says
    wait_for(lambda: status(alice, other_base + "low/0.ts", other_cookies) == 403)
    assert alice.get(base + "low/0.ts", cookie=header).status_code == 200
    newer_base, newer_cookies = cookies_of(alice, other_id)
    assert status(alice, newer_base + "low/0.ts", newer_cookies) == 200
    assert status(alice, newer_base + "low/0.ts", other_cookies) == 403
    assert status(alice, other_base + "low/0.ts", newer_cookies) == 403

    alice.ask(DELETE, id=file_id)
    assert asyncio.run(stored(dev_stack, file_id)) == []
    assert len(asyncio.run(stored(dev_stack, other_id))) == len(ENTRIES)


async def stored(stack: DevStack, file_id: str) -> list[str]:
    """The keys of the objects that the store holds of a bundle."""
    async with inside(stack, shift=timedelta()) as assembly:
        prefix = bundle_prefix(bundle_of(FileId(file_id)))
        return [one.key for one in await assembly.store.list_objects(prefix, after=None, limit=10)]
