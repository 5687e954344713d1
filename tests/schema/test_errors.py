"""Expected failures carry a code; a bug carries a request id and nothing else."""

import dataclasses
import logging
import re
from datetime import timedelta
from typing import Any

import pytest

from graphql_api.errors import Unavailable
from graphql_api.model.delivery import SignedUrl
from graphql_api.model.stored_object import PutUploadTarget
from graphql_api.services.delivery import Delivery
from tests.services.stories import filed, promised
from tests.world import REDIRECT_LIFETIME, START, World

SECRET = "postgresql://admin:hunter2@db.internal/files"
CREATE = """mutation { createUpload(input: {filename: "a", size: 1, contentType: "a/b"}) {
  upload { id target { expiresAt } } userErrors { __typename code path message } } }"""


class BrokenSigner:
    """A part with a bug."""

    key_pair_id = "K1"

    def sign(self, *_args: object, **_kwargs: object) -> SignedUrl:
        raise RuntimeError(SECRET)


class WrongSigner:
    """A part that gives what GraphQL cannot write."""

    key_pair_id = "K1"

    def sign(self, *_args: object, **_kwargs: object) -> SignedUrl:
        return SignedUrl("https://cdn.test/x", START, {SECRET}, has_custom_policy=False)  # type: ignore[arg-type]


def with_signer(world: World, signer: Any) -> None:
    delivery = Delivery(
        signer,
        world.clock,
        max_lifetime=timedelta(days=1),
        redirect_lifetime=REDIRECT_LIFETIME,
        window=timedelta(1),
        memory=0,
    )
    world.services = dataclasses.replace(world.services, delivery=delivery)


@pytest.mark.parametrize("signer", [BrokenSigner(), WrongSigner()])
async def test_a_bug_shows_a_request_id_and_the_log_has_the_rest(
    sqlite_world: World, caplog: pytest.LogCaptureFixture, signer: Any
) -> None:
    world = sqlite_world
    alice = await world.principal("alice")
    await filed(world, alice)
    with_signer(world, signer)
    result = await world.ask("{ files { nodes { name signedUrl { url keyPairId } } } }", as_=alice)
    assert result.errors is not None
    [error] = [error.formatted for error in result.errors]
    assert error["message"] == "Internal error"
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": "req-1"}
    assert "hunter2" not in str([result.errors, result.data])
    assert result.data == {"files": {"nodes": [{"name": "cat.txt", "signedUrl": None}]}}
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "internal_error" in record.getMessage()
    assert record.exc_info is not None


async def test_a_bug_in_a_mutation_is_no_user_error(sqlite_world: World, caplog: pytest.LogCaptureFixture) -> None:
    world = sqlite_world

    async def broken(*_args: object, **_kwargs: object) -> PutUploadTarget:
        raise KeyError(SECRET)

    alice = await world.principal("alice")
    world.store.presign_put = broken  # type: ignore[method-assign]  # the store is a part of the tests
    result = await world.ask(CREATE, as_=alice)
    assert result.errors is not None
    assert [error.message for error in result.errors] == ["Internal error"]
    assert "hunter2" not in str([result.errors, result.data])
    assert "KeyError" in caplog.text


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("{ files { nope } }", "nope"),
        ("{ files(first: ) { nodes { id } } }", "Syntax Error"),
        ('{ files(first: "2") { nodes { id } } }', "Int"),
        ("{ files(first: 2147483648) { nodes { id } } }", "32-bit"),
        ("{ files(first: 1" + "0" * 5000 + ") { nodes { id } } }", "Int cannot represent a number of so many digits"),
        ("query ($n: Int = -" + "9" * 5000 + ") { files(first: $n) { nodes { id } } }", "so many digits"),
        ("{ files(filter: {minSize: -1}) { nodes { id } } }", "from 0 to 9007199254740991"),
        ("{ files(filter: {minSize: 9007199254740992}) { nodes { id } } }", "from 0 to 9007199254740991"),
        ("{ files(filter: {minSize: 1.5}) { nodes { id } } }", "from 0 to 9007199254740991"),
        ("{ files(filter: {minSize: true}) { nodes { id } } }", "from 0 to 9007199254740991"),
        ('{ files(filter: {minSize: "-5"}) { nodes { id } } }', "from 0 to 9007199254740991"),
        ("{ files(filter: {minSize: 1" + "0" * 5000 + "}) { nodes { id } } }", "ByteSize"),
        ('{ files(filter: {createdSince: "2026-11-22"}) { nodes { id } } }', "time zone"),
        ('{ files(filter: {createdSince: "yesterday"}) { nodes { id } } }', "RFC 3339"),
        ('{ files(filter: {createdSince: "0001-01-01T00:00:00+23:59"}) { nodes { id } } }', "RFC 3339"),
        ("{ files(filter: {createdSince: 5}) { nodes { id } } }", "text"),
        ("{ file(by: {}) { id } }", "exactly one"),
        ('{ file(by: {id: "a", path: "b"}) { id } }', "exactly one"),
        (CREATE.replace("size: 1", "size: -1"), "from 0 to 9007199254740991"),
        (CREATE.replace("size: 1", "size: 9007199254740992"), "from 0 to 9007199254740991"),
    ],
)
async def test_a_mistake_in_the_language_is_explained(query: str, part: str, caplog: pytest.LogCaptureFixture) -> None:
    world = World(database=None)  # type: ignore[arg-type]  # nothing is asked of it
    result = await world.ask(query)
    assert result.errors
    assert part.lower() in str(result.errors[0].message).lower()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("input_", "about"),
    [
        (5, "'UpdateFileInput' to be an object"),
        ({"fileId": []}, "ID"),
        ({"fileId": None}, "'ID!'"),
        ({"fileId": "a", "name": {}}, "String"),
        ({"fileId": "a", "name": 7}, "String"),
        ({"fileId": "a", "ifUnmodifiedSince": 7}, "DateTime"),
        ({"fileId": "a", "size": 7}, "size"),
    ],
)
async def test_a_variable_that_does_not_fit_is_explained_in_words_of_graphql(input_: object, about: str) -> None:
    world = World(database=None)  # type: ignore[arg-type]  # nothing is asked of it
    document = "mutation ($input: UpdateFileInput!) { updateFile(input: $input) { userErrors { code } } }"
    result = await world.ask(document, {"input": input_})
    assert result.errors
    [message] = [error.message for error in result.errors]
    assert about in message
    assert not re.search(r"\b(str|int|list|dict|NoneType|Maybe|UNSET|UpdateFile)\b", message)


