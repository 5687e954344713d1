"""Rules are made, changed and replaced: once each, in one order, and the log tells."""

import asyncio
from datetime import timedelta

from sqlalchemy import func, select

from graphql_api.db.tables import AccessRuleRow, UserRow
from graphql_api.errors import Conflict
from graphql_api.model.audit import AuditAction
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.rule import (
    ANYONE,
    SIGNED_IN,
    AccessRule,
    Obligations,
    Scope,
)
from graphql_api.model.rule_change import (
    CreateRule,
    DeleteRule,
    Invitee,
    ProposedChange,
    ReplaceRules,
    RuleChange,
    UpdateRule,
)
from graphql_api.model.signing_key import KeyStatus
from graphql_api.services.rule_json import rule_json, rule_of_json, tag_of
from tests.services.revoking import signed_for
from tests.services.rulings import events, outcome, refusal, ruled, rules_on, wish
from tests.services.stories import filed, foldered
from tests.world import START, World

READ, WRITE, DELETE, SHARE = Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE
AUDIT, ADMINISTER = Permission.AUDIT, Permission.ADMINISTER
DAY = timedelta(days=1)


async def count(world: World, row: type[AccessRuleRow | UserRow]) -> int:
    async with world.database.autocommit() as connection:
        return await connection.scalar(select(func.count()).select_from(row)) or 0


