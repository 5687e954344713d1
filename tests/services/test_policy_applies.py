"""Files of rules are applied as they were planned, on what they were planned for, or not at all."""

import asyncio

import pytest

from graphql_api.errors import Conflict
from graphql_api.model.audit import AuditAction
from graphql_api.model.rule import ROOT
from tests.services.rulefiles import exported, on_root, parsed, planned_and_applied, policy_files, rules_on, with_email
from tests.services.rulings import events, outcome
from tests.services.stories import foldered, home_of
from tests.world import World


async def test_an_edited_file_is_not_applied(world: World) -> None:
    plan = await policy_files(world).plan(parsed(on_root("{allow: [read], to: signed-in}")))
    with pytest.raises(Conflict, match="the file has been edited"):
        await policy_files(world).apply(parsed(on_root("{allow: [read], to: anyone}")), plan.id)
    assert await rules_on(world, ROOT) == []


@pytest.mark.parametrize("id_", ["", "-", "x", "0-0-0", "\x00"])
async def test_what_is_no_plan_is_refused(world: World, id_: str) -> None:
    with pytest.raises(Conflict):
        await policy_files(world).apply(parsed(on_root()), id_)


@pytest.mark.parametrize(
    "meanwhile",
    [
        on_root("{allow: [audit], to: {subject: x}}"),
        on_root(),
        "groups: [{name: g, members: [{subject: x}]}]",
        "groups: [{name: G, members: [{subject: a}]}]",
        "groups: [{name: g, claim: c, members: [{subject: a}]}]",
        "groups: [{name: other, members: [{subject: n}]}]",
    ],
)
async def test_a_plan_is_of_what_there_was(world: World, meanwhile: str) -> None:
    await planned_and_applied(
        world, "groups: [{name: g, members: [{subject: a}]}]\n" + on_root("{allow: [read], to: anyone}")
    )
    wanted = "groups: [{name: g, members: []}]\n" + on_root("{allow: [read], to: {subject: n}}")
    file = parsed(wanted)
    plan = await policy_files(world).plan(file)
    await planned_and_applied(world, meanwhile)
    before = await exported(world)
    with pytest.raises(Conflict, match="have changed since that plan"):
        await policy_files(world).apply(file, plan.id)
    assert await exported(world) == before


async def test_changes_elsewhere_do_not_outdate_a_plan(world: World) -> None:
    file = parsed(on_root("{allow: [read], to: signed-in}"))
    plan = await policy_files(world).plan(file)
    await world.principal("newcomer")  # who gets a home, and a rule on it
    await planned_and_applied(world, "resources: [{label: x, rules: [{deny: [read], to: anyone}]}]")
    await policy_files(world).apply(file, plan.id)
    assert len(await rules_on(world, ROOT)) == 1


async def test_of_two_applies_at_once_one_is_refused_and_none_is_mixed(world: World) -> None:
    texts = ["{allow: [read], to: {subject: a}}", "{allow: [read], to: {subject: b}}"]
    files = [parsed(f"groups: [{{name: g{n}}}]\n" + on_root(rule)) for n, rule in enumerate(texts)]
    plans = [await policy_files(world).plan(file) for file in files]
    outcomes = await asyncio.gather(
        *(outcome(policy_files(world).apply(file, plan.id)) for file, plan in zip(files, plans, strict=True))
    )
    [winner] = [number for number, done in enumerate(outcomes) if not isinstance(done, Conflict)]
    document = await policy_files(world).export()
    assert [group.name for group in document.groups] == [f"g{winner}"]
    assert document.sections == files[winner].document.sections


async def test_who_signs_in_between_plan_and_apply_is_met_again(world: World) -> None:
    file = parsed(on_root("{allow: [read], to: {user: new@example.com}}"))
    plan = await policy_files(world).plan(file)
    new = await with_email(world, "new", "new@example.com")
    with pytest.raises(Conflict):
        await policy_files(world).apply(file, plan.id)
    plan = await policy_files(world).plan(file)
    await policy_files(world).apply(file, plan.id)
    assert [str(rule.terms.subject) for rule in await rules_on(world, ROOT)] == [new.user_id]


