"""Rules through the schema: written, changed, listed, explained and rehearsed."""

from typing import Any

import pytest

from graphql_api.model.ids import ROOT_FOLDER_ID
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ANYONE, Effect, Scope
from tests.services.stories import filed, foldered, home_of, ruled
from tests.world import World

ERRORS = """userErrors {
  __typename code path message ... on ConflictError { conflictingId } ... on ForbiddenError { requiredPermission } }"""
SUBJECT = "subject { __typename ... on User { id displayName } ... on Group { name } }"
RESOURCE = """resource {
  __typename ... on Root { folder { id } } ... on Folder { id } ... on File { id } ... on Label { label: name } }"""
RULE = f"""{{ id version effect permissions startsAt endsAt ipRanges createdAt updatedAt
  obligations {{ maxLifetime bindsIp forcesDownload }} madeBy {{ displayName }} {SUBJECT} {RESOURCE} }}"""
CREATE = f"""mutation ($input: CreateAccessRuleInput!) {{
  done: createAccessRule(input: $input) {{ accessRule {RULE} oldLinksExpireBy {ERRORS} }} }}"""
UPDATE = f"""mutation ($input: UpdateAccessRuleInput!) {{
  done: updateAccessRule(input: $input) {{ accessRule {RULE} oldLinksExpireBy {ERRORS} }} }}"""
DELETE = f"""mutation ($input: DeleteAccessRuleInput!) {{
  done: deleteAccessRule(input: $input) {{ deletedRuleId oldLinksExpireBy {ERRORS} }} }}"""
REPLACE = f"""mutation ($input: ReplaceAccessRulesInput!) {{
  done: replaceAccessRules(input: $input) {{ accessRules {RULE} oldLinksExpireBy {ERRORS} }} }}"""
EXPLAIN = f"""query ($input: ExplainAccessInput!) {{ explainAccess(input: $input) {{
  permission isAllowed ground explanation linkFault linkTerms {{ maxLifetime ipRange forcesDownload until }}
  decidingRule {{ id }} consideredRules {{ verdict explanation rule {{ id {SUBJECT} }} }} }} }}"""
PREVIEW = f"""query ($changes: [AccessRuleChangeInput!]!) {{ previewAccessRules(input: {{changes: $changes}}) {{
  isExact usersExamined usersTotal thingsExamined thingsTotal oldLinksExpireBy
  lines {{
    permission direction files folders newcomer {SUBJECT} sample {{ __typename ... on File {{ id }} }} }} }} }}"""


async def done(world: World, document: str, as_: Principal, **values: object) -> dict[str, Any]:
    result: dict[str, Any] = (await world.data(document, {"input": values}, as_=as_))["done"]
    return result


async def test_a_rule_lives_from_its_making_to_its_deletion(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice, "cat.txt")
    wish = {
        "resource": {"fileId": file.id},
        "subject": {"userId": bob.user_id},
        "permissions": ["WRITE", "READ"],
        "endsAt": "2026-12-01T00:00:00+01:00",
        "ipRanges": ["192.0.2.7", "2001:db8::/32"],
        "obligations": {"maxLifetime": 600, "forcesDownload": True},
    }
    made = await done(world, CREATE, alice, **wish)
    assert made["userErrors"] == []
    rule = made["accessRule"]
    assert {name: value for name, value in rule.items() if name != "id"} == {
        "version": 1,
        "effect": "ALLOW",
        "permissions": ["READ", "WRITE"],
        "startsAt": None,
        "endsAt": "2026-11-30T23:00:00Z",
        "ipRanges": ["192.0.2.7/32", "2001:db8::/32"],
        "createdAt": "2026-11-22T12:00:00Z",
        "updatedAt": "2026-11-22T12:00:00Z",
        "obligations": {"maxLifetime": 600, "bindsIp": False, "forcesDownload": True},
        "madeBy": {"displayName": "Alice"},
        "subject": {"__typename": "User", "id": bob.user_id, "displayName": "Bob"},
        "resource": {"__typename": "File", "id": file.id},
    }
    assert made["oldLinksExpireBy"] is None

    changed = await done(
        world, UPDATE, alice, ruleId=rule["id"], version=1, endsAt=None, ipRanges=None, obligations={"bindsIp": True}
    )
    assert changed["userErrors"] == []
    assert changed["accessRule"] | {"updatedAt": None} == rule | {
        "version": 2,
        "endsAt": None,
        "ipRanges": [],
        "obligations": {"maxLifetime": None, "bindsIp": True, "forcesDownload": False},
        "updatedAt": None,
    }
    same = await done(world, UPDATE, alice, ruleId=rule["id"], version=2, effect=None, permissions=None, subject=None)
    assert same["accessRule"]["permissions"] == ["READ", "WRITE"]

    [late] = (await done(world, DELETE, alice, ruleId=rule["id"], version=1))["userErrors"]
    assert (late["__typename"], late["path"]) == ("ConflictError", ["input", "version"])
    version = same["accessRule"]["version"]
    gone = await done(world, DELETE, alice, ruleId=rule["id"], version=version)
    assert (gone["deletedRuleId"], gone["userErrors"]) == (rule["id"], [])
    assert gone["oldLinksExpireBy"] is not None
    [absent] = (await done(world, DELETE, alice, ruleId=rule["id"], version=version))["userErrors"]
    assert absent["code"] == "NOT_FOUND"


