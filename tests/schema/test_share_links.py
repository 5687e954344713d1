"""Share links as clients see them: made, told once, listed with their use, revoked."""

from typing import Any

import pytest

from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.schema.scalars import Url
from graphql_api.schema.share_links import CreateShareLinkInput, CreateShareLinkPayload, SharedThingInput
from tests.services.sharing import fetched, opens
from tests.services.stories import denied, filed, foldered, ruled, statements
from tests.world import World

FIELDS = "id label state createdAt expiresAt maxDownloads downloads lastUsedAt hasPassword revokedAt"
ERRORS = "userErrors { __typename code path message ... on ForbiddenError { requiredPermission } }"
CREATE = f"""mutation ($input: CreateShareLinkInput!) {{ r: createShareLink(input: $input) {{
  shareLink {{ {FIELDS} createdBy {{ displayName }} resource {{ ... on File {{ id }} ... on Folder {{ id }} }} }}
  url token {ERRORS} }} }}"""
REVOKE = f"""mutation ($input: RevokeShareLinkInput!) {{ r: revokeShareLink(input: $input) {{
  shareLink {{ {FIELDS} }} oldLinksExpireBy {ERRORS} }} }}"""
ON_THINGS = """query ($ids: [ID!]!) { nodes(ids: $ids) {
  ... on File { shareLinks(first: 5) { nodes { label } pageInfo { hasNextPage } } }
  ... on Folder { shareLinks(first: 5) { nodes { label } edges { cursor node { id } } } } } }"""
OWN = "{ shareLinks(first: 5) { nodes { label resource { __typename } } } }"
ONE = """query ($id: ID!) { node(id: $id) {
  ... on ShareLink { label state downloads lastUsedAt resource { __typename } } } }"""


async def done(world: World, as_: Principal, document: str, **values: object) -> dict[str, Any]:
    result: dict[str, Any] = (await world.data(document, {"input": values}, as_=as_))["r"]
    return result


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


async def test_a_link_is_made_used_and_revoked(world: World) -> None:
    ada = await world.principal("ada")
    file = await filed(world, ada)
    wish = {
        "label": "for bob",
        "maxDownloads": 2,
        "password": "correct horse",
        "expiresAt": "2026-12-01T12:00:00+02:00",
    }
    made = await done(world, ada, CREATE, resource={"fileId": file.id}, **wish)
    assert made["userErrors"] == []
    assert made["url"] == f"https://files.test/s/{made['token']}"
    link = made["shareLink"]
    assert link == {
        "id": link["id"],
        "label": "for bob",
        "state": "OPEN",
        "createdAt": "2026-11-22T12:00:00Z",
        "expiresAt": "2026-12-01T10:00:00Z",
        "maxDownloads": 2,
        "downloads": 0,
        "lastUsedAt": None,
        "hasPassword": True,
        "revokedAt": None,
        "createdBy": {"displayName": "Ada"},
        "resource": {"id": file.id},
    }
    for left in (1, 0):
        await fetched(world, made["token"])
        shown = (await world.data(ONE, {"id": link["id"]}, as_=ada))["node"]
        assert shown == {
            "label": "for bob",
            "state": "OPEN" if left else "USED_UP",
            "downloads": 2 - left,
            "lastUsedAt": "2026-11-22T12:00:00Z",
            "resource": {"__typename": "File"},
        }
    world.clock.advance(seconds=10)
    revoked = await done(world, ada, REVOKE, shareLinkId=link["id"])
    assert (revoked["shareLink"]["state"], revoked["shareLink"]["revokedAt"]) == ("REVOKED", "2026-11-22T12:00:10Z")
    assert revoked["oldLinksExpireBy"] == "2026-11-22T12:01:00Z"


