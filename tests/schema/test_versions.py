"""Versions of files through the schema: pages, links, mutations, and what a page of files with versions costs."""

from typing import Any

import pytest

from graphql_api.model.file import File
from graphql_api.model.principal import Permission, Principal
from tests.schema.test_pages import counted
from tests.services.stories import filed, foldered, home_of, promised, ruled, send
from tests.world import World

VERSIONS = """query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { file(by: {id: $id}) {
  versions(first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { number } }
    nodes { __typename id number size contentType sha256 isCurrent integrity { value } createdAt createdBy { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  } } }"""
RESTORE = """mutation ($file: ID!, $version: ID!) { restoreFileVersion(input: {fileId: $file, versionId: $version}) {
  file { id size versions { nodes { number isCurrent } } } userErrors { __typename code path } } }"""
DELETE = """mutation ($file: ID!, $versions: [ID!]!) {
  deleteFileVersions(input: {fileId: $file, versionIds: $versions}) {
    results { deletedVersionId userErrors { __typename code path ... on ConflictError { conflictingId } } }
    userErrors { __typename code path ... on ForbiddenError { requiredPermission } }
  } }"""


async def renewed(world: World, principal: Principal, file: File, content: bytes = b"other") -> None:
    upload = await promised(world, principal, replaces=file.id, size=len(content))
    send(world, upload, content)
    await world.services.completion.complete(principal, upload.id)


async def versions(world: World, principal: Principal, file: File, **page: Any) -> dict[str, Any]:
    data = await world.data(VERSIONS, {"id": file.id, **page}, as_=principal)
    found: dict[str, Any] = data["file"]["versions"]
    return found


