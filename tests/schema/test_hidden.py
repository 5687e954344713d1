"""Hidden, absent and malformed look exactly alike: whole answers are compared, for every way to name a thing."""

import json
from typing import Any

import pytest

from graphql_api.model.ids import new_file_id, new_folder_id, new_group_id, new_rule_id, new_upload_id, new_user_id
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from tests.services.stories import filed, foldered, home_of, ruled, sent
from tests.world import START, World

ERRORS = """userErrors {
  __typename message code path
  ... on ConflictError { conflictingId } ... on ForbiddenError { requiredPermission } ... on UploadStateError { status }
}"""
FILE = "file { id name folder { id } path signedUrl { url } createdAt }"
FOLDER = "folder { id name }"
UPLOAD = "upload { id filename target { expiresAt } }"
RULE = "accessRule { id }"
TO_ALL = "subject: {signedIn: true}, permissions: [READ]"
NEW = 'filename: "a", size: 1, contentType: "a/b"'

BY_FILE = [
    "node(id: $id) { __typename id ... on File { name } }",
    "nodes(ids: [$id, $id]) { __typename id ... on File { name } }",
    "file(by: {id: $id}) { id name folder { id } path signedUrl { url } }",
    f'updateFile(input: {{fileId: $id, name: "new"}}) {{ {FILE} {ERRORS} }}',
    f"updateFile(input: {{fileId: $id}}) {{ {FILE} {ERRORS} }}",
    f"deleteFiles(input: {{fileIds: [$id]}}) {{ results {{ deletedFileId {ERRORS} }} {ERRORS} }}",
    f"moveFiles(input: {{fileIds: [$id], folderId: $own}}) {{ results {{ {FILE} {ERRORS} }} {ERRORS} }}",
]
BY_FILE += [
    "explainAccess(input: {resourceId: $id, action: WRITE}) { isAllowed explanation consideredRules { verdict } }",
    "accessRules(resource: {fileId: $id}) { tag nodes { id } }",
    f'changeFileLabels(input: {{fileId: $id, add: ["x"]}}) {{ {FILE} {ERRORS} }}',
    f'changeFileMetadata(input: {{fileId: $id, remove: ["x"]}}) {{ {FILE} {ERRORS} }}',
    f"createAccessRule(input: {{resource: {{fileId: $id}}, {TO_ALL}}}) {{ {RULE} {ERRORS} }}",
    f'replaceAccessRules(input: {{resource: {{fileId: $id}}, tag: "", rules: []}}) {{ {ERRORS} }}',
    f"previewAccessRules(input: {{changes: [{{create: {{resource: {{fileId: $id}}, {TO_ALL}}}}}]}}) {{ usersTotal }}",
]
BY_FOLDER = [
    "node(id: $id) { __typename id ... on Folder { name } }",
    "nodes(ids: [$id]) { __typename id ... on Folder { name path } }",
    "folder(id: $id) { id name path parent { id } files { nodes { id } } subfolders { nodes { id } } }",
    "files(filter: {folderId: $id}) { totalCount nodes { id } pageInfo { hasNextPage } }",
    "files(filter: {folderId: $id, isRecursive: true}) { totalCount nodes { id } }",
    f'createFolder(input: {{parentId: $id, name: "new"}}) {{ {FOLDER} {ERRORS} }}',
    f'renameFolder(input: {{folderId: $id, name: "new"}}) {{ {FOLDER} {ERRORS} }}',
    f"moveFolder(input: {{folderId: $id, parentId: $own}}) {{ {FOLDER} {ERRORS} }}",
    f"moveFolder(input: {{folderId: $own, parentId: $id}}) {{ {FOLDER} {ERRORS} }}",
    f"deleteFolder(input: {{folderId: $id}}) {{ deletedFolderId {ERRORS} }}",
    f"deleteFolder(input: {{folderId: $id, isRecursive: true}}) {{ deletedFolderId {ERRORS} }}",
    f"moveFiles(input: {{fileIds: [$file], folderId: $id}}) {{ results {{ {FILE} {ERRORS} }} {ERRORS} }}",
    f"createUpload(input: {{{NEW}, folderId: $id}}) {{ {UPLOAD} {ERRORS} }}",
    f"createUploads(input: {{uploads: [{{{NEW}, folderId: $id}}]}}) {{ results {{ {UPLOAD} {ERRORS} }} {ERRORS} }}",
]
BY_UPLOAD = [
    "node(id: $id) { __typename id ... on Upload { filename target { expiresAt } } }",
    "nodes(ids: [$id]) { __typename id }",
    f"completeUpload(input: {{uploadId: $id}}) {{ {UPLOAD} {FILE} {ERRORS} }}",
    f"abortUpload(input: {{uploadId: $id}}) {{ {UPLOAD} {ERRORS} }}",
]
BY_FOLDER += [
    "explainAccess(input: {resourceId: $id, action: READ}) { isAllowed explanation consideredRules { verdict } }",
    "accessRules(resource: {folderId: $id}) { tag nodes { id } }",
    f"createAccessRule(input: {{resource: {{folderId: $id}}, {TO_ALL}}}) {{ {RULE} {ERRORS} }}",
    f'replaceAccessRules(input: {{resource: {{folderId: $id}}, tag: "", rules: []}}) {{ {ERRORS} }}',
]
BY_RULE = [
    "node(id: $id) { __typename id ... on AccessRule { version } }",
    f"updateAccessRule(input: {{ruleId: $id, version: 1, effect: DENY}}) {{ {RULE} {ERRORS} }}",
    f"deleteAccessRule(input: {{ruleId: $id, version: 1}}) {{ deletedRuleId {ERRORS} }}",
    "previewAccessRules(input: {changes: [{delete: {ruleId: $id, version: 1}}]}) { usersTotal }",
]
BY_GROUP = [
    "node(id: $id) { __typename id ... on Group { name members { nodes { id } } } }",
    f'updateGroup(input: {{groupId: $id, name: "new"}}) {{ group {{ name }} {ERRORS} }}',
    f"deleteGroup(input: {{groupId: $id}}) {{ deletedGroupId {ERRORS} }}",
    f"changeGroupMembers(input: {{groupId: $id, addUserIds: [$file]}}) {{ group {{ name }} {ERRORS} }}",
    "createAccessRule(input: {resource: {folderId: $own}, subject: {groupId: $id}, permissions: [READ]}) {"
    f" {RULE} {ERRORS} }}",
]
BY_USER = ["node(id: $id) { __typename id }", "user(by: {id: $id}) { id displayName email }"]
LISTS = "{ files { totalCount nodes { id } } uploads { nodes { id } } viewer { topFolders { nodes { name path } } } }"