async def test_a_rule_lets_somebody_in_and_its_end_lets_them_out_again(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    rule = await ruled(world, alice, wish(bob, file.id, ends_at=START + DAY))
    assert (rule.version, rule.made_by, str(rule.terms.subject)) == (1, alice.user_id, bob.user_id)
    assert file.id in await world.services.files.find(bob, [file.id])
    world.clock.advance(days=1)
    assert await world.services.files.find(bob, [file.id]) == {}


async def test_a_rule_about_a_folder_is_about_all_below(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    outer = await foldered(world, alice, "outer")
    inner = await foldered(world, alice, "inner", outer.id)
    file = await filed(world, alice, folder_id=inner.id)
    await ruled(world, alice, wish(bob, outer.id))
    assert file.id in await world.services.files.find(bob, [file.id])
    await ruled(world, alice, wish(bob, inner.id, deny=True))
    assert await world.services.files.find(bob, [file.id]) == {}
    assert outer.id in await world.services.folders.find(bob, [outer.id, inner.id])


async def test_what_is_written_is_kept_in_one_spelling(world: World) -> None:
    admin = await world.principal("root", is_admin=True)
    ranges = ("10.0.0.1", "2001:DB8::/32", "10.0.0.1/32", "9.0.0.0/8")
    wanted = wish(ANYONE, "label:Public Press", ip_ranges=ranges, max_lifetime=timedelta(hours=1), forces_download=True)
    rule = await ruled(world, admin, wanted)
    assert rule.terms.resource == "label:public press"
    assert rule.terms.ip_ranges == ("9.0.0.0/8", "10.0.0.1/32", "2001:db8::/32")
    assert rule.terms.obligations == Obligations(timedelta(hours=1), forces_download=True)
    assert await world.services.policies.find(admin, [rule.id]) == {rule.id: rule}
    assert rule_of_json(rule_json(rule)) == rule


async def test_a_rule_can_name_somebody_who_has_not_signed_in(world: World) -> None:
    alice = await world.principal("alice")
    admin = await world.principal("root", is_admin=True)
    file = await filed(world, alice)
    before = await count(world, UserRow)
    rule = await ruled(world, alice, wish(Invitee(subject="carol"), file.id))
    again = await outcome(world.services.policies.create(alice, wish(Invitee(subject="carol"), file.id)))
    assert isinstance(again, Conflict)
    assert again.conflicting_id == rule.id
    world.clock.advance(seconds=1)
    by_email = await ruled(world, alice, wish(Invitee(email="dan@example.test"), file.id))
    assert await refusal(world.services.policies.create(alice, wish(Invitee(email="Dan@Example.test"), file.id))) == (
        "CONFLICT",
        (),
    )
    assert await count(world, UserRow) == before + 2
    carol = await world.principal("carol")
    assert carol.user_id == str(rule.terms.subject)
    assert file.id in await world.services.files.find(carol, [file.id])
    invited = await events(world, admin, actions=(AuditAction.USER_INVITED,))
    assert [(event.target, event.after, event.actor_id) for event in invited] == [
        (by_email.terms.subject, {"email": "dan@example.test"}, alice.user_id),
        (rule.terms.subject, {"tokenSubject": "carol"}, alice.user_id),
    ]


async def test_nobody_is_invited_by_a_change_that_is_refused(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    await ruled(world, alice, wish(bob, file.id))
    before = await count(world, UserRow)
    refused = wish(Invitee(email="dan@example.test"), file.id)
    assert (await refusal(world.services.policies.create(bob, refused)))[0] == "FORBIDDEN"
    assert await count(world, UserRow) == before


async def test_an_update_is_lost_to_nobody(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    rule = await ruled(world, alice, wish(bob, file.id))
    world.clock.advance(seconds=1)
    update = world.services.policies.update
    changed = (await update(alice, rule.id, 1, {"permissions": frozenset({READ, WRITE})})).rule
    assert changed is not None
    assert (changed.version, changed.id, changed.created_at) == (2, rule.id, rule.created_at)
    assert changed.updated_at > rule.updated_at
    for stale in (0, 1, 3):
        error = await outcome(update(alice, rule.id, stale, {"ends_at": START + DAY}))
        assert isinstance(error, Conflict)
        assert (error.conflicting_id, error.path) == (rule.id, ("version",))
        assert await refusal(world.services.policies.delete(alice, rule.id, stale)) == ("CONFLICT", ("version",))
    assert (await world.services.policies.find(alice, [rule.id]))[rule.id] == changed
    assert (await update(alice, rule.id, 2, {"permissions": frozenset({READ, WRITE})})).rule == changed  # nothing new
    gone = await world.services.policies.delete(alice, rule.id, 2)
    assert (gone.rule, gone.rules) == (changed, ())
    assert await refusal(world.services.policies.delete(alice, rule.id, 2)) == ("NOT_FOUND", ("ruleId",))


async def test_of_changes_at_once_one_wins_and_the_others_are_told(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    rule = await ruled(world, alice, wish(bob, file.id))
    updates = [{"ends_at": START + number * DAY} for number in range(1, 5)]
    results = await asyncio.gather(
        *(outcome(world.services.policies.update(alice, rule.id, 1, changes)) for changes in updates)
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 3 + ["RuleChange"]
    (there,) = await rules_on_itself(world, alice, file.id)
    assert there.version == 2

    tag = await world.services.policies.tag(alice, Scope(file.id))
    assert tag is not None
    wishes = [[wish(bob, file.id, READ, WRITE, ends_at=START + number * DAY)] for number in range(1, 5)]
    results = await asyncio.gather(
        *(outcome(world.services.policies.replace(alice, Scope(file.id), tag, wanted)) for wanted in wishes)
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict"] * 3 + ["RuleChange"]
    won = next(result for result in results if isinstance(result, RuleChange))
    assert won.rules == tuple(await rules_on_itself(world, alice, file.id))

    created = await asyncio.gather(
        *(outcome(world.services.policies.create(alice, wish(SIGNED_IN, file.id))) for _ in range(4))
    )
    assert sorted(type(result).__name__ for result in created) == ["Conflict"] * 3 + ["RuleChange"]


async def rules_on_itself(world: World, viewer: Principal, resource: str) -> list[AccessRule]:
    return [rule for rule in await rules_on(world, viewer, resource) if rule.terms.resource == resource]


async def test_a_replacement_keeps_what_stays_word_for_word(world: World) -> None:
    alice, bob, carol = [await world.principal(name) for name in ("alice", "bob", "carol")]
    folder = await foldered(world, alice, "shared")
    resource = Scope(folder.id)
    policies = world.services.policies
    kept = await ruled(world, alice, wish(bob, folder.id, ends_at=START + DAY))
    gone = await ruled(world, alice, wish(carol, folder.id))
    world.clock.advance(days=2)  # what has ended may stay: an exported file is no change
    tag = await policies.tag(alice, resource)
    assert tag == tag_of([kept, gone])
    changed = await policies.replace(
        alice, resource, tag, [wish(bob, folder.id, ends_at=START + DAY), wish(carol, folder.id, WRITE)]
    )
    assert changed.rule is None
    assert kept in changed.rules
    assert gone not in changed.rules
    assert [rule.terms.permissions for rule in changed.rules if rule != kept] == [{WRITE}]
    assert await policies.tag(alice, resource) == tag_of(changed.rules) != tag
    assert await refusal(policies.replace(alice, resource, tag, [])) == ("CONFLICT", ("tag",))
    assert (await policies.replace(alice, resource, tag_of(changed.rules), [])).rules == ()
    assert await policies.tag(alice, resource) == tag_of([])


async def test_asking_again_with_the_same_key_does_nothing_twice(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin = await world.principal("root", is_admin=True)
    file = await filed(world, alice)
    policies = world.services.policies
    first = await policies.create(alice, wish(bob, file.id), idempotency_key="one")
    assert first.rule is not None
    world.clock.advance(hours=1)
    assert await policies.create(alice, wish(bob, file.id), idempotency_key="one") == first
    assert await refusal(policies.create(alice, wish(bob, file.id, WRITE), idempotency_key="one")) == (
        "CONFLICT",
        ("idempotencyKey",),
    )
    assert await refusal(policies.delete(alice, first.rule.id, 1, idempotency_key="one")) == (
        "CONFLICT",
        ("idempotencyKey",),
    )
    assert await refusal(policies.create(alice, wish(bob, file.id, WRITE), idempotency_key="")) == (
        "INVALID",
        ("idempotencyKey",),
    )
    assert await refusal(policies.create(admin, wish(bob, file.id), idempotency_key="one")) == ("CONFLICT", ())
    changes = {"permissions": frozenset({READ, WRITE})}
    updated = await policies.update(alice, first.rule.id, 1, changes, idempotency_key="two")
    assert await policies.update(alice, first.rule.id, 1, changes, idempotency_key="two") == updated
    tag = tag_of(updated.rules)
    replaced = await policies.replace(alice, Scope(file.id), tag, [wish(bob, file.id)], idempotency_key="three")
    assert await policies.replace(alice, Scope(file.id), tag, [wish(bob, file.id)], idempotency_key="three") == replaced
    gone = await policies.delete(alice, replaced.rules[0].id, 1, idempotency_key="four")
    assert await policies.delete(alice, replaced.rules[0].id, 1, idempotency_key="four") == gone
    assert gone.old_links_expire_by is not None
    assert len([event for event in await events(world, admin) if event.target == first.rule.id]) == 3


async def test_the_same_key_at_once_makes_one_rule(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    results = await asyncio.gather(
        *(world.services.policies.create(alice, wish(bob, file.id), idempotency_key="k") for _ in range(4))
    )
    assert len(set(results)) == 1
    assert len(await rules_on_itself(world, alice, file.id)) == 1


async def test_every_change_is_told_with_before_and_after(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    admin = await world.principal("root", is_admin=True)
    file = await filed(world, alice)
    policies = world.services.policies
    rule = await ruled(world, alice, wish(bob, file.id, max_lifetime=timedelta(minutes=5)))
    world.clock.advance(seconds=1)
    changed = (await policies.update(alice, rule.id, 1, {"max_lifetime": None})).rule
    assert changed is not None
    world.clock.advance(seconds=1)
    await policies.delete(alice, rule.id, 2)
    told = [event for event in await events(world, admin, resource_id=file.id) if event.target == rule.id]
    assert [(event.action, event.before, event.after) for event in told] == [
        (AuditAction.RULE_DELETED, rule_json(changed), None),
        (AuditAction.RULE_UPDATED, rule_json(rule), rule_json(changed)),
        (AuditAction.RULE_CREATED, None, rule_json(rule)),
    ]
    assert {(event.actor_id, event.resource) for event in told} == {(alice.user_id, file.id)}
    assert rule_json(rule) == {
        "id": rule.id,
        "effect": "ALLOW",
        "permissions": ["READ"],
        "subject": bob.user_id,
        "resource": file.id,
        "startsAt": None,
        "endsAt": None,
        "ipRanges": [],
        "obligations": {"maxLifetime": 300, "bindsIp": False, "forcesDownload": False, "personalLinks": False},
        "version": 1,
        "madeBy": alice.user_id,
        "createdAt": START.isoformat(),
        "updatedAt": START.isoformat(),
    }


async def test_several_changes_happen_together_or_not_at_all(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    one, two = await foldered(world, alice, "one"), await foldered(world, alice, "two")
    rule = await ruled(world, alice, wish(bob, one.id))
    policies = world.services.policies
    changes: list[ProposedChange] = [
        UpdateRule(rule.id, 1, {"permissions": frozenset({READ, WRITE})}),
        ReplaceRules(Scope(two.id), tag_of([]), (wish(bob, two.id), wish(SIGNED_IN, two.id))),
        DeleteRule(rule.id, 2),
        CreateRule(wish(bob, one.id)),
    ]
    before = await count(world, AccessRuleRow)
    broken: list[ProposedChange] = [*changes, CreateRule(wish(bob, one.id))]
    assert await refusal(policies.apply(alice, broken)) == ("CONFLICT", ("changes", "4"))
    assert await refusal(policies.apply(alice, [*changes, CreateRule(wish("?", one.id))])) == (
        "INVALID",
        ("changes", "4", "subject"),
    )
    assert await count(world, AccessRuleRow) == before
    results = await policies.apply(alice, changes)
    assert [len(result.rules) for result in results] == [1, 2, 0, 1]
    assert await rules_on_itself(world, alice, one.id) == list(results[3].rules)
    assert {rule.id for rule in await rules_on_itself(world, alice, two.id)} == {rule.id for rule in results[1].rules}


async def test_when_old_links_end_is_told_for_what_is_taken_only(world: World) -> None:
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    policies = world.services.policies
    made = await policies.create(alice, wish(bob, file.id, max_lifetime=timedelta(hours=2)))
    assert made.rule is not None
    assert made.old_links_expire_by is None
    assert (await policies.create(alice, wish(bob, file.id, WRITE))).old_links_expire_by is None
    denied = await policies.create(alice, wish(bob, file.id, deny=True))
    assert denied.rule is not None
    assert denied.old_links_expire_by == START + DAY
    assert (await policies.delete(alice, denied.rule.id, 1)).old_links_expire_by is None
    later = await policies.create(alice, wish(bob, file.id, deny=True, starts_at=START + 2 * DAY))
    assert later.old_links_expire_by is None  # every link will have ended by then
    assert (await policies.delete(alice, made.rule.id, 1)).old_links_expire_by == START + timedelta(hours=2)


async def test_links_from_before_the_setting_was_lowered_are_old_links_too(world: World) -> None:
    await signed_for(world, 7 * DAY, KeyStatus.ACTIVE)  # the setting is a day
    alice, bob = await world.principal("alice"), await world.principal("bob")
    file = await filed(world, alice)
    denied = await world.services.policies.create(alice, wish(bob, file.id, deny=True))
    assert denied.old_links_expire_by == START + 7 * DAY