async def test_another_folder_of_the_same_name_is_another_resource(world: World) -> None:
    alice = await world.principal("alice")
    old = await foldered(world, alice, "a")
    file = parsed("resources: [{folder: /Alice/a, rules: [{allow: [read], to: anyone}]}]")
    plan = await policy_files(world).plan(file)
    await world.services.folders.rename(alice, old.id, "b")
    new = await foldered(world, alice, "a")
    with pytest.raises(Conflict):
        await policy_files(world).apply(file, plan.id)
    assert [*await rules_on(world, old.id), *await rules_on(world, new.id)] == []


async def test_the_log_has_everything_and_names_nobody(world: World) -> None:
    admin = await world.principal("admin", is_admin=True)
    await planned_and_applied(
        world, "groups: [{name: g, claim: c, members: [a@b]}]\n" + on_root("{allow: [read], to: {group: g}}")
    )
    await planned_and_applied(world, "groups: [{name: g, members: []}]\n" + on_root())
    told = [event for event in await events(world, admin) if event.resource != await home_of(world, admin)]
    assert {event.actor_id for event in told} == {None}
    assert sorted(event.action for event in told) == sorted(
        [
            AuditAction.USER_INVITED,
            AuditAction.GROUP_CREATED,
            AuditAction.MEMBER_ADDED,
            AuditAction.RULE_CREATED,
            AuditAction.GROUP_UPDATED,
            AuditAction.MEMBER_REMOVED,
            AuditAction.RULE_DELETED,
        ]
    )


ADMINS = "groups: [{name: admins, claim: ops, members: [ada@example.com]}]\n" + on_root(
    "{allow: [administer], to: {group: admins}}"
)


@pytest.mark.parametrize(
    ("text", "leaves_none"),
    [
        (on_root(), True),
        (on_root("{allow: [administer], to: {user: new@example.com}}"), True),
        (on_root("{allow: [administer], to: {user: ada@example.com}, until: 2030-01-01T00:00:00Z}"), True),
        (ADMINS + "\n  - {deny: [administer], to: {subject: ada}}", True),
        (ADMINS + "\n  - {deny: [administer], to: {group: admins}}", True),
        ("groups: [{name: admins, members: []}]", True),
        ("groups: [{name: admins, claim: others, members: [{subject: new}]}]", True),
        ("groups: [{name: admins, claim: ops, members: []}]", True),
        ("groups: [{name: admins, claim: staff, members: []}]", False),
        ("groups: [{name: admins, claim: ops, members: [bob@example.com]}]", False),
        ("groups: [{name: n, members: [bob@example.com]}]\n" + on_root("{allow: [administer], to: {group: n}}"), False),
        (on_root("{allow: [administer], to: {user: bob@example.com}}"), False),
        ("resources: [{label: x, rules: [{deny: [read], to: anyone}]}]", False),
    ],
)
async def test_the_last_administrator_by_rule_goes_only_when_told_so(
    world: World, text: str, leaves_none: bool
) -> None:
    await with_email(world, "ada", "ada@example.com")
    await with_email(world, "bob", "bob@example.com", groups=frozenset({"staff"}))
    await planned_and_applied(world, ADMINS)
    file, files = parsed(text), policy_files(world)
    plan = await files.plan(file)
    assert plan.leaves_no_admin == leaves_none
    if leaves_none:
        before = await exported(world)
        with pytest.raises(Conflict, match="--allow-no-administrator"):
            await files.apply(file, plan.id)
        assert await exported(world) == before
    done = await files.apply(file, plan.id, may_leave_no_admin=leaves_none)
    assert done.changes_anything
    assert not (await files.plan(file)).leaves_no_admin  # nothing is left to be done


async def test_where_no_rule_made_administrators_none_is_missed(world: World) -> None:
    await planned_and_applied(world, on_root("{allow: [administer], to: {user: new@example.com}}"))
    plan = await planned_and_applied(world, on_root())
    assert not plan.leaves_no_admin
