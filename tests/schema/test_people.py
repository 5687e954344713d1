"""Users, groups and the audit log through the schema."""

from typing import Any

from graphql_api.model.ids import ROOT_FOLDER_ID
from graphql_api.model.principal import ANONYMOUS, Identity, Permission, Principal
from tests.services.stories import filed, ruled
from tests.world import ISSUER, World

ERRORS = """userErrors {
  __typename code path message ... on ConflictError { conflictingId } ... on ForbiddenError { requiredPermission } }"""
GROUP = "group { id name claim members { nodes { id displayName } } }"
USER = "query ($by: UserLocator!) { user(by: $by) { id displayName email hasSignedIn createdAt } }"
FORBIDDEN = {"code": "FORBIDDEN", "inputPath": [], "requiredPermission": "AUDIT"}


async def change(world: World, mutation: str, shown: str, as_: Principal, /, **values: object) -> dict[str, Any]:
    kind = mutation[0].upper() + mutation[1:] + "Input"
    document = f"mutation ($input: {kind}!) {{ done: {mutation}(input: $input) {{ {shown} {ERRORS} }} }}"
    result: dict[str, Any] = (await world.data(document, {"input": values}, as_=as_))["done"]
    return result


async def found(world: World, as_: Principal, **by: object) -> dict[str, Any] | None:
    user: dict[str, Any] | None = (await world.data(USER, {"by": by}, as_=as_))["user"]
    return user


