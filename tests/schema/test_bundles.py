"""Bundles through the schema: promised, shown, and opened by cookies."""

import re

import pytest

from graphql_api.model.upload import UploadStatus
from tests.services.bundled import PATHS, PLAYLIST
from tests.services.stories import CONTENT, filed
from tests.world import CDN, World

CREATE = """mutation($bundle: CreateBundleInput, $uploads: [CreateUploadInput!]) {
  createUploads(input: {bundle: $bundle, uploads: $uploads}) {
    bundleFileId
    results { upload { id filename status bundleFileId target { ... on PutUploadTarget { url } } } userErrors { path } }
    userErrors { code path } } }"""
COMPLETE = """mutation($id: ID!) { completeUpload(input: {uploadId: $id}) { upload { status } file { id } } }"""
SHOW = """query($id: ID!, $after: String) { node(id: $id) { ... on File { size signedUrl { url } bundle {
  entryCount mainPath linkFault signedPrefix { baseUrl query expiresAt refreshAfter }
  entries(first: 2, after: $after) { nodes { path size contentType } pageInfo { endCursor hasNextPage } } } } } }"""
COOKIES = """mutation($id: ID!) { createSignedCookies(input: {fileId: $id}) {
  cookies { name value domain path expiresAt isSecure sameSite } resourceUrl mainUrl expiresAt
  userErrors { code path } } }"""


@pytest.fixture(params=[False, True], ids=["plain", "revocable"])
def world(sqlite_world: World, request: pytest.FixtureRequest) -> World:
    return World(sqlite_world.database, revokes=request.param)


def bundle(**more: object) -> dict[str, object]:
    entries = [
        {"path": path, "size": len(CONTENT), "contentType": PLAYLIST if index == 0 else "video/mp2t"}
        for index, path in enumerate(PATHS)
    ]
    return {"name": "film", "mainPath": PATHS[0], "entries": entries, **more}


async def test_a_bundle_from_promise_to_cookies(world: World) -> None:
    alice = await world.principal("alice")
    made = (await world.data(CREATE, {"bundle": bundle()}, as_=alice))["createUploads"]
    uploads = [result["upload"] for result in made["results"]]
    assert [upload["filename"] for upload in uploads] == list(PATHS)
    for upload in uploads:
        assert upload["bundleFileId"] == made["bundleFileId"]
        prefix = f"b/{made['bundleFileId'].removeprefix('file_')}/"
        assert prefix + upload["filename"] in upload["target"]["url"]
        noun = (await world.services.uploads.find(alice, [upload["id"]]))[upload["id"]]
        world.store.put(noun.promise, CONTENT)
        done = (await world.data(COMPLETE, {"id": upload["id"]}, as_=alice))["completeUpload"]
    assert done == {"upload": {"status": UploadStatus.COMPLETED}, "file": {"id": made["bundleFileId"]}}

    file = (await world.data(SHOW, {"id": made["bundleFileId"]}, as_=alice))["node"]
    whole, page = file["bundle"], file["bundle"]["entries"]
    assert (file["size"], whole["entryCount"], whole["mainPath"], whole["linkFault"]) == (15, 3, "index.m3u8", None)
    assert page["nodes"][0] == {"path": "index.m3u8", "size": 5, "contentType": PLAYLIST}
    assert page["pageInfo"]["hasNextPage"] is True
    cursor = page["pageInfo"]["endCursor"]
    rest = (await world.data(SHOW, {"id": made["bundleFileId"], "after": cursor}, as_=alice))["node"]["bundle"]
    assert [entry["path"] for entry in rest["entries"]["nodes"]] == ["low/1.ts"]
    opened = whole["signedPrefix"]
    said = r"\.0(\.[A-Za-z0-9_-]{12}){3}" if world.services.revocations.is_on else ""
    assert re.fullmatch(rf"{CDN}/{prefix[:-1]}{said}/", opened["baseUrl"])
    assert file["signedUrl"]["url"] == f"{opened['baseUrl']}index.m3u8?{opened['query']}"

    signed = (await world.data(COOKIES, {"id": made["bundleFileId"]}, as_=alice))["createSignedCookies"]
    assert signed["resourceUrl"] == opened["baseUrl"]
    assert signed["mainUrl"] == opened["baseUrl"] + "index.m3u8"
    names = ["CloudFront-Policy", "CloudFront-Signature", "CloudFront-Key-Pair-Id", "CloudFront-Hash-Algorithm"]
    assert [cookie["name"] for cookie in signed["cookies"]] == names
    for cookie in signed["cookies"]:
        part = f"{cookie['name'].removeprefix('CloudFront-')}={cookie['value']}"
        assert part in opened["query"].split("&")
        assert (cookie["domain"], cookie["path"]) == ("test", opened["baseUrl"].removeprefix(CDN))
        assert (cookie["isSecure"], cookie["sameSite"]) == (True, "LAX")
        assert cookie["expiresAt"] == signed["expiresAt"] == opened["expiresAt"]


async def test_what_is_no_bundle_has_no_cookies(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    assert (await world.data(SHOW, {"id": file.id}, as_=alice))["node"]["bundle"] is None
    for principal, code in ((alice, "INVALID"), (bob, "NOT_FOUND")):
        answer = (await world.data(COOKIES, {"id": file.id}, as_=principal))["createSignedCookies"]
        assert answer["userErrors"] == [{"code": code, "path": ["input", "fileId"]}]
        assert answer["cookies"] is None
        assert answer["resourceUrl"] is None


async def test_faults_say_which_entry_they_are_about(world: World) -> None:
    alice = await world.principal("alice")
    wrong = bundle(entries=[{"path": "../x", "size": 1, "contentType": "text/plain"}])
    answer = (await world.data(CREATE, {"bundle": wrong}, as_=alice))["createUploads"]
    assert answer["userErrors"] == [{"code": "INVALID", "path": ["input", "bundle", "entries", "0", "path"]}]
    assert (answer["results"], answer["bundleFileId"]) == ([], None)
    for both in ({}, {"bundle": bundle(), "uploads": []}):
        answer = (await world.data(CREATE, both, as_=alice))["createUploads"]
        assert answer["userErrors"] == [{"code": "INVALID", "path": ["input", "uploads"]}]