async def test_what_is_wrong_is_told_with_its_place(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    file = await filed(world, ada)
    bad = {"label": "", "maxDownloads": 0, "password": "short", "expiresAt": "2020-01-01T00:00:00Z"}
    refused = await done(world, ada, CREATE, resource={"fileId": file.id}, **bad)
    assert (refused["shareLink"], refused["url"], refused["token"]) == (None, None, None)
    assert {tuple(error["path"]) for error in refused["userErrors"]} == {("input", name) for name in bad}
    [hidden] = (await done(world, bob, CREATE, resource={"fileId": file.id}))["userErrors"]
    assert (hidden["__typename"], hidden["path"]) == ("NotFoundError", ["input", "resource"])
    await ruled(world, bob, file.id, Permission.READ)
    [forbidden] = (await done(world, bob, CREATE, resource={"fileId": file.id}))["userErrors"]
    assert (forbidden["__typename"], forbidden["requiredPermission"]) == ("ForbiddenError", "SHARE")
    [unknown] = (await done(world, ada, REVOKE, shareLinkId="share_x"))["userErrors"]
    assert (unknown["__typename"], unknown["path"]) == ("NotFoundError", ["input", "shareLinkId"])


async def test_exactly_one_thing_is_shared(world: World) -> None:
    ada = await world.principal("ada")
    file, folder = await filed(world, ada), await foldered(world, ada, "photos")
    for resource in ({}, {"fileId": file.id, "folderId": folder.id}, {"fileId": None}):
        result = await world.ask(CREATE, {"input": {"resource": resource}}, as_=ada)
        assert result.errors


async def test_links_are_listed_where_they_matter(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    folder = await foldered(world, ada, "photos")
    files = [await filed(world, ada, f"{number}.txt", folder_id=folder.id) for number in range(3)]
    await ruled(world, bob, folder.id, Permission.READ)
    await done(world, ada, CREATE, resource={"folderId": folder.id}, label="all")
    world.clock.advance(seconds=1)
    await done(world, ada, CREATE, resource={"fileId": files[0].id}, label="one")
    ids = [folder.id, *(file.id for file in files)]
    shown = await world.data(ON_THINGS, {"ids": ids}, as_=ada)
    labels = [[link["label"] for link in thing["shareLinks"]["nodes"]] for thing in shown["nodes"]]
    assert labels == [["all"], ["one", "all"], ["all"], ["all"]]
    hidden = await world.data(ON_THINGS, {"ids": ids}, as_=bob)
    assert [thing["shareLinks"]["nodes"] for thing in hidden["nodes"]] == [[]] * 4
    own = await world.data(OWN, as_=ada)
    assert [(link["label"], link["resource"]["__typename"]) for link in own["shareLinks"]["nodes"]] == [
        ("one", "File"),
        ("all", "Folder"),
    ]
    for other in (bob, ANONYMOUS):
        assert (await world.data(OWN, as_=other))["shareLinks"]["nodes"] == []


async def test_the_links_of_many_files_take_as_many_statements_as_those_of_one(world: World) -> None:
    ada = await world.principal("ada")
    folder = await foldered(world, ada, "photos")
    files = [await filed(world, ada, f"{number}.txt", folder_id=folder.id) for number in range(20)]
    await done(world, ada, CREATE, resource={"folderId": folder.id})
    counts = []
    for ids in ([files[0].id], [file.id for file in files]):
        with statements(world) as run:
            await world.data(ON_THINGS, {"ids": ids}, as_=ada)
        counts.append(len(run))
    assert counts[0] == counts[1]


async def test_a_link_to_what_its_maker_sees_no_longer_shows_no_thing(world: World) -> None:
    ada, bob = await world.principal("ada"), await world.principal("bob")
    file = await filed(world, ada)
    await ruled(world, bob, file.id, Permission.READ, Permission.SHARE)
    made = await done(world, bob, CREATE, resource={"fileId": file.id})
    await denied(world, bob, file.id, Permission.READ)
    shown = (await world.data(ONE, {"id": made["shareLink"]["id"]}, as_=bob))["node"]
    assert (shown["resource"], shown["state"]) == (None, "OPEN")
    assert not await opens(world, made["token"])
    revoked = await done(world, bob, REVOKE, shareLinkId=made["shareLink"]["id"])
    assert revoked["userErrors"] == []


def test_what_opens_a_link_is_in_no_repr() -> None:
    wish = CreateShareLinkInput(resource=SharedThingInput(), label="for bob", password="correct horse")
    made = CreateShareLinkPayload(token="T0KEN", url=Url("https://files.test/s/T0KEN"))
    assert "for bob" in repr(wish)
    for secret in ("correct horse", "T0KEN"):
        assert secret not in repr(wish) + repr(wish.wish()) + repr(made)
