"""Labels, metadata and search through the schema."""

from typing import Any

import pytest

from graphql_api.model.principal import Principal
from tests.services.stories import filed
from tests.world import World

FILE = "file { labels metadata { key value } } userErrors { __typename code path }"
LABELS = f"mutation ($input: ChangeFileLabelsInput!) {{ done: changeFileLabels(input: $input) {{ {FILE} }} }}"
METADATA = f"mutation ($input: ChangeFileMetadataInput!) {{ done: changeFileMetadata(input: $input) {{ {FILE} }} }}"


async def done(world: World, document: str, as_: Principal, **values: object) -> dict[str, Any]:
    result: dict[str, Any] = (await world.data(document, {"input": values}, as_=as_))["done"]
    return result


async def test_labels_come_and_go(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, "cat.txt")
    first = await done(world, LABELS, alice, fileId=file.id, add=["Red", "blue", "BLUE"])
    assert first == {"file": {"labels": ["blue", "red"], "metadata": []}, "userErrors": []}
    second = await done(world, LABELS, alice, fileId=file.id, add=["green"], remove=["RED", "never"])
    assert second["file"]["labels"] == ["blue", "green"]
    refused = await done(world, LABELS, alice, fileId=file.id, add=["fine", "-"])
    [error] = refused["userErrors"]
    assert (error["code"], error["path"][:2]) == ("INVALID", ["input", "add"])


async def test_metadata_come_and_go(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, "cat.txt")
    noted = [{"key": "camera", "value": "X100"}, {"key": "a:b", "value": ""}]
    first = await done(world, METADATA, alice, fileId=file.id, set=noted)
    assert first["file"]["metadata"] == [noted[1], noted[0]]
    second = await done(world, METADATA, alice, fileId=file.id, set=[{"key": "a:b", "value": "c"}], remove=["camera"])
    assert second["file"]["metadata"] == [{"key": "a:b", "value": "c"}]
    for fault in ({"key": "", "value": ""}, {"key": "ok", "value": "\0"}, {"key": "ok", "value": "x" * 1025}):
        refused = await done(world, METADATA, alice, fileId=file.id, set=[fault])
        [error] = refused["userErrors"]
        assert (error["code"], error["path"][:2]) == ("INVALID", ["input", "set"])


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"search": "cat"}, ["cat photo.jpg", "Category.txt"]),
        ({"search": "PHOTO ca"}, ["cat photo.jpg"]),
        ({"search": "at"}, []),
        ({"search": " "}, ["cat photo.jpg", "Category.txt", "dog_photo.jpg"]),
        ({"search": None}, ["cat photo.jpg", "Category.txt", "dog_photo.jpg"]),
        ({"filter": {"namePrefix": "CAT"}}, ["cat photo.jpg", "Category.txt"]),
        ({"filter": {"namePrefix": "photo"}}, []),
        ({"filter": {"namePrefix": ""}}, ["cat photo.jpg", "Category.txt", "dog_photo.jpg"]),
        ({"filter": {"labels": ["Pet"]}}, ["cat photo.jpg", "dog_photo.jpg"]),
        ({"filter": {"labels": ["pet", "best"]}}, ["dog_photo.jpg"]),
        ({"filter": {"labels": ["pet"]}, "search": "cat"}, ["cat photo.jpg"]),
        ({"filter": {"labels": ["nothing has this"]}}, []),
    ],
)
async def test_files_are_found_by_words_beginnings_and_labels(
    world: World, arguments: dict[str, Any], names: list[str]
) -> None:
    alice = await world.principal("alice")
    cat, dog = await filed(world, alice, "cat photo.jpg"), await filed(world, alice, "dog_photo.jpg")
    await filed(world, alice, "Category.txt")
    await done(world, LABELS, alice, fileId=cat.id, add=["pet"])
    await done(world, LABELS, alice, fileId=dog.id, add=["pet", "best"])
    query = """query ($search: String, $filter: FileFilter) {
      files(search: $search, filter: $filter, orderBy: {field: NAME, direction: ASC}) {
        totalCount totalCountIsExact nodes { name } } }"""
    data = (await world.data(query, arguments, as_=alice))["files"]
    assert [node["name"] for node in data["nodes"]] == names
    assert (data["totalCount"], data["totalCountIsExact"]) == (len(names), True)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"search": "--"}, ["search"]),
        ({"filter": {"labels": ["-"]}}, ["filter", "labels"]),
        ({"filter": {"labels": ["x"] * 21}}, ["filter", "labels"]),
    ],
)
async def test_what_cannot_be_searched_for_is_refused(
    sqlite_world: World, arguments: dict[str, Any], path: list[str]
) -> None:
    alice = await sqlite_world.principal("alice")
    query = "query ($search: String, $filter: FileFilter) { files(search: $search, filter: $filter) { nodes { id } } }"
    result = await sqlite_world.ask(query, arguments, as_=alice)
    assert result.errors is not None
    assert result.errors[0].extensions == {"code": "BAD_USER_INPUT", "inputPath": path}
