"""What files of rules mean: what is exported is what there is, and what is planned is what would follow."""

from datetime import timedelta

from graphql_api.db.rules import policy_version
from graphql_api.model.preview import Direction, PreviewLine
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ROOT, SIGNED_IN
from graphql_api.policyfile import Kind, Whom, write
from tests.services.rulefiles import (
    exported,
    faults,
    lines,
    on_root,
    parsed,
    planned_and_applied,
    policy_files,
    rules_on,
    with_email,
)
from tests.services.rulings import ruled, wish
from tests.services.stories import filed, foldered, home_of
from tests.world import World


async def test_an_empty_house_exports_a_file_without_resources(world: World) -> None:
    assert await exported(world) == "version: 1\nresources: []\n"


async def test_what_is_applied_stands_and_is_exported(world: World) -> None:
    alice = await with_email(world, "alice", "alice@example.com")
    team = await foldered(world, alice, "Team")
    text = (
        "groups:\n"
        "- name: Editors\n"
        "  claim: staff\n"
        "  members: [ALICE@example.com, {subject: new}]\n"
        "resources:\n"
        "- folder: /alice/team\n"
        "  rules:\n"
        "  - {allow: [write, read], to: {group: EDITORS}, ips: [192.0.2.1], link: {longest: 60}}\n"
        "  - {deny: [read], to: {user: new@example.com}, until: 2030-01-01T00:00:00Z}\n"
    )
    plan = await planned_and_applied(world, text)
    assert plan.changes_anything
    assert [(len(it.comes), len(it.goes), it.stays) for it in plan.sections] == [(2, 0, 0)]
    assert {rule.made_by for rule in await rules_on(world, team.id)} == {None}
    assert await exported(world) == (
        "version: 1\n"
        "groups:\n"
        "- name: Editors\n"
        "  claim: staff\n"
        "  members:\n"
        "  - alice@example.com\n"
        "  - {subject: new}\n"
        "resources:\n"
        "- folder: /Alice/Team\n"
        "  rules:\n"
        "  - allow: [read, write]\n"
        "    to: {group: Editors}\n"
        "    ips: [192.0.2.1/32]\n"
        "    link: {longest: 60}\n"
        "  - deny: [read]\n"
        "    to: {user: new@example.com}\n"
        "    until: 2030-01-01T00:00:00Z\n"
    )
    again = await policy_files(world).plan(parsed(text))
    assert not again.changes_anything
    assert again.preview is None


async def test_resources_that_a_file_does_not_name_are_left_alone(world: World) -> None:
    admin = await world.principal("admin", is_admin=True)
    await planned_and_applied(world, on_root("{allow: [read], to: anyone}"))
    bob = await world.principal("bob")
    other = await ruled(world, admin, wish(bob, "label:x"))
    await planned_and_applied(world, on_root())
    assert await rules_on(world, ROOT) == []
    assert await rules_on(world, "label:x") == [other]
    assert len(await rules_on(world, await home_of(world, bob))) == 1


async def test_a_rule_that_stays_stays_the_rule_it_is(world: World) -> None:
    await planned_and_applied(world, on_root("{allow: [read], to: signed-in}", "{allow: [audit], to: {subject: a}}"))
    before = await rules_on(world, ROOT)
    await planned_and_applied(world, on_root("{allow: [read], to: anyone}", "{allow: [read], to: signed-in}"))
    after = await rules_on(world, ROOT)
    assert [rule.terms.subject for rule in after if rule in before] == [SIGNED_IN]
    assert len(after) == 2


async def test_a_rule_that_has_ended_is_no_obstacle(world: World) -> None:
    text = on_root("{allow: [read], to: anyone, until: 2026-12-01T00:00:00Z}")
    await planned_and_applied(world, text)
    world.clock.advance(days=30)
    assert not (await policy_files(world).plan(parsed(text))).changes_anything
    plan = await planned_and_applied(world, text + "\n  - {deny: [read], to: signed-in}")
    assert (len(plan.sections[0].comes), plan.sections[0].stays) == (1, 1)


async def test_plain_homes_are_exported_only_when_asked_for(world: World) -> None:
    admin = await world.principal("admin", is_admin=True)
    bob = await world.principal("bob")
    assert await exported(world) == "version: 1\nresources: []\n"
    everything = await exported(world, with_homes=True)
    assert "/Admin" in everything
    assert "/Bob" in everything
    await ruled(world, admin, wish(admin, await home_of(world, bob)))
    assert "/Bob" in await exported(world)
    assert "/Admin" not in await exported(world)


