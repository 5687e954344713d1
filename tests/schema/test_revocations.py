"""Revoking as clients do it, and what they are told of it."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from graphql_api.db.engine import Database
from graphql_api.model.file import File
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import ANYONE, ROOT, Obligations
from tests.services.revoking import Edge
from tests.services.stories import filed, foldered, ruled, statements
from tests.world import START, World

REVOKE = """
mutation ($target: RevokeLinksInput!) {
  revokeLinks(input: $target) {
    file { name } folder { name } user { displayName }
    revocation { revokedAt linksEndBy propagation { pending confirmedAt } }
    oldLinksExpireBy userErrors { __typename code path }
  }
}
"""
LINKS = "{ files(first: 100) { nodes { signedUrl { url } versions { nodes { signedUrl { url } } } } } }"


def said_as(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


A_DAY_LATER = said_as(START + timedelta(days=1))


@pytest.fixture
def world(database: Database) -> World:
    return World(database, revokes=True)


async def revoke(world: World, principal: Principal, **target: str) -> dict[str, Any]:
    payload: dict[str, Any] = (await world.data(REVOKE, {"target": target}, as_=principal))["revokeLinks"]
    return payload


def rv(url: str) -> str:
    [parameter] = parse_qs(urlsplit(url).query)["rv"]
    return parameter


async def test_the_payload_says_what_and_since_when_and_how_far(world: World) -> None:
    alice = await world.principal("alice")
    file, folder = await filed(world, alice), await foldered(world, alice, "trips")
    revocation = {
        "revokedAt": said_as(START),
        "linksEndBy": said_as(START + timedelta(days=1, minutes=10)),
        "propagation": {"pending": True, "confirmedAt": None},
    }
    said = {"revocation": revocation, "oldLinksExpireBy": A_DAY_LATER, "userErrors": []}
    nothing = {"file": None, "folder": None, "user": None}
    assert await revoke(world, alice, fileId=file.id) == said | nothing | {"file": {"name": "cat.txt"}}
    assert await revoke(world, alice, folderId=folder.id) == said | nothing | {"folder": {"name": "trips"}}
    assert await revoke(world, alice, userId=str(alice.user_id)) == said | nothing | {"user": {"displayName": "Alice"}}


async def test_without_the_function_the_payload_says_until_when_old_links_live(database: Database) -> None:
    world = World(database)
    alice = await world.principal("alice")
    file = await filed(world, alice)
    payload = await revoke(world, alice, fileId=file.id)
    assert payload == {
        "file": {"name": "cat.txt"},
        "folder": None,
        "user": None,
        "revocation": None,
        "oldLinksExpireBy": A_DAY_LATER,
        "userErrors": [],
    }


async def test_a_refusal_is_an_error_and_nothing_else(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    nothing = {"file": None, "folder": None, "user": None, "revocation": None, "oldLinksExpireBy": None}
    for target, type_, code, field in (
        ({"fileId": file.id}, "NotFoundError", "NOT_FOUND", "fileId"),
        ({"fileId": "nonsense"}, "NotFoundError", "NOT_FOUND", "fileId"),
        ({"folderId": file.folder_id}, "NotFoundError", "NOT_FOUND", "folderId"),
        ({"userId": str(alice.user_id)}, "ForbiddenError", "FORBIDDEN", "userId"),
    ):
        error = {"__typename": type_, "code": code, "path": ["input", field]}
        assert await revoke(world, bob, **target) == nothing | {"userErrors": [error]}


async def test_it_is_confirmed_when_the_edge_has_taken_it(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file, folder = await filed(world, alice), await foldered(world, alice, "trips")
    await ruled(world, bob, file.id, Permission.READ)
    query = """query ($file: ID!, $folder: ID!) {
      file(by: {id: $file}) { linkRevocation { propagation { pending confirmedAt } } }
      folder(id: $folder) { linkRevocation { propagation { pending confirmedAt } } }
    }"""
    ids = {"file": file.id, "folder": folder.id}
    assert await world.data(query, ids, as_=alice) == {
        "file": {"linkRevocation": None},
        "folder": {"linkRevocation": None},
    }
    for target in ({"fileId": file.id}, {"folderId": folder.id}):
        await revoke(world, alice, **target)
    pending = {"linkRevocation": {"propagation": {"pending": True, "confirmedAt": None}}}
    assert await world.data(query, ids, as_=alice) == {"file": pending, "folder": pending}
    world.clock.advance(seconds=2)
    await Edge(world).told()
    confirmed = {
        "linkRevocation": {"propagation": {"pending": False, "confirmedAt": said_as(START + timedelta(seconds=2))}}
    }
    assert await world.data(query, ids, as_=alice) == {"file": confirmed, "folder": confirmed}
    seen = await world.data(
        "query ($file: ID!) { file(by: {id: $file}) { linkRevocation { revokedAt } } }", ids, as_=bob
    )
    assert seen == {"file": {"linkRevocation": None}}  # bob may not share it


async def test_who_revoked_the_links_of_a_person_learns_that_it_is_confirmed(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin, auditor = await world.principal("root", is_admin=True), await world.principal("auditor")
    await ruled(world, auditor, ROOT, Permission.AUDIT)
    query = "query ($id: ID!) { user(by: {id: $id}) { linkRevocation { propagation { pending } } } }"
    of_bob = {"id": str(bob.user_id)}
    assert await world.data(query, of_bob, as_=bob) == {"user": {"linkRevocation": None}}
    await revoke(world, admin, userId=str(bob.user_id))
    for pending in (True, False):
        seen = {"user": {"linkRevocation": {"propagation": {"pending": pending}}}}
        assert await world.data(query, of_bob, as_=bob) == seen
        assert await world.data(query, of_bob, as_=admin) == seen
        await Edge(world).told()
    assert await world.data(query, of_bob, as_=auditor) == {"user": {"linkRevocation": None}}
    assert await world.data(query, of_bob, as_=alice) == {"user": None}


async def test_links_of_a_page_are_revocable_for_one_statement_more(world: World) -> None:
    alice = await world.principal("alice")
    folders = [await foldered(world, alice, name) for name in "abc"]
    files: list[File] = [await filed(world, alice, f"{n}", folder_id=folders[n % 3].id) for n in range(9)]
    plain = "{ files(first: 100) { nodes { id } } }"
    linked = "{ files(first: 100) { nodes { id signedUrl { url } } } }"
    await world.data(plain, as_=alice)
    with statements(world) as without:
        await world.data(plain, as_=alice)
    with statements(world) as with_links:
        page = (await world.data(linked, as_=alice))["files"]["nodes"]
    assert len(with_links) == len(without) + 1
    assert len({rv(node["signedUrl"]["url"]) for node in page}) == len(files)


async def test_after_a_mutation_the_same_operation_gives_the_new_link(world: World) -> None:
    alice = await world.principal("alice")
    file = await filed(world, alice)
    operation = """mutation ($file: ID!) {
      first: revokeLinks(input: {fileId: $file}) { file { signedUrl { url } } }
      second: revokeLinks(input: {fileId: $file}) { file { signedUrl { url } } }
    }"""
    found = await world.data(operation, {"file": file.id}, as_=alice)
    numbers = [rv(found[name]["file"]["signedUrl"]["url"]).partition(".")[0] for name in ("first", "second")]
    assert numbers == ["1", "2"]


async def test_what_was_read_with_a_page_before_a_mutation_names_no_link_after_it(world: World) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "trips")
    file = await filed(world, alice, folder_id=folder.id)
    operation = """mutation ($file: ID!, $folder: ID!) {
      first: revokeLinks(input: {folderId: $folder}) { folder { files(first: 9) { nodes { signedUrl { url } } } } }
      second: revokeLinks(input: {fileId: $file}) { file { signedUrl { url } } }
    }"""
    found = await world.data(operation, {"file": file.id, "folder": folder.id}, as_=alice)
    [listed] = found["first"]["folder"]["files"]["nodes"]
    urls = [listed["signedUrl"]["url"], found["second"]["file"]["signedUrl"]["url"]]
    assert [rv(url).partition(".")[0] for url in urls] == ["1", "2"]


async def test_links_to_versions_are_revoked_with_the_file(world: World) -> None:
    alice = await world.principal("alice")
    await filed(world, alice)
    [node] = (await world.data(LINKS, as_=alice))["files"]["nodes"]
    [version] = node["versions"]["nodes"]
    assert rv(version["signedUrl"]["url"]) == rv(node["signedUrl"]["url"])


async def test_a_personal_link_is_one_where_nothing_can_be_revoked_too(database: Database) -> None:
    world = World(database)
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    await ruled(world, ANYONE, file.id, Permission.READ, obligations=Obligations(personal_links=True))
    query = "query ($file: ID!) { file(by: {id: $file}) { signedUrl { url } } }"
    urls = [(await world.data(query, {"file": file.id}, as_=who))["file"]["signedUrl"]["url"] for who in (alice, bob)]
    assert "rv" not in parse_qs(urlsplit(urls[0]).query)
    assert rv(urls[1]).startswith("0.")


@pytest.mark.parametrize("revokes", [True, False])
async def test_deletions_say_until_when_old_links_open_what_is_cached(database: Database, revokes: bool) -> None:
    world = World(database, revokes=revokes)
    alice = await world.principal("alice")
    file, folder = await filed(world, alice), await foldered(world, alice, "trips")
    operation = """mutation ($file: ID!, $folder: ID!) {
      files: deleteFiles(input: {fileIds: [$file]}) { oldLinksExpireBy }
      again: deleteFiles(input: {fileIds: [$file]}) { oldLinksExpireBy }
      folder: deleteFolder(input: {folderId: $folder}) { oldLinksExpireBy }
    }"""
    assert await world.data(operation, {"file": file.id, "folder": folder.id}, as_=alice) == {
        "files": {"oldLinksExpireBy": A_DAY_LATER},
        "again": {"oldLinksExpireBy": None},
        "folder": {"oldLinksExpireBy": A_DAY_LATER},
    }