async def test_asking_again_with_the_same_key_makes_one_rule(world: World) -> None:
    alice = await world.principal("alice")
    home = await home_of(world, alice)
    wish = {
        "resource": {"folderId": home},
        "subject": {"signedIn": True},
        "permissions": ["READ"],
        "idempotencyKey": "once",
    }
    first, second = [await done(world, CREATE, alice, **wish) for _ in range(2)]
    assert first == second
    other = await done(world, CREATE, alice, **wish | {"permissions": ["WRITE"]})
    assert other["userErrors"][0]["code"] == "CONFLICT"


async def test_all_rules_on_a_resource_are_replaced_by_who_has_seen_them(world: World) -> None:
    alice = await world.principal("alice")
    folder = await foldered(world, alice, "shared")
    query = """query ($id: ID!) { folder(id: $id) { accessRules { tag nodes { id permissions } } }
      accessRules(resource: {folderId: $id}) { tag edges { cursor node { id } } } }"""
    data = await world.data(query, {"id": folder.id}, as_=alice)
    tag = data["accessRules"]["tag"]
    assert data["folder"]["accessRules"]["tag"] == tag
    inherited = [node["id"] for node in data["folder"]["accessRules"]["nodes"]]
    assert len(inherited) == 1  # of the home
    assert [edge["node"]["id"] for edge in data["accessRules"]["edges"]] == inherited

    rules = [
        {"subject": {"anyone": True}, "permissions": ["READ"]},
        {"subject": {"email": "New.Person@example.test"}, "permissions": ["READ", "WRITE"]},
    ]
    replaced = await done(world, REPLACE, alice, resource={"folderId": folder.id}, tag=tag, rules=rules)
    assert replaced["userErrors"] == []
    subjects = {rule["subject"]["__typename"] for rule in replaced["accessRules"]}
    assert subjects == {"Anyone", "User"}
    [error] = (await done(world, REPLACE, alice, resource={"folderId": folder.id}, tag=tag, rules=[]))["userErrors"]
    assert (error["code"], error["path"]) == ("CONFLICT", ["input", "tag"])


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"permissions": []}, ["permissions"]),
        ({"permissions": ["WRITE"], "subject": {"anyone": True}}, ["permissions"]),
        ({"permissions": ["AUDIT"]}, ["permissions"]),
        ({"subject": {"anyone": False}}, ["subject", "anyone"]),
        ({"subject": {"signedIn": False}}, ["subject", "signedIn"]),
        ({"subject": {"userId": "file_x"}}, ["subject"]),
        ({"subject": {"groupId": ""}}, ["subject"]),
        ({"subject": {"email": "nobody"}}, ["subject", "email"]),
        ({"subject": {"tokenSubject": ""}}, ["subject", "tokenSubject"]),
        ({"resource": {"root": False}}, ["resource", "root"]),
        ({"resource": {"label": "-"}}, ["resource", "label"]),
        ({"startsAt": "2027-01-02T00:00:00Z", "endsAt": "2027-01-01T00:00:00Z"}, ["endsAt"]),
        ({"endsAt": "2026-11-22T11:00:00Z"}, ["endsAt"]),
        ({"ipRanges": ["10.0.0.0/8", "nonsense"]}, ["ipRanges", "1"]),
        ({"ipRanges": ["10.0.0.1/8"]}, ["ipRanges", "0"]),
        ({"obligations": {"maxLifetime": 0}}, ["obligations", "maxLifetime"]),
        ({"obligations": {"bindsIp": True}, "effect": "DENY"}, ["obligations"]),
    ],
)
async def test_what_no_rule_can_say_is_refused_at_its_place(
    sqlite_world: World, values: dict[str, Any], path: list[str]
) -> None:
    alice = await sqlite_world.principal("alice", is_admin=True)
    home = await home_of(sqlite_world, alice)
    wish = {"resource": {"folderId": home}, "subject": {"signedIn": True}, "permissions": ["READ"]} | values
    made = await done(sqlite_world, CREATE, alice, **wish)
    assert made["accessRule"] is None
    assert [(error["code"], error["path"]) for error in made["userErrors"]] == [("INVALID", ["input", *path])]

    changes = [{"create": wish}]
    result = await sqlite_world.ask(PREVIEW, {"changes": changes}, as_=alice)
    assert result.errors is not None
    assert result.errors[0].extensions == {"code": "BAD_USER_INPUT", "inputPath": ["changes", "0", *path]}