async def test_everybody_is_named_by_what_means_nobody_else(world: World) -> None:
    admin = await world.principal("admin", is_admin=True)
    people = [
        await with_email(world, "plain", "plain@example.com"),
        await with_email(world, "twin", "twin@example.com"),
        await with_email(world, "twin2", "TWIN@example.com"),
        await with_email(world, "odd", "no address"),
        await with_email(world, "foreign", "f@example.com", issuer="https://other.test"),
        await world.principal("bare"),
        await world.principal("\u0085"),
    ]
    for person in people:
        await ruled(world, admin, wish(person, ROOT))
    ids = [str(person.user_id) for person in people]
    document = await policy_files(world).export()
    assert {rule.to for rule in document.sections[0].rules} == {
        Whom(Kind.USER, "plain@example.com"),
        Whom(Kind.SUBJECT, "twin"),
        Whom(Kind.SUBJECT, "twin2"),
        Whom(Kind.SUBJECT, "odd"),
        Whom(Kind.ID, ids[4]),
        Whom(Kind.SUBJECT, "bare"),
        Whom(Kind.ID, ids[6]),
    }
    assert not (await policy_files(world).plan(parsed(write(document).removeprefix("version: 1\n")))).changes_anything


async def test_a_name_that_means_nothing_is_refused_with_its_line(world: World) -> None:
    await with_email(world, "twin", "twin@example.com")
    alice = await with_email(world, "twin2", "twin@example.com")
    await filed(world, alice, "a.txt")
    await planned_and_applied(world, "groups: [{name: taken, claim: c}]")
    assert await faults(
        world,
        "groups:\n"
        "- {name: g, members: [{id: user_00000000000000000000000000}]}\n"
        "resources:\n"
        "- {folder: /nope, rules: []}\n"
        "- {folder: /Twin2/a.txt, rules: []}\n"
        "- {file: /Twin2, rules: []}\n"
        "- {file: /Twin2/a.txt/b, rules: []}\n"
        "- root: true\n"
        "  rules:\n"
        "  - {allow: [read], to: {group: nobody}}\n"
        "  - {allow: [read], to: {user: twin@example.com}}\n",
    ) == [
        "3: groups[0].members[0]: there is no user with this id",
        "5: resources[0].folder: there is no folder here",
        "6: resources[1].folder: there is no folder here",
        "7: resources[2].file: there is no file here",
        "8: resources[3].file: there is no file here",
        "11: resources[4].rules[0].to: there is no group 'nobody', and the file makes none",
        "12: resources[4].rules[1].to: more than one user has this e-mail address; name one by subject or id",
    ]
    assert await faults(world, "groups: [{name: g, claim: c}]") == [
        "2: groups[0].claim: the group 'taken' has this claim"
    ]


async def test_a_rule_that_cannot_be_is_refused_with_its_line(world: World) -> None:
    assert await faults(
        world,
        "resources:\n"
        "- root: true\n"
        "  rules:\n"
        "  - {allow: [write], to: anyone}\n"
        "  - {deny: [read], to: anyone, link: {download: true}}\n"
        "- label: x\n"
        "  rules:\n"
        "  - {deny: [administer], to: {subject: a}}\n"
        f"  - {{allow: [read], to: anyone, ips: [{', '.join(f'10.0.0.{n}' for n in range(51))}]}}\n",
    ) == [
        "5: resources[0].rules[0].allow: everybody can be allowed READ only",
        "6: resources[0].rules[1].link: only a rule that allows READ has obligations",
        "9: resources[1].rules[0].deny: ADMINISTER can stand on the root only",
        "10: resources[1].rules[1].ips: a rule has at most 50 address ranges",
    ]
    assert await faults(world, on_root("{allow: [read], to: anyone, until: 2020-01-01T00:00:00Z}")) == [
        "5: resources[0].rules[0].until: is in the past"
    ]


async def test_one_person_under_two_names_cannot_have_one_rule_twice(world: World) -> None:
    await with_email(world, "alice", "alice@example.com")
    [fault] = await faults(
        world, on_root("{allow: [read], to: {subject: alice}}", "{allow: [read], to: {user: alice@example.com}}")
    )
    assert fault == "6: resources[0].rules[1]: the same rule is there twice"


async def test_members_change_only_when_the_file_has_members(world: World) -> None:
    await planned_and_applied(world, "groups: [{name: g, claim: c, members: [{subject: a}, {subject: b}]}]")
    assert not (await policy_files(world).plan(parsed("groups: [{name: g, claim: c}]"))).changes_anything
    plan = await planned_and_applied(world, "groups: [{name: G, members: [{subject: b}, {subject: n}]}]")
    [change] = plan.groups
    assert change.before is not None
    assert (change.before.name, change.before.claim, change.after.name, change.after.claim) == ("g", "c", "G", None)
    assert {plan.names[user_id] for user_id in change.joins} == {"subject n"}
    assert {plan.names[user_id] for user_id in change.leaves} == {"subject a"}
    plan = await planned_and_applied(world, "groups: [{name: G, members: []}]")
    assert len(plan.groups[0].leaves) == 2
    assert await exported(world) == "version: 1\ngroups:\n- name: G\n  members: []\nresources: []\n"


