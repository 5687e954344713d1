"""The main journey through the schema: promise, send, complete, list, sign."""

from typing import Any

from graphql_api.model.principal import Principal
from graphql_api.model.stored_object import PromisedObject
from tests.world import World

CREATE = """
mutation ($input: CreateUploadInput!) {
  createUpload(input: $input) {
    upload { id status filename target { __typename expiresAt ... on PutUploadTarget { url headers { name value } } } }
    userErrors { __typename code path message ... on ConflictError { conflictingId } }
  }
}
"""
COMPLETE = """
mutation ($id: ID!) {
  completeUpload(input: {uploadId: $id}) {
    upload { status failure { code } } file { id name path size contentType folder { name } }
    userErrors { __typename code path message }
  }
}
"""


async def create(world: World, as_: Principal, **wish: Any) -> dict[str, Any]:
    wish = {"filename": "cat.jpg", "size": 5, "contentType": "text/plain"} | wish
    result: dict[str, Any] = (await world.data(CREATE, {"input": wish}, as_=as_))["createUpload"]
    return result


async def test_a_promised_file_exists_once_its_bytes_are_there(world: World) -> None:
    alice = await world.principal("alice")
    created = await create(world, alice)
    assert created["userErrors"] == []
    upload = created["upload"]
    assert upload["target"]["__typename"] == "PutUploadTarget"

    early = (await world.data(COMPLETE, {"id": upload["id"]}, as_=alice))["completeUpload"]
    assert early["userErrors"][0]["__typename"] == "UploadStateError"

    key = upload["target"]["url"].removeprefix("https://store.test/")
    world.store.put(PromisedObject(key, 5, "text/plain", None), b"hello")
    done = (await world.data(COMPLETE, {"id": upload["id"]}, as_=alice))["completeUpload"]
    assert done["userErrors"] == []
    assert done["file"]["path"] == "/Alice/cat.jpg"
    again = (await world.data(COMPLETE, {"id": upload["id"]}, as_=alice))["completeUpload"]
    assert again["file"]["id"] == done["file"]["id"]

    listed = await world.data(
        "{ files(first: 2) { totalCount nodes { signedUrl { url expiresAt } } pageInfo { endCursor hasNextPage } } }",
        as_=alice,
    )
    [node] = listed["files"]["nodes"]
    assert node["signedUrl"]["url"].startswith(f"https://cdn.test/{key}?response-content-disposition=inline")
    assert listed["files"]["totalCount"] == 1


async def test_an_upload_in_parts_tells_their_size_without_being_begun_at_the_store(world: World) -> None:
    alice = await world.principal("alice")
    query = "mutation ($input: CreateUploadInput!) { createUpload(input: $input) { upload { method partSize } } }"
    wish = {"filename": "film.bin", "size": 40 * 1024**2, "contentType": "application/octet-stream"}
    for method, part_size in (("MULTIPART", 5 * 1024**2), ("PUT", None)):
        created = await world.data(query, {"input": wish | {"method": method}}, as_=alice)
        assert created["createUpload"]["upload"] == {"method": method, "partSize": part_size}
    assert not world.store.begun