async def test_a_fault_in_one_of_many_rules_is_found_there(sqlite_world: World) -> None:
    alice = await sqlite_world.principal("alice")
    home = await home_of(sqlite_world, alice)
    tag = await sqlite_world.services.policies.tag(alice, Scope(home))
    sound = {"subject": {"signedIn": True}, "permissions": ["READ"]}
    for fault, path in (
        ({"subject": {"anyone": False}}, ["subject", "anyone"]),
        ({"permissions": []}, ["permissions"]),
        ({"subject": {"groupId": "x"}}, ["subject"]),
    ):
        rules = [sound, sound | fault]
        result = await done(sqlite_world, REPLACE, alice, resource={"folderId": home}, tag=tag, rules=rules)
        assert result["userErrors"][0]["path"] == ["input", "rules", "1", *path]


async def test_every_kind_of_subject_and_resource_is_shown(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    file = await filed(world, admin, "cat.txt")
    folder = await foldered(world, admin, "folder")
    group = await world.services.groups.create(admin, "People")
    for subject, resource, expected in (
        ({"groupId": group.id}, {"root": True}, ("Group", {"__typename": "Root", "folder": {"id": ROOT_FOLDER_ID}})),
        ({"signedIn": True}, {"folderId": folder.id}, ("SignedIn", {"__typename": "Folder", "id": folder.id})),
        ({"anyone": True}, {"fileId": file.id}, ("Anyone", {"__typename": "File", "id": file.id})),
        ({"tokenSubject": "carol"}, {"label": " Blue"}, ("User", None)),
        ({"tokenSubject": "carol"}, {"label": "Blue"}, ("User", {"__typename": "Label", "label": "blue"})),
    ):
        made = await done(world, CREATE, admin, resource=resource, subject=subject, permissions=["READ"])
        if expected[1] is None:
            assert made["userErrors"][0]["path"] == ["input", "resource", "label"]
        else:
            assert made["userErrors"] == []
            assert made["accessRule"]["subject"]["__typename"] == expected[0]
            assert made["accessRule"]["resource"] == expected[1]


async def test_a_rule_does_not_tell_what_its_viewer_may_not_see(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin = await world.principal("root", is_admin=True)
    folder = await foldered(world, alice, "secret")
    await ruled(world, bob, folder.id, Permission.WRITE)
    await ruled(world, ANYONE, folder.id, Permission.READ, ip_ranges=("10.0.0.0/8",))
    await ruled(world, ANYONE, "label:secret", Permission.READ, effect=Effect.DENY)
    world.clock.advance(seconds=1)
    press = {"resource": {"label": "press"}, "subject": {"anyone": True}, "permissions": ["READ"]}
    assert (await done(world, CREATE, admin, **press))["userErrors"] == []
    query = f"{{ accessRules {{ tag nodes {{ madeBy {{ displayName }} {RESOURCE} }} }} }}"
    told = {"madeBy": None, "resource": {"__typename": "Label", "label": "press"}}
    assert await world.data(query) == {"accessRules": {"tag": None, "nodes": [told]}}
    home = {"madeBy": None, "resource": {"__typename": "Folder", "id": await home_of(world, bob)}}
    assert await world.data(query, as_=bob) == {"accessRules": {"tag": None, "nodes": [told, home]}}
    [newest, *_] = (await world.data(query, as_=admin))["accessRules"]["nodes"]
    assert newest["madeBy"] == {"displayName": "Root"}


async def test_an_explanation_names_the_rule_and_the_terms(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice, "cat.txt")
    question = {"input": {"resourceId": file.id, "action": "READ"}}
    assert (await world.data(EXPLAIN, question, as_=bob))["explainAccess"] is None
    own = (await world.data(EXPLAIN, question, as_=alice))["explainAccess"]
    assert (own["isAllowed"], own["ground"], own["decidingRule"]) == (True, "OWNERSHIP", None)

    made = await done(
        world,
        CREATE,
        alice,
        resource={"fileId": file.id},
        subject={"userId": bob.user_id},
        permissions=["READ"],
        obligations={"maxLifetime": 60, "bindsIp": True},
    )
    rule_id = made["accessRule"]["id"]
    found = (await world.data(EXPLAIN, question, as_=bob))["explainAccess"]
    assert (found["isAllowed"], found["ground"], found["linkTerms"]) == (True, "RULE", None)
    assert found["linkFault"]  # nobody knows where the question comes from
    here = {"input": question["input"] | {"ipAddress": "192.0.2.9"}}
    found = (await world.data(EXPLAIN, here, as_=bob))["explainAccess"]
    assert found["linkTerms"] == {"maxLifetime": 60, "ipRange": "192.0.2.9/32", "forcesDownload": False, "until": None}
    assert found["decidingRule"] == {"id": rule_id}
    [considered] = found["consideredRules"]
    assert (considered["verdict"], considered["rule"]["id"]) == ("DECIDED", rule_id)


async def test_a_file_points_to_why_there_is_no_link(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice, "cat.txt")
    folder = await foldered(world, alice, "folder")
    await ruled(world, bob, file.id, Permission.READ, ip_ranges=("192.0.2.0/24",))
    await ruled(world, bob, folder.id, Permission.READ)
    query = """query ($file: ID!, $folder: ID!) {
      file(by: {id: $file}) { read: access { isAllowed linkFault } write: access(action: WRITE) { isAllowed ground } }
      folder(id: $folder) { access { isAllowed } delete: access(action: DELETE) { isAllowed } } }"""
    ids = {"file": file.id, "folder": folder.id}
    assert await world.data(query, ids, as_=bob) == {
        "file": None,
        "folder": {"access": {"isAllowed": True}, "delete": {"isAllowed": False}},
    }
    data = await world.data(query, ids, as_=alice)
    assert data["file"]["read"] == {"isAllowed": True, "linkFault": None}
    assert data["file"]["write"] == {"isAllowed": True, "ground": "OWNERSHIP"}


async def test_who_is_no_auditor_may_ask_about_themselves_only(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    auditor = await world.principal("auditor")
    await ruled(world, auditor, ROOT_FOLDER_ID, Permission.AUDIT)
    file = await filed(world, alice, "cat.txt")
    question = {"resourceId": file.id, "action": "WRITE"}
    for subject in ({"userId": bob.user_id}, {"anyone": True}, {"signedIn": True}, {"tokenSubject": "alice"}):
        about = {"input": question | {"subject": subject}}
        found = (await world.data(EXPLAIN, about, as_=auditor))["explainAccess"]
        assert found["isAllowed"] is (subject == {"tokenSubject": "alice"})
        if subject != {"tokenSubject": "alice"}:
            result = await world.ask(EXPLAIN, about, as_=alice)
            assert result.errors is not None
            assert result.errors[0].extensions == {
                "code": "FORBIDDEN",
                "inputPath": ["subject"],
                "requiredPermission": "AUDIT",
            }
            assert result.data == {"explainAccess": None}
    for wrong, path in (({"subject": {"email": "a@b"}}, ["subject"]), ({"ipAddress": "x"}, ["ipAddress"])):
        result = await world.ask(EXPLAIN, {"input": question | wrong}, as_=alice)
        assert result.errors is not None
        assert result.errors[0].extensions == {"code": "BAD_USER_INPUT", "inputPath": path}


async def test_a_rehearsal_says_who_gains_what_and_changes_nothing(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice, "cat.txt")
    create = {"resource": {"fileId": file.id}, "subject": {"userId": bob.user_id}, "permissions": ["READ"]}
    admin = await world.principal("root", is_admin=True)
    data = (await world.data(PREVIEW, {"changes": [{"create": create}]}, as_=admin))["previewAccessRules"]
    assert (data["isExact"], data["usersTotal"], data["thingsTotal"]) == (True, 1, 1)
    assert data["oldLinksExpireBy"] is None
    shared = (await world.data(PREVIEW, {"changes": [{"create": create}]}, as_=alice))["previewAccessRules"]
    assert shared["lines"] == data["lines"]
    assert data["lines"] == [
        {
            "permission": "READ",
            "direction": "GAINS",
            "files": 1,
            "folders": 0,
            "newcomer": None,
            "subject": {"__typename": "User", "id": bob.user_id, "displayName": "Bob"},
            "sample": [{"__typename": "File", "id": file.id}],
        }
    ]
    assert (await world.data("{ files { nodes { id } } }", as_=bob))["files"]["nodes"] == []
    for changes in ([], [{"create": create}] * 21):
        result = await world.ask(PREVIEW, {"changes": changes}, as_=alice)
        assert result.errors is not None
        assert result.errors[0].extensions == {"code": "BAD_USER_INPUT", "inputPath": ["changes"]}
    for who, code in ((bob, "NOT_FOUND"), (ANONYMOUS, "NOT_FOUND")):
        result = await world.ask(PREVIEW, {"changes": [{"create": create}]}, as_=who)
        assert result.errors is not None
        assert result.errors[0].extensions["code"] == code  # type: ignore[index]  # it has some


async def test_a_rehearsal_names_who_is_not_known_yet(world: World) -> None:
    alice = await world.principal("alice")
    admin = await world.principal("root", is_admin=True)
    file = await filed(world, alice, "cat.txt")
    create = {"resource": {"fileId": file.id}, "permissions": ["READ"]}
    changes = [
        {"create": create | {"subject": {"email": "carol@example.com"}}},
        {"create": create | {"subject": {"tokenSubject": "dave"}}},
    ]
    for who in (admin, alice):
        data = (await world.data(PREVIEW, {"changes": changes}, as_=who))["previewAccessRules"]
        assert {line["newcomer"] for line in data["lines"]} == {"carol@example.com", "dave"}
        assert all(line["subject"] is None and line["files"] == 1 for line in data["lines"])
    users = await world.data('{ user(by: {email: "carol@example.com"}) { id } }', as_=admin)
    assert users["user"] is None


async def test_a_public_file_says_so(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice, "cat.txt")
    query = "query ($id: ID!) { file(by: {id: $id}) { visibility owner { displayName email } signedUrl { url } } }"
    data = (await world.data(query, {"id": file.id}, as_=alice))["file"]
    assert (data["visibility"], data["owner"]) == ("PRIVATE", {"displayName": "Alice", "email": None})
    made = await done(
        world, CREATE, alice, resource={"fileId": file.id}, subject={"anyone": True}, permissions=["READ"]
    )
    assert made["userErrors"] == []
    for as_ in (bob, ANONYMOUS):
        data = (await world.data(query, {"id": file.id}, as_=as_))["file"]
        assert (data["visibility"], data["owner"]) == ("PUBLIC", None)
        assert data["signedUrl"]["url"].startswith("https://cdn.test/")
