"""Mutations: results in the order asked, errors at the input that is at fault, and nothing stale afterwards."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from graphql_api.model.principal import Principal
from tests.services.stories import filed, foldered, home_of, promised, send, sent
from tests.world import START, World

ERRORS = "userErrors { __typename code path message ... on ConflictError { conflictingId } }"
CREATE_MANY = f"""mutation ($uploads: [CreateUploadInput!]!) {{ createUploads(input: {{uploads: $uploads}}) {{
  results {{ upload {{ filename status }} {ERRORS} }} {ERRORS} }} }}"""
MOVE = f"""mutation ($ids: [ID!]!, $to: ID!) {{ moveFiles(input: {{fileIds: $ids, folderId: $to}}) {{
  results {{ file {{ id path }} {ERRORS} }} {ERRORS} }} }}"""
DELETE = f"""mutation ($ids: [ID!]!) {{ deleteFiles(input: {{fileIds: $ids}}) {{
  results {{ deletedFileId {ERRORS} }} {ERRORS} }} }}"""
UPDATE = f"""mutation ($input: UpdateFileInput!) {{ updateFile(input: $input) {{
  file {{ name contentType updatedAt signedUrl {{ url }} }} {ERRORS} }} }}"""


async def update(world: World, as_: Principal, **values: object) -> dict[str, Any]:
    result: dict[str, Any] = (await world.data(UPDATE, {"input": values}, as_=as_))["updateFile"]
    return result


def wish(filename: str, **others: object) -> dict[str, object]:
    return {"filename": filename, "size": 5, "contentType": "text/plain"} | others


async def test_each_of_many_uploads_stands_alone(sqlite_world: World) -> None:
    alice = await sqlite_world.principal("alice")
    await filed(sqlite_world, alice, "taken")
    wanted = [wish("a"), wish("taken"), wish("x", contentType="x"), wish("b"), wish("../", size=2**53 - 1)]
    made = (await sqlite_world.data(CREATE_MANY, {"uploads": wanted}, as_=alice))["createUploads"]
    assert made["userErrors"] == []
    assert [(result["upload"] or {}).get("filename") for result in made["results"]] == ["a", None, None, "b", None]
    assert [[error["path"] for error in result["userErrors"]] for result in made["results"]] == [
        [],
        [["input", "uploads", "1", "filename"]],
        [["input", "uploads", "2", "contentType"]],
        [],
        [["input", "uploads", "4", "filename"], ["input", "uploads", "4", "size"]],
    ]


@pytest.mark.parametrize(("number", "is_sound"), [(0, False), (1, True), (100, True), (101, False)])
async def test_a_bulk_takes_one_to_a_hundred(sqlite_world: World, number: int, is_sound: bool) -> None:
    alice = await sqlite_world.principal("alice")
    home = await home_of(sqlite_world, alice)
    uploads = [wish(f"{index}") for index in range(number)]
    ids = ["file_x"] * number
    for document, variables, name in (
        (CREATE_MANY, {"uploads": uploads}, "uploads"),
        (MOVE, {"ids": ids, "to": home}, "fileIds"),
        (DELETE, {"ids": ids}, "fileIds"),
    ):
        [payload] = (await sqlite_world.data(document, variables, as_=alice)).values()
        if is_sound:
            assert payload["userErrors"] == []
            assert len(payload["results"]) == number
        else:
            [error] = payload["userErrors"]
            assert (error["code"], error["path"]) == ("INVALID", ["input", name])
            assert payload["results"] == []


async def test_each_of_many_files_is_moved_or_deleted_alone(world: World) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "there")
    good, other = await filed(world, alice, "good"), await filed(world, alice, "other")
    clash = await filed(world, alice, "clash")
    in_the_way = await filed(world, alice, "CLASH", folder_id=folder.id)
    ids = [good.id, "file_x", clash.id, other.id]
    moved = (await world.data(MOVE, {"ids": ids, "to": folder.id}, as_=alice))["moveFiles"]["results"]
    assert [(result["file"] or {}).get("path") for result in moved] == [
        "/Alice/there/good",
        None,
        None,
        "/Alice/there/other",
    ]
    [[absent], [taken]] = [result["userErrors"] for result in moved[1:3]]
    assert (absent["code"], absent["path"]) == ("NOT_FOUND", ["input", "fileIds", "1"])
    assert (taken["code"], taken["path"]) == ("CONFLICT", ["input", "folderId"])
    assert taken["conflictingId"] == in_the_way.id

    deleted = (await world.data(DELETE, {"ids": ids}, as_=alice))["deleteFiles"]["results"]
    assert [result["deletedFileId"] for result in deleted] == [good.id, None, clash.id, other.id]
    assert deleted[1]["userErrors"][0]["path"] == ["input", "fileIds", "1"]
    assert set(world.store.objects) == {in_the_way.object_key}


async def test_later_mutations_of_one_request_show_what_earlier_ones_changed(sqlite_world: World) -> None:
    alice = await sqlite_world.principal("alice")
    folder = await foldered(sqlite_world, alice, "one")
    file = await filed(sqlite_world, alice, "cat.txt", folder_id=folder.id)
    upload = await sent(sqlite_world, alice, "dog.txt", folder_id=folder.id)
    document = f"""mutation ($folder: ID!, $file: ID!, $upload: ID!) {{
      a: renameFolder(input: {{folderId: $folder, name: "two"}}) {{ folder {{ path parent {{ path }} }} }}
      b: renameFolder(input: {{folderId: $folder, name: "three"}}) {{ folder {{ path }} }}
      c: updateFile(input: {{fileId: $file, name: "new.txt"}}) {{ file {{ path folder {{ name }} }} }}
      d: completeUpload(input: {{uploadId: $upload}}) {{ upload {{ file {{ name }} }} }}
      e: deleteFiles(input: {{fileIds: ["{upload.file_id}"]}}) {{ results {{ deletedFileId }} }}
      f: completeUpload(input: {{uploadId: $upload}}) {{ upload {{ file {{ name }} }} file {{ name }} }}
    }}"""
    data = await sqlite_world.data(document, {"folder": folder.id, "file": file.id, "upload": upload.id}, as_=alice)
    assert data == {
        "a": {"folder": {"path": "/Alice/two", "parent": {"path": "/Alice"}}},
        "b": {"folder": {"path": "/Alice/three"}},
        "c": {"file": {"path": "/Alice/three/new.txt", "folder": {"name": "three"}}},
        "d": {"upload": {"file": {"name": "dog.txt"}}},
        "e": {"results": [{"deletedFileId": upload.file_id}]},
        "f": {"upload": {"file": None}, "file": None},
    }


async def test_a_changed_type_is_delivered_unless_the_content_contradicts(world: World) -> None:
    alice = await world.principal("alice")
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17)
    upload = await promised(world, alice, "cat.png", size=len(png), content_type="image/png")
    send(world, upload, png)
    _, file = await world.services.completion.complete(alice, upload.id)
    assert file is not None
    for content_type in ("image/jpeg", "text/html", "application/pdf; x=image/png"):
        refused = await update(world, alice, fileId=file.id, contentType=content_type)
        assert refused["file"] is None
        assert refused["userErrors"][0]["path"] == ["input", "contentType"]
    for content_type in ("", "image", "image/png\r\nx: y"):
        refused = await update(world, alice, fileId=file.id, contentType=content_type)
        assert refused["userErrors"][0]["code"] == "INVALID"
    changed = await update(world, alice, fileId=file.id, contentType="image/APNG")
    assert changed["file"]["contentType"] == "image/apng"
    assert "&response-content-type=image%2Fapng&" in changed["file"]["signedUrl"]["url"]
    back = await update(world, alice, fileId=file.id, contentType="image/png")
    assert "response-content-type" not in back["file"]["signedUrl"]["url"]


async def test_a_change_that_was_made_meanwhile_is_not_lost(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, "cat.txt")
    seen = file.updated_at.isoformat()
    world.clock.advance(microseconds=1)
    first = await update(world, alice, fileId=file.id, name="first.txt", ifUnmodifiedSince=seen)
    assert first["userErrors"] == []
    second = await update(world, alice, fileId=file.id, name="second.txt", ifUnmodifiedSince=seen)
    [error] = second["userErrors"]
    assert (error["code"], error["path"]) == ("CONFLICT", ["input", "ifUnmodifiedSince"])
    third = await update(world, alice, fileId=file.id, name="third.txt", ifUnmodifiedSince=first["file"]["updatedAt"])
    assert third["file"]["name"] == "third.txt"


async def test_absent_and_null_leave_a_file_as_it_is(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice, "cat.txt")
    world.clock.advance(seconds=1)
    for values in ({}, {"name": None, "contentType": None, "ifUnmodifiedSince": None}, {"name": "cat.txt"}):
        result = await update(world, alice, fileId=file.id, **values)
        assert result["userErrors"] == []
    assert (await world.services.files.find(alice, [file.id]))[file.id] == file


LINK = """query ($seconds: Int!, $name: String, $from: DateTime, $ip: String) { files { nodes {
  signedUrl(expiresIn: $seconds, filename: $name, startsAt: $from, ipAddress: $ip, disposition: ATTACHMENT)
  { url expiresAt refreshAfter cacheKey hasCustomPolicy } } } }"""


async def test_a_link_tells_what_it_became(sqlite_world: World) -> None:
    alice = await sqlite_world.principal("alice")
    file = await filed(sqlite_world, alice)
    day, half_an_hour = 86_400, 1800
    for seconds, least, most in (
        (60, 60, 90),
        (0, 1, 2),
        (-5, 1, 2),
        (315_360_000, day - half_an_hour, day),
        (2**31 - 1, day - half_an_hour, day),
        (-(2**31), 1, 2),
    ):
        data = await sqlite_world.data(LINK, {"seconds": seconds, "name": "猫.txt"}, as_=alice)
        [node] = data["files"]["nodes"]
        link = node["signedUrl"]
        expires_at, refresh_after = (datetime.fromisoformat(link[name]) for name in ("expiresAt", "refreshAfter"))
        assert timedelta(seconds=least) <= expires_at - START <= timedelta(seconds=most)
        assert f"&Expires={int(expires_at.timestamp())}&" in link["url"]
        assert START < refresh_after <= expires_at
        assert link["cacheKey"] == f"{file.id}/{file.object_key}"
        assert link["hasCustomPolicy"] is False
        assert "attachment%3B%20filename%3D%22_.txt%22" in link["url"]


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"ip": "2001:db8::1"}, "ipAddress"),
        ({"ip": "nowhere"}, "ipAddress"),
        ({"ip": ""}, "ipAddress"),
        ({"from": "2026-11-22T12:01:00Z"}, "startsAt"),
        ({"from": "9999-12-31T23:59:59Z"}, "startsAt"),
    ],
)
async def test_a_link_that_cannot_be_is_refused_at_its_argument(
    sqlite_world: World, wish: dict[str, str], path: str
) -> None:
    alice = await sqlite_world.principal("alice")
    await filed(sqlite_world, alice)
    result = await sqlite_world.ask(LINK, {"seconds": 60} | wish, as_=alice)
    assert result.errors is not None
    assert result.errors[0].extensions == {"code": "BAD_USER_INPUT", "inputPath": [path]}
    assert result.data == {"files": {"nodes": [{"signedUrl": None}]}}