async def test_a_null_that_arrives_where_none_may_is_explained(sqlite_world: World) -> None:
    alice = await sqlite_world.principal("alice")
    await filed(sqlite_world, alice)
    document = "query ($seconds: Int = 5) { files { nodes { signedUrl(expiresIn: $seconds) { url } } } }"
    result = await sqlite_world.ask(document, {"seconds": None}, as_=alice)
    assert result.errors is not None
    assert "non-null type" in result.errors[0].message


@pytest.mark.parametrize(
    ("size", "is_sound"),
    [(0, True), ("5", True), (5.0, True), (-1, False), (2**53, False), (None, False), ("x", False)],
)
async def test_a_size_in_a_variable_is_checked(size: object, is_sound: bool) -> None:
    world = World(database=None)  # type: ignore[arg-type]  # the bad name stops the sound ones
    document = """mutation ($size: ByteSize!) { createUpload(input: {filename: "", size: $size, contentType: "a/b"}) {
      userErrors { path } } }"""
    result = await world.ask(document, {"size": size})
    if is_sound:
        assert result.data == {"createUpload": {"userErrors": [{"path": ["input", "filename"]}]}}
    else:
        assert result.errors
        assert result.data is None


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ("first: 0", "first"),
        ("first: -1", "first"),
        ("first: 101", "first"),
        ("last: 0", "last"),
        ("last: 101", "last"),
        ("first: 1, last: 1", "first"),
        ('first: 1, before: "x"', "first"),
        ('last: 1, after: "x"', "first"),
        ('after: "x", before: "y"', "first"),
        ('after: "garbage"', "after"),
        ('last: 5, before: "garbage"', "before"),
        ('before: ""', "before"),
    ],
)
async def test_a_page_that_cannot_be_is_refused_at_its_argument(sqlite_world: World, arguments: str, path: str) -> None:
    alice = await sqlite_world.principal("alice", is_admin=True)
    for field in (
        f"files({arguments}) {{ nodes {{ id }} }}",
        f"uploads({arguments}) {{ nodes {{ id }} }}",
        f"accessRules({arguments}) {{ nodes {{ id }} }}",
        f"groups({arguments}) {{ nodes {{ id }} }}",
        f"auditEvents({arguments}) {{ nodes {{ id }} }}",
        f"viewer {{ groups({arguments}) {{ nodes {{ id }} }} }}",
        f"viewer {{ homeFolder {{ accessRules({arguments}) {{ nodes {{ id }} }} }} }}",
        f"viewer {{ topFolders({arguments}) {{ nodes {{ id }} }} }}",
        f"viewer {{ homeFolder {{ subfolders({arguments}) {{ nodes {{ id }} }} }} }}",
        f"viewer {{ homeFolder {{ files({arguments}) {{ nodes {{ id }} }} }} }}",
    ):
        result = await sqlite_world.ask(f"{{ {field} }}", as_=alice)
        assert result.errors is not None
        [error] = result.errors
        assert error.extensions == {"code": "BAD_USER_INPUT", "inputPath": [path]}


