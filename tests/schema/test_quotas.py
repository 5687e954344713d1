"""Quotas and gates as clients see them."""

from typing import Any

import pytest

from graphql_api.model.principal import Permission, Principal
from tests.services.stories import filed, foldered, home_of, ruled
from tests.world import World

ERRORS = "userErrors { __typename code path message ... on QuotaExceededError { quota { used reserved limit } } }"
CREATE = f"mutation ($input: CreateUploadInput!) {{ r: createUpload(input: $input) {{ upload {{ id }} {ERRORS} }} }}"
SET_GATE = f"""mutation ($input: SetFolderGateInput!) {{ r: setFolderGate(input: $input) {{
  folder {{ gate {{ quota used reserved maxFileSize allowedContentTypes }} }} {ERRORS} }} }}"""
SET_QUOTA = f"""mutation ($input: SetUserQuotaInput!) {{ r: setUserQuota(input: $input) {{
  user {{ quota {{ used reserved limit maxFileSize }} }} {ERRORS} }} }}"""
MOVE = f"""mutation ($ids: [ID!]!, $to: ID!) {{ r: moveFiles(input: {{fileIds: $ids, folderId: $to}}) {{
  results {{ {ERRORS} }} }} }}"""


async def done(world: World, as_: Principal, document: str, **values: object) -> dict[str, Any]:
    result: dict[str, Any] = (await world.data(document, {"input": values}, as_=as_))["r"]
    return result


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


async def test_a_viewer_sees_what_is_used_and_is_told_when_it_is_too_much(world: World) -> None:
    alice, admin = await world.principal("alice"), await world.principal("root", is_admin=True)
    await filed(world, alice, "file")
    made = await done(world, admin, SET_QUOTA, userId=alice.user_id, quota="12")
    assert made["user"]["quota"] == {"used": 5, "reserved": 0, "limit": 12, "maxFileSize": 53687091200000}
    new = {"filename": "new", "size": 5, "contentType": "text/plain"}
    assert (await done(world, alice, CREATE, **new))["userErrors"] == []
    refused = await done(world, alice, CREATE, **new)
    assert refused["upload"] is None
    [error] = refused["userErrors"]
    assert error == {
        "__typename": "QuotaExceededError",
        "code": "QUOTA_EXCEEDED",
        "path": ["input", "size"],
        "message": "there is no room for 5 more bytes: 10 of 12 are taken",
        "quota": {"used": 5, "reserved": 5, "limit": 12},
    }
    shown = await world.data("{ viewer { quota { used reserved limit } user { quota { used } } } }", as_=alice)
    assert shown["viewer"] == {"quota": {"used": 5, "reserved": 5, "limit": 12}, "user": {"quota": {"used": 5}}}
    nothing = await done(world, admin, SET_QUOTA, userId=alice.user_id)
    assert nothing["user"]["quota"]["limit"] is None


async def test_a_gate_is_shown_to_those_who_may_write_there(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin, home = await world.principal("root", is_admin=True), await home_of(world, alice)
    file = await filed(world, alice, "file")
    gate = {"quota": 9, "maxFileSize": 5, "allowedContentTypes": ["text/plain", "image/*"]}
    made = await done(world, admin, SET_GATE, folderId=home, **gate)
    whole = gate | {"allowedContentTypes": ["image/*", "text/plain"], "used": 5, "reserved": 0}
    assert made["folder"]["gate"] == whole
    await ruled(world, bob, home, Permission.READ)
    question = "query ($id: ID!) { folder(id: $id) { gate { quota used } } }"
    assert (await world.data(question, {"id": home}, as_=alice))["folder"]["gate"] == {"quota": 9, "used": 5}
    assert (await world.data(question, {"id": home}, as_=bob))["folder"]["gate"] is None
    refused = await done(world, alice, CREATE, filename="b", size=6, contentType="video/mp4")
    assert [(error["code"], error["path"]) for error in refused["userErrors"]] == [
        ("INVALID", ["input", "size"]),
        ("INVALID", ["input", "contentType"]),
    ]
    full = await foldered(world, alice, "full")
    await done(world, admin, SET_GATE, folderId=full.id, quota=4)
    moved = await world.data(MOVE, {"ids": [file.id], "to": full.id}, as_=alice)
    [error] = moved["r"]["results"][0]["userErrors"]
    assert (error["code"], error["path"]) == ("QUOTA_EXCEEDED", ["input", "folderId"])
    assert error["quota"] == {"used": 0, "reserved": 0, "limit": 4}
    gone = await done(world, admin, SET_GATE, folderId=home)
    assert gone["folder"]["gate"] is None
    wrong = await done(world, admin, SET_GATE, folderId=home, allowedContentTypes=["all"])
    assert [error["path"] for error in wrong["userErrors"]] == [["input", "allowedContentTypes"]]