async def answer(world: World, field: str, as_: Principal, **variables: str) -> str:
    kind = "mutation" if ERRORS in field else "query"
    declared = ", ".join(f"${name}: ID!" for name in variables if f"${name}" in field)
    result = await world.ask(f"{kind} ({declared}) {{ {field} }}", variables, as_=as_)
    return json.dumps([result.data, [error.formatted for error in result.errors or ()]])


@pytest.mark.parametrize("who", ["stranger", "anonymous"])
async def test_a_foreign_thing_answers_as_one_that_is_not_there(world: World, who: str) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    asking = bob if who == "stranger" else ANONYMOUS
    folder, file = await foldered(world, alice, "secret folder"), await filed(world, alice, "secret file")
    upload = await sent(world, alice, "secret upload", folder_id=folder.id)
    rule = await ruled(world, alice, folder.id, Permission.READ)
    admin = await world.principal("root", is_admin=True)
    group = await world.services.groups.create(admin, "secret group")
    own = {"own": (await foldered(world, bob, "own")).id, "file": (await filed(world, bob, "own file")).id}
    for fields, hidden, absent, other_kinds in (
        (BY_FILE, file.id, new_file_id(START), [folder.id, upload.id, alice.user_id]),
        (BY_FOLDER, folder.id, new_folder_id(START), [file.id, upload.id, await home_of(world, alice)]),
        (BY_UPLOAD, upload.id, new_upload_id(START), [file.id, upload.file_id, alice.user_id]),
        (BY_RULE, rule.id, new_rule_id(START), [file.id, group.id, alice.user_id]),
        (BY_GROUP, group.id, new_group_id(START), [file.id, rule.id, alice.user_id]),
        (BY_USER, str(alice.user_id), new_user_id(START), [file.id, rule.id, group.id]),
    ):
        for field in fields:
            expected = await answer(world, field, asking, id=absent, **own)
            assert "secret" not in expected
            malformed = ["", "x", hidden[:-1], hidden + "0", hidden.upper(), hidden + "\0", "猫", "' OR 1=1 --"]
            for id_ in (hidden, *malformed, *other_kinds):
                assert await answer(world, field, asking, id=str(id_), **own) == expected, (field, id_)
    # And nothing has changed.
    assert (await world.services.files.find(alice, [file.id]))[file.id] == file
    assert (await world.services.folders.find(alice, [folder.id]))[folder.id] == folder
    assert (await world.services.uploads.find(alice, [upload.id]))[upload.id] == upload


async def test_everybody_lists_what_is_theirs_and_an_admin_everything(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin = await world.principal("root", is_admin=True)
    await filed(world, alice, "cat.txt")
    await sent(world, alice, "waiting")

    async def seen(as_: Principal) -> tuple[int, int, list[str]]:
        data: dict[str, Any] = await world.data(LISTS, as_=as_)
        tops = data["viewer"]["topFolders"]["nodes"] if data["viewer"] else []
        return data["files"]["totalCount"], len(data["uploads"]["nodes"]), [folder["path"] for folder in tops]

    assert await seen(alice) == (1, 2, ["/Alice"])
    assert await seen(bob) == (0, 0, ["/Bob"])
    assert await seen(ANONYMOUS) == (0, 0, [])
    assert await seen(admin) == (1, 0, ["/"])  # uploads are the viewer's own


async def test_a_file_is_found_by_the_path_its_viewer_sees(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin = await world.principal("root", is_admin=True)
    folder = await foldered(world, alice, "Ünïcode")
    file = await filed(world, alice, "Cat (1).txt", folder_id=folder.id)
    query = "query ($path: String!) { file(by: {path: $path}) { id } }"

    async def found(path: str, as_: Principal) -> bool:
        data = (await world.data(query, {"path": path}, as_=as_))["file"]
        assert data in (None, {"id": file.id})
        return data is not None

    for path in ("/Alice/Ünïcode/Cat (1).txt", "alice/u\u0308NI\u0308CODE/CAT (1).TXT"):
        assert await found(path, alice)
        assert await found(path, admin)
        assert not await found(path, bob)
        assert not await found(path, ANONYMOUS)
    for path in (
        "",
        "/",
        "//",
        "/Alice/Ünïcode/",
        "/Alice//Ünïcode/Cat (1).txt",
        "/Alice/../Alice/Ünïcode/Cat (1).txt",
        "/Alice/./Ünïcode/Cat (1).txt",
        "/Ünïcode/Cat (1).txt",
        "/Alice/Ünïcode",
        "/Alice/Ünïcode/Cat (1).txt\0",
        "/Alice/\ud800/Cat (1).txt",
        "/" + "x" * 100_000,
        "/a" * 10_000,
    ):
        assert not await found(path, alice), path