async def test_last_without_before_is_the_end_of_the_list(sqlite_world: World) -> None:
    alice = await sqlite_world.principal("alice")
    for name in "abc":
        await filed(sqlite_world, alice, name)
    order = "orderBy: {field: NAME, direction: ASC}"
    page = "{ nodes { name } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }"
    data = (await sqlite_world.data(f"{{ files(last: 2, {order}) {page} }}", as_=alice))["files"]
    assert [node["name"] for node in data["nodes"]] == ["b", "c"]
    assert [edge["cursor"] for edge in data["edges"]] == [
        data["pageInfo"]["startCursor"],
        data["pageInfo"]["endCursor"],
    ]
    assert (data["pageInfo"]["hasNextPage"], data["pageInfo"]["hasPreviousPage"]) == (False, True)
    empty = (await sqlite_world.data("{ files(filter: {minSize: 6}) " + page + " }", as_=alice))["files"]
    assert empty["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}


async def test_too_many_ids_are_refused(sqlite_world: World) -> None:
    for number, is_sound in ((0, True), (100, True), (101, False)):
        result = await sqlite_world.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["x"] * number})
        if is_sound:
            assert result.data == {"nodes": [None] * number}
        else:
            assert result.errors is not None
            assert result.errors[0].extensions == {"code": "BAD_USER_INPUT", "inputPath": ["ids"]}


class AbsentDatabase:
    """A database that does not answer."""

    def autocommit(self) -> Any:
        raise Unavailable("database")

    transaction = snapshot = autocommit


async def test_a_database_that_is_down_is_said_alike_everywhere(sqlite_world: World) -> None:
    alice = await sqlite_world.principal("alice")
    upload = await promised(sqlite_world, alice)
    down = World(AbsentDatabase())  # type: ignore[arg-type]  # all that the services ask of a database
    for field in (
        "files { nodes { id } }",
        "folder { id }",
        'node(id: "file_x") { id }',
        "uploads { nodes { id } }",
        "accessRules { nodes { id } }",
        "groups { nodes { id } }",
        "auditEvents { nodes { id } }",
        'user(by: {email: "a@b"}) { id }',
        'explainAccess(input: {resourceId: "x", action: READ}) { isAllowed }',
        'previewAccessRules(input: {changes: [{delete: {ruleId: "x", version: 1}}]}) { isExact }',
    ):
        result = await down.ask(f"{{ r: {field} }}", as_=alice)
        assert result.errors is not None
        [error] = result.errors
        assert error.extensions["code"] == "SERVICE_UNAVAILABLE"  # type: ignore[index]  # it has some
        assert result.data == {"r": None}
    expected = {"__typename": "UnavailableError", "code": "UNAVAILABLE", "path": []}
    for field in (
        'createFolder(input: {parentId: "x", name: "new"})',
        'renameFolder(input: {folderId: "x", name: "new"})',
        'moveFolder(input: {folderId: "x", parentId: "x"})',
        'deleteFolder(input: {folderId: "x"})',
        'createUpload(input: {filename: "a", size: 1, contentType: "a/b"})',
        f'completeUpload(input: {{uploadId: "{upload.id}"}})',
        f'abortUpload(input: {{uploadId: "{upload.id}"}})',
        'updateFile(input: {fileId: "x", name: "new"})',
        'deleteFiles(input: {fileIds: ["x"]})',
        'changeFileLabels(input: {fileId: "x", add: ["a"]})',
        'changeFileMetadata(input: {fileId: "x", remove: ["a"]})',
        "createAccessRule(input: {resource: {root: true}, subject: {anyone: true}, permissions: [READ]})",
        'updateAccessRule(input: {ruleId: "x", version: 1})',
        'deleteAccessRule(input: {ruleId: "x", version: 1})',
        'replaceAccessRules(input: {resource: {root: true}, tag: "", rules: []})',
        'createGroup(input: {name: "a"})',
        'updateGroup(input: {groupId: "x"})',
        'deleteGroup(input: {groupId: "x"})',
        'changeGroupMembers(input: {groupId: "x", addUserIds: ["x"]})',
        'inviteUser(input: {email: "a@b"})',
    ):
        document = f"mutation {{ m: {field} {{ userErrors {{ __typename code path }} }} }}"
        assert await down.data(document, as_=alice) == {"m": {"userErrors": [expected]}}
    for field in (
        'moveFiles(input: {fileIds: ["x"], folderId: "x"})',
        'createUploads(input: {uploads: [{filename: "a", size: 1, contentType: "a/b"}]})',
    ):
        document = f"mutation {{ m: {field} {{ results {{ userErrors {{ __typename code path }} }} }} }}"
        assert await down.data(document, as_=alice) == {"m": {"results": [{"userErrors": [expected]}]}}


async def test_a_document_of_too_many_tokens_is_refused_before_it_is_validated(world: World) -> None:
    result = await world.ask("{" + " a" * 2_000 + "}")
    assert result.errors is not None
    assert "token" in result.errors[0].message