async def test_a_group_lives_from_its_making_to_its_deletion(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    alice, bob = await world.principal("alice"), await world.principal("bob")
    made = await change(world, "createGroup", GROUP, admin, name="Editors", claim="eds")
    group = made["group"]
    assert group | {"id": ""} == {"id": "", "name": "Editors", "claim": "eds", "members": {"nodes": []}}
    taken = await change(world, "createGroup", GROUP, admin, name="EDITORS")
    [error] = taken["userErrors"]
    assert (error["code"], error["path"], error["conflictingId"]) == ("CONFLICT", ["input", "name"], group["id"])

    joined = await change(
        world, "changeGroupMembers", GROUP, admin, groupId=group["id"], addUserIds=[alice.user_id, bob.user_id]
    )
    assert {user["displayName"] for user in joined["group"]["members"]["nodes"]} == {"Alice", "Bob"}
    left = await change(world, "changeGroupMembers", GROUP, admin, groupId=group["id"], removeUserIds=[bob.user_id])
    assert left["group"]["members"]["nodes"] == [{"id": alice.user_id, "displayName": "Alice"}]

    renamed = await change(world, "updateGroup", GROUP, admin, groupId=group["id"], name="Authors")
    assert (renamed["group"]["name"], renamed["group"]["claim"]) == ("Authors", "eds")
    unclaimed = await change(world, "updateGroup", GROUP, admin, groupId=group["id"], claim=None)
    assert (unclaimed["group"]["name"], unclaimed["group"]["claim"]) == ("Authors", None)

    lists = "{ groups { nodes { name } pageInfo { hasNextPage } } viewer { groups { nodes { name } } } }"
    for as_, seen, own in ((admin, ["Authors"], []), (alice, ["Authors"], ["Authors"]), (bob, [], [])):
        data = await world.data(lists, as_=as_)
        assert [node["name"] for node in data["groups"]["nodes"]] == seen
        assert [node["name"] for node in data["viewer"]["groups"]["nodes"]] == own
    search = "query ($text: String) { groups(search: $text) { edges { cursor node { name } } } }"
    for text, number in (("uth", 1), ("editors", 0), ("", 1), (None, 1)):
        data = await world.data(search, {"text": text}, as_=admin)
        assert len(data["groups"]["edges"]) == number

    rule = await ruled(world, group["id"], ROOT_FOLDER_ID, Permission.READ)
    named = await change(world, "deleteGroup", "deletedGroupId", admin, groupId=group["id"])
    assert named["deletedGroupId"] is None
    assert named["userErrors"][0]["conflictingId"] == rule.id
    input_ = {"input": {"ruleId": rule.id, "version": 1}}
    document = "mutation ($input: DeleteAccessRuleInput!) { deleteAccessRule(input: $input) { userErrors { code } } }"
    assert await world.data(document, input_, as_=admin) == {"deleteAccessRule": {"userErrors": []}}
    gone = await change(world, "deleteGroup", "deletedGroupId", admin, groupId=group["id"])
    assert gone == {"deletedGroupId": group["id"], "userErrors": []}


async def test_a_user_is_found_by_who_may_know_of_them(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    alice = await world.services.accounts.principal_of(Identity(ISSUER, "alice", "Alice", "Alice@example.test"))
    bob = await world.principal("bob")
    expected = {
        "id": alice.user_id,
        "displayName": "Alice",
        "email": "Alice@example.test",
        "hasSignedIn": True,
        "createdAt": "2026-11-22T12:00:00Z",
    }
    for by in ({"id": alice.user_id}, {"email": "alice@EXAMPLE.test"}, {"tokenSubject": "alice"}):
        assert await found(world, admin, **by) == expected
        assert await found(world, alice, **by) == expected
        assert await found(world, bob, **by) is None
        assert await found(world, ANONYMOUS, **by) is None
    node = "query ($id: ID!) { node(id: $id) { __typename id } }"
    assert await world.data(node, {"id": alice.user_id}, as_=admin) == {
        "node": {"__typename": "User", "id": alice.user_id}
    }
    assert await world.data(node, {"id": alice.user_id}, as_=alice) == {
        "node": {"__typename": "Viewer", "id": alice.user_id}
    }


async def test_who_was_invited_is_the_one_who_signs_in(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    shown = "user { id displayName email hasSignedIn }"
    invited = (await change(world, "inviteUser", shown, admin, email="carol@example.test"))["user"]
    assert invited["hasSignedIn"] is False
    again = (await change(world, "inviteUser", shown, admin, email="CAROL@example.test"))["user"]
    assert again["id"] == invited["id"]
    carol = await world.services.accounts.principal_of(Identity(ISSUER, "c", "Carol", "carol@example.test"))
    assert carol.user_id == invited["id"]
    data = await world.data("{ viewer { user { displayName email hasSignedIn } } }", as_=carol)
    assert data["viewer"]["user"] == {"displayName": "Carol", "email": "carol@example.test", "hasSignedIn": True}
    for values, path in (({"email": "nobody"}, "email"), ({"tokenSubject": ""}, "tokenSubject")):
        [error] = (await change(world, "inviteUser", shown, admin, **values))["userErrors"]
        assert error["path"] == ["input", path]


async def test_whom_a_rule_names_is_shown_without_their_address(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    alice = await world.principal("alice")
    bob = await world.services.accounts.principal_of(Identity(ISSUER, "bob", "Bob", "bob@example.test"))
    file = await filed(world, alice, "cat.txt")
    group = await world.services.groups.create(admin, "People", claim="ppl")
    await ruled(world, bob, file.id, Permission.READ)
    await ruled(world, group.id, file.id, Permission.READ)
    query = """query ($id: ID!) { file(by: {id: $id}) { accessRules { nodes { subject {
      ... on User { displayName email } ... on Group { name claim members { nodes { id } } } } } } } }"""
    for as_, email, claim, members in (
        (alice, None, None, None),
        (admin, "bob@example.test", "ppl", {"nodes": list[object]()}),
    ):
        data = await world.data(query, {"id": file.id}, as_=as_)
        subjects = [node["subject"] for node in data["file"]["accessRules"]["nodes"]]
        assert {"displayName": "Bob", "email": email} in subjects
        assert {"name": "People", "claim": claim, "members": members} in subjects


async def test_the_viewer_learns_what_they_may_do_everywhere(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin = await world.principal("root", is_admin=True)
    await ruled(world, alice, ROOT_FOLDER_ID, Permission.AUDIT, Permission.READ)
    await ruled(world, bob, ROOT_FOLDER_ID, Permission.ADMINISTER)
    every = [permission.value for permission in Permission]
    for as_, permissions in ((alice, ["READ", "AUDIT"]), (bob, every), (admin, every)):
        data = (await world.data("{ viewer { isAdmin permissions } }", as_=as_))["viewer"]
        assert data == {"isAdmin": permissions == every, "permissions": permissions}


async def test_the_audit_log_tells_what_was_before_and_after(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    alice = await world.principal("alice")
    group = (await change(world, "createGroup", GROUP, admin, name="Editors"))["group"]
    world.clock.advance(seconds=1)
    await change(world, "updateGroup", GROUP, admin, groupId=group["id"], name="Authors")
    query = """query ($filter: AuditEventFilter) { auditEvents(filter: $filter) {
      nodes { id occurredAt action targetId resource before after actor { displayName } ipAddress requestId }
      edges { cursor } pageInfo { endCursor } } }"""
    wanted = {"filter": {"resourceId": group["id"], "actorId": admin.user_id, "actions": ["GROUP_UPDATED"]}}
    data = (await world.data(query, wanted, as_=admin))["auditEvents"]
    [event] = data["nodes"]
    assert event["before"]["name"] == "Editors"
    assert event["after"]["name"] == "Authors"
    assert event["actor"] == {"displayName": "Root"}
    assert event["occurredAt"] == "2026-11-22T12:00:01Z"
    assert data["pageInfo"]["endCursor"] == data["edges"][0]["cursor"]
    node = "query ($id: ID!) { node(id: $id) { ... on AuditEvent { action } } }"
    assert await world.data(node, {"id": event["id"]}, as_=admin) == {"node": {"action": "GROUP_UPDATED"}}
    assert await world.data(node, {"id": event["id"]}, as_=alice) == {"node": None}

    for narrowed, number in (
        ({"since": "2026-11-22T12:00:01Z", "resourceId": group["id"]}, 1),
        ({"until": "2026-11-22T12:00:01Z", "resourceId": group["id"]}, 1),
        ({"resourceId": group["id"]}, 2),
        ({"resourceId": "nothing"}, 0),
        ({"actorId": "nobody"}, 0),
    ):
        data = (await world.data(query, {"filter": narrowed}, as_=admin))["auditEvents"]
        assert len(data["nodes"]) == number
    for as_ in (alice, ANONYMOUS):
        result = await world.ask(query, as_=as_)
        assert result.data == {"auditEvents": None}
        assert result.errors is not None
        assert result.errors[0].extensions == FORBIDDEN