async def test_groups_can_exchange_their_claims(world: World) -> None:
    await planned_and_applied(world, "groups: [{name: a, claim: x}, {name: b, claim: y}]")
    await planned_and_applied(world, "groups: [{name: a, claim: y}, {name: b, claim: x}]")
    assert [(it.name, it.claim) for it in (await policy_files(world).export()).groups] == [("a", "y"), ("b", "x")]


async def test_the_plan_tells_who_gains_and_loses_by_rules_and_by_groups(world: World) -> None:
    alice = await with_email(world, "alice", "alice@example.com", groups=frozenset({"staff"}))
    bob = await with_email(world, "bob", "bob@example.com")
    await with_email(world, "carol", "carol@example.com")
    folder = await foldered(world, alice, "team")
    file = await filed(world, alice, "a.txt", folder_id=folder.id)
    team = "resources:\n- folder: /Alice/team\n  rules:\n  - {allow: [read], to: {group: g}}\n"
    plan = await planned_and_applied(world, "groups: [{name: g, members: [bob@example.com, new@example.com]}]\n" + team)
    gains = {(who, Direction.GAINS, Permission.READ) for who in ("bob@example.com", "new@example.com")}
    assert lines(plan) == gains
    assert plan.preview is not None
    line = next(line for line in plan.preview.lines if line.subject == str(bob.user_id))
    assert line == PreviewLine(line.subject, Permission.READ, Direction.GAINS, 1, 1, (folder.id, file.id))
    assert plan.names[file.id] == "file /Alice/team/a.txt"
    assert (plan.preview.is_exact, plan.preview.old_links_expire_by) == (True, None)

    only_groups = await policy_files(world).plan(
        parsed("groups: [{name: g, claim: staff, members: [carol@example.com]}]")
    )
    assert lines(only_groups) == {
        ("bob@example.com", Direction.LOSES, Permission.READ),
        ("new@example.com", Direction.LOSES, Permission.READ),
        ("carol@example.com", Direction.GAINS, Permission.READ),
    }  # alice, whom the claim brings in, owns it all
    assert only_groups.preview is not None
    assert only_groups.preview.old_links_expire_by == world.clock() + timedelta(days=1)


async def test_who_joins_by_claim_gains_and_who_meets_a_denial_loses(world: World) -> None:
    alice = await with_email(world, "alice", "alice@example.com")
    await with_email(world, "bob", "bob@example.com", groups=frozenset({"staff", "interns"}))
    folder = await foldered(world, alice, "team")
    await filed(world, alice, "a.txt", folder_id=folder.id)
    await planned_and_applied(
        world,
        "groups: [{name: in, claim: staff}, {name: out}]\n"
        "resources:\n- folder: /Alice/team\n  rules:\n"
        "  - {allow: [read], to: {group: in}}\n  - {deny: [read], to: {group: out}}\n",
    )
    plan = await policy_files(world).plan(parsed("groups: [{name: out, claim: interns}]"))
    assert lines(plan) == {("bob@example.com", Direction.LOSES, Permission.READ)}
    plan = await policy_files(world).plan(parsed("groups: [{name: in}]"))
    assert lines(plan) == {("bob@example.com", Direction.LOSES, Permission.READ)}
    plan = await policy_files(world).plan(parsed("groups: [{name: in}, {name: new, claim: staff}]"))
    assert lines(plan) == {("bob@example.com", Direction.LOSES, Permission.READ)}


async def test_planning_writes_nothing(world: World) -> None:
    before = await exported(world, with_homes=True)
    async with world.database.autocommit() as connection:
        version = await policy_version(connection)
    file = parsed("groups: [{name: g, members: [a@b]}]\n" + on_root("{allow: [read], to: {user: n@b}}"))
    plans = [await policy_files(world).plan(file) for _ in range(2)]
    assert plans[0].id == plans[1].id
    assert await exported(world, with_homes=True) == before
    async with world.database.autocommit() as connection:
        assert await policy_version(connection) == version


async def test_more_people_than_one_request_may_name_can_be_in_a_file(world: World) -> None:
    members = ", ".join(f"p{number}@example.com" for number in range(250))
    plan = await planned_and_applied(
        world,
        f"groups: [{{name: g, members: [{members}]}}]\n"
        + on_root(*(f"{{allow: [read], to: {{user: q{number}@example.com}}}}" for number in range(150))),
    )
    assert plan.preview is not None
    assert len(await rules_on(world, ROOT)) == 150