async def test_a_file_shows_its_versions_the_newest_first(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    await renewed(world, alice, file, b"longer bytes")
    found = await versions(world, alice, file)
    second, first = found["nodes"]
    assert (first["number"], first["size"], first["isCurrent"]) == (1, 5, False)
    assert (second["number"], second["size"], second["isCurrent"]) == (2, 12, True)
    assert second["createdBy"] == {"id": alice.user_id}
    assert found["edges"][0]["cursor"] == found["pageInfo"]["startCursor"]
    node = "query ($id: ID!) { node(id: $id) { id ... on FileVersion { number file { id } } } }"
    for as_, shown in ((alice, {"id": first["id"], "number": 1, "file": {"id": file.id}}), (bob, None)):
        assert await world.data(node, {"id": first["id"]}, as_=as_) == {"node": shown}


async def test_pages_of_versions_go_both_ways(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    for _ in range(3):
        await renewed(world, alice, file)
    page = await versions(world, alice, file, first=3)
    assert [edge["node"]["number"] for edge in page["edges"]] == [4, 3, 2]
    assert (page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]) == (True, False)
    page = await versions(world, alice, file, first=3, after=page["pageInfo"]["endCursor"])
    assert [edge["node"]["number"] for edge in page["edges"]] == [1]
    page = await versions(world, alice, file, last=1, before=page["pageInfo"]["startCursor"])
    assert [edge["node"]["number"] for edge in page["edges"]] == [2]
    result = await world.ask(VERSIONS, {"id": file.id, "after": "x"}, as_=alice)
    assert [error.extensions and error.extensions["code"] for error in result.errors or ()] == ["BAD_USER_INPUT"]


async def test_each_version_has_a_link_of_its_own_and_the_current_one_that_of_the_file(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice, "plan.txt")
    await world.data(
        'mutation ($id: ID!) { updateFile(input: {fileId: $id, contentType: "text/csv"}) { file { id } } }',
        {"id": file.id},
        as_=alice,
    )
    links = """query ($id: ID!) { file(by: {id: $id}) {
      signedUrl(expiresIn: 60, disposition: ATTACHMENT) { url }
      versions { nodes { contentType
        signedUrl(expiresIn: 60, disposition: ATTACHMENT) { url } saved: signedUrl(filename: "old.txt") { url } } }
    } }"""

    async def asked(as_: Principal) -> tuple[str | None, list[dict[str, Any]]]:
        found = (await world.data(links, {"id": file.id}, as_=as_))["file"]
        return found["signedUrl"], found["versions"]["nodes"]

    own, [only] = await asked(alice)
    assert only["signedUrl"] == own
    assert only["contentType"] == "text/csv"
    await renewed(world, alice, file)
    newer, [second, first] = await asked(alice)
    assert (first["signedUrl"], second["signedUrl"]) == (own, newer)
    assert own != newer
    assert "old.txt" in first["saved"]["url"]
    await ruled(world, bob, file.id, Permission.READ, ip_ranges=("192.0.2.0/24",))
    result = await world.ask(links, {"id": file.id}, as_=bob)  # from no address, so that nothing allows it
    assert result.data == {"file": None}


@pytest.mark.parametrize("who", ["owner", "reader"])
async def test_versions_of_many_files_take_as_many_statements_as_those_of_one(world: World, who: str) -> None:
    owner, reader = await world.principal("owner"), await world.principal("reader")
    await ruled(world, reader, await home_of(world, owner), Permission.READ)
    for name in "abc":
        file = await filed(world, owner, name)
        await renewed(world, owner, file)
    fields = """id number size contentType isCurrent integrity { value } createdBy { displayName }
      signedUrl { url } file { name }"""
    numbers = []
    for size in (3, 1, 3):  # the first fills what is remembered
        query = f"{{ files(first: {size}) {{ nodes {{ versions(first: 5) {{ nodes {{ {fields} }} }} }} }} }}"
        with counted(world.database) as ran:
            data = await world.data(query, as_=owner if who == "owner" else reader)
        assert [len(node["versions"]["nodes"]) for node in data["files"]["nodes"]] == [2] * size
        numbers.append(len(ran))
    assert numbers[1] == numbers[2]


async def test_a_version_is_restored_and_others_are_deleted(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    await renewed(world, alice, file, b"longer bytes")
    second, first = (await versions(world, alice, file))["nodes"]
    data = await world.data(RESTORE, {"file": file.id, "version": first["id"]}, as_=alice)
    assert data["restoreFileVersion"] == {
        "file": {
            "id": file.id,
            "size": 5,
            "versions": {"nodes": [{"number": 2, "isCurrent": False}, {"number": 1, "isCurrent": True}]},
        },
        "userErrors": [],
    }
    data = await world.data(DELETE, {"file": file.id, "versions": [first["id"], second["id"], "x"]}, as_=alice)
    assert data["deleteFileVersions"]["userErrors"] == []
    current, gone, absent = data["deleteFileVersions"]["results"]
    assert gone == {"deletedVersionId": second["id"], "userErrors": []}
    assert current["userErrors"] == [
        {
            "__typename": "ConflictError",
            "code": "CONFLICT",
            "path": ["input", "versionIds", "0"],
            "conflictingId": file.id,
        }
    ]
    assert [error["path"] for error in absent["userErrors"]] == [["input", "versionIds", "2"]]
    for number in (0, 101):
        data = await world.data(DELETE, {"file": file.id, "versions": ["x"] * number}, as_=alice)
        [error] = data["deleteFileVersions"]["userErrors"]
        assert (error["code"], error["path"]) == ("INVALID", ["input", "versionIds"])


async def test_the_upload_of_a_version_tells_of_its_file_and_folder(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    folder = await foldered(world, alice, "folder")
    file = await filed(world, alice, "plan.txt", folder_id=folder.id)
    create = """mutation ($id: ID!) { createUpload(input: {
      filename: "new.txt", size: 5, contentType: "text/plain", replaceFileId: $id}) {
      upload { id filename status folder { id } file { id } } userErrors { code path } } }"""
    refused = (await world.data(create, {"id": file.id}, as_=bob))["createUpload"]
    assert refused == {"upload": None, "userErrors": [{"code": "NOT_FOUND", "path": ["input", "replaceFileId"]}]}
    upload = (await world.data(create, {"id": file.id}, as_=alice))["createUpload"]["upload"]
    assert (upload["filename"], upload["folder"], upload["file"]) == ("new.txt", {"id": folder.id}, None)
    send(world, await world.services.uploads.get(alice, upload["id"]))
    complete = """mutation ($id: ID!) { completeUpload(input: {uploadId: $id}) {
      upload { filename file { id name } } file { id name } } }"""
    for _ in range(2):
        done = (await world.data(complete, {"id": upload["id"]}, as_=alice))["completeUpload"]
        assert done["file"] == done["upload"]["file"] == {"id": file.id, "name": "plan.txt"}
        assert done["upload"]["filename"] == "new.txt"
